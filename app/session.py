"""What the visitor has chosen and the app keeps between reruns: the only user of session state and caches."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from analysis import catalogue
from analysis.importing import list_recordings
from analysis.listening import ClipViewer
from analysis.loaders import fitting_splits
from analysis.raster import RasterResult
from analysis.raster import raster as make_raster
from analysis.recordings import Recordings
from analysis.result import Result
from analysis.subjects import Progress, Subject, digest_of, open_subject
from app.kept import Kept
from models.checkpoint import CheckpointInfo, list_checkpoints, load_checkpoint
from models.data import available_datasets, open_dataset
from models.data.base import AudioDataset
from models.errors import SpikelensError
from models.paths import checkpoint_roots, user_data_dir

CHECKPOINT, COMPARE, DATA, SPLIT, CLIP = "checkpoint", "compare", "data", "split", "clip"
SPLITS = ("validation", "test")
NO_COMPARISON = "none"
_FAVOURITE = "gsc8-residual-35k"
_EMBEDDED = "spoken35"
_MAX_RESULTS = 64
_loading = threading.RLock()  # cache_resource lets two sessions load the same thing at once


@dataclass(frozen=True)
class Clip:
    """What is known of a clip without its activity."""

    clip_id: str
    word: str
    speaker: str | None


@dataclass(frozen=True)
class Selection:
    """The sidebar's state.

    Attributes
    ----------
    checkpoint : str
        A checkpoint or imported recordings.
    compare : str or None
        A second one.
    data : str or None
        Name of a data set; None for imported recordings, which bring their own.
    split : str
    clip : int
        Row of the split.
    """

    checkpoint: str
    compare: str | None
    data: str | None
    split: str
    clip: int


def selection() -> Selection:
    """Return the current choice; a page opened without the sidebar gets the defaults."""
    names = list(subjects())
    checkpoint = _chosen(CHECKPOINT, names)
    compare = _chosen(COMPARE, [NO_COMPARISON, *names])
    data = _chosen(DATA, datasets(checkpoint))
    clip = st.session_state.get(CLIP, 0)
    return Selection(
        checkpoint,
        None if compare in (NO_COMPARISON, checkpoint) else compare,
        data,
        _chosen(SPLIT, SPLITS),
        int(clip or 0),
    )


def subjects() -> dict[str, str]:
    """Return every name that can be opened with its kind: the default, shipped ones, the rest.

    Raises
    ------
    SpikelensError
        There is none.
    """
    listing = _listing(*where())
    kinds = {name: "recordings" for name in listing.recordings} | dict.fromkeys(listing.infos, "checkpoint")
    if not kinds:
        raise SpikelensError("no checkpoints: train one with `spikelens train spoken35-residual-35k`")
    shipped = {name for name, info in listing.infos.items() if info.shipped}
    order = sorted(kinds, key=lambda n: (n != _FAVOURITE, n not in shipped, kinds[n] != "checkpoint", n))
    return {name: kinds[name] for name in order}


def checkpoints() -> Mapping[str, CheckpointInfo]:
    """Return what is known of each checkpoint without loading it."""
    return _listing(*where()).infos


def own_dataset(name: str) -> str | None:
    """Return the data set a checkpoint was trained on; None for imported recordings."""
    info = checkpoints().get(name)
    return None if info is None else str(info.data["name"])


def datasets(name: str) -> list[str]:
    """Return the data sets on this machine that may hold every word of a checkpoint, the default first."""
    infos = checkpoints()
    if name not in infos:
        return []
    own = str(infos[name].data["name"])
    words = set(infos[name].labels)
    vocabulary = {str(info.data["name"]): set(info.labels) for info in infos.values()}
    here = _listing(*where()).datasets
    fitting = [data for data in here if words <= vocabulary.get(data, words)]
    return sorted(fitting, key=lambda data: (data != own, data != _EMBEDDED, data))


def is_here(data: str) -> bool:
    """Tell whether a data set is on this machine."""
    return data in _listing(*where()).datasets


def keep_within(key: str, allowed: Sequence[Any]) -> None:
    """Drop a remembered choice that is not offered any more; called before its widget is drawn."""
    if key in st.session_state and st.session_state[key] not in allowed:
        del st.session_state[key]


def step_clip(by: int, n_clips: int) -> None:
    """Move to another clip, around the end."""
    st.session_state[CLIP] = (int(st.session_state.get(CLIP, 0)) + by) % n_clips


def subject(name: str, data: str | None) -> Subject:
    """Open a checkpoint, of an arm too, or imported recordings; shared by all sessions, never changed."""
    info = checkpoints().get(name)
    with _loading:
        return _open_subject(name, data, info.digest if info else digest_of(name))


def clips(opened: Subject, split: str) -> Sequence[Clip]:
    """Return what is known of every clip of a split, in order; no activity is recorded for it."""
    if opened.imported is not None:
        held, words = opened.imported.split(split), opened.imported.class_names
    else:
        dataset = opened.model("a clip")[1]
        held, words = dataset.split(split), dataset.labels
    speakers = held.speakers or (None,) * len(held)
    return [
        Clip(*known) for known in zip(held.clip_ids, (words[i] for i in held.labels), speakers, strict=True)
    ]


def recordings(opened: Subject, split: str, progress: Progress | None = None) -> Recordings:
    """Return the activity on one split, recorded first where it has not been."""
    key = (opened.digest, split)
    kept = _kept_recordings()
    with _loading:
        found = kept.get(key)
        return kept.put(key, opened.recordings((split,), progress)) if found is None else found


def digest(name: str, data: str | None) -> str:
    """Return `Subject.digest` without keeping the subject open."""
    info = checkpoints().get(name)
    with _loading:
        return _subject_digest(name, data, info.digest if info else digest_of(name))


def stored(analysis: str, digest: str, split: str, **settings: Any) -> Result | None:
    """Return a result if it has been computed before, here or on the command line; None otherwise.

    `digest` is that of the subject.
    """
    key = _result_key(analysis, digest, split, settings)
    kept = _kept_results()
    if (found := kept.get(key)) is None:
        found = catalogue.stored(analysis, digest, split=split, **settings)
    return found if found is None else kept.put(key, found)


def measure(
    analysis: str, opened: Subject, split: str, progress: Progress | None = None, **settings: Any
) -> Result:
    """Return a result, computed now unless it is known."""
    key = _result_key(analysis, opened.digest, split, settings)
    kept = _kept_results()
    if (found := kept.get(key)) is None:
        found = catalogue.run(analysis, opened, split=split, progress=progress, **settings)
    return kept.put(key, found)


def rebuilt(
    opened: Subject, split: str, clip: int, progress: Progress | None = None, **decoders: Any
) -> tuple[dict[str, np.ndarray], float]:
    """Return a clip and its reconstructions as log-mels ``(T, F)`` in standard deviations, and dt_ms.

    `decoders` go to `analysis.listening.ClipViewer`.
    """
    viewer = _viewer(opened, split, progress, decoders)
    return viewer.panels(viewer.versions(clip)), viewer.dt_ms


def sounds(opened: Subject, split: str, clip: int, **decoders: Any) -> dict[str, tuple[np.ndarray, int]]:
    """Return waveform and sampling rate of each version of a clip, the recording itself last."""
    from models.data.base import SAMPLE_RATE

    def make() -> dict[str, tuple[np.ndarray, int]]:
        viewer = _viewer(opened, split, None, decoders)
        heard = {name: viewer.sound(values) for name, values in viewer.versions(clip).items()}
        waveform = sound(opened, split, clip)
        return heard if waveform is None else heard | {"recording": (waveform, SAMPLE_RATE)}

    return _once(("sounds", opened.digest, split, clip, *decoders.items()), make)


def _viewer(opened: Subject, split: str, progress: Progress | None, decoders: dict[str, Any]) -> ClipViewer:
    def make() -> ClipViewer:
        fits = decoders["ridge"] or opened.imported is not None
        if fits:  # the very recordings of the analyses: their fitted decoders are read, not fitted again
            held = opened.recordings(fitting_splits(split), progress)
        else:
            held = recordings(opened, split, progress)
        return ClipViewer(held, split, **decoders)

    return _once(("viewer", opened.digest, split, *decoders.items()), make)


def _once(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    kept = _kept_clips()
    return kept.put(key, make()) if (found := kept.get(key)) is None else found


def raster(
    opened: Subject, split: str, clip: int | str, sort: str, progress: Progress | None = None
) -> RasterResult:
    """Return one clip's activity; `clip` is a row or a clip id."""
    command = catalogue.command_line("raster", opened, split, {"clip": clip, "sort": sort})
    held = recordings(opened, split, progress)
    return make_raster(held, split=split, clip=clip, sort=sort, command=command)


