"""95 % intervals by resampling speakers."""

from __future__ import annotations

import numpy as np

N_RESAMPLES = 1000


def ratio_interval(
    numerators: np.ndarray,
    denominators: np.ndarray,
    groups: np.ndarray,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return ``sum(numerators) / sum(denominators)`` with its 95 % cluster-bootstrap interval.

    Parameters
    ----------
    numerators, denominators : np.ndarray [shape=(n,)]
        Per clip; for accuracy, correct (0/1) and ones.
    groups : np.ndarray [shape=(n,), int]
        What is resampled: speakers, or the clips themselves where speakers are unknown.

    Returns
    -------
    (value, low, high)
    """
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    top = np.bincount(index, weights=numerators, minlength=n_groups)
    bottom = np.bincount(index, weights=denominators, minlength=n_groups)
    draws = np.random.default_rng(seed).integers(n_groups, size=(n_resamples, n_groups))
    ratios = top[draws].sum(axis=1) / bottom[draws].sum(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(top.sum() / bottom.sum()), float(low), float(high)
