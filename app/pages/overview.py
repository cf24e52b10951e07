"""Overview: every encoder between faithful and task-aligned, and what the checkpoints scored."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.alignment import VerdictResult
from analysis.result import to_csv
from analysis.shipped import kept_verdict
from analysis.subjects import how_to_get
from app import session, widgets
from app.charts.plane import plane, plane_alt
from models.checkpoint import CheckpointInfo
from models.errors import SpikelensError

SEED = 0


def main() -> None:
    chosen = session.selection()
    known, missing = _verdicts(chosen)
    if missing and (names := _ask(list(missing))):
        for name in names:
            with widgets.errors(), widgets.progress_bar(f"measuring {name}") as progress:
                opened = session.subject(name, missing[name])
                known[name] = session.measure("verdict", opened, chosen.split, progress, seed=SEED)
    order = sorted(session.subjects(), key=lambda name: name != chosen.checkpoint)
    _plane([known[name] for name in order if name in known])
    for name in (chosen.checkpoint, chosen.compare):
        if name in known:
            _verdict(known[name])
    _scores(list(session.checkpoints().values()))


def _verdicts(chosen: session.Selection) -> tuple[dict[str, VerdictResult], dict[str, str | None]]:
    """Return the verdicts that are known, and the data set of each subject whose verdict is not.

    Where none has been computed here, the one that came with the checkpoint serves.
    """
    infos = session.checkpoints()
    known: dict[str, VerdictResult] = {}
    missing: dict[str, str | None] = {}
    for name in session.subjects():
        offered = session.datasets(name)
        data = chosen.data if chosen.data in offered else next(iter(offered), None)
        try:
            found = session.stored("verdict", session.digest(name, data), chosen.split, seed=SEED)
        except SpikelensError as error:
            if name in (chosen.checkpoint, chosen.compare):
                widgets.error_box(str(error))
            continue
        if found is None and name in infos:
            found = kept_verdict(infos[name], chosen.split)
        if found is None:
            missing[name] = data
        else:
            known[name] = found
    return known, missing


def _ask(names: list[str]) -> list[str]:
    """Offer to measure what has not been; return what was asked for."""
    with st.form("measure", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        wanted = left.multiselect("Not measured yet (a minute or two each)", names, default=names)
        pressed = right.form_submit_button("Measure", type="primary", width="stretch")
    return wanted if pressed else []


def _plane(verdicts: list[VerdictResult]) -> None:
    if not any(verdict.x is not None for verdict in verdicts):
        st.info("No encoder is placed yet: press Measure, or run `spikelens verdict NAME`.")
        return
    widgets.draw(plane(verdicts), plane_alt(verdicts), "plane")
    st.caption(
        "Filled: the decoder that recovers most. Open: the encoder's own decoder, where that is another. "
        "Cross on the zero line: SF2-rec, the same encoder fitted to reconstruct at the same event rate; the "
        "dotted line leads from it to what it is compared with. Bars: 95 % intervals."
    )


def _verdict(verdict: VerdictResult) -> None:
    st.subheader(widgets.plain(verdict.provenance.subject), divider="gray")
    st.markdown(f"**{widgets.plain(verdict.sentence)}**")
    if verdict.refuted_by:
        st.markdown(f"What would refute it: {widgets.plain(verdict.refuted_by)}")
    if verdict.caveats:
        st.caption(f"What it does not cover: {widgets.plain('; '.join(verdict.caveats))}.")
    widgets.numbers(verdict, f"verdict-{verdict.provenance.subject}")


def _scores(infos: list[CheckpointInfo]) -> None:
    if not infos:
        return
    st.subheader("What the checkpoints scored", divider="gray")
    table = pd.DataFrame([_score_row(info) for info in infos])
    st.dataframe(table, hide_index=True, key="scores")
    st.caption(
        "Read from each checkpoint's metrics.json; SNR of the encoder's own decoder, events and synaptic "
        "operations on validation. Intervals: 95 % bootstrap over speakers, or clips where they are unknown; "
        "one training seed each. gsc8 is GSC-8, eight words: not comparable with 35-word figures."
    )
    st.download_button("CSV", lambda: to_csv(table), "checkpoints.csv", "text/csv", on_click="ignore")
    here = {data for info in infos for data in session.datasets(info.name)}
    for data in sorted({str(info.data["name"]) for info in infos} - here):
        st.caption(f"{widgets.plain(data)} is not on this machine. {widgets.plain(how_to_get(data))}")


def _score_row(info: CheckpointInfo) -> dict[str, object]:
    metrics = info.metrics
    return {
        "checkpoint": info.name,
        "trained on": str(info.data["name"]),
        "speech": "synthetic" if info.data["synthetic"] else "recorded",
        "words": len(info.labels),
        "encoder": info.recipe.encoder.name,
        "test accuracy": _accuracy(metrics.get("test")),
        "validation accuracy": _accuracy(metrics.get("validation")),
        "parameters": metrics.get("parameters"),
        "own SNR (dB)": metrics.get("snr_db"),
        "events / channel / frame": metrics.get("rates", {}).get("encoder"),
        "SynOps / clip": metrics.get("synops"),
    }


def _accuracy(scores: dict | None) -> str | None:
    if not scores:
        return None
    return f"{scores['accuracy']:.1%} [{scores['low']:.1%}, {scores['high']:.1%}], n = {scores['n']}"


with widgets.page(
    "Overview",
    "Do the spikes keep the sound (**faithful**), or what the task needs of it (**task-aligned**)?",
    "What would fool you: more spikes make a word easier to read and a sound easier to rebuild. So every "
    "encoder is held against one fitted to reconstruct at the same event rate, never against none.",
):
    main()
