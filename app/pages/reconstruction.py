"""Reconstruction: how much of the sound the spikes hold, in numbers, in pictures and to the ear."""

from __future__ import annotations

import streamlit as st

from analysis.listening import ORIGINAL
from analysis.reconstruction import ReconstructionResult
from analysis.subjects import Subject
from app import inspection, session, widgets
from app.charts import reconstruction

_DECODERS = {"lags": 5, "seed": inspection.SEED}
_CURVES = ("R2 by band", "correlation by band", "error over time")


def main() -> None:
    subjects = inspection.chosen_subjects()
    results = inspection.measured_subjects(
        "reconstruct", subjects, "Fit the decoders (about a minute)", **_DECODERS
    )
    if results:
        _decoders(results)
    st.header("The current clip", divider="gray")
    fitted = {result.provenance.subject for result in results}
    for column, opened in zip(st.columns(len(subjects)), subjects, strict=True):
        with column, widgets.errors():
            _clip(opened, opened.name in fitted)


def _decoders(results: list[ReconstructionResult]) -> None:
    widgets.draw(reconstruction.decoders(results), reconstruction.decoders_alt(results), "decoders")
    st.caption(
        "SNR = 10 log10(sum x² / sum (x − x̂)²) on normalised log-mel. *Within word*: 0 is what knowing "
        "the word alone gives. *Own*: the decoder that belongs to the encoder. *Ridge*: fitted on "
        f"training clips, {_DECODERS['lags']} frames to either side, penalty chosen on "
        f"{widgets.plain(results[0].penalty_chosen_on)}. Own low but ridge high means that the "
        "information is there and the encoder's own decoder is bad. *Permuted*: the same decoder on the "
        "spikes of another clip."
    )
    shown = st.segmented_control("Curves", _CURVES, default=_CURVES[0], required=True, key="curves")
    for result in results:
        name = result.provenance.subject
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} decoder of {name}", why)
        if shown == _CURVES[2]:
            figure, values = reconstruction.over_time(result), result.error_over_time
        else:
            metric = "r2" if shown == _CURVES[0] else "pearson"
            figure = reconstruction.by_band(result, metric)
            values = result.r2_per_band if metric == "r2" else result.pearson_per_band
        alt = reconstruction.curves_alt(result, values, shown)
        widgets.show(figure, result, alt, f"curves-{name}")


def _clip(opened: Subject, ridge: bool) -> None:
    chosen = session.selection()
    clips = session.clips(opened, chosen.split)
    row = chosen.clip % len(clips)
    clip = clips[row]
    st.subheader(widgets.plain(opened.name))
    speaker = "" if clip.speaker is None else f", speaker {widgets.plain(clip.speaker)}"
    st.markdown(f"Clip {row}: “{widgets.plain(clip.word)}”{speaker}")
    if not ridge:
        st.caption("The ridge decoder joins once the decoders are fitted.")
    with widgets.progress_bar("recording") as progress:
        panels, dt_ms = session.rebuilt(opened, chosen.split, row, progress, ridge=ridge, **_DECODERS)
    widgets.draw(
        reconstruction.clip(panels, dt_ms),
        reconstruction.clip_alt(panels, clip.word),
        f"clip-{opened.name}",
    )
    if opened.imported is not None:
        inspection.not_applicable("sound", "imported recordings do not carry the scale of their log-mel")
        return
    if st.toggle("Listen", key=f"listen-{opened.name}", help="Griffin-Lim takes a second a version."):
        _players(opened, row, ridge)


def _players(opened: Subject, row: int, ridge: bool) -> None:
    with st.spinner("Griffin-Lim"):
        sounds = session.sounds(opened, session.selection().split, row, ridge=ridge, **_DECODERS)
    columns = st.columns(len(sounds))
    for column, (name, (sound, rate)) in zip(columns, sounds.items(), strict=True):
        source = "original log-mel" if name == ORIGINAL else name
        label = "the recording itself" if name == "recording" else f"{source}, through Griffin-Lim"
        column.caption(label)
        column.audio(sound, sample_rate=rate, alt=f"Clip {row} of {opened.name}: {label}")
    st.caption(
        "Compare the original log-mel with the rebuilt ones: all went through the same Griffin-Lim, "
        "which loses the phase. The recording tells what that alone costs."
    )


with widgets.page(
    "Reconstruction",
    "How much of the sound can be read back from the spikes?",
    "What would fool you: the mean clip of each word already looks like speech, so the frame and word "
    "templates and spikes of another clip stand beside every decoder.",
):
    main()
