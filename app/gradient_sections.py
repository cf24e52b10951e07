"""Sections of the gradients page: GR-4 by stream and band, and everything beside its controls."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.gradient_controls import GradientControls, control_names
from analysis.gradient_result import GradientResult
from analysis.stream_energy import StreamRow
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import gradient_controls
from app.charts import streams as charts


def streams(results: list[GradientResult]) -> None:
    """Show which streams and bands the task gradient falls on."""
    if not results:
        return
    st.subheader("GR-4: which streams does the task gradient fall on?", divider="gray")
    widgets.draw(charts.shares(results), charts.shares_alt(results), "gr4")
    rows = [_stream_row(result.provenance.subject, row) for result in results for row in result.streams]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="streams")
    widgets.draw(charts.bands(results), charts.bands_alt(results), "gr4-bands")
    st.caption(
        "A stream with larger steps moves the decoded signal more, so even the reconstruction gradient is "
        "uneven (open marks), and a busy stream has more to lose: read the share per spike and per channel, "
        "1 is in proportion. Every clip counts alike; *all clips together* is ruled by the few that the "
        "network gets wrong. The untrained twin's shares stand among the controls below."
    )


def _stream_row(name: str, row: StreamRow) -> dict[str, str]:
    return {
        "checkpoint": name,
        "stream": row.stream,
        "share": str(row.share),
        "all clips together": str(row.pooled),
        "over its share of spikes": str(row.per_event),
        "over its share of channels": str(row.per_channel),
        "share of the reconstruction gradient": str(row.reconstruction),
    }


def controls(subjects: list[Subject]) -> None:
    """Show GR-1 to GR-4 of each subject beside its untrained twin and its control trainings."""
    st.subheader("The same measures on trainings whose answer is known", divider="gray")
    for subject in subjects:
        assert subject.checkpoint is not None
        names = control_names(subject.checkpoint)
        (result,) = inspection.measured_subjects(
            "gradient-controls",
            [subject],
            f"Compare with the untrained twin and {len(names)} control trainings (a minute or two)",
            controls=names or None,
            seed=inspection.SEED,
        ) or (None,)
        if result is not None:
            _controls(result)
    st.caption(
        "*Trained on shuffled labels*: there was no task to align with, yet the rate penalty alone moves the "
        "steps away from where reconstruction wants them. A slope of the squared error speaks for the task "
        "only where it differs from these, in sign or in size. *Trained to reconstruct*: what is left of it, "
        "since training follows the surrogate, is the floor of the measure. Grey: permuted pairs. Open: "
        "not resolved. The size of a slope is the effect, not its number of standard errors."
    )


def _controls(result: GradientControls) -> None:
    name = result.provenance.subject
    st.markdown(f"**{widgets.plain(name)}**")
    if result.rows:
        chart = gradient_controls.comparison(result)
        widgets.draw(chart, gradient_controls.comparison_alt(result), f"controls-{name}")
    for what, why in result.not_applicable.items():
        inspection.not_applicable(what, why)
    widgets.numbers(result, f"gradient-controls-{name}")
