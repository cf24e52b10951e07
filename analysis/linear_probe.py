"""One linear probe: multinomial logistic regression on pooled activity, penalty chosen off the clips it reads.

Fitted probes are kept in the cache: the control encoders of a data set are read once for all its checkpoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from analysis.store import cached
from models.errors import SpikelensError

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
N_COMPONENTS = 256  # to which every code is brought where dimensions must be equal
_MAX_ITER = 100
_UNSEEN = 1e-12  # probability of a word that no training clip has


@dataclass(frozen=True)
class LinearProbe(Result):
    """What a fitted probe says of the evaluated clips.

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
) -> LinearProbe:
    """Fit one probe on the training split and read `split` with it, or take both from the cache.

    C is chosen on the validation split when `split` is the test split, else on a speaker-disjoint fifth of
    train, after which the probe is fitted again on all of train.

    Parameters
    ----------
    pooling : {"counts", "windows", "trace", "full"}
        See `analysis.pooling.pooled`.
    n_components : int, optional
        Bring the pooled activity to this many principal components first, fitted on train.
    shuffled_at : float, optional
        Fit once, with this C and permuted training labels: the null.

    Raises
    ------
    SpikelensError
        An unknown point or pooling, the split the probe is fitted on, or a training split with one word.
    """
    check_splits(recordings, split)
    key = {
        "analysis": "linear probe",
        "recordings": recordings.digest,
        "point": point,
        "split": split,
        "choose_on_validation": choose_on_validation(recordings, split),
        "pooling": pooling,
        "n_components": n_components,
        "seed": seed,
        "shuffled_at": shuffled_at,
    }

    def compute() -> LinearProbe:
        held, train = check_splits(recordings, split)
        x, x_held = pooled(train, point, pooling), pooled(held, point, pooling)
        fit, choosing = choice(recordings, split, x, seed)
        x_choose = x[choosing.rows] if choosing.name == "train" else pooled(choosing.held, point, pooling)
        if n_components is not None:
            x, x_held, x_choose = principal_components(x, x_held, x_choose, n=n_components, seed=seed)
        y, chosen_on = train.labels, choosing.described
        if shuffled_at is None:
            c = choose_penalty(x[fit], y[fit], x_choose, choosing.labels)
        else:
            y, c, chosen_on = np.random.default_rng(seed).permutation(y), shuffled_at, "the true labels"
        predicted, entropy = read(x, y, x_held, held.labels, c)
        return LinearProbe(
            recordings.provenance(split, point=point, pooling=pooling, n_components=n_components, seed=seed),
            predicted,
            (predicted == held.labels).astype(np.uint8),
            entropy,
            c,
            x.shape[1],
            chosen_on,
        )

    return cached(LinearProbe, key, compute)


def check_splits(recordings: Recordings, split: str) -> tuple[SplitRecordings, SplitRecordings]:
    """Return the evaluated and the training split; SpikelensError where they cannot serve."""
    if split == "train":
        raise SpikelensError("split: 'train' is what the probe is fitted on; allowed: validation, test")
    held, train = recordings.split(split), recordings.split("train")
    if len(np.unique(train.labels)) < 2:
        raise SpikelensError("split: 'train' holds a single word, so there is nothing to tell apart")
    return held, train


def choose_on_validation(recordings: Recordings, split: str) -> bool:
    """Tell whether settings are chosen on the validation split."""
    return split == "test" and "validation" in recordings.splits


@dataclass(frozen=True)
class Choosing:
    """The clips that decide a setting.

    Attributes
    ----------
    name : str
        ``train`` or ``validation``.
    rows : np.ndarray or slice
        Of that split.
    labels : np.ndarray
    held : SplitRecordings
    described : str
    """

    name: str
    rows: np.ndarray | slice
    labels: np.ndarray
    held: SplitRecordings
    described: str


def choice(
    recordings: Recordings, split: str, x: np.ndarray, seed: int
) -> tuple[np.ndarray | slice, Choosing]:
    """Return the rows of train to fit on while a setting is chosen, and the clips that choose it."""
    train = recordings.split("train")
    if choose_on_validation(recordings, split):
        validation = recordings.split("validation")
        everything = slice(None)
        return everything, Choosing(
            "validation", everything, validation.labels, validation, "the validation split"
        )
    from sklearn.model_selection import GroupShuffleSplit

    groups, unit = train.groups, "speaker-disjoint fifth" if train.speakers is not None else "fifth"
    if groups.max() == 0:
        groups, unit = np.arange(len(train)), "fifth, of its only speaker,"
    folds = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
    fit, choose = next(folds.split(x, groups=groups))
    if len(np.unique(train.labels[fit])) < 2:
        raise SpikelensError("split: 'train' has too few clips or speakers to choose the probe's penalty")
    return fit, Choosing("train", choose, train.labels[choose], train, f"a {unit} of the training split")


def choose_penalty(
    x: np.ndarray, y: np.ndarray, x_choose: np.ndarray, y_choose: np.ndarray, grid: Sequence[float] = C_GRID
) -> float:
    """Return the C of the best accuracy on the clips that choose."""
    model, scores = _model(), []
    for c in grid:  # warm start: each solution is the next one's first guess
        _fit(model.set_params(clf__C=c), x, y)
        scores.append(model.score(x_choose, y_choose))
    return float(grid[int(np.argmax(scores))])


def read(
    x: np.ndarray, y: np.ndarray, x_held: np.ndarray, y_held: np.ndarray, c: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit with C = `c`; return the class named and the nats of the true one for every held-out clip."""
    model = _model().set_params(clf__C=c)
    _fit(model, x, y)
    log_probability = model.predict_log_proba(x_held)  # (n, seen classes)
    column = np.searchsorted(model.classes_, y_held).clip(max=len(model.classes_) - 1)
    known = model.classes_[column] == y_held
    entropy = np.where(known, -log_probability[np.arange(len(y_held)), column], -np.log(_UNSEEN))
    return model.classes_[log_probability.argmax(axis=1)], entropy


def principal_components(
    train: np.ndarray, *others: np.ndarray, n: int = N_COMPONENTS, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Standardise and bring to at most `n` principal components, both fitted on the first array."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), PCA(min(n, *train.shape), random_state=seed))
    return (model.fit_transform(train), *(model.transform(other) for other in others))


def _model() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    clf = LogisticRegression(solver="lbfgs", max_iter=_MAX_ITER, warm_start=True)
    return Pipeline([("scale", StandardScaler()), ("clf", clf)])


def _fit(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # With hardly any penalty on separable data the optimum lies far out; stopping early is a penalty too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
