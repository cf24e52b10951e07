"""Step-size plane: sound, word and event rate over coarse and fine step, and where the training went."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.step_plane import PlaneMark, StepPlaneResult, why_not
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import step_plane

_SETTINGS = {"n_fit": 2000, "seed": inspection.SEED}


def main() -> None:
    fitting = []
    for opened in inspection.chosen_subjects():
        if (reason := _reason(opened)) is None:
            fitting.append(opened)
        else:
            inspection.not_applicable(f"step-size plane of {opened.name}", reason)
    for result in inspection.measured_subjects(
        "plane", fitting, "Measure the plane (about a minute)", **_SETTINGS
    ):
        _plane(result)


def _reason(opened: Subject) -> str | None:
    if opened.checkpoint is None:
        return "it needs the model, an import holds only recordings"
    return why_not(opened.checkpoint.model.encoder)


def _plane(result: StepPlaneResult) -> None:
    name = result.provenance.subject
    st.subheader(widgets.plain(name), divider="gray")
    widgets.draw(step_plane.plane(result), step_plane.plane_alt(result), f"map-{name}")
    st.caption(
        f"Thresholds stay at the encoder's ({result.tc:.2f} and {result.tf:.2f} steps): the MSE optimum is "
        "that of this plane. Both optima are chosen off the evaluated clips, on "
        f"{result.n_fit} training clips and on {result.n_choose} of {widgets.plain(result.chosen_on)}. "
        "The trained network was made for the encoder's own steps: how fast its accuracy falls away from "
        "them says how much it relies on them, not which steps are best."
    )
    st.dataframe(pd.DataFrame([_row(mark) for mark in result.marks]), hide_index=True, key=f"marks-{name}")
    st.caption(
        f"Probe of counts in ten windows, C = {result.c:g} chosen once at the encoder. Commonest word: "
        f"{widgets.plain(result.chance)}; same probe, shuffled labels: {widgets.plain(result.shuffled)}."
    )
    widgets.numbers(result, f"map-{name}")


def _row(mark: PlaneMark) -> dict[str, str]:
    return {
        "place": mark.name,
        "coarse step": f"{mark.dc:.3f}",
        "fine step": f"{mark.df:.3f}",
        "SNR (dB)": str(mark.snr_db),
        "probe accuracy": str(mark.probe_accuracy),
        "less that at the MSE optimum": "–" if mark.probe_difference is None else str(mark.probe_difference),
        "network unchanged": str(mark.backbone_accuracy),
        "events per channel and frame": f"{mark.rate:.3f}",
    }


with widgets.page(
    "Step-size plane",
    "Which coarse and fine step keep the sound, which make the word easy to read, and where did training go?",
    "What would fool you: smaller steps spend more events, and more events alone are easier to read, so the "
    "event rate has a map of its own; compare places at equal rate.",
):
    main()
