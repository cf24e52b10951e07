"""When does the word become decodable? One probe at each of ten times, on what has been counted so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.controls import MATCHED
from analysis.linear_probe import (
    N_NULLS,
    Folds,
    Parts,
    Reading,
    choose_c,
    fit_linear,
    make_folds,
    shuffled,
)
from analysis.pooling import running_counts, window_edges
from analysis.recordings import Recordings
from analysis.reference import faithful_reference
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_mean, mean_over_draws
from models.intervals import N_RESAMPLES

UNTRAINED = "untrained"  # what the twin's points are called: "layer1, untrained"
ACCURACY, SHUFFLED, HALF_TIME = "accuracy", "shuffled labels", "half-time"
_DERIVED = ("decoded", "residual", "readout")
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TimeRow:
    """One code at one time.

    Attributes
    ----------
    code : str
        ``features``, ``encoder``, a hidden layer, "SF2-rec@r", or a layer of the untrained twin.
    time_ms : float
        What came later was not counted.
    accuracy : Estimate
        Fraction of clips.
    shuffled : Estimate
        The same with permuted training labels, the null; the interval is over permutations.
    """

    code: str
    time_ms: float
    accuracy: Estimate
    shuffled: Estimate


@dataclass(frozen=True)
class HalfTime:
    """When a code reached half of its final accuracy above chance.

    Attributes
    ----------
    code : str
    time_ms : Estimate or None
        Between times the accuracy is taken to rise in a straight line, from chance at 0; None where the final
        accuracy is not above chance.
    after_features_ms : Estimate or None
        How much later than the log-mel, in the same resamples of speakers.
    """

    code: str
    time_ms: Estimate | None
    after_features_ms: Estimate | None


@dataclass(frozen=True)
class TimeResult(Result):
    """Accuracy over time by code.

    Attributes
    ----------
    rows : list of TimeRow
        Code by code, times ascending.
    half_times : list of HalfTime
    chance : float
        Accuracy of the commonest training word.
    chosen_on : str
        The clips that decided C.
    not_applicable : mapping of str to str
        Code -> why it is not here.
    axes : mapping of str to str
    """

    rows: list[TimeRow]
    half_times: list[HalfTime]
    chance: float
    chosen_on: str
    not_applicable: Mapping[str, str]
    axes: Mapping[str, str]

    def codes(self) -> list[str]:
        """Return the codes in order."""
        return list(dict.fromkeys(row.code for row in self.rows))

    def of(self, code: str) -> list[TimeRow]:
        """Return the rows of one code."""
        return [row for row in self.rows if row.code == code]

    def to_table(self) -> pd.DataFrame:
        """Return one row an estimate; of a half-time, `value` is in milliseconds."""
        lines = []
        for row in self.rows:
            for measure, found in ((ACCURACY, row.accuracy), (SHUFFLED, row.shuffled)):
                lines.append(_line(row.code, measure, row.time_ms, found))
        for half in self.half_times:
            lines.append(_line(half.code, HALF_TIME, None, half.time_ms))
            if half.after_features_ms is not None:
                lines.append(_line(half.code, f"{HALF_TIME} after features", None, half.after_features_ms))
        return pd.DataFrame(lines)


def _line(code: str, measure: str, time_ms: float | None, found: Estimate | None) -> dict[str, object]:
    found = found or Estimate(np.nan)
    return {
        "code": code,
        "measure": measure,
        "time_ms": time_ms,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
    }


def probe_over_time(
    recordings: Recordings,
    *,
    split: str = "validation",
    twin: Recordings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> TimeResult:
    """Probe for the word what has been counted by the end of each tenth of the clip.

    Counts since the start, so that every time has as many inputs (of the log-mel, its mean so far). The probe
    is `analysis.linear_probe.fit_linear`, fitted anew at each time; C is chosen once a code, at the end.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    split : {"validation", "test"}
    twin : Recordings, optional
        Of the untrained twin: its hidden layers stand beside the trained ones.

    Raises
    ------
    SpikelensError
        A split is missing, or is what the probe is fitted on.
    """
    report = progress or (lambda fraction, message: None)
    folds, held = make_folds(recordings, split, seed), recordings.split(split)
    words = folds.words(recordings)
    codes, missing = _codes(recordings, twin, lambda _, message: report(0.0, message))
    found: dict[str, list[tuple[Reading, list[Reading]]]] = {}
    for i, (name, (source, point)) in enumerate(codes.items()):
        report(0.1 + 0.9 * i / len(codes), f"{name} over time")
        found[name] = _read(source, point, words, folds, seed)
    times_ms = window_edges(held.n_steps)[1:] * recordings.dt_ms
    commonest = np.bincount(words.train).argmax()
    at_chance = (held.labels == commonest).astype(np.float64)
    rows = [
        TimeRow(
            name,
            float(time_ms),
            bootstrap_mean(word.correct, held.groups, seed=seed),
            mean_over_draws(np.array([null.correct.mean() for null in nulls])),
        )
        for name, readings in found.items()
        for time_ms, (word, nulls) in zip(times_ms, readings, strict=True)
    ]
    right = {
        name: np.stack([word.correct for word, _ in readings], axis=1) for name, readings in found.items()
    }
    return TimeResult(
        recordings.provenance(split, command, seed=seed),
        rows=rows,
        half_times=_half_times(right, at_chance, times_ms, held.groups, seed),
        chance=float(at_chance.mean()),
        chosen_on=folds.chosen_on,
        not_applicable=missing,
        axes={
            "time_ms": "time since the start of the clip | ms",
            "accuracy": f"accuracy on {split} | fraction of clips",
            "half-time": "half of the final accuracy above chance is reached | ms",
        },
    )


def _codes(
    recordings: Recordings, twin: Recordings | None, progress: Progress
) -> tuple[dict[str, tuple[Recordings, str]], dict[str, str]]:
    """Return recordings and point by name in the order of the signal's path, and why some are missing."""
    points = [name for name in recordings.points if name not in _DERIVED]
    found = {point: (recordings, point) for point in points}
    missing: dict[str, str] = {}
    if not {"features", "encoder"} <= set(points) or "encoder" not in recordings.spiking_points:
        missing[MATCHED] = "it takes the log-mel, and spikes whose rate is to be met"
    else:
        reference = faithful_reference(recordings, progress=progress)
        if reference.extra["rate_matched"]:
            found[MATCHED] = (reference, "encoder")
        else:
            missing[MATCHED] = "no steps reach the event rate of this encoder"
    if twin is None:
        missing[UNTRAINED] = "no untrained twin was recorded"
        return found, missing
    hidden = [point for point in points if point not in ("features", "encoder") and point in twin.points]
    return found | {f"{point}, {UNTRAINED}": (twin, point) for point in hidden}, missing


