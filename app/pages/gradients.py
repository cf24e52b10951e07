"""Gradients: do the task and the reconstruction pull the encoder the same way?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.gradient_result import GradientResult
from analysis.subjects import Subject
from app import gradient_sections, inspection, training_sections, widgets
from app.charts import gradients


def main() -> None:
    subjects = inspection.chosen_subjects()
    for opened in subjects:
        if opened.imported is not None:
            inspection.not_applicable(
                opened.name, "gradients need the network; imported recordings hold only spikes"
            )
    with_model = [opened for opened in subjects if opened.imported is None]
    results = inspection.measured_subjects(
        "gradients", with_model, "Inspect gradients (about a minute)", seed=inspection.SEED
    )
    for result in results:
        for why in dict.fromkeys(result.not_applicable.values()):
            missing = ", ".join(what for what, reason in result.not_applicable.items() if reason == why)
            inspection.not_applicable(f"{missing} of {result.provenance.subject}", why)
    if usable := [result for result in results if result.measures]:
        _step_slopes([result for result in usable if result.slopes])
        _bins(usable)
        _clips(usable)
        gradient_sections.streams([result for result in usable if result.streams])
        st.subheader("The numbers and the checks", divider="gray")
        for result in usable:
            _checks(result)
            widgets.numbers(result, f"gradients-{result.provenance.subject}")
    if with_model:
        gradient_sections.controls(with_model)
    _training_path(with_model)
    if with_model:
        training_sections.path(with_model)
        training_sections.front(with_model)


def _step_slopes(results: list[GradientResult]) -> None:
    """GR-3 comes first: it is the only one of the three that separates encoders."""
    if not results:
        return
    st.subheader("GR-3: where each loss pushes the encoder's own steps", divider="gray")
    for result in results:
        name = result.provenance.subject
        st.markdown(f"**{widgets.plain(name)}**")
        widgets.draw(gradients.step_slopes(result), gradients.step_slopes_alt(result), f"gr3-{name}")
        cosine = "not resolved" if result.cosine_true is None else str(result.cosine_true)
        st.markdown(
            "Cosine of the cross-entropy and squared-error slopes in (log Dc, log Df): "
            f"**{widgets.plain(cosine)}** by true differences, "
            f"{widgets.plain(result.cosine_surrogate)} by surrogate."
        )
        for note in sorted({f"{s.parameter}, {s.loss}: {s.note}" for s in result.slopes if s.note}):
            st.caption(f"– {widgets.plain(note)}")
    st.caption(
        "Descent goes against a slope: opposite signs mean that the task and the reconstruction want "
        "different steps. Bars are 1.96 standard errors over batches. Open markers: the 2 % and 5 % "
        "central differences of the true loss disagree in sign or do not stand clear of their errors, so "
        "the slope is *not resolved*."
    )


def _bins(results: list[GradientResult]) -> None:
    st.subheader("GR-1: is the task gradient larger where the residual is larger?", divider="gray")
    widgets.draw(gradients.bin_association(results), gradients.bin_association_alt(results), "gr1")
    _measures(results, "GR-1")


def _clips(results: list[GradientResult]) -> None:
    st.subheader("GR-2: does the task gradient point along the reconstruction gradient?", divider="gray")
    widgets.draw(gradients.cosines(results), gradients.cosines_alt(results), "gr2")
    _measures(results, "GR-2")
    st.caption(
        "A cosine near 0 among thousands of numbers is what chance gives, and smooth fields share their "
        "block means: only a distance from the permuted pairs says anything. The planted gradient, of which "
        "half is the reconstruction's, shows what the measure would say if the task pulled that way."
    )


def _measures(results: list[GradientResult], which: str) -> None:
    rows = [
        {
            "checkpoint": result.provenance.subject,
            "measure": f"{row.measure} ({row.version})",
            "this clip's residual": str(row.value),
            "another clip's residual (null)": str(row.permuted),
            "planted: half reconstruction (positive control)": str(row.planted),
        }
        for result in results
        for row in result.measures
        if row.measure.startswith(which)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"measures-{which}")


def _checks(result: GradientResult) -> None:
    st.markdown(
        f"Self-checks of {widgets.plain(result.provenance.subject)}, passed: no gradient is identically "
        "zero; spikes are the same with and without gradients; the encoder's spikes are the same in "
        f"training and evaluation mode. {result.n_clips} clips, of which {result.n_without_gradient} have "
        "no task gradient at all and are left out of GR-1, GR-2 and GR-4. GR-3: "
        f"{result.slopes_on or 'not measured'}, in {result.n_batches} batches."
    )


def _training_path(subjects: list[Subject]) -> None:
    """Show how the encoder's own parameters moved, from the history in the checkpoint."""
    histories = {s.name: s.checkpoint.history for s in subjects if s.checkpoint is not None}
    moving = {name: history for name, history in histories.items() if gradients.has_path(history)}
    st.subheader("The encoder's own parameters during training", divider="gray")
    for name in sorted(set(histories) - set(moving)):
        inspection.not_applicable(name, "the encoder has no steps, or the checkpoint no history")
    if moving:
        widgets.draw(gradients.training_path(moving), gradients.training_path_alt(moving), "path")
        st.caption("From history.csv of the checkpoint. A frozen encoder gives flat lines.")


with widgets.page(
    "Gradients",
    "Do the task and the reconstruction pull the encoder the same way?",
    "What would fool you: surrogate gradients can have the wrong sign, so true differences stand beside "
    "them; and near-zero cosines are the null of large spaces, so permuted pairs stand beside those.",
):
    main()
