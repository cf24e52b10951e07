"""Can the word be read off linearly? One probe a recording point, beside the controls that could fool it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.linear_probe import (
    N_COMPONENTS,
    N_NULLS,
    Folds,
    Parts,
    Reading,
    fit_linear,
    fit_probe,
    make_folds,
    reduced,
)
from analysis.probe_controls import N_NEIGHBORS, control_task, nearest_neighbours
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean, mean_over_draws

LEARNED, SHUFFLED, UNTRAINED, CHANCE = "learned", "shuffled", "untrained", "chance"
REDUCED, NEIGHBORS = "256 dimensions", "nearest neighbours"
CONTROL_TASK, UNTRAINED_CONTROL, CONTROL_CHANCE = "control task", "untrained, control task", "control chance"
RAW_POINT = "features"  # the raw log-mel, read in every result that has it
_DERIVED = ("decoded", "residual", "readout")  # no codes of their own
Progress = Callable[[float, str], None]

__all__ = ["ProbeResult", "ProbeRow", "fit_probe", "probe"]


@dataclass(frozen=True)
class ProbeRow:
    """One probe.

    Attributes
    ----------
    point : str
        ``features`` is the raw log-mel; empty for chance, which is the same at every point.
    condition : str
        "learned", the recordings themselves; "shuffled", their training labels permuted (null; the interval
        is over permutations); "untrained", the untrained twin; "chance", the commonest word of the training
        split. At the log-mel, the encoder and every layer also "256 dimensions", the linear probe on as many
        principal components; "nearest neighbours"; "control task", random words dealt to kinds of sound, and
        "untrained, control task"; "control chance" is the commonest of those words.
    accuracy : Estimate
        Fraction of clips.
    cross_entropy : Estimate
        Nats a clip.
    c : float or None
        Inverse L2 penalty chosen; the null takes that of the true labels.
    dim : int or None
        Inputs of the probe.
    selectivity : Estimate or None
        Of a control task: accuracy for the word less that for the control, paired by clip.
    """

    point: str
    condition: str
    accuracy: Estimate
    cross_entropy: Estimate
    c: float | None = None
    dim: int | None = None
    selectivity: Estimate | None = None


@dataclass(frozen=True)
class ProbeResult(Result):
    """Probes in the order of `rows`.

    Attributes
    ----------
    rows : list of ProbeRow
    correct : np.ndarray [shape=(n_rows, n_clips)]
        1 where the probe names the word: what a paired comparison of two results needs. Of the null, the
        share of permutations that name it.
    chosen_on : str
        The clips that decided C.
    axes : mapping of str to str
    words : list of str
    confusion : mapping of str to np.ndarray [shape=(C, C), int]
        Point -> clips of each word (row) that the learned code's probe takes for each word (column).
    not_applicable : mapping of str to str
        Control -> why there is none.
    """

    rows: list[ProbeRow]
    correct: Array
    chosen_on: str
    axes: Mapping[str, str]
    words: list[str]
    confusion: Mapping[str, Array]
    not_applicable: Mapping[str, str]

    def find(self, point: str, condition: str = LEARNED) -> int | None:
        """Return the index of a row, None where there is none."""
        found = [i for i, row in enumerate(self.rows) if (row.point, row.condition) == (point, condition)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row a probe."""
        return pd.DataFrame([_line(row) for row in self.rows])


def _line(row: ProbeRow) -> dict[str, object]:
    selectivity = row.selectivity or Estimate(np.nan)
    return {
        "point": row.point,
        "condition": row.condition,
        "accuracy": row.accuracy.value,
        "low": row.accuracy.low,
        "high": row.accuracy.high,
        "n": row.accuracy.n,
        "cross_entropy_nats": row.cross_entropy.value,
        "C": row.c,
        "dim": row.dim,
        "selectivity": selectivity.value,
        "selectivity_low": selectivity.low,
        "selectivity_high": selectivity.high,
    }


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

    The probe is `analysis.linear_probe.fit_probe`. At the log-mel, the encoder and every layer it stands
    beside `analysis.probe_controls`: 20 nearest neighbours, the same probe on 256 principal components (so
    that size alone explains nothing), and the control task of Hewitt and Liang 2019.

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
    folds = make_folds(recordings, split, seed)
    held = recordings.split(split)
    points = list(held.points if points is None else points)
    if RAW_POINT in held.points and RAW_POINT not in points:
        points.insert(0, RAW_POINT)
    missing = {} if twin is not None else {UNTRAINED: "no untrained twin was recorded"}
    dealt, n_types = None, None
    if RAW_POINT in held.points:
        dealt, n_types = control_task(recordings, folds, seed)
    else:
        missing[CONTROL_TASK] = "it groups clips by their sound, and no log-mel was recorded"
    tasks = _Tasks(folds, folds.words(recordings), dealt, pooling, seed)
    jobs = [
        (point, of) for point in points for of in (LEARNED, UNTRAINED) if of == LEARNED or _has(twin, point)
    ]
    found: dict[tuple[str, str], Reading] = {}
    nulls: dict[str, list[Reading]] = {}
    for i, (point, of) in enumerate(jobs):
        if progress is not None:
            progress(i / len(jobs), f"probing {point} ({of})")
        whole = point in recordings.points and point not in _DERIVED
        if of == LEARNED or twin is None:
            code = tasks.folds.code(recordings, point, pooling)
            readings = _read_learned(recordings, point, code, tasks, whole)
            nulls[point] = _read_null(recordings, point, code, tasks, readings[LEARNED].c)
            readings[SHUFFLED] = _averaged(nulls[point])
        else:
            readings = _read_untrained(twin, point, tasks, whole)
        found |= {(point, condition): reading for condition, reading in readings.items()}
    n_words = len(recordings.class_names)
    found["", CHANCE] = _commonest(tasks.words, n_words)
    if dealt is not None:
        found["", CONTROL_CHANCE] = _commonest(dealt, n_words)
    return ProbeResult(
        provenance=recordings.provenance(
            split,
            command,
            points=points,
            pooling=pooling,
            seed=seed,
            n_components=N_COMPONENTS,
            n_neighbors=N_NEIGHBORS,
            n_types=n_types,
        ),
        rows=[
            _null_row(nulls[key[0]], key) if key[1] == SHUFFLED else _row(key, found, held, seed)
            for key in found
        ],
        correct=np.stack([reading.correct for reading in found.values()]),
        chosen_on=folds.chosen_on,
        axes={
            "accuracy": f"accuracy on {split} | fraction of clips",
            "correct": f"probe, clip of {split} | 1 where the word is right",
            "confusion": f"true word, word read | clips of {split}",
        },
        words=list(recordings.class_names),
        confusion={
            point: _confusion(held.labels, reading.predicted, n_words)
            for (point, condition), reading in found.items()
            if condition == LEARNED
        },
        not_applicable=missing,
    )


