"""One linear probe: which clips fit it, which choose its penalty, and what it says of the clips held out.

Probes of whole points are kept in the cache: the control encoders of a data set are read once for all its
checkpoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from analysis.store import cached
from models.errors import SpikelensError

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
N_COMPONENTS = 256  # of the equal-dimension control
N_NULLS = 5  # permutations of the labels: one alone is a fixed reader, see `stats.mean_over_draws`
_VERSION = 2  # raise it when a probe changes its numbers
_MAX_ITER = 100
_UNSEEN = 1e-12  # probability of a word that no training clip has
_MAX_EXACT = 4000  # inputs up to which the exact principal components are the cheap ones


class Parts(NamedTuple):
    """Something known of every clip, in the three roles a clip can have.

    Attributes
    ----------
    train : np.ndarray [shape=(n, ...)]
        The training split.
    choose : np.ndarray [shape=(m, ...)]
        The clips that choose the penalty.
    held : np.ndarray [shape=(k, ...)]
        The clips that are scored.
    """

    train: np.ndarray
    choose: np.ndarray
    held: np.ndarray


@dataclass(frozen=True)
class Folds:
    """Which clip has which role; made by `make_folds`, the same for every recording of the same clips.

    Attributes
    ----------
    split : str
        The split that is scored.
    fit : slice or np.ndarray of int
        Rows of train that fit the probe while its penalty is chosen.
    choose : np.ndarray of int or None
        Rows of train that choose it; None: the validation split.
    chosen_on : str
        The same in words.
    """

    split: str
    fit: slice | np.ndarray
    choose: np.ndarray | None
    chosen_on: str

    def parts(self, recordings: Recordings, values: Callable[[SplitRecordings], np.ndarray]) -> Parts:
        """Return whatever `values` gives for a split, by role."""
        train = values(recordings.split("train"))
        choose = values(recordings.split("validation")) if self.choose is None else train[self.choose]
        return Parts(train, choose, values(recordings.split(self.split)))

    def code(self, recordings: Recordings, point: str, pooling: str = "windows") -> Parts:
        """Return pooled activity, ``(n, D)`` each; see `analysis.pooling.pooled`."""
        return self.parts(recordings, lambda split: pooled(split, point, pooling))

    def words(self, recordings: Recordings) -> Parts:
        """Return the labels, ``(n,)`` each."""
        return self.parts(recordings, lambda split: split.labels)


@dataclass(frozen=True)
class Reading:
    """What a fitted probe says of the clips held out.

    Attributes
    ----------
    correct : np.ndarray [shape=(n,), uint8]
    cross_entropy : np.ndarray [shape=(n,)]
        Nats.
    predicted : np.ndarray [shape=(n,), int]
    dim : int
        Inputs.
    c : float or None
        Inverse L2 penalty; None for a probe that has none.
    chosen_on : str
        The clips that decided it.
    """

    correct: np.ndarray
    cross_entropy: np.ndarray
    predicted: np.ndarray
    dim: int
    c: float | None = None
    chosen_on: str = ""


@dataclass(frozen=True)
class LinearProbe(Result):
    """A `Reading` that can be kept.

    Attributes
    ----------
    predicted : np.ndarray [shape=(n,), int]
        Class it names.
    correct : np.ndarray [shape=(n,), uint8]
    cross_entropy : np.ndarray [shape=(n,)]
        Nats.
    c : float
        Inverse L2 penalty.
    dim : int
    chosen_on : str
        The clips that decided C.
    """

    predicted: Array
    correct: Array
    cross_entropy: Array
    c: float
    dim: int
    chosen_on: str

    @property
    def reading(self) -> Reading:
        """Return what it says without where it comes from."""
        return Reading(self.correct, self.cross_entropy, self.predicted, self.dim, self.c, self.chosen_on)

    def to_table(self) -> pd.DataFrame:
        """Return one row a clip."""
        return pd.DataFrame(
            {
                "predicted": self.predicted,
                "correct": self.correct,
                "cross_entropy_nats": self.cross_entropy,
            }
        )


def fit_probe(
    recordings: Recordings,
    point: str,
    *,
    split: str,
    pooling: str = "windows",
    n_components: int | None = None,
    seed: int = 0,
    shuffled_at: float | None = None,
    code: Parts | None = None,
) -> LinearProbe:
    """Fit one probe for the word and read `split` with it, or take what it read from the cache.

    The probe is multinomial logistic regression with an L2 penalty on standardised activity (after Alain and
    Bengio 2016), fitted on the training split.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    point : str
    split : {"validation", "test"}
    pooling : {"counts", "windows", "trace", "full"}
        See `analysis.pooling.pooled`.
    n_components : int, optional
        Bring the activity to this many principal components first, see `reduced`.
    shuffled_at : float, optional
        Fit once, with this C and permuted training labels: the null.
    code : Parts, optional
        The pooled activity, reduced if it is to be, where the caller has it already.

    Raises
    ------
    SpikelensError
        An unknown point or pooling, the split the probe is fitted on, or a training split with one word.
    """
    folds = make_folds(recordings, split, seed)
    key = {
        "analysis": "linear probe",
        "version": _VERSION,
        "recordings": recordings.digest,
        "point": point,
        "split": split,
        "choose_on_validation": folds.choose is None,
        "pooling": pooling,
        "n_components": n_components,
        "seed": seed,
        "shuffled_at": shuffled_at,
    }

    def compute() -> LinearProbe:
        words, x = folds.words(recordings), code
        if x is None:
            x = folds.code(recordings, point, pooling)
            x = x if n_components is None else reduced(x, n_components, seed)
        if shuffled_at is not None:
            words = shuffled(words, seed)
        found = fit_linear(x, words, folds, c=shuffled_at, scaled=n_components is None)
        assert found.c is not None
        return LinearProbe(
            recordings.provenance(split, point=point, pooling=pooling, n_components=n_components, seed=seed),
            found.predicted,
            found.correct,
            found.cross_entropy,
            found.c,
            found.dim,
            found.chosen_on if shuffled_at is None else "the true labels",
        )

    return cached(LinearProbe, key, compute)


def make_folds(recordings: Recordings, split: str, seed: int = 0) -> Folds:
    """Deal out the roles: C is chosen on validation when `split` is test, else on a fifth of train.

    That fifth shares no speaker with the rest; afterwards the probe is fitted again on all of train.

    Raises
    ------
    SpikelensError
        The split the probe is fitted on, a missing split, or a training split with one word or too few clips.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the probe is fitted on; allowed: validation, test")
    recordings.split(split)
    train = recordings.split("train")
    if len(np.unique(train.labels)) < 2:
        raise SpikelensError("split: 'train' holds a single word, so there is nothing to tell apart")
    if split == "test" and "validation" in recordings.splits:
        return Folds(split, slice(None), None, "the validation split")
    from sklearn.model_selection import GroupShuffleSplit

    groups, unit = train.groups, "speaker-disjoint fifth" if train.speakers is not None else "fifth"
    if groups.max() == 0:
        groups, unit = np.arange(len(train)), "fifth, of its only speaker,"
    dealt = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
    fit, choose = next(dealt.split(np.zeros(len(train)), groups=groups))
    if len(np.unique(train.labels[fit])) < 2:
        raise SpikelensError("split: 'train' has too few clips or speakers to choose the probe's penalty")
    return Folds(split, fit, choose, f"a {unit} of the training split")


