"""From activity over time to one vector a clip, read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from analysis.recordings import SplitRecordings
from models.errors import SpikelensError

Pooling = Literal["counts", "windows", "trace", "full"]
N_WINDOWS = 10
_TRACE_TAU = 5.0  # frames
_FULL_BYTES = 2**30
_BLOCK = 512  # clips


def check_pooling(pooling: str) -> None:
    """Refuse the name of a pooling that does not exist."""
    if pooling not in get_args(Pooling):
        raise SpikelensError(f"pooling: {pooling!r} is not one of {', '.join(get_args(Pooling))}")


def pooled(
    split: SplitRecordings, point: str, pooling: str = "windows", rows: np.ndarray | None = None
) -> np.ndarray:
    """Return one vector a clip.

    Parameters
    ----------
    point : str
        Whatever `SplitRecordings.load` takes.
    pooling : {"counts", "windows", "trace", "full"}
        Sum over time; sums in 10 windows of equal length; a leaky trace (tau = 5 frames) at the ends of these
        windows; every frame. Spikes are summed, other activity is averaged.
    rows : np.ndarray of int, optional
        Only these clips, in this order; nothing else is read.

    Returns
    -------
    np.ndarray [shape=(n, D), float32]

    Raises
    ------
    SpikelensError
        Unknown point or pooling, or ``full`` would need more than 1 GiB.
    """
    clips = np.arange(len(split)) if rows is None else rows
    n_units = split.load(point, slice(0, 1)).shape[2]
    needed = 4 * len(clips) * split.n_steps * n_units
    if pooling == "full" and needed > _FULL_BYTES:
        raise SpikelensError(
            f"pooling: 'full' of {point} needs {needed >> 20} MiB, more than {_FULL_BYTES >> 20}"
        )
    out = np.empty((len(clips), 0), np.float32)
    for place, values in pooled_blocks(split, point, pooling, rows):
        if place.start == 0:
            out = np.empty((len(clips), values.shape[1]), np.float32)
        out[place] = values
    return out


def pooled_blocks(
    split: SplitRecordings, point: str, pooling: str = "windows", rows: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ``(places among the clips, vectors)`` of `pooled`; nothing but one block is in memory."""
    if rows is None:
        for place, block in split.blocks(point):
            yield place, pool(block, pooling)
        return
    for start in range(0, len(rows), _BLOCK):
        place = slice(start, min(start + _BLOCK, len(rows)))
        yield place, pool(split.load(point, rows[place]), pooling)


def running_counts(split: SplitRecordings, point: str) -> np.ndarray:
    """Return what has been counted by the end of each window since the clip began.

    Returns
    -------
    np.ndarray [shape=(n, n_windows, N), float32]
        Spikes so far; of other activity, its mean so far. As many numbers at every time.
    """
    edges = window_edges(split.n_steps)
    windows = pooled(split, point, "windows").reshape(len(split), len(edges) - 1, -1)
    if split.load(point, slice(0, 1)).dtype == np.uint8:
        return np.cumsum(windows, axis=1)
    sums = np.cumsum(windows * np.diff(edges)[:, None].astype(np.float32), axis=1)
    return sums / edges[1:, None].astype(np.float32)


def window_edges(n_steps: int) -> np.ndarray:
    """Return the frames between which windows lie, from 0 to `n_steps`, shape ``(n_windows + 1,)``."""
    return np.linspace(0, n_steps, min(N_WINDOWS, n_steps) + 1).astype(int)


def pool(block: np.ndarray, pooling: str = "windows") -> np.ndarray:
    """Pool activity ``(n, T, N)`` to ``(n, D)`` float32; see `pooled`."""
    check_pooling(pooling)
    n_clips, n_steps, _ = block.shape
    edges = window_edges(n_steps)
    if pooling in ("counts", "full"):
        edges = np.array([0, n_steps]) if pooling == "counts" else np.arange(n_steps + 1)
    if pooling == "trace":
        from scipy.signal import lfilter

        decay = float(np.exp(-1 / _TRACE_TAU))
        trace = lfilter([1 - decay], [1.0, -decay], block.astype(np.float32), axis=1)
        values = trace[:, edges[1:] - 1]
    else:
        values = np.add.reduceat(block, edges[:-1], axis=1, dtype=np.float32)
        if block.dtype != np.uint8:
            values /= np.diff(edges)[:, None]
    return values.reshape(n_clips, -1)
