"""The sidebar: what is looked at. It lives in the entry script, so a choice holds on every page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from analysis.subjects import how_to_get
from app import session, widgets
from app.session import CHECKPOINT, CLIP, COMPARE, DATA, NO_COMPARISON, SPLIT, SPLITS
from models.errors import SpikelensError


def draw() -> None:
    """Draw every selector; a problem is told here in one line and again by the page that meets it."""
    with st.sidebar, widgets.errors():
        _subject_selectors(session.subjects())
        _data_selector(session.selection().checkpoint)
        session.keep_within(SPLIT, SPLITS)
        st.selectbox("Split", SPLITS, key=SPLIT, bind="query-params")
        if session.selection().split == "test":
            st.caption("Not for choosing: whoever picks a model or a setting by these numbers spoils them.")
        _clip_selector()


def _subject_selectors(kinds: Mapping[str, str]) -> None:
    names = list(kinds)
    session.keep_within(CHECKPOINT, names)
    st.selectbox("Checkpoint", names, key=CHECKPOINT, bind="query-params")  # a link holds what is shown
    chosen = session.selection().checkpoint
    if kinds[chosen] == "recordings":
        st.caption("Imported recordings: activity without the model and the sound.")
    others = [NO_COMPARISON, *(name for name in names if name != chosen)]
    session.keep_within(COMPARE, others)
    st.selectbox("Compare with", others, key=COMPARE, bind="query-params")


def _data_selector(checkpoint: str) -> None:
    offered = session.datasets(checkpoint)
    if not offered:
        return
    session.keep_within(DATA, offered)
    st.selectbox("Data set", offered, key=DATA, bind="query-params")
    own = session.own_dataset(checkpoint)
    if own and own not in offered:
        st.caption(f"Trained on {widgets.plain(own)}, which is not on this machine.")
        st.caption(widgets.plain(how_to_get(own)))


def _clip_selector() -> None:
    chosen = session.selection()
    try:
        clips = session.clips(session.subject(chosen.checkpoint, chosen.data), chosen.split)
    except SpikelensError as error:
        widgets.error_box(str(error))
        return
    session.keep_within(CLIP, range(len(clips)))
    st.number_input(f"Clip (0 to {len(clips) - 1})", 0, len(clips) - 1, step=1, key=CLIP, bind="query-params")
    back, forward = st.columns(2)
    for column, words, by in ((back, "Previous", -1), (forward, "Next", 1)):
        column.button(
            words, key=f"clip{by:+d}", on_click=session.step_clip, args=(by, len(clips)), width="stretch"
        )
    clip = clips[session.selection().clip]
    speaker = "" if clip.speaker is None else f", speaker {widgets.plain(clip.speaker)}"
    st.caption(f"“{widgets.plain(clip.word)}”{speaker}")
