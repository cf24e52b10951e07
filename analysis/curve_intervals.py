"""Intervals of whole curves and maps at once: the bootstrap over speakers, place by place."""

from __future__ import annotations

import numpy as np

from models.intervals import N_RESAMPLES


def curve_interval(values: np.ndarray, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the mean over clips of every place of a curve, with its 95 % interval.

    Parameters
    ----------
    values : np.ndarray [shape=(n, ...)]
        One curve or map a clip.
    groups : np.ndarray [shape=(n,), int]
        What is resampled, whole: speakers. With a single group there is no interval.

    Returns
    -------
    np.ndarray [shape=(3, ...)]
        Mean, low, high; each place has an interval of its own, they are not joint.
    """
    flat = values.reshape(len(values), -1)
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    members = np.zeros((n_groups, len(flat)))
    members[index, np.arange(len(flat))] = 1.0
    sums, sizes = members @ flat, members.sum(axis=1)
    mean = sums.sum(axis=0) / len(flat)
    if n_groups == 1:
        bounds = np.full((2, flat.shape[1]), np.nan)
    else:
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_RESAMPLES)
        bounds = np.percentile(draws @ sums / (draws @ sizes)[:, None], [2.5, 97.5], axis=0)
    return np.concatenate([mean[None], bounds]).reshape(3, *values.shape[1:])
