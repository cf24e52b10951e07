"""Saliency: which bins of the log-mel speak for a word, and how the gradient gets there."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.gradient_flow import FlowResult
from analysis.saliency import SaliencyResult
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import flow, saliency


def main() -> None:
    subjects = inspection.chosen_subjects()
    with_model = [opened for opened in subjects if opened.imported is None]
    for opened in subjects:
        if opened.imported is not None:
            inspection.not_applicable(
                opened.name, "gradients need the network; imported recordings hold only spikes"
            )
    if with_model:
        _saliency(with_model)
        _flow(with_model)


def _saliency(subjects: list[Subject]) -> None:
    st.subheader("Which bins speak for a word", divider="gray")
    found: list[SaliencyResult] = inspection.measured_subjects(
        "saliency",
        subjects,
        "Explain the words (about a minute)",
        n_steps=32,
        share=0.1,
        seed=inspection.SEED,
    )
    for result in found:
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} of {result.provenance.subject}", why)
    if not (results := [result for result in found if result.deletions]):
        return
    word = st.selectbox("Word", results[0].words, key="saliency-word")
    for result in results:
        name = result.provenance.subject
        st.markdown(f"**{widgets.plain(name)}**")
        if word in result.words:
            widgets.draw(
                saliency.word_maps(result, word), saliency.word_maps_alt(result, word), f"maps-{name}"
            )
    st.caption(
        "Integrated gradients of the true word's logit from the training mean to the clip, averaged over the "
        "word's clips: red speaks for the word, blue against it. Each map has a colour scale of its own."
    )
    widgets.draw(saliency.deletions(results), saliency.deletions_alt(results), "deletions")
    st.caption(
        "The bins are chosen knowing the word, and salient bins are often loud ones. So *most salient* says "
        "something only where it costs more than the bins farthest from the mean, those salient for another "
        "word in the same clip, and those that the untrained twin would choose."
    )
    for result in results:
        st.dataframe(_checks(result), hide_index=True, key=f"checks-{result.provenance.subject}")
    st.caption(
        "Of a smooth network the bins add up to the logit less that of silence (1, error 0); through a "
        "surrogate they need not. Words differ in sound, so even an untrained network's maps differ between "
        "words: only the deletions tell what the network uses."
    )
    for result in results:
        widgets.numbers(result, f"saliency-{result.provenance.subject}")


def _checks(result: SaliencyResult) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "checkpoint": result.provenance.subject,
            "measure": row.measure,
            "of": row.condition,
            "value": str(row.value),
            "permuted labels (null)": "–" if row.null is None else str(row.null),
        }
        for row in result.rows
    )


def _flow(subjects: list[Subject]) -> None:
    st.subheader("What reaches every layer, and when", divider="gray")
    results: list[FlowResult] = inspection.measured_subjects(
        "flow", subjects, "Follow the gradient (some seconds)", seed=inspection.SEED
    )
    for result in results:
        name = result.provenance.subject
        st.markdown(f"**{widgets.plain(name)}**")
        widgets.draw(flow.by_time(result), flow.by_time_alt(result), f"flow-chart-{name}")
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} of {name}", why)
        widgets.numbers(result, f"flow-{name}")
    st.caption(
        "The gradient grows with how wrong the network is, so the untrained twin (dashed) lies higher: "
        "compare shapes over time and steps between layers. The fall at the end is the readout's, which "
        "averages over time. A unit outside the window passes no gradient on."
    )


with widgets.page(
    "Saliency",
    "Which parts of the sound does the network use, and does the gradient reach them?",
    "What would fool you: a map looks plausible even when nothing was learned, so bins are blanked to see "
    "what they cost, beside random bins, loud bins, another word's, and the untrained twin's.",
):
    main()
