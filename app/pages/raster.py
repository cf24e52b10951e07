"""Raster: one clip from the sound to the decision, and the visitor's own sound beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import streamlit as st

from analysis.raster import RasterResult, Sort
from analysis.subjects import Subject
from analysis.upload import raster_of_sound
from app import inspection, session, widgets
from app.charts.raster import duration_ms, raster_alt, raster_figure, spike_count
from models.data.audio import SUFFIXES, decode_audio, fit_length
from models.data.base import SAMPLE_RATE

_SORTS = {
    "index": "as recorded",
    "rate": "busiest first",
    "latency": "earliest first",
    "selectivity": "by preferred word",
}


def main() -> None:
    chosen = session.selection()
    subjects = inspection.chosen_subjects()
    left, right = st.columns([3, 2])
    sort = left.segmented_control(
        "Order of the units",
        get_args(Sort),
        default="index",
        format_func=_SORTS.__getitem__,
        key="raster-sort",
    )
    results = _results(subjects, chosen, sort or "index")
    sound = session.sound(subjects[0], chosen.split, chosen.clip)
    end = duration_ms(results[0], sound)
    window = right.slider(
        "Window (ms), kept from clip to clip", 0, end, (0, end), step=10, key="raster-window"
    )
    _clip(subjects[0], results, sound, window, "raster")
    with st.expander("Your own sound"):
        _upload(subjects[0], results[0])


def _results(subjects: Sequence[Subject], chosen: session.Selection, sort: str) -> list[RasterResult]:
    """Return the clip through each subject; the second one is asked for it by its id."""
    with widgets.progress_bar("recording") as progress:
        results = [session.raster(subjects[0], chosen.split, chosen.clip, sort, progress)]
        for opened in subjects[1:]:
            with widgets.errors():
                results.append(session.raster(opened, chosen.split, results[0].clip_id, sort, progress))
    return results


def _clip(
    opened: Subject,
    results: Sequence[RasterResult],
    sound: np.ndarray | None,
    window: tuple[int, int] | None,
    key: str,
) -> None:
    first = results[0]
    left, right = st.columns([1, 2], vertical_alignment="center")
    if sound is not None:
        left.audio(sound, sample_rate=SAMPLE_RATE, alt=f"Clip {first.clip_id}")
    right.markdown("  \n".join(_heard(result) for result in results))
    first_frame_ms = session.first_frame_ms(opened)
    figure = raster_figure(results, sound, first_frame_ms=first_frame_ms, window_ms=window, key=key)
    widgets.draw(figure, raster_alt(results), key)
    total = f"{spike_count(results):,}".replace(",", " ")
    note = " Evidence: softmax of the readout's mean up to each frame."
    st.caption(
        f"{total} of {total} spikes drawn. Drag to zoom all panels together, double-click to go back."
        + (note if first.probabilities is not None else "")
    )
    for result in results:
        widgets.numbers(result, f"{key}-{result.provenance.subject}")


def _heard(result: RasterResult) -> str:
    words = [f"**{widgets.plain(result.provenance.subject)}**"]
    if result.label:
        speaker = f" (speaker {widgets.plain(result.speaker)})" if result.speaker else ""
        words.append(f"spoken “{widgets.plain(result.label)}”{speaker}")
    if result.predicted is not None and result.probabilities is not None:
        mark = {True: " ✓", False: " ✗"}[result.predicted == result.label] if result.label else ""
        probability = float(np.max(result.probabilities[-1]))
        words.append(f"heard “{widgets.plain(result.predicted)}” with probability {probability:.2f}{mark}")
    return ", ".join(words)


def _upload(opened: Subject, like: RasterResult) -> None:
    if opened.checkpoint is None:
        st.info("Imported recordings hold only activity: a new sound needs the model.")
        return
    st.caption(
        f"One spoken word: {widgets.plain(', '.join(like.class_names))}. It is made mono at 16 kHz; of more "
        "than one second the middle is taken. It stays on this machine and is not kept."
    )
    uploaded = st.file_uploader(
        "A sound file", type=[suffix[1:] for suffix in SUFFIXES], max_upload_size=50, key="upload"
    )
    if uploaded is None:
        return
    sound = fit_length(decode_audio(uploaded.getvalue())[0]).astype(np.float32) / 32768.0
    result = raster_of_sound(opened.checkpoint, sound, uploaded.name, like)
    _clip(opened, [result], sound, None, "upload-raster")


with widgets.page(
    "Raster",
    "What happens to one clip between the sound and the decision?",
    "What would fool you: one clip is an example, not evidence, and dense stripes may be units that fire "
    "whatever is said. The other pages count over the whole split.",
):
    main()