class _Tasks(NamedTuple):
    """What every point is probed for."""

    folds: Folds
    words: Parts
    dealt: Parts | None  # the control task
    pooling: str
    seed: int

    def word(self, recordings: Recordings, point: str, **settings: Any) -> Reading:
        """Probe for the word."""
        return fit_probe(
            recordings, point, split=self.folds.split, pooling=self.pooling, seed=self.seed, **settings
        ).reading

    def control(self, code: Parts) -> Reading:
        """Probe for the word that the kind of sound was dealt."""
        assert self.dealt is not None
        return fit_linear(code, self.dealt, self.folds)


def _has(twin: Recordings | None, point: str) -> bool:
    return twin is not None and all(point in split.points for split in twin.splits.values())


def _read_learned(
    recordings: Recordings, point: str, code: Parts, tasks: _Tasks, whole: bool
) -> dict[str, Reading]:
    """Probe a point and, where it is a whole code, everything but the null that stands beside it."""
    found = {LEARNED: tasks.word(recordings, point, code=code)}
    if whole:
        small = reduced(code, seed=tasks.seed)
        found[REDUCED] = tasks.word(recordings, point, code=small, n_components=N_COMPONENTS)
        found[NEIGHBORS] = nearest_neighbours(small, tasks.words)
        if tasks.dealt is not None:
            found[CONTROL_TASK] = tasks.control(code)
    return found


def _read_untrained(twin: Recordings, point: str, tasks: _Tasks, whole: bool) -> dict[str, Reading]:
    code = tasks.folds.code(twin, point, tasks.pooling)
    found = {UNTRAINED: tasks.word(twin, point, code=code)}
    if whole and tasks.dealt is not None:
        found[UNTRAINED_CONTROL] = tasks.control(code)
    return found


def _read_null(
    recordings: Recordings, point: str, code: Parts, tasks: _Tasks, c: float | None
) -> list[Reading]:
    """Probe a point for permuted words, some permutations, with the C of the true ones."""
    draws = (tasks._replace(seed=tasks.seed + draw) for draw in range(N_NULLS))
    return [draw.word(recordings, point, code=code, shuffled_at=c) for draw in draws]


def _averaged(draws: Sequence[Reading]) -> Reading:
    correct = np.mean([draw.correct for draw in draws], axis=0)
    return replace(draws[0], correct=correct, cross_entropy=np.mean([d.cross_entropy for d in draws], axis=0))


def _null_row(draws: Sequence[Reading], key: tuple[str, str]) -> ProbeRow:
    accuracy = mean_over_draws(np.array([draw.correct.mean() for draw in draws]))
    entropy = mean_over_draws(np.array([draw.cross_entropy.mean() for draw in draws]))
    return ProbeRow(*key, accuracy, entropy, draws[0].c, draws[0].dim)


def _row(
    key: tuple[str, str], found: Mapping[tuple[str, str], Reading], held: SplitRecordings, seed: int
) -> ProbeRow:
    point, condition = key
    reading, groups = found[key], held.groups
    word = {CONTROL_TASK: LEARNED, UNTRAINED_CONTROL: UNTRAINED}.get(condition)
    selectivity = None
    if word is not None:
        selectivity = bootstrap_difference(found[point, word].correct, reading.correct, groups, seed=seed)
    return ProbeRow(
        point,
        condition,
        bootstrap_mean(reading.correct, groups, seed=seed),
        bootstrap_mean(reading.cross_entropy, groups, seed=seed),
        reading.c,
        reading.dim or None,
        selectivity,
    )


def _commonest(labels: Parts, n_words: int) -> Reading:
    """Return what saying the commonest training word, or its share, gives on each clip."""
    counts = np.bincount(labels.train, minlength=n_words)
    entropy = -np.log(np.maximum(counts / counts.sum(), 1e-12))[labels.held]
    commonest = np.full(len(labels.held), counts.argmax())
    return Reading((labels.held == commonest).astype(np.uint8), entropy, commonest, 0)


def _confusion(labels: np.ndarray, predicted: np.ndarray, n_words: int) -> np.ndarray:
    counts = np.zeros((n_words, n_words), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts
