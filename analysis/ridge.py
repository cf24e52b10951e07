r"""Ridge regression from a window of spikes to the features, through normal equations summed over clips.

.. math::
    \hat x_t = b + \sum_{l=-L}^{L} W_l^\top s_{t+l}, \qquad s_u = 0 \text{ outside the clip}

The Gram matrix of the window repeats itself along its diagonals: the block of lags (l, l + d) is the
correlation of the spikes at distance d, less the few frames at a clip's edge that the window does not reach.
So 2L + 1 products of N x N replace one of (2L + 1) N squared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENALTIES = tuple(10.0**k for k in range(-7, 1))  # in units of the mean diagonal of the Gram matrix


@dataclass(frozen=True)
class WindowSums:
    """All a ridge regression needs to know of some clips; add two to pool their clips.

    Attributes
    ----------
    gram : np.ndarray [shape=(D, D)]
        D = (2L + 1) N + 1: lags -L ... L of N units each, then the constant.
    cross : np.ndarray [shape=(D, F)]
    power : np.ndarray [shape=(F,)]
        Sum of squared targets.
    """

    gram: np.ndarray
    cross: np.ndarray
    power: np.ndarray

    def __add__(self, other: WindowSums) -> WindowSums:
        return WindowSums(self.gram + other.gram, self.cross + other.cross, self.power + other.power)


def window_sums(activity: np.ndarray, targets: np.ndarray, lags: int) -> WindowSums:
    """Sum the normal equations over some clips.

    Parameters
    ----------
    activity : np.ndarray [shape=(n, T, N)]
        uint8 spikes or floats.
    targets : np.ndarray [shape=(n, T, F)]
    lags : int >= 0
        L: the window at frame t holds frames t - L ... t + L.
    """
    n_clips, n_steps, n_units = activity.shape
    n_lags = 2 * lags + 1
    # Counts of 0/1 spikes are exact in float32, sums of targets good to six digits, and twice as fast.
    dtype = np.float32 if activity.dtype == np.uint8 else np.float64
    apart = ((0, 0), (0, n_lags), (0, 0))  # keeps neighbouring clips apart
    s, y = (np.pad(values.astype(dtype), apart) for values in (activity, targets))
    frames, target_frames = (a.reshape(-1, a.shape[2]) for a in (s, y))
    n_frames = len(frames)

    full = np.empty((n_lags, n_units, n_units))  # [d]: sum over u of s_u s_{u+d}'
    head = np.zeros((lags, n_lags, n_units, n_units))  # [u, d]: frame u alone
    tail = np.zeros((lags, n_lags, n_units, n_units))  # [k, d]: frame T - 1 - k alone
    for d in range(n_lags):
        full[d] = frames[: n_frames - d].T @ frames[d:]
        for u in range(min(lags, n_steps - d)):
            head[u, d] = s[:, u].T @ s[:, u + d]
        for k in range(d, min(lags, n_steps)):
            tail[k, d] = s[:, n_steps - 1 - k].T @ s[:, n_steps - 1 - k + d]
    before, after = (np.concatenate((np.zeros_like(full)[None], e.cumsum(axis=0))) for e in (head, tail))
    per_frame = activity.sum(axis=0, dtype=np.float64)  # (T, N)

    size = n_lags * n_units + 1
    gram, cross = np.zeros((size, size)), np.zeros((size, targets.shape[2]))
    for i, lag in enumerate(range(-lags, lags + 1)):
        rows = slice(i * n_units, (i + 1) * n_units)
        for d in range(n_lags - i):
            block = full[d] - before[max(lag, 0), d] - after[max(-lag, 0), d]
            columns = slice((i + d) * n_units, (i + d + 1) * n_units)
            gram[rows, columns] = block
            gram[columns, rows] = block.T
        reached = per_frame[max(lag, 0) : max(n_steps + min(lag, 0), 0)].sum(axis=0)
        gram[rows, -1] = gram[-1, rows] = reached
        cross[rows] = (
            frames[max(lag, 0) : n_frames + min(lag, 0)].T
            @ target_frames[max(-lag, 0) : n_frames - max(lag, 0)]
        )
    gram[-1, -1] = n_clips * n_steps
    cross[-1] = targets.sum(axis=(0, 1), dtype=np.float64)
    return WindowSums(gram, cross, np.square(targets, dtype=np.float64).sum(axis=(0, 1)))


def solve_ridge(sums: WindowSums, penalty: float) -> np.ndarray:
    """Return the weights ``(D, F)``; `penalty` is in units of the mean diagonal, the constant is free."""
    import scipy.linalg

    loads = np.full(len(sums.gram), penalty * (np.trace(sums.gram[:-1, :-1]) / (len(sums.gram) - 1) or 1.0))
    loads[-1] = 0
    return scipy.linalg.solve(sums.gram + np.diag(loads), sums.cross, assume_a="pos")


def squared_error(sums: WindowSums, weights: np.ndarray) -> np.ndarray:
    """Return the summed squared error of some weights on the clips of `sums`, per target ``(F,)``."""
    return sums.power - (weights * (2 * sums.cross - sums.gram @ weights)).sum(axis=0)


def predict(activity: np.ndarray, weights: np.ndarray, lags: int) -> np.ndarray:
    """Return the estimate ``(n, T, F)`` from activity ``(n, T, N)`` and the weights of `solve_ridge`."""
    n_units, n_steps = activity.shape[2], activity.shape[1]
    padded = np.pad(activity.astype(np.float64), ((0, 0), (lags, lags), (0, 0)))
    kernels = weights[:-1].reshape(2 * lags + 1, n_units, -1)
    terms = (padded[:, i : i + n_steps] @ kernel for i, kernel in enumerate(kernels))
    return sum(terms, start=np.zeros(weights.shape[1])) + weights[-1]
