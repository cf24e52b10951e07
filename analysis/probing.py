"""Can the word be read off linearly? One probe a recording point, beside the controls that could fool it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_mean
from models.errors import SpikelensError

LEARNED, SHUFFLED, UNTRAINED, CHANCE = "learned", "shuffled", "untrained", "chance"
RAW_POINT = "features"  # the raw log-mel, read in every result that has it
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITER = 100
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ProbeRow:
    """One probe.

    Attributes
    ----------
    point : str
        ``features`` is the raw log-mel; empty for chance, which is the same at every point.
    condition : {"learned", "shuffled", "untrained", "chance"}
        The recordings themselves; their training labels permuted (null); the untrained twin; the commonest
        word of the training split.
    accuracy : Estimate
        Fraction of clips.
    cross_entropy : Estimate
        Nats a clip.
    c : float or None
        Inverse L2 penalty chosen; the null takes that of the true labels.
    dim : int or None
        Inputs of the probe.
    """

    point: str
    condition: str
    accuracy: Estimate
    cross_entropy: Estimate
    c: float | None = None
    dim: int | None = None


@dataclass(frozen=True)
class ProbeResult(Result):
    """Probes in the order of `rows`.

    Attributes
    ----------
    rows : list of ProbeRow
    correct : np.ndarray [shape=(n_rows, n_clips)]
        1 where the probe names the word: what a paired comparison of two results needs.
    chosen_on : str
        The clips that decided C.
    axes : mapping of str to str
    """

    rows: list[ProbeRow]
    correct: Array
    chosen_on: str
    axes: Mapping[str, str]

    def find(self, point: str, condition: str = LEARNED) -> int | None:
        """Return the index of a row, None where there is none."""
        found = [i for i, row in enumerate(self.rows) if (row.point, row.condition) == (point, condition)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row a probe."""
        return pd.DataFrame(
            {
                "point": row.point,
                "condition": row.condition,
                "accuracy": row.accuracy.value,
                "low": row.accuracy.low,
                "high": row.accuracy.high,
                "n": row.accuracy.n,
                "cross_entropy_nats": row.cross_entropy.value,
                "C": row.c,
                "dim": row.dim,
            }
            for row in self.rows
        )


@dataclass(frozen=True)
class LinearProbe:
    """What a fitted probe says of the evaluated clips.

    Attributes
    ----------
    correct : np.ndarray [shape=(n,), uint8]
    cross_entropy : np.ndarray [shape=(n,)]
        Nats.
    c : float
    dim : int
    chosen_on : str
    """

    correct: np.ndarray
    cross_entropy: np.ndarray
    c: float
    dim: int
    chosen_on: str