def sound(opened: Subject, split: str, clip: int) -> np.ndarray | None:
    """Return a clip's samples in [-1, 1]; None for imported recordings, which hold only activity."""
    if opened.imported is not None:
        return None
    return opened.model("sound")[1].split(split).waveform(clip)


def first_frame_ms(opened: Subject) -> float | None:
    """Return the middle of the first analysis window on the clip's clock; None where it is not known."""
    if opened.checkpoint is None:
        return None
    features = opened.checkpoint.recipe.features
    return 500.0 * features.win_length / features.sample_rate


@dataclass(frozen=True)
class _Listing:
    infos: Mapping[str, CheckpointInfo]
    recordings: Sequence[str]
    datasets: Sequence[str]


def where() -> tuple[str, ...]:
    """Return the folders that decide what is on this machine."""
    return (*map(str, checkpoint_roots()), str(user_data_dir()), os.environ.get("SPIKELENS_DATA", ""))


@st.cache_resource(
    max_entries=4, ttl=3.0, show_spinner=False
)  # seconds: a run that ends meanwhile appears soon
def _listing(*where: str) -> _Listing:
    return _Listing(
        {info.name: info for info in list_checkpoints()},
        list(list_recordings()),
        [info.name for info in available_datasets()],
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _open_subject(name: str, data: str | None, digest: str) -> Subject:
    return _make_subject(name, data)


@st.cache_data(max_entries=256, show_spinner=False)
def _subject_digest(name: str, data: str | None, digest: str) -> str:
    return _make_subject(name, data).digest


def _make_subject(name: str, data: str | None) -> Subject:
    """Open a subject as `open_subject` does, sharing what is read of a data set."""
    if data is None:
        return open_subject(name)
    checkpoint = load_checkpoint(name)
    return Subject(name, checkpoint, _dataset(data, checkpoint.labels, where()))


@st.cache_resource(max_entries=3, show_spinner=False)
def _dataset(name: str, words: tuple[str, ...], where: tuple[str, ...]) -> AudioDataset:
    return open_dataset(name).restrict(words)


@st.cache_resource(show_spinner=False)
def _kept_recordings() -> Kept:
    return Kept(max_entries=8)


@st.cache_resource(show_spinner=False)
def _kept_clips() -> Kept:
    return Kept(max_entries=32)


@st.cache_resource(show_spinner=False)
def _kept_results() -> Kept:
    return Kept(_MAX_RESULTS)


def _result_key(analysis: str, digest: str, split: str, settings: dict[str, Any]) -> str:
    return json.dumps([analysis, digest, split, settings], sort_keys=True, default=list)


def _chosen(key: str, allowed: Sequence[str]) -> Any:
    value = st.session_state.get(key)
    if value in allowed:
        return value
    return allowed[0] if allowed else None
