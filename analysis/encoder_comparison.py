"""Which encoder's spikes tell the word best? Encoders on the same clips, read by the same probe, paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import controls
from analysis.linear_probe import (
    N_COMPONENTS,
    Folds,
    Parts,
    Reading,
    choose_c,
    fit_linear,
    fit_probe,
    make_folds,
    reduced,
)
from analysis.recordings import Recordings, SplitRecordings
from analysis.reference import events_per_frame
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean, mcnemar
from models.errors import SpikelensError

LOG_MEL = "log-mel"
RANDOM_MEAN = f"{controls.RANDOM}, mean"
LINEAR, SMALL = "linear", f"{N_COMPONENTS} dimensions"
FEW_LABELS = (10, 50, 200)
N_DRAWS = 5
_RATE_TOLERANCE = 0.02  # within which two event rates count as one
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class EncoderRow:
    """One encoder, read in one way.

    Attributes
    ----------
    encoder : str
        "learned", a name of `analysis.controls`, "log-mel", or the name of the second subject.
    reading : str
        "linear" as it is; "256 dimensions", on as many principal components; "10 clips a word" and so on, the
        same fitted to a few clips, mean over draws.
    accuracy : Estimate
        Fraction of clips.
    cross_entropy : Estimate
        Nats a clip.
    subject_minus : Estimate or None
        Accuracy of the subject less this one's, paired by clip; None for the subject.
    mcnemar_p : float or None
        Two-sided p-value that both err equally often (McNemar 1947), by speaker: over clips as if they were
        independent it would reject too often. Exact over clips where speakers are unknown; None for means.
    events_per_frame : float or None
        Mean number of spikes on the measured split; None where nothing spikes.
    rate_matched : bool or None
        Whether its event rate in training is within 2 % of the subject's.
    sd : float or None
        Of the accuracy over draws, of clips or of random steps.
    c : float or None
        Inverse L2 penalty.
    dim : int
    """

    encoder: str
    reading: str
    accuracy: Estimate
    cross_entropy: Estimate
    subject_minus: Estimate | None
    mcnemar_p: float | None
    events_per_frame: float | None
    rate_matched: bool | None
    sd: float | None
    c: float | None
    dim: int


@dataclass(frozen=True)
class EncodersResult(Result):
    """Encoders in the order of `rows`.

    Attributes
    ----------
    rows : list of EncoderRow
    correct : np.ndarray [shape=(n_rows, n_clips)]
        1 where the word is right; the mean over draws where there are several.
    chosen_on : str
        The clips that decided C.
    n_draws : int
        Of clips, for each number of labels.
    not_applicable : mapping of str to str
        Encoder or reading -> why there is none.
    axes : mapping of str to str
    """

    rows: list[EncoderRow]
    correct: Array
    chosen_on: str
    n_draws: int
    not_applicable: Mapping[str, str]
    axes: Mapping[str, str]

    def find(self, encoder: str, reading: str = LINEAR) -> EncoderRow | None:
        """Return a row, None where there is none."""
        return next((row for row in self.rows if (row.encoder, row.reading) == (encoder, reading)), None)

    def to_table(self) -> pd.DataFrame:
        """Return one row an encoder and reading."""
        return pd.DataFrame([_line(row) for row in self.rows])


def _line(row: EncoderRow) -> dict[str, object]:
    less = row.subject_minus or Estimate(np.nan)
    return {
        "encoder": row.encoder,
        "reading": row.reading,
        "accuracy": row.accuracy.value,
        "low": row.accuracy.low,
        "high": row.accuracy.high,
        "n": row.accuracy.n,
        "cross_entropy_nats": row.cross_entropy.value,
        "subject_minus": less.value,
        "subject_minus_low": less.low,
        "subject_minus_high": less.high,
        "mcnemar_p": row.mcnemar_p,
        "events_per_frame": row.events_per_frame,
        "rate_matched": row.rate_matched,
        "sd_over_draws": row.sd,
        "C": row.c,
        "dim": row.dim,
    }


@dataclass(frozen=True)
class _Scores:
    """What one reading gave on the clips held out; means where there were several draws."""

    correct: np.ndarray
    cross_entropy: np.ndarray
    c: float | None
    dim: int
    sd: float | None = None


def compare_encoders(
    recordings: Recordings,
    *,
    split: str = "validation",
    against: Recordings | None = None,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> EncodersResult:
    """Read the word from the subject's encoder and from its controls with the same linear probe.

    Each encoder's activity in 10 windows is read as it is, on 256 principal components (no encoder has more
    room than another), and on these components with few labels: the components take no labels, C is chosen on
    the first draw. Rows at the subject's event rate are marked; without that, more spikes alone may explain a
    difference.

    Parameters
    ----------
    recordings : Recordings
        With an ``encoder`` and a training split; without ``features`` there are no controls.
    split : {"validation", "test"}
    against : Recordings, optional
        A second subject on the same clips.
    n_draws : int
        Of 10, 50 and 200 clips a word.

    Raises
    ------
    SpikelensError
        No encoder was recorded, a split is missing, or `against` is the subject or holds other clips.
    """
    report = progress or (lambda fraction, message: None)
    folds = make_folds(recordings, split, seed)
    if against is not None:
        _same_clips(recordings, against, split)
    codes, missing = _codes(recordings, against, seed, lambda _, message: report(0.0, message))
    words, held = folds.words(recordings), recordings.split(split)
    draws, too_few = _draws(words, folds, n_draws, seed)
    scores: dict[tuple[str, str], _Scores] = {}
    for i, (name, (source, point)) in enumerate(codes.items()):
        report(0.1 + 0.9 * i / len(codes), f"reading {name}")
        read = _read(source, point, words, folds, draws, seed)
        scores |= {(name, reading): found for reading, found in read.items()}
    scores |= _random_means(scores)
    rates = {name: _rates(*code, split) for name, code in codes.items()}
    return EncodersResult(
        recordings.provenance(split, command, against=against and against.name, n_draws=n_draws, seed=seed),
        rows=[_row(key, scores, rates, held, seed) for key in scores],
        correct=np.stack([found.correct for found in scores.values()]),
        chosen_on=folds.chosen_on,
        n_draws=n_draws,
        not_applicable=missing | too_few,
        axes={
            "accuracy": f"accuracy on {split} | fraction of clips",
            "subject_minus": "accuracy of the subject less this encoder's | fraction of clips",
        },
    )


def _codes(
    recordings: Recordings, against: Recordings | None, seed: int, progress: Progress
) -> tuple[dict[str, tuple[Recordings, str]], dict[str, str]]:
    """Return recordings and point by name, the subject first, and why controls are missing."""
    found = {controls.SUBJECT: (recordings, "encoder")}
    missing: dict[str, str] = {}
    if against is not None:
        found[against.name] = (against, "encoder")
    if "features" not in recordings.points:
        missing["control encoders"] = "they encode the log-mel, and none was recorded"
        return found, missing
    if "encoder" not in recordings.spiking_points:
        missing["control encoders"] = "the encoder does not spike, so there is no event rate to match"
    else:
        others = controls.control_encoders(recordings, seed=seed, progress=progress)
        found |= {name: (each, "encoder") for name, each in others.items()}
        if controls.MATCHED not in others:
            missing[controls.MATCHED] = "no steps reach the event rate of this encoder"
    return found | {LOG_MEL: (recordings, "features")}, missing


def _same_clips(recordings: Recordings, against: Recordings, split: str) -> None:
    if against.digest == recordings.digest:
        raise SpikelensError(f"against: {against.name} is the subject itself")
    for name in ("train", split):
        ours, theirs = recordings.split(name), against.split(name)
        same_ids = "import" in (recordings.source, against.source) or ours.clip_ids == theirs.clip_ids
        if not (np.array_equal(ours.labels, theirs.labels) and same_ids):
            raise SpikelensError(f"against: {against.name} was not recorded on the same {name} clips")


def _draws(
    words: Parts, folds: Folds, n_draws: int, seed: int
) -> tuple[dict[str, list[np.ndarray]], dict[str, str]]:
    """Return rows of train by number of labels, from clips that do not choose C; and what cannot be drawn."""
    rows = np.arange(len(words.train))[folds.fit]
    labels = words.train[rows]
    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    found: dict[str, list[np.ndarray]] = {}
    missing: dict[str, str] = {}
    for n in FEW_LABELS:
        name = f"{n} clips a word"
        if n > fewest:
            missing[name] = f"a word has only {fewest} clips to draw from"
            continue
        found[name] = []
        for draw in range(n_draws):
            order = np.random.default_rng([seed, n, draw]).permutation(len(rows))
            chosen = [order[labels[order] == word][:n] for word in np.unique(labels)]
            found[name].append(rows[np.sort(np.concatenate(chosen))])
    return found, missing


def _read(
    recordings: Recordings,
    point: str,
    words: Parts,
    folds: Folds,
    draws: Mapping[str, list[np.ndarray]],
    seed: int,
) -> dict[str, _Scores]:
    """Read one encoder in every way."""
    code = folds.code(recordings, point)
    small = reduced(code, seed=seed)
    whole = fit_probe(recordings, point, split=folds.split, seed=seed, code=code)
    few = fit_probe(recordings, point, split=folds.split, n_components=N_COMPONENTS, seed=seed, code=small)
    found = {LINEAR: _scores([whole.reading]), SMALL: _scores([few.reading])}
    for name, drawn in draws.items():
        parts = [(small._replace(train=small.train[r]), words._replace(train=words.train[r])) for r in drawn]
        everything = replace(folds, fit=slice(None))  # a draw holds no clip that chooses
        c = choose_c(*parts[0], everything, scaled=False)
        found[name] = _scores([fit_linear(x, y, everything, c=c, scaled=False) for x, y in parts])
    return found


def _scores(readings: list[Reading]) -> _Scores:
    correct = np.stack([reading.correct for reading in readings]).astype(np.float64)
    entropy = np.stack([reading.cross_entropy for reading in readings])
    sd = float(correct.mean(axis=1).std(ddof=1)) if len(readings) > 1 else None
    return _Scores(correct.mean(axis=0), entropy.mean(axis=0), readings[0].c, readings[0].dim, sd)


def _random_means(scores: Mapping[tuple[str, str], _Scores]) -> dict[tuple[str, str], _Scores]:
    """Return the mean over draws of random steps, by reading; its spread is that over the draws of steps."""
    by_reading: dict[str, list[_Scores]] = {}
    for (name, reading), found in scores.items():
        if name.startswith(controls.RANDOM):
            by_reading.setdefault(reading, []).append(found)
    means = {}
    for reading, drawn in by_reading.items():
        sd = float(np.std([each.correct.mean() for each in drawn], ddof=1))
        correct = np.mean([each.correct for each in drawn], axis=0)
        entropy = np.mean([each.cross_entropy for each in drawn], axis=0)
        means[RANDOM_MEAN, reading] = _Scores(correct, entropy, None, drawn[0].dim, sd)
    return means


def _rates(recordings: Recordings, point: str, split: str) -> tuple[float, float] | None:
    """Return events per frame on train and on the measured split, None where nothing spikes."""
    if point not in recordings.spiking_points:
        return None
    return events_per_frame(recordings, "train"), events_per_frame(recordings, split)


def _row(
    key: tuple[str, str],
    scores: Mapping[tuple[str, str], _Scores],
    rates: Mapping[str, tuple[float, float] | None],
    held: SplitRecordings,
    seed: int,
) -> EncoderRow:
    name, reading = key
    groups, speakers = held.groups, None if held.speakers is None else held.groups
    found, subject, own = scores[key], scores[controls.SUBJECT, reading], rates[controls.SUBJECT]
    rate = rates.get(name)
    is_other = name != controls.SUBJECT
    one_each = reading in (LINEAR, SMALL) and name != RANDOM_MEAN
    return EncoderRow(
        name,
        reading,
        bootstrap_mean(found.correct, groups, seed=seed),
        bootstrap_mean(found.cross_entropy, groups, seed=seed),
        bootstrap_difference(subject.correct, found.correct, groups, seed=seed) if is_other else None,
        mcnemar(subject.correct, found.correct, speakers, seed) if is_other and one_each else None,
        None if rate is None else rate[1],
        None if rate is None or own is None else bool(abs(rate[0] - own[0]) <= _RATE_TOLERANCE * own[0]),
        found.sd,
        found.c,
        found.dim,
    )
