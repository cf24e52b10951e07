"""What can be done to recorded activity ``(n, T, N)``: the original is never changed."""

from __future__ import annotations

import numpy as np

from analysis.recordings import SplitRecordings
from models.errors import SpikelensError


def zeroed(activity: np.ndarray, units: np.ndarray | slice) -> np.ndarray:
    """Return activity in which these units are silent."""
    changed = activity.copy()
    changed[..., units] = 0
    return changed


def exchanged(activity: np.ndarray, other: np.ndarray, units: np.ndarray | slice) -> np.ndarray:
    """Return activity in which these units do what they do in `other`, clips of the same shape."""
    changed = activity.copy()
    changed[..., units] = other[..., units]
    return changed


def shuffled_in_time(
    activity: np.ndarray, rng: np.random.Generator, units: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Return activity with the frames of these units in random order, one a unit and clip: counts stay."""
    changed = activity.copy()
    changed[..., units] = rng.permuted(activity[..., units], axis=1)
    return changed


def jittered(spikes: np.ndarray, largest: int, rng: np.random.Generator) -> np.ndarray:
    """Move every spike by a whole number of frames, uniform between ``-largest`` and ``largest``.

    Spikes stay inside the clip; those that meet in one frame become one.

    Raises
    ------
    SpikelensError
        `largest` is negative.
    """
    if largest < 0:
        raise SpikelensError(f"largest: {largest} frames; it must be at least 0")
    clip, step, unit = np.nonzero(spikes)
    step = (step + rng.integers(-largest, largest + 1, len(step))).clip(0, spikes.shape[1] - 1)
    changed = np.zeros_like(spikes)
    changed[clip, step, unit] = 1
    return changed


def dropped(spikes: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Delete every spike with probability `share`.

    Raises
    ------
    SpikelensError
        `share` is not between 0 and 1.
    """
    _check_share(share)
    kept = rng.random(spikes.shape, dtype=np.float32) >= share
    return spikes * kept.astype(spikes.dtype)


def random_units(n_units: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random `share` of all units, at least one, in order."""
    return np.sort(rng.permutation(n_units)[: n_chosen(n_units, share)])


def most_selective(selectivity: np.ndarray, share: float) -> np.ndarray:
    """Return the `share` of units, at least one, with the largest `word_selectivity`, in order."""
    return np.sort(np.argsort(-selectivity, kind="stable")[: n_chosen(len(selectivity), share)])


def n_chosen(n_units: int, share: float) -> int:
    """Return how many units a share is, at least one.

    Raises
    ------
    SpikelensError
        `share` is not between 0 and 1.
    """
    _check_share(share)
    return max(1, round(share * n_units))


def word_selectivity(split: SplitRecordings, point: str) -> np.ndarray:
    """Return how much of the variance of each unit's count lies between words (eta squared).

    Returns
    -------
    np.ndarray [shape=(N,)]
        Between 0 and 1; 0 for a unit whose count never changes.
    """
    counts = np.concatenate([block.sum(axis=1, dtype=np.float64) for _, block in split.blocks(point)])
    mean = counts.mean(axis=0)  # (N,)
    total = np.square(counts - mean).sum(axis=0)
    between = np.zeros_like(total)
    for word in np.unique(split.labels):
        own = counts[split.labels == word]
        between += len(own) * np.square(own.mean(axis=0) - mean)
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise SpikelensError(f"share: {share} must lie between 0 and 1")
