"""The chosen subject and the one it is compared with, opened and measured alike."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.result import Result
from analysis.subjects import Subject
from app import session, widgets

SEED = 0


def chosen_subjects() -> list[Subject]:
    """Return the chosen subject and, where one is set, the second.

    The second is opened on the same data set where it can be, else on its default one. What is wrong with it
    is told in one line and leaves the first alone.
    """
    chosen = session.selection()
    opened = [session.subject(chosen.checkpoint, chosen.data)]
    if chosen.compare is not None:
        with widgets.errors():
            offered = session.datasets(chosen.compare)
            data = chosen.data if chosen.data in offered else next(iter(offered), None)
            opened.append(session.subject(chosen.compare, data))
    return opened


def measured_subjects(analysis: str, subjects: list[Subject], verb: str, **settings: Any) -> list[Any]:
    """Return the results of those subjects that have one; buttons ask for the missing ones.

    Parameters
    ----------
    analysis : str
        A key of `analysis.loaders.ANALYSES`.
    verb : str
        What the button says before the name of the subject, with the time it takes.
    """
    split = session.selection().split
    found: list[Result] = []
    for opened in subjects:
        with widgets.errors():
            label = f"{verb}: {widgets.plain(opened.name)}"
            key = f"{analysis}-{opened.name}"
            if (
                result := widgets.measured(analysis, opened, split, label=label, key=key, **settings)
            ) is not None:
                found.append(result)
    return found


def points(opened: Subject, spiking: bool = False) -> tuple[str, ...]:
    """Return the recording points of a subject on the chosen split, recorded now if need be."""
    split = session.selection().split
    with widgets.progress_bar(f"recording {opened.name}") as progress:
        recordings = session.recordings(opened, split, progress)
    return recordings.spiking_points if spiking else recordings.split(split).points


def not_applicable(what: str, why: str) -> None:
    """Say in a quiet box that something does not exist here, which is not an error."""
    st.info(f"{widgets.plain(what)}: not applicable, {widgets.plain(why)}.")


def measured_now(analysis: str, opened: Subject, **settings: Any) -> Any:
    """Return a result that takes seconds, without a button."""
    split = session.selection().split
    if (found := session.stored(analysis, opened.digest, split, **settings)) is not None:
        return found
    with widgets.progress_bar(f"{analysis}: {opened.name}") as progress:
        return session.measure(analysis, opened, split, progress, **settings)