def _read(
    recordings: Recordings, point: str, words: Parts, folds: Folds, seed: int
) -> list[tuple[Reading, list[Reading]]]:
    """Return what the probe, and each permutation of its null, say at every time."""
    counts = folds.parts(recordings, lambda split: running_counts(split, point))
    at_times = [Parts(*(part[:, time] for part in counts)) for time in range(counts.train.shape[1])]
    c = choose_c(at_times[-1], words, folds)
    nulls = [shuffled(words, seed + draw) for draw in range(N_NULLS)]
    return [
        (fit_linear(x, words, folds, c=c), [fit_linear(x, null, folds, c=c) for null in nulls])
        for x in at_times
    ]


def _half_times(
    correct: Mapping[str, np.ndarray],
    at_chance: np.ndarray,
    times_ms: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> list[HalfTime]:
    """Return half-times by code with intervals over groups.

    Parameters
    ----------
    correct : mapping of str to np.ndarray [shape=(n, K)]
    at_chance : np.ndarray [shape=(n,)]
        1 where the commonest word is right.
    times_ms : np.ndarray [shape=(K,)]
    """
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    draws = np.random.default_rng(seed).integers(n_groups, size=(N_RESAMPLES, n_groups))
    draws = np.concatenate([np.arange(n_groups)[None], draws])  # the clips themselves first

    def resampled(values: np.ndarray) -> np.ndarray:
        sums = np.zeros((n_groups, *values.shape[1:]))
        np.add.at(sums, index, values)
        return sums[draws].sum(axis=1)

    n, chance = resampled(np.ones(len(index))), resampled(at_chance)
    crossed = {
        name: np.array(
            [
                half_time(row, low, times_ms)
                for row, low in zip(resampled(r) / n[:, None], chance / n, strict=True)
            ]
        )
        for name, r in correct.items()
    }
    raw = crossed.get("features")
    return [
        HalfTime(
            name,
            _interval(times, n_groups, len(index)),
            None if raw is None or name == "features" else _interval(times - raw, n_groups, len(index)),
        )
        for name, times in crossed.items()
    ]


def half_time(accuracy: np.ndarray, chance: float, times_ms: np.ndarray) -> float:
    """Return when half of the final accuracy above chance is reached, not-a-number if there is none.

    Parameters
    ----------
    accuracy, times_ms : np.ndarray [shape=(K,)]
    """
    gain = np.concatenate([[0.0], accuracy - chance])
    if gain[-1] <= 0:
        return np.nan
    times_ms, half = np.concatenate([[0.0], times_ms]), gain[-1] / 2
    after = int(np.argmax(gain >= half))
    share = (half - gain[after - 1]) / (gain[after] - gain[after - 1])
    return float(times_ms[after - 1] + share * (times_ms[after] - times_ms[after - 1]))


def _interval(values: np.ndarray, n_groups: int, n: int) -> Estimate | None:
    """Return the first value with the 95 % range of the others; None where some resample has none."""
    if not np.isfinite(values).all():
        return None
    if n_groups == 1:
        return Estimate(float(values[0]), n=n)
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high), n)
