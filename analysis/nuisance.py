"""What a code keeps that the word does not need: speaker, level, noise, and how the word was spoken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from analysis.controls import MATCHED
from analysis.linear_probe import N_COMPONENTS, N_NULLS, Folds, Parts, fit_linear, reduced, shuffled
from analysis.nuisance_clips import (
    LEVEL,
    NOISE,
    SPEAKER,
    UNTRAINED,
    Questions,
    across_speakers,
    changed_sound,
    code_sources,
    within_train,
)
from analysis.recordings import Recordings
from analysis.reference import faithful_reference
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_ratio
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

ACCURACY, R2 = "accuracy", "R2"
_PENALTIES = tuple(10.0**k for k in range(7))  # of the ridge regression
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class NuisanceRow:
    """One property, read from one code.

    Attributes
    ----------
    target : str
        "word" is the positive control: what a task-aligned code must keep.
    measure : {"accuracy", "R2"}
    code : str
        ``features``, ``encoder``, a hidden layer, "SF2-rec@r", or a layer of the untrained twin.
    value : Estimate
    null : Estimate
        The same fitted to permuted values: mean and range of five permutations.
    chance : float
        Accuracy of the commonest kind; 0 for R2.
    reference : str
        The code that knows nothing of the task: SF2-rec@r for the encoder, the untrained twin's layer for a
        layer; empty for others.
    difference : Estimate or None
        `value` less that of `reference`, paired by clip: below 0 where the task cost this property.
    """

    target: str
    measure: str
    code: str
    value: Estimate
    null: Estimate
    chance: float
    reference: str
    difference: Estimate | None


@dataclass(frozen=True)
class NuisanceResult(Result):
    """Properties by code.

    Attributes
    ----------
    rows : list of NuisanceRow
        Target by target.
    clips : mapping of str to str
        Target -> the clips it was read from.
    dim : int
        Inputs of every probe, at most.
    not_applicable : mapping of str to str
        Target or code -> why it is not here.
    axes : mapping of str to str
    """

    rows: list[NuisanceRow]
    clips: Mapping[str, str]
    dim: int
    not_applicable: Mapping[str, str]
    axes: Mapping[str, str]

    def targets(self) -> list[str]:
        """Return the targets in order."""
        return list(dict.fromkeys(row.target for row in self.rows))

    def find(self, target: str, code: str) -> NuisanceRow | None:
        """Return a row, None where there is none."""
        return next((row for row in self.rows if (row.target, row.code) == (target, code)), None)

    def to_table(self) -> pd.DataFrame:
        """Return one row a target and code."""
        return pd.DataFrame([_line(row) for row in self.rows])


def _line(row: NuisanceRow) -> dict[str, object]:
    less = row.difference or Estimate(np.nan)
    return {
        "target": row.target,
        "measure": row.measure,
        "code": row.code,
        "value": row.value.value,
        "low": row.value.low,
        "high": row.value.high,
        "n": row.value.n,
        "shuffled": row.null.value,
        "shuffled_low": row.null.low,
        "shuffled_high": row.null.high,
        "chance": row.chance,
        "reference": row.reference,
        "difference": less.value,
        "difference_low": less.low,
        "difference_high": less.high,
    }


def probe_nuisances(
    recordings: Recordings,
    *,
    split: str = "validation",
    twin: Recordings | None = None,
    model: tuple[Checkpoint, AudioDataset] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> NuisanceResult:
    """Ask every stage for what the word does not need, with probes of one size.

    Activity in 10 windows, standardised, on 256 principal components; kinds are read by the linear probe of
    `analysis.linear_probe`, sizes by ridge regression, penalties chosen on a fifth of the clips that fit.
    The speaker is read inside the training split, whose clips are dealt by speaker; level and noise are put
    into the waveform and encoded anew; the rest is what the data set knows of its clips. A task-aligned code
    should lose these and keep the word.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    split : {"validation", "test"}
    twin : Recordings, optional
        Of the untrained twin.
    model : (Checkpoint, AudioDataset), optional
        For level and noise.

    Raises
    ------
    SpikelensError
        A split is missing, or is what the probe is fitted on.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the probe is fitted on; allowed: validation, test")
    report = progress or (lambda fraction, message: None)
    reference, missing = _reference(recordings, lambda _, message: report(0.0, message))
    if twin is None:
        missing[UNTRAINED] = "no untrained twin was recorded"
    sources = code_sources(recordings, reference, twin)
    questions = [across_speakers(recordings, sources, split, seed)]
    try:
        inside, left_out = within_train(recordings, sources, split, seed)
        questions, missing = questions + inside, missing | left_out
    except SpikelensError as error:
        missing[SPEAKER] = str(error)
    if model is None:
        missing |= dict.fromkeys((LEVEL, NOISE), "the sound has to be encoded anew, which takes the model")
    else:
        from analysis.model_clips import twin_of

        report(0.1, "preparing the untrained twin")
        questions += changed_sound(*model, reference, twin_of(*model), questions[0].deal, seed)
    rows: list[NuisanceRow] = []
    for i, asked in enumerate(questions):
        start, share = 0.1 + 0.9 * i / len(questions), 0.9 / len(questions)
        rows += _answers(asked, list(sources), seed, partial(_within, report, start, share))
    return NuisanceResult(
        recordings.provenance(split, command, seed=seed, n_components=N_COMPONENTS),
        rows=rows,
        clips={target: asked.clips for asked in questions for target in asked.targets},
        dim=N_COMPONENTS,
        not_applicable=missing,
        axes={"accuracy": "fraction of clips", "R2": "share of the variance explained | 1"},
    )


