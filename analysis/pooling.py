"""From activity over time to one vector a clip, read block by block."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from analysis.recordings import SplitRecordings
from models.errors import SpikelensError

Pooling = Literal["counts", "windows", "trace", "full"]
N_WINDOWS = 10
_TRACE_TAU = 5.0  # frames
_FULL_BYTES = 2**30


def pooled(split: SplitRecordings, point: str, pooling: str = "windows") -> np.ndarray:
    """Return one vector a clip.

    Parameters
    ----------
    point : str
        Whatever `SplitRecordings.load` takes.
    pooling : {"counts", "windows", "trace", "full"}
        Sum over time; sums in 10 windows of equal length; a leaky trace (tau = 5 frames) at the ends of these
        windows; every frame. Spikes are summed, other activity is averaged.

    Returns
    -------
    np.ndarray [shape=(n, D), float32]

    Raises
    ------
    SpikelensError
        Unknown point or pooling, or ``full`` would need more than 1 GiB.
    """
    if pooling not in get_args(Pooling):
        raise SpikelensError(f"pooling: {pooling!r} is not one of {', '.join(get_args(Pooling))}")
    n_units = split.load(point, slice(0, 1)).shape[2]
    needed = 4 * len(split) * split.n_steps * n_units
    if pooling == "full" and needed > _FULL_BYTES:
        raise SpikelensError(
            f"pooling: 'full' of {point} needs {needed >> 20} MiB, more than {_FULL_BYTES >> 20}"
        )
    out = None
    for rows, block in split.blocks(point):
        values = _pool(block, pooling)
        if out is None:
            out = np.empty((len(split), values.shape[1]), np.float32)
        out[rows] = values
    assert out is not None
    return out


def _pool(block: np.ndarray, pooling: str) -> np.ndarray:
    """Pool activity ``(n, T, N)`` to ``(n, D)``."""
    n_clips, n_steps, _ = block.shape
    n_windows = {"counts": 1, "full": n_steps}.get(pooling, min(N_WINDOWS, n_steps))
    edges = np.linspace(0, n_steps, n_windows + 1).astype(int)
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
