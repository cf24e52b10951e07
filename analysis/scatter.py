"""How far words lie apart for the spread within them: Fisher ratios from sums over clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FLAT = 1e-6  # share of the variance below which there is none
_MIN_SHRINKAGE = 1e-3  # keeps the scatter within words invertible


class Scatter(NamedTuple):
    """All that a Fisher ratio needs to know of some clips; those of disjoint clips add up.

    Attributes
    ----------
    counts : np.ndarray [shape=(C,)]
        Clips of each word.
    sums : np.ndarray [shape=(C, D)]
    second : np.ndarray [shape=(D, D)]
        Sum of ``z z'`` over all clips.
    """

    counts: np.ndarray
    sums: np.ndarray
    second: np.ndarray

    def plus(self, other: Scatter) -> Scatter:
        """Return the sums over the clips of both."""
        return Scatter(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: Scatter) -> Scatter:
        """Return the sums without the clips of `other`."""
        return Scatter(*(a - b for a, b in zip(self, other, strict=True)))


def scatter(z: np.ndarray, labels: np.ndarray, n_words: int) -> Scatter:
    """Sum over clips.

    Parameters
    ----------
    z : np.ndarray [shape=(n, D)]
        Near the origin: the sums are of uncentred values.
    labels : np.ndarray [shape=(n,), int]
    """
    z, member = np.asarray(z, np.float64), np.eye(n_words)[labels]
    return Scatter(member.sum(axis=0), member.T @ z, z.T @ z)


def fisher_ratio(of: Scatter) -> float:
    """Return ``tr(S_B) / tr(S_W)``; not-a-number where clips of a word do not differ."""
    of_words = (np.square(of.sums).sum(axis=1) / np.maximum(of.counts, 1)).sum()
    within = np.trace(of.second) - of_words
    between = of_words - np.square(of.sums.sum(axis=0)).sum() / of.counts.sum()
    return float(between / within) if within > _FLAT * (within + between) else np.nan


def shrunk_fisher(of: Scatter, shrinkage: float) -> float:
    """Return ``tr(S_W^-1 S_B)``; not-a-number where clips of a word do not differ.

    Unlike the ratio of traces it counts a direction by its own spread within words, however small. It grows
    by chance with the number of directions: read it beside its null.

    Parameters
    ----------
    of : Scatter
    shrinkage : float
        How far S_W is drawn towards a multiple of the identity, see `shrinkage_of`.
    """
    import scipy.linalg

    n, dim = of.counts.sum(), len(of.second)
    mean = of.sums.sum(axis=0) / n
    total = of.second / n - np.outer(mean, mean)
    seen = of.counts > 0
    steps = of.sums[seen] / of.counts[seen, None] - mean
    steps *= np.sqrt(of.counts[seen] / n)[:, None]  # (C, D): S_B is steps' steps
    within = total - steps.T @ steps
    if np.trace(within) <= _FLAT * np.trace(total):
        return np.nan
    towards = shrinkage * np.trace(within) / dim
    within = (1 - shrinkage) * within + towards * np.eye(dim)
    return float(np.sum(steps.T * scipy.linalg.solve(within, steps.T, assume_a="pos")))


def shrinkage_of(z: np.ndarray) -> float:
    """Return the Ledoit-Wolf (2004) shrinkage of the covariance of all clips ``(n, D)``.

    Of the total covariance, not of that within words, so that it stays the same when labels are permuted.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    return max(float(ledoit_wolf_shrinkage(np.asarray(z, np.float64))), _MIN_SHRINKAGE)