def _within(report: Progress, start: float, share: float, fraction: float, words: str) -> None:
    report(start + share * fraction, words)


def _reference(recordings: Recordings, progress: Progress) -> tuple[Recordings | None, dict[str, str]]:
    if "features" not in recordings.points or "encoder" not in recordings.spiking_points:
        return None, {MATCHED: "it takes the log-mel, and spikes whose rate is to be met"}
    reference = faithful_reference(recordings, progress=progress)
    if not reference.extra["rate_matched"]:
        return None, {MATCHED: "no steps reach the event rate of this encoder"}
    return reference, {}


class _Score(NamedTuple):
    """What one probe got right; the measure is the ratio of the sums.

    Attributes
    ----------
    gained, possible : np.ndarray [shape=(n,)]
        Of kinds: 1 where right, and 1. Of sizes: the squared error that the probe takes off that of the
        training mean, and the latter.
    penalty : float
    """

    gained: np.ndarray
    possible: np.ndarray
    penalty: float


def _answers(asked: Questions, names: list[str], seed: int, progress: Progress) -> list[NuisanceRow]:
    """Ask every code for every target."""
    folds, groups = asked.deal.folds, asked.deal.groups
    scores: dict[tuple[str, str], _Score] = {}
    nulls: dict[tuple[str, str], Estimate] = {}
    for i, name in enumerate(names):
        progress(i / len(names), f"asking {name} for {', '.join(asked.targets)}")
        code = reduced(asked.code(name), seed=seed)
        for target, values in asked.targets.items():
            scores[target, name] = found = _score(code, values, folds)
            nulls[target, name] = _null(code, values, folds, found.penalty, seed)

    def row(target: str, values: Parts, name: str) -> NuisanceRow:
        found, other, difference = scores[target, name], _reference_of(name, names), None
        if other:
            less = found.gained - scores[target, other].gained
            difference = bootstrap_ratio(less, found.possible, groups, seed=seed)
        return NuisanceRow(
            target,
            ACCURACY if _is_kind(values) else R2,
            name,
            bootstrap_ratio(found.gained, found.possible, groups, seed=seed),
            nulls[target, name],
            _chance(values),
            other,
            difference,
        )

    return [row(target, values, name) for target, values in asked.targets.items() for name in names]


def _null(code: Parts, values: Parts, folds: Folds, penalty: float, seed: int) -> Estimate:
    """Return mean and range of fits to permuted values; one alone may be lucky where there are two kinds."""
    fits = [_score(code, shuffled(values, seed + draw), folds, penalty) for draw in range(N_NULLS)]
    found = [float(fit.gained.sum() / fit.possible.sum()) for fit in fits]
    return Estimate(float(np.mean(found)), min(found), max(found), len(values.held))


def _chance(values: Parts) -> float:
    if not _is_kind(values):
        return 0.0
    return float((values.held == np.bincount(values.train).argmax()).mean())


def _reference_of(name: str, names: list[str]) -> str:
    other = MATCHED if name == "encoder" else f"{name}, {UNTRAINED}"
    return other if other in names else ""


def _is_kind(values: Parts) -> bool:
    return values.train.dtype.kind in "iu"


def _score(code: Parts, values: Parts, folds: Folds, penalty: float | None = None) -> _Score:
    """Fit one probe, its penalty chosen unless it is given."""
    if _is_kind(values):
        reading = fit_linear(code, values, folds, c=penalty, scaled=False)
        assert reading.c is not None
        return _Score(reading.correct.astype(np.float64), np.ones(len(reading.correct)), reading.c)
    from sklearn.linear_model import Ridge

    def error(alpha: float, rows: slice | np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.square(y - Ridge(alpha=alpha).fit(code.train[rows], values.train[rows]).predict(x))

    if penalty is None:
        errors = [error(alpha, folds.fit, code.choose, values.choose).mean() for alpha in _PENALTIES]
        penalty = _PENALTIES[int(np.argmin(errors))]
    possible = np.square(values.held - values.train.mean())
    return _Score(possible - error(penalty, slice(None), code.held, values.held), possible, penalty)