def fit_linear(x: Parts, y: Parts, folds: Folds, *, c: float | None = None, scaled: bool = True) -> Reading:
    """Fit one linear probe for any labels.

    Parameters
    ----------
    x : Parts of np.ndarray [shape=(n, D)]
    y : Parts of np.ndarray [shape=(n,), int]
    c : float, optional
        Inverse L2 penalty; by default the most accurate of `C_GRID` on the clips that choose.
    scaled : bool
        Standardise the inputs. Principal components are left alone: blowing the last ones up to the size of
        the first costs accuracy (four points of 64 on log-mel).
    """
    chosen_on = "given" if c is not None else folds.chosen_on
    c = choose_c(x, y, folds, scaled) if c is None else c
    model = fit_quietly(probe_model(scaled).set_params(clf__C=c), x.train, y.train)
    return _reading(model, x.held, y.held, c, chosen_on)


def choose_c(x: Parts, y: Parts, folds: Folds, scaled: bool = True) -> float:
    """Return the C of `C_GRID` that is most accurate on the clips that choose.

    The search goes from a strong penalty to a weak one and ends when two in a row were no better: the weakest
    take longest.
    """
    model, x_fit, y_fit = probe_model(scaled), x.train[folds.fit], y.train[folds.fit]
    scores: list[float] = []
    for c in C_GRID:  # warm start: each solution is the next one's first guess
        fit_quietly(model.set_params(clf__C=c), x_fit, y_fit)
        scores.append(model.score(x.choose, y.choose))
        if len(scores) - np.argmax(scores) > 2:
            break
    return C_GRID[int(np.argmax(scores))]


