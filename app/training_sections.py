"""Sections of the gradients page that look across trainings: GR-3 through epochs, and GR-5."""

from __future__ import annotations

import streamlit as st

from analysis.gradient_path import followed
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import trainings
from models.errors import SpikelensError


def path(subjects: list[Subject]) -> None:
    """Follow both pulls through the epochs that a training kept."""
    st.subheader("GR-3 through training", divider="gray")
    for subject in subjects:
        name = followed(subject.name)
        if name is None:
            inspection.not_applicable(subject.name, "no epochs were kept (train with --snapshots N)")
            continue
        if name != subject.name:
            st.caption(f"{widgets.plain(name)}: the recipe of {widgets.plain(subject.name)}, another seed")
        (result,) = inspection.measured_subjects(
            "gradient-path", [subject], "Follow the training (a minute or two)", seed=inspection.SEED
        ) or (None,)
        if result is not None:
            key = f"path-{subject.name}"
            widgets.show(trainings.path(result), result, trainings.path_alt(result), key)


def front(subjects: list[Subject]) -> None:
    """Show what it costs the task to be paid for reconstruction."""
    st.subheader("GR-5: what does keeping the sound cost the task?", divider="gray")
    for subject in subjects:
        try:
            result = inspection.measured_now("front", subject)
        except SpikelensError as error:
            inspection.not_applicable(subject.name, str(error))
            continue
        widgets.show(trainings.front(result), result, trainings.front_alt(result), f"front-{subject.name}")
    st.caption(
        "Every training has the same recipe but for the price of the squared error. *Reconstruction "
        "alone*: the encoder learned without the task, the most that this kind of encoder keeps when it is "
        "trained through the surrogate. Bars are over speakers; marks of one colour differ in the seed."
    )
