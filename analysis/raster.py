"""One clip on its way through the network, with its units in a readable order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analysis.recordings import Point, Recordings, SplitRecordings
from analysis.result import Array, Result
from models.errors import SpikelensError

Sort = Literal["index", "rate", "latency", "selectivity"]
_MAX_CLIPS = 500  # that settle an order


@dataclass(frozen=True)
class RasterResult(Result):
    """Activity of one clip.

    Attributes
    ----------
    clip : int
        Row in the split.
    clip_id : str
    label : str
    predicted : str or None
        None where no readout was recorded.
    speaker : str or None
    features : np.ndarray [shape=(T, F)] or None
        Normalised log-mel.
    spikes : mapping of point to np.ndarray [shape=(T, N)]
        Zeros and ones, units in recorded order.
    orders : mapping of point to np.ndarray [shape=(N,)]
        Units from the first row down; each stream keeps its range of rows.
    streams : mapping of point to mapping of stream to (start, stop)
    probabilities : np.ndarray [shape=(T, C)] or None
        Softmax of the readout's mean up to each step; the last row is the decision.
    class_names : list of str
    sort : {"index", "rate", "latency", "selectivity"}
    dt_ms : float
    axes : mapping of str to str
    """

    clip: int
    clip_id: str
    label: str
    predicted: str | None
    speaker: str | None
    features: Array | None
    spikes: Mapping[str, Array]
    orders: Mapping[str, Array]
    streams: Mapping[str, Mapping[str, tuple[int, int]]]
    probabilities: Array | None
    class_names: list[str]
    sort: str
    dt_ms: float
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a point and stream: units, spikes, rate and silent units in this clip."""
        rows = []
        for point, spikes in self.spikes.items():
            parts = {point: (0, spikes.shape[1])}
            parts |= {f"{point}/{name}": bounds for name, bounds in self.streams[point].items()}
            for name, (start, stop) in parts.items():
                counts = spikes[:, start:stop].sum(axis=0, dtype=np.int64)
                seconds = len(spikes) * self.dt_ms / 1000
                rows.append(
                    {
                        "point": name,
                        "units": stop - start,
                        "spikes": int(counts.sum()),
                        "rate_hz": float(counts.sum()) / (seconds * (stop - start)),
                        "silent_units": int((counts == 0).sum()),
                    }
                )
        return pd.DataFrame(rows)

    def events(self) -> pd.DataFrame:
        """Return one row a spike: point, unit, time in ms."""
        parts = []
        for point, spikes in self.spikes.items():
            step, unit = np.nonzero(spikes)
            parts.append(pd.DataFrame({"point": point, "unit": unit, "time_ms": step * self.dt_ms}))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def raster(
    recordings: Recordings,
    *,
    split: str = "validation",
    clip: int | str = 0,
    points: Sequence[str] | None = None,
    sort: str = "index",
    command: str = "",
) -> RasterResult:
    """Collect what one clip does at every spiking point.

    Parameters
    ----------
    clip : int or str
        Row in the split, or clip id.
    points : sequence of str, optional
        Every spiking point by default.
    sort : {"index", "rate", "latency", "selectivity"}
        Order of the units from at most 500 clips of the split: busiest first; earliest first spike first, on
        average; by preferred word and, within it, by how much of the variance of counts the word explains.

    Raises
    ------
    SpikelensError
        Unknown clip, point or order.
    """
    held = recordings.split(split)
    row = _find_clip(held, clip)
    if sort not in get_args(Sort):
        raise SpikelensError(f"sort: {sort!r} is not one of {', '.join(get_args(Sort))}")
    names = list(recordings.spiking_points if points is None else points)
    if unknown := [name for name in names if name not in recordings.spiking_points]:
        known = ", ".join(recordings.spiking_points)
        raise SpikelensError(f"point: {unknown[0]!r} is not a spiking point; there are {known}")
    here = slice(row, row + 1)
    probabilities = None
    if "readout" in recordings.points:
        probabilities = running_probabilities(held.load("readout", here)[0])
    return RasterResult(
        provenance=recordings.provenance(split, command, clip=clip, points=names, sort=sort),
        clip=row,
        clip_id=held.clip_ids[row],
        label=recordings.class_names[held.labels[row]],
        predicted=None if probabilities is None else recordings.class_names[probabilities[-1].argmax()],
        speaker=None if held.speakers is None else held.speakers[row],
        features=held.load("features", here)[0] if "features" in recordings.points else None,
        spikes={name: held.load(name, here)[0] for name in names},
        orders={name: _order(held, recordings.points[name], sort) for name in names},
        streams={name: dict(recordings.points[name].streams) for name in names},
        probabilities=probabilities,
        class_names=list(recordings.class_names),
        sort=sort,
        dt_ms=recordings.dt_ms,
        axes={
            "features": f"time, frames of {recordings.dt_ms:g} ms; mel band | normalised log-mel",
            "spikes": f"time, frames of {recordings.dt_ms:g} ms; unit | 1 where it fires",
            "probabilities": f"time, frames of {recordings.dt_ms:g} ms; word | probability",
        },
    )


def running_probabilities(readout: np.ndarray) -> np.ndarray:
    """Return the softmax of the readout's mean over steps 0..t, for every t, ``(T, C)``."""
    mean = np.cumsum(readout, axis=0, dtype=np.float64) / np.arange(1, len(readout) + 1)[:, None]
    power = np.exp(mean - mean.max(axis=1, keepdims=True))
    return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


def _find_clip(split: SplitRecordings, clip: int | str) -> int:
    if isinstance(clip, str):
        if clip not in split.clip_ids:
            raise SpikelensError(f"clip: {clip!r} is not in the {split.name} split")
        return split.clip_ids.index(clip)
    if not 0 <= clip < len(split):
        raise SpikelensError(f"clip: {clip} is not between 0 and {len(split) - 1}")
    return clip


def _order(split: SplitRecordings, point: Point, sort: str) -> np.ndarray:
    """Return the units ``(N,)`` in order, stream by stream."""
    if sort == "index":
        return np.arange(point.units)
    rows = np.unique(np.linspace(0, len(split) - 1, min(_MAX_CLIPS, len(split))).astype(int))
    block = split.load(point.name, rows)  # (n, T, N)
    if sort == "latency":
        fires = block.any(axis=1)
        first = np.where(fires, block.argmax(axis=1), 0).sum(axis=0) / np.maximum(fires.sum(axis=0), 1)
        keys = [np.where(fires.any(axis=0), first, split.n_steps)]
    else:
        counts = block.sum(axis=1, dtype=np.float64)
        keys = [-counts.sum(axis=0)] if sort == "rate" else _by_word(counts, split.labels[rows])
    ranges = list(point.streams.values()) or [(0, point.units)]
    stream = np.full(point.units, len(ranges))
    for i, (start, stop) in enumerate(ranges):
        stream[start:stop] = i
    return np.lexsort((*keys, stream))


def _by_word(counts: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Return sorting keys, the last one first: preferred word, then explained variance (eta squared)."""
    members = labels[:, None] == np.unique(labels)  # (n, C)
    means = members.T @ counts / members.sum(axis=0)[:, None]  # (C, N)
    between = members.sum(axis=0) @ (means - counts.mean(axis=0)) ** 2
    total = ((counts - counts.mean(axis=0)) ** 2).sum(axis=0)
    return [-between / np.maximum(total, 1e-12), means.argmax(axis=0)]
