"""A calibrated linear reader of words, kept on disk: its answers turn into bits, and it can be asked again.

`analysis.linear_probe` picks its penalty for accuracy. A bound in bits needs probabilities that mean what
they say: here penalty and scale are those of least cross-entropy on the clips that choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.fitting import chosen_on_validation, fitting_clips
from analysis.linear_probe import C_GRID, fit_quietly, probe_model
from analysis.pooling import pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from analysis.store import cached
from models.errors import SpikelensError

_TOLERANCE = 1e-3  # ten times the default: a third of the time, within a thousandth of a bit
_LOG_SCALES = (np.log(0.01), np.log(10.0))
_UNSEEN = np.log(1e-12)  # nats; of a word that no training clip has


@dataclass(frozen=True)
class LinearReader(Result):
    """A fitted reader of one point.

    Attributes
    ----------
    point : str
    weights : np.ndarray [shape=(D + 1, n_seen)]
        Of raw counts in 10 windows; the constant last.
    words : np.ndarray [shape=(n_seen,), int]
        The words of the training clips.
    n_words : int
        All words of the data set.
    c : float
        Inverse L2 penalty.
    scale : float
        By which the scores were multiplied (Guo et al. 2017): the weights hold it.
    chosen_on : str
        The clips that decided both.
    """

    point: str
    weights: Array
    words: Array
    n_words: int
    c: float
    scale: float
    chosen_on: str

    @property
    def dim(self) -> int:
        """Return the number of inputs."""
        return len(self.weights) - 1

    def log_probability(self, values: np.ndarray) -> np.ndarray:
        """Return the log-probability of every word in nats, ``(n, n_words)``, from pooled activity."""
        from scipy.special import log_softmax

        found = np.full((len(values), self.n_words), _UNSEEN)
        scores = values.astype(np.float64) @ self.weights[:-1] + self.weights[-1]
        found[:, self.words] = log_softmax(scores, axis=1)
        return found

    def to_table(self) -> pd.DataFrame:
        """Return the weights, one row an input."""
        return pd.DataFrame(self.weights, columns=[str(word) for word in self.words])


def linear_reader(
    recordings: Recordings, point: str, *, split: str, seed: int = 0, shuffled: bool = False
) -> LinearReader:
    """Return a reader of a point for evaluation on `split`, fitted or from the cache.

    Multinomial logistic regression with an L2 penalty on standardised counts in 10 windows, fitted on the
    training split. The penalty, and a scale of the scores with it, are those of least cross-entropy on the
    validation split when the evaluation is on test, else on a speaker-disjoint fifth of train, after which
    the reader is fitted again on all of it.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    point : str
    split : {"validation", "test"}
    shuffled : bool
        Do the same with permuted labels: the null.

    Raises
    ------
    SpikelensError
        An unknown point or split, the split that is fitted on, or a training split with one word.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the reader is fitted on; allowed: validation, test")
    recordings.split(split)
    train = recordings.split("train")
    if len(np.unique(train.labels)) < 2:
        raise SpikelensError("split: 'train' holds a single word, so there is nothing to tell apart")
    key = {
        "analysis": "linear_reader",
        "recordings": recordings.digest,
        "point": point,
        "chosen_on_validation": chosen_on_validation(recordings, split),
        "seed": seed,
        "shuffled": shuffled,
    }

    def fit() -> LinearReader:
        rng = np.random.default_rng(seed) if shuffled else None
        x, y = pooled(train, point), _labels(train, rng)
        c, scale, chosen_on = _choose(recordings, point, split, x, y, seed, rng)
        model = fit_quietly(probe_model(tolerance=_TOLERANCE).set_params(clf__C=c), x, y)
        return LinearReader(
            recordings.provenance(split, seed=seed, point=point),
            point,
            scale * _weights(model),
            model.classes_,
            len(recordings.class_names),
            c,
            scale,
            chosen_on,
        )

    return cached(LinearReader, key, fit)


def _labels(split: SplitRecordings, rng: np.random.Generator | None) -> np.ndarray:
    return split.labels if rng is None else rng.permutation(split.labels)


def _choose(
    recordings: Recordings,
    point: str,
    split: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    rng: np.random.Generator | None,
) -> tuple[float, float, str]:
    """Return the C and the scale of least cross-entropy on the clips that choose, and these in words."""
    clips = fitting_clips(recordings, split, seed)
    if len(np.unique(y[clips.fit])) < 2:
        raise SpikelensError("split: 'train' has too few clips or speakers to choose the reader's penalty")
    if clips.choose_split == "train":
        z, words = x[clips.choose], y[clips.choose]
    else:
        choosing = recordings.split(clips.choose_split)
        z, words = pooled(choosing, point, rows=clips.choose), _labels(choosing, rng)[clips.choose]
    model, least, best = probe_model(tolerance=_TOLERANCE), np.inf, (C_GRID[0], 1.0)
    for c in C_GRID:  # warm start: each solution is the next one's first guess
        fit_quietly(model.set_params(clf__C=c), x[clips.fit], y[clips.fit])
        found, scale = _least_cross_entropy(model.predict_log_proba(z), model.classes_, words)
        if found >= least:
            break
        least, best = found, (c, scale)
    return *best, clips.chosen_on


def _least_cross_entropy(
    log_probability: np.ndarray, words: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Return the least cross-entropy that scaling log-probabilities ``(n, n_seen)`` gives, and the scale."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    known = np.isin(labels, words)  # a word that the reader never saw costs the same at every scale
    rows, column = np.flatnonzero(known), np.searchsorted(words, labels[known])

    def cross_entropy(log_scale: float) -> float:
        return -float(log_softmax(np.exp(log_scale) * log_probability, axis=1)[rows, column].mean())

    found = minimize_scalar(cross_entropy, bounds=_LOG_SCALES, method="bounded")
    return float(found.fun), float(np.exp(found.x))


def _weights(model: Any) -> np.ndarray:
    """Return the weights of raw inputs and the constant, ``(D + 1, n_seen)``."""
    scale, clf = model["scale"], model["clf"]
    coefficients, constant = clf.coef_, clf.intercept_
    if len(coefficients) == 1:  # of two words, the first one's score is 0
        coefficients, constant = (np.concatenate([0 * part, part]) for part in (coefficients, constant))
    weights = (coefficients / scale.scale_).T
    return np.vstack([weights, constant - scale.mean_ @ weights])