def probe(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    twin: Recordings | None = None,
    pooling: str = "windows",
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> ProbeResult:
    """Probe recording points for the word, with chance, null, untrained twin and raw log-mel.

    The probe is multinomial logistic regression with an L2 penalty on standardised activity (after Alain and
    Bengio 2016), fitted on the training split. C is chosen on the validation split when `split` is the test
    split, else on a speaker-disjoint fifth of train, after which the probe is fitted again on all of train.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    points : sequence of str, optional
        Every point, stream and ``residual`` by default.
    split : {"validation", "test"}
    twin : Recordings, optional
        Of the untrained twin.
    pooling : {"counts", "windows", "trace", "full"}
        See `analysis.pooling.pooled`.

    Raises
    ------
    SpikelensError
        An unknown point or pooling, the split the probe is fitted on, or a training split with one word.
    """
    held, train = _splits(recordings, split)
    points = list(held.points if points is None else points)
    if RAW_POINT in held.points and RAW_POINT not in points:
        points.insert(0, RAW_POINT)
    twin_points = () if twin is None else twin.split(split).points
    jobs: list[tuple[str, str]] = []
    for point in points:
        jobs += [(point, LEARNED), (point, SHUFFLED)] + [(point, UNTRAINED)] * (point in twin_points)
    found: dict[tuple[str, str], LinearProbe] = {}
    for i, (point, condition) in enumerate(jobs):
        if progress is not None:
            progress(i / len(jobs), f"probing {point} ({condition})")
        source = recordings if condition != UNTRAINED or twin is None else twin
        null_c = found[point, LEARNED].c if condition == SHUFFLED else None
        found[point, condition] = fit_probe(
            source, point, split=split, pooling=pooling, seed=seed, shuffled_at=null_c
        )
    rows = [
        ProbeRow(*key, *_estimates(p.correct, p.cross_entropy, held, seed), p.c, p.dim)
        for key, p in found.items()
    ]
    correct, entropy = _chance(train, held, len(recordings.class_names))
    rows.append(ProbeRow("", CHANCE, *_estimates(correct, entropy, held, seed)))
    return ProbeResult(
        provenance=recordings.provenance(split, command, points=points, pooling=pooling, seed=seed),
        rows=rows,
        correct=np.stack([*(p.correct for p in found.values()), correct]),
        chosen_on=next(iter(found.values())).chosen_on,
        axes={
            "accuracy": f"accuracy on {split} | fraction of clips",
            "correct": f"probe, clip of {split} | 1 where the word is right",
        },
    )


def fit_probe(
    recordings: Recordings,
    point: str,
    *,
    split: str,
    pooling: str = "windows",
    seed: int = 0,
    shuffled_at: float | None = None,
) -> LinearProbe:
    """Fit one probe and read `split` with it; see `probe`.

    Parameters
    ----------
    shuffled_at : float, optional
        Fit once, with this C and permuted training labels: the null.
    """
    held, train = _splits(recordings, split)
    x, y = pooled(train, point, pooling), train.labels
    if shuffled_at is not None:
        y, c, chosen_on = np.random.default_rng(seed).permutation(y), shuffled_at, "the true labels"
        model = _model().set_params(clf__C=c)
    else:
        fit, x_choose, y_choose, chosen_on = _choice(recordings, point, pooling, split, x, seed)
        model, scores = _model(), []
        for c in C_GRID:  # warm start: each solution is the next one's first guess
            _fit(model.set_params(clf__C=c), x[fit], y[fit])
            scores.append(model.score(x_choose, y_choose))
        c = C_GRID[int(np.argmax(scores))]
        model = _model().set_params(clf__C=c)
    _fit(model, x, y)
    log_probability = model.predict_log_proba(pooled(held, point, pooling))  # (n, seen classes)
    column = np.searchsorted(model.classes_, held.labels).clip(max=len(model.classes_) - 1)
    known = model.classes_[column] == held.labels
    entropy = np.where(known, -log_probability[np.arange(len(held)), column], -np.log(1e-12))
    correct = model.classes_[log_probability.argmax(axis=1)] == held.labels
    return LinearProbe(correct.astype(np.uint8), entropy, c, x.shape[1], chosen_on)


def _splits(recordings: Recordings, split: str) -> tuple[SplitRecordings, SplitRecordings]:
    if split == "train":
        raise SpikelensError("split: 'train' is what the probe is fitted on; allowed: validation, test")
    held, train = recordings.split(split), recordings.split("train")
    if len(np.unique(train.labels)) < 2:
        raise SpikelensError("split: 'train' holds a single word, so there is nothing to tell apart")
    return held, train


def _model():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    clf = LogisticRegression(solver="lbfgs", max_iter=_MAX_ITER, warm_start=True)
    return Pipeline([("scale", StandardScaler()), ("clf", clf)])


def _fit(model, x: np.ndarray, y: np.ndarray) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # With hardly any penalty on separable data the optimum lies far out; stopping early is a penalty too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)


def _choice(
    recordings: Recordings, point: str, pooling: str, split: str, x: np.ndarray, seed: int
) -> tuple[np.ndarray | slice, np.ndarray, np.ndarray, str]:
    """Return the rows of train to fit on while C is chosen, and the clips that choose it."""
    train = recordings.split("train")
    if split == "test" and "validation" in recordings.splits:
        validation = recordings.split("validation")
        return slice(None), pooled(validation, point, pooling), validation.labels, "the validation split"
    from sklearn.model_selection import GroupShuffleSplit

    groups, unit = train.groups, "speaker-disjoint fifth" if train.speakers is not None else "fifth"
    if groups.max() == 0:
        groups, unit = np.arange(len(train)), "fifth, of its only speaker,"
    folds = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
    fit, choose = next(folds.split(x, groups=groups))
    if len(np.unique(train.labels[fit])) < 2:
        raise SpikelensError("split: 'train' has too few clips or speakers to choose the probe's penalty")
    return fit, x[choose], train.labels[choose], f"a {unit} of the training split"


def _estimates(
    correct: np.ndarray, entropy: np.ndarray, held: SplitRecordings, seed: int
) -> tuple[Estimate, Estimate]:
    groups = held.groups
    return bootstrap_mean(correct, groups, seed=seed), bootstrap_mean(entropy, groups, seed=seed)


def _chance(train: SplitRecordings, held: SplitRecordings, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what saying the commonest training word, or its share, gives on each clip."""
    counts = np.bincount(train.labels, minlength=n_classes)
    entropy = -np.log(np.maximum(counts / counts.sum(), 1e-12))[held.labels]
    return (held.labels == counts.argmax()).astype(np.uint8), entropy
