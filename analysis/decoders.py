"""Ridge decoders of recorded activity: penalty chosen on other speakers, shuffled twin, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from analysis.ridge import PENALTIES, WindowSums, predict, solve_ridge, squared_error, window_sums
from analysis.store import cached
from analysis.templates import Templates, train_templates
from models.errors import SpikelensError

Progress = Callable[[float, str], None]
BLOCK = 256  # clips


@dataclass(frozen=True)
class RidgeWeights(Result):
    """Fitted decoders of one point, for true pairs and for permuted clips.

    Attributes
    ----------
    running_sum : bool
        Reads the running sums of the spikes at the frame itself (``lags`` is 0), not a window of spikes.
        Any decoder that adds a step for every spike, such as step-forward's, is one of these.
    lags : int
    weights, null_weights : np.ndarray [shape=((2 lags + 1) N + 1, F)]
    penalty, null_penalty : float
        In units of the mean diagonal of the Gram matrix.
    chosen_on : str
        The clips that decided the penalties.
    error : float
        Squared error over power on those clips.
    """

    running_sum: bool
    lags: int
    weights: Array
    penalty: float
    null_weights: Array
    null_penalty: float
    chosen_on: str
    error: float

    def read(self, activity: np.ndarray, null: bool = False) -> np.ndarray:
        """Return normalised features ``(n, T, F)`` from activity ``(n, T, N)``."""
        weights = self.null_weights if null else self.weights
        return predict(_inputs(activity, self.running_sum), weights, self.lags)

    def to_table(self) -> pd.DataFrame:
        """Return the weights, one row an input."""
        return pd.DataFrame(self.weights)


def ridge_weights(
    recordings: Recordings,
    point: str,
    *,
    split: str,
    lags: int = 5,
    running_sum: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> RidgeWeights:
    """Return a ridge decoder of a point for evaluation on `split`, fitted or from the cache.

    The penalty is chosen on the validation split when the evaluation is on test, else on a speaker-disjoint
    fifth of train, after which the decoder is fitted again on all of train.
    """
    key = {
        "analysis": "ridge_weights",
        "recordings": recordings.digest,
        "point": point,
        "chosen_on_validation": _choose_on_validation(recordings, split),
        "lags": 0 if running_sum else lags,
        "running_sum": running_sum,
        "seed": seed,
    }

    def fit() -> RidgeWeights:
        window = 0 if running_sum else lags
        return _fit_ridge(recordings, point, split, window, running_sum, seed, progress or _silent)

    return cached(RidgeWeights, key, fit)


def _inputs(activity: np.ndarray, running_sum: bool) -> np.ndarray:
    return activity.cumsum(axis=1, dtype=np.float64) if running_sum else activity


def _choose_on_validation(recordings: Recordings, split: str) -> bool:
    return split == "test" and "validation" in recordings.splits


def _fit_ridge(
    recordings: Recordings,
    point: str,
    split: str,
    lags: int,
    running_sum: bool,
    seed: int,
    progress: Progress,
) -> RidgeWeights:
    templates = train_templates(recordings)
    train = recordings.split("train")
    sums = partial(
        _window_sums,
        templates=templates,
        point=point,
        lags=lags,
        running_sum=running_sum,
        seed=seed,
        progress=progress,
    )
    if _choose_on_validation(recordings, split):
        validation = recordings.split("validation")
        fit = whole = sums(train, np.arange(len(train)))
        choose = sums(validation, np.arange(len(validation)))
        chosen_on = "the validation split"
    else:
        aside = _fifth_of_groups(train, seed)
        fit, choose = sums(train, np.flatnonzero(~aside)), sums(train, np.flatnonzero(aside))
        whole = fit + choose
        unit = "speaker-disjoint fifth" if train.speakers is not None else "fifth"
        chosen_on = f"a {unit} of the training split"
    n_bands = len(templates.mean)
    errors = np.array([squared_error(choose, solve_ridge(fit, p)) for p in PENALTIES])  # (penalties, 2F)
    penalty, null_penalty = (
        PENALTIES[int(part.sum(axis=1).argmin())] for part in np.split(errors, [n_bands], axis=1)
    )
    return RidgeWeights(
        recordings.provenance(split, seed=seed, point=point),
        running_sum,
        lags,
        solve_ridge(whole, penalty)[:, :n_bands],
        penalty,
        solve_ridge(whole, null_penalty)[:, n_bands:],
        null_penalty,
        chosen_on,
        float(errors[:, :n_bands].sum(axis=1).min() / choose.power[:n_bands].sum()),
    )


def _window_sums(
    split: SplitRecordings,
    clips: np.ndarray,
    *,
    templates: Templates,
    point: str,
    lags: int,
    running_sum: bool,
    seed: int,
    progress: Progress,
) -> WindowSums:
    """Sum over some clips; targets are the features of the clip and of the one that it stands in for."""
    partner = np.argsort(derangement(len(split), seed))  # clip i is read from order[i]
    total = None
    for start in range(0, len(clips), BLOCK):
        rows = clips[start : start + BLOCK]
        targets = np.concatenate(
            [templates.features(split, rows), templates.features(split, partner[rows])], -1
        )
        block = window_sums(_inputs(split.load(point, rows), running_sum), targets, lags)
        total = block if total is None else total + block
        progress(min(start + BLOCK, len(clips)) / len(clips), f"ridge from {point}")
    if total is None:
        raise SpikelensError(
            f"split: {split.name!r} has too few clips or speakers to choose the ridge penalty"
        )
    return total


def _fifth_of_groups(split: SplitRecordings, seed: int) -> np.ndarray:
    """Return True for the clips of a random fifth of the speakers (of all clips if there is but one)."""
    groups = split.groups if split.groups.max(initial=0) > 0 else np.arange(len(split))
    names = np.random.default_rng(seed).permutation(groups.max(initial=0) + 1)
    return np.isin(groups, names[: max(1, len(names) // 5)])


def derangement(n: int, seed: int) -> np.ndarray:
    """Return a random permutation of ``n`` clips that leaves none in its place (for n > 1)."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, dtype=np.int64)
    partner[order] = np.roll(order, 1)
    return partner


def _silent(fraction: float, message: str) -> None:
    pass