def shuffled(y: Parts, seed: int) -> Parts:
    """Return labels of which those of train are permuted: one draw of the null, see `N_NULLS`."""
    return y._replace(train=np.random.default_rng(seed).permutation(y.train))


def reduced(x: Parts, n_components: int = N_COMPONENTS, seed: int = 0) -> Parts:
    """Return the first principal components of standardised activity, both fitted on train.

    Codes of any size become codes of one size, ``(n, min(n_components, D, n_train))``.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    n_clips, n_inputs = x.train.shape
    n_components = min(n_components, n_clips, n_inputs)
    exact = "full" if n_clips < n_inputs else "covariance_eigh"
    solver = exact if n_inputs <= _MAX_EXACT else "randomized"
    scale = StandardScaler().fit(x.train)
    axes = PCA(n_components, svd_solver=solver, random_state=seed).fit(scale.transform(x.train))
    return Parts(*(axes.transform(scale.transform(part)).astype(np.float32) for part in x))


def probe_model(scaled: bool = True, tolerance: float = 1e-4) -> Any:
    """Return the unfitted probe: multinomial logistic regression, of standardised inputs if `scaled`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    clf = LogisticRegression(solver="lbfgs", tol=tolerance, max_iter=_MAX_ITER, warm_start=True)
    return Pipeline([("scale", StandardScaler() if scaled else "passthrough"), ("clf", clf)])


def fit_quietly(model: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Fit a scikit-learn model; that it stops before it has converged is no news here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # With hardly any penalty on separable data the optimum lies far out; stopping early is a penalty too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def _reading(model: Any, x: np.ndarray, y: np.ndarray, c: float, chosen_on: str) -> Reading:
    log_probability = _log_probability(model, x)  # (n, seen classes)
    column = np.searchsorted(model.classes_, y).clip(max=len(model.classes_) - 1)
    known = model.classes_[column] == y
    entropy = np.where(known, -log_probability[np.arange(len(y)), column], -np.log(_UNSEEN))
    predicted = model.classes_[log_probability.argmax(axis=1)]
    return Reading((predicted == y).astype(np.uint8), entropy, predicted, x.shape[1], c, chosen_on)


def _log_probability(model: Any, x: np.ndarray) -> np.ndarray:
    """Return what `predict_log_proba` does, finite where a probability is too small for a float."""
    from scipy.special import log_softmax

    scores = model.decision_function(x).astype(np.float64)
    if scores.ndim == 1:  # of two classes, the first one's score is 0
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    return log_softmax(scores, axis=1)
