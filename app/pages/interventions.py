"""Interventions: what the network and a probe lose when the code is changed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.interventions import InterventionResult
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import interventions


def main() -> None:
    subjects = inspection.chosen_subjects()
    for i, opened in enumerate(subjects):
        if opened.imported is not None:
            inspection.not_applicable(
                opened.name, "an intervention needs the network; imported recordings hold only spikes"
            )
            continue
        st.subheader(widgets.plain(opened.name), divider="gray")
        results: list[InterventionResult] = inspection.measured_subjects(
            "interventions",
            [opened],
            "Change the code and measure again (about half a minute)",
            swap=_other(subjects, i),
            seed=inspection.SEED,
        )
        for result in results:
            _one(result, i)


def _other(subjects: Sequence[Subject], index: int) -> str | None:
    """Return the checkpoint this one is compared with: its encoder is put in."""
    others = [opened.name for k, opened in enumerate(subjects) if k != index and opened.imported is None]
    return others[0] if others else None


def _one(result: InterventionResult, index: int) -> None:
    name = result.provenance.subject
    widgets.draw(
        interventions.accuracy(result, index), interventions.accuracy_alt(result), f"intervened-{name}"
    )
    for what, why in result.not_applicable.items():
        inspection.not_applicable(f"{what} of {name}", why)
    st.caption(
        "The probe was fitted on unchanged activity and is not fitted again, nor is the network. *Stream of "
        "other clips: all* is the floor: the code says nothing of its clip. *Random channels* and *spikes "
        "dropped* are what *selective channels* must be held against. Jittered spikes that meet in one frame "
        "become one; hover for how active each code still is. With this many intervals one in twenty misses "
        f"by chance. Noise: {widgets.plain(result.noise)}; its level is relative to the clip as recorded. "
        "Choose a second checkpoint in the sidebar to put its encoder in."
    )
    widgets.numbers(result, f"interventions-{name}")


with widgets.page(
    "Interventions",
    "Which parts of the code does the network depend on, and how much change does it bear?",
    "What would fool you: a code with spikes taken away is one the reader never met, so a fall need not mean "
    "lost information. Every stream is therefore also put in from other clips, which keeps its statistics, "
    "and channels are also chosen at random.",
):
    main()
