"""Ridge decoders of recorded activity: penalty chosen on other speakers, shuffled twin, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.fitting import FittingClips, chosen_on_validation, fitting_clips, null_partner
from analysis.recordings import Recordings
from analysis.result import Array, Provenance, Result
from analysis.ridge import PENALTIES, WindowSums, predict, solve_ridge, squared_error, window_sums
from analysis.store import cached
from analysis.templates import Templates, train_templates

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
    activity: Recordings | None = None,
    max_clips: int | None = None,
    progress: Progress | None = None,
) -> RidgeWeights:
    """Return a ridge decoder of a point for evaluation on `split`, fitted or from the cache.

    The penalty is chosen on the validation split when the evaluation is on test, else on a speaker-disjoint
    fifth of train, after which the decoder is fitted again on all of train.

    Parameters
    ----------
    activity : Recordings, optional
        What is read, where it is not `recordings` itself: the untrained twin on the same clips.
    max_clips : int, optional
        Use at most this many clips of each split, drawn by `seed`.
    """
    window = 0 if running_sum else lags
    key: dict[str, Any] = {
        "analysis": "ridge_weights",
        "recordings": recordings.digest,
        "point": point,
        "chosen_on_validation": chosen_on_validation(recordings, split),
        "lags": window,
        "running_sum": running_sum,
        "seed": seed,
    }
    if activity is not None:
        key["activity"] = activity.digest
    if max_clips is not None:
        key["max_clips"] = max_clips

    def compute() -> RidgeWeights:
        sums = partial(
            _window_sums,
            templates=train_templates(recordings),
            features=recordings,
            activity=activity or recordings,
            point=point,
            lags=window,
            running_sum=running_sum,
            seed=seed,
        )
        clips = fitting_clips(recordings, split, seed, max_clips)
        part = len(clips.fit) / (len(clips.fit) + len(clips.choose))
        fit = sums("train", clips.fit, progress=within(progress, 0.0, part))
        choose = sums(clips.choose_split, clips.choose, progress=within(progress, part, 1 - part))
        return _solve(
            recordings.provenance(split, seed=seed, point=point), running_sum, window, fit, choose, clips
        )

    return cached(RidgeWeights, key, compute)


def best_ridge(
    recordings: Recordings,
    point: str,
    *,
    split: str,
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> RidgeWeights:
    """Return the better of the two ridge decoders of a point, on the clips that chose their penalties."""
    fitted = [
        ridge_weights(
            recordings,
            point,
            split=split,
            lags=lags,
            running_sum=running_sum,
            seed=seed,
            progress=within(progress, 0.5 * running_sum, 0.5),
        )
        for running_sum in (False, True)
    ]
    return min(fitted, key=lambda decoder: decoder.error)


def _inputs(activity: np.ndarray, running_sum: bool) -> np.ndarray:
    return activity.cumsum(axis=1, dtype=np.float64) if running_sum else activity


def _solve(
    provenance: Provenance,
    running_sum: bool,
    lags: int,
    fit: WindowSums,
    choose: WindowSums,
    clips: FittingClips,
) -> RidgeWeights:
    """Choose both penalties and fit again, on the choosing clips too where they are training clips."""
    whole = fit + choose if clips.choose_split == "train" else fit
    n_bands = len(fit.power) // 2
    errors = np.array([squared_error(choose, solve_ridge(fit, p)) for p in PENALTIES])  # (penalties, 2F)
    penalty, null_penalty = (
        PENALTIES[int(part.sum(axis=1).argmin())] for part in np.split(errors, [n_bands], axis=1)
    )
    return RidgeWeights(
        provenance,
        running_sum,
        lags,
        solve_ridge(whole, penalty)[:, :n_bands],
        penalty,
        solve_ridge(whole, null_penalty)[:, n_bands:],
        null_penalty,
        clips.chosen_on,
        float(errors[:, :n_bands].sum(axis=1).min() / choose.power[:n_bands].sum()),
    )


def _window_sums(
    name: str,
    clips: np.ndarray,
    *,
    templates: Templates,
    features: Recordings,
    activity: Recordings,
    point: str,
    lags: int,
    running_sum: bool,
    seed: int,
    progress: Progress,
) -> WindowSums:
    """Sum over some clips; targets are the features of the clip and of the one that it stands in for."""
    split, read = features.split(name), activity.split(name)
    partner = null_partner(len(split), seed)
    total = None
    for start in range(0, len(clips), BLOCK):
        rows = clips[start : start + BLOCK]
        targets = np.concatenate(
            [templates.features(split, rows), templates.features(split, partner[rows])], -1
        )
        block = window_sums(_inputs(read.load(point, rows), running_sum), targets, lags)
        total = block if total is None else total + block
        progress(min(start + BLOCK, len(clips)) / len(clips), f"ridge from {point}")
    assert total is not None
    return total


def within(progress: Progress | None, start: float, share: float) -> Progress:
    """Return a callback for one part of a longer task, which begins at `start` and is `share` of it."""

    def report(fraction: float, message: str) -> None:
        if progress is not None:
            progress(start + share * fraction, message)

    return report
