"""Intervals over speakers, paired tests and p-values from a simulated null."""

from __future__ import annotations

import numpy as np

from analysis.result import Estimate
from models.intervals import N_RESAMPLES, ratio_interval

_N_SIGNS = 10_000
_ROUNDING = 1e-9


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


def mean_over_draws(values: np.ndarray) -> Estimate:
    """Return the mean of repeated draws ``(n_draws,)`` with Student's 95 % interval.

    What permuted labels give is a spread over permutations: a probe fitted to one of them is a fixed reader,
    which may map each word to a wrong one on all clips alike, and its interval over speakers knows nothing of
    that (of 100 such intervals around chance, a third leave chance out).
    """
    from scipy.stats import t

    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return Estimate(mean, n=n)
    reach = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - reach, mean + reach, n)


def mcnemar(
    first_correct: np.ndarray, second_correct: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> float:
    """Return the two-sided p-value that two classifiers err equally often on the same clips (McNemar 1947).

    Parameters
    ----------
    first_correct, second_correct : np.ndarray [shape=(n,)]
    groups : np.ndarray [shape=(n,), int], optional
        Speakers. Exact over clips without them, which takes clips as independent: where speakers have 20
        clips whose errors go together it rejects a third of true null hypotheses. With them the two
        classifiers change places speaker by speaker, 10,000 times at random.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    if groups is None:
        return float(binomtest(only_first, only_first + only_second).pvalue)
    _, index = np.unique(groups, return_inverse=True)
    gain = np.bincount(index, weights=first.astype(float) - second)  # of each speaker, whole numbers
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(_N_SIGNS, len(gain)))
    return permutation_p(abs(gain.sum()), np.abs(signs @ gain))


def permutation_p(observed: float, null: np.ndarray) -> float:
    """Return how often the null reaches the observed value, itself counted once (one-sided).

    Values that differ by rounding alone are equal: the same sum in another order.
    """
    reached = np.asarray(null) >= observed - _ROUNDING * abs(observed)
    return float((1 + reached.sum()) / (1 + len(null)))


def label_orders(
    labels: np.ndarray, groups: np.ndarray, n_orders: int, rng: np.random.Generator
) -> np.ndarray:
    """Return permutations of clips under which a code that knows speakers but not words stays as it is.

    Labels may change places freely unless a speaker's clips share words more often than chance has it: then
    speaker and word go together, and they change places within speakers only.

    Parameters
    ----------
    labels, groups : np.ndarray [shape=(n,), int]
        Words and speakers.

    Returns
    -------
    np.ndarray [shape=(n_orders, n), int]
    """
    free = np.stack([rng.permutation(len(labels)) for _ in range(n_orders)])
    if permutation_p(_alike(labels, groups), np.array([_alike(labels[o], groups) for o in free])) > 0.05:
        return free
    home = np.argsort(groups, kind="stable")
    orders = np.empty_like(free)
    for order in orders:
        order[home] = np.lexsort((rng.random(len(labels)), groups))
    return orders


def _alike(labels: np.ndarray, groups: np.ndarray) -> float:
    """Return the number of pairs of clips that share both word and speaker."""
    counts = np.unique(groups * (labels.max() + 1) + labels, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / 2)
