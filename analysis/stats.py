"""Intervals over speakers, paired tests and p-values from a simulated null."""

from __future__ import annotations

import numpy as np

from analysis.result import Estimate
from models.intervals import N_RESAMPLES, ratio_interval


def bootstrap_ratio(
    numerators: np.ndarray,
    denominators: np.ndarray,
    groups: np.ndarray,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return ``sum(numerators) / sum(denominators)`` with its 95 % cluster-bootstrap interval.

    Parameters
    ----------
    numerators, denominators : np.ndarray [shape=(n,)]
        Per clip.
    groups : np.ndarray [shape=(n,), int]
        What is resampled, whole: speakers, see `SplitRecordings.groups`. With a single group the interval
        is not estimated.
    """
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if (np.asarray(groups) == groups[0]).all():
        return Estimate(float(top.sum() / bottom.sum()), n=len(top))
    return Estimate(*ratio_interval(top, bottom, groups, n_resamples, seed), n=len(top))


def bootstrap_mean(
    values: np.ndarray, groups: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the mean over clips ``(n,)`` with its 95 % interval; see `bootstrap_ratio`."""
    return bootstrap_ratio(values, np.ones(len(values)), groups, n_resamples, seed)


def bootstrap_difference(
    first: np.ndarray, second: np.ndarray, groups: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the mean of ``first - second``, paired by clip ``(n,)``; see `bootstrap_ratio`."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return bootstrap_mean(difference, groups, n_resamples, seed)


def mcnemar(first_correct: np.ndarray, second_correct: np.ndarray) -> float:
    """Return the two-sided exact p-value that two classifiers err equally often on the same clips.

    Clips are taken as independent; over speakers see `bootstrap_difference`.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def permutation_p(observed: float, null: np.ndarray) -> float:
    """Return how often the null reaches the observed value, itself counted once (one-sided)."""
    return float((1 + (np.asarray(null) >= observed).sum()) / (1 + len(null)))
