"""Nuisance: what every stage keeps of a clip that the word does not need."""

from __future__ import annotations

import streamlit as st

from analysis.nuisance import NuisanceResult
from app import inspection, widgets
from app.charts import nuisance


def main() -> None:
    results: list[NuisanceResult] = inspection.measured_subjects(
        "nuisance",
        inspection.chosen_subjects(),
        "Ask for speaker, level and noise (about a minute)",
        seed=inspection.SEED,
    )
    for result in results:
        name = result.provenance.subject
        st.subheader(widgets.plain(name), divider="gray")
        widgets.draw(nuisance.by_target(result), nuisance.by_target_alt(result), f"nuisance-chart-{name}")
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} of {name}", why)
        st.caption(" · ".join(f"*{widgets.plain(t)}*: {widgets.plain(c)}" for t, c in result.clips.items()))
        widgets.numbers(result, f"nuisance-{name}")
    if results:
        st.caption(
            "*Word* is the positive control: what must be kept. A task-aligned code should tell less of the "
            "rest than a code that knows nothing of the task: SF2-rec at the same event rate beside the "
            "encoder, the untrained twin beside a layer (hover for the paired difference). The speaker is "
            "read inside the training split, on clips that the network was trained on. The network may have "
            "been trained with noise, and a clip's own level varies too: compare codes, not properties."
        )


with widgets.page(
    "Nuisance",
    "What does each stage still tell of speaker, level and noise?",
    "What would fool you: every code loses something, learned or not, so each stands beside one of its own "
    "size that knows nothing of the task, and beside permuted values; all are read in 256 dimensions.",
):
    main()
