"""How many bits about the word can be read off linearly, and how many a spike carries: a lower bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.controls import SUBJECT, possible_controls
from analysis.linear_reader import LinearReader, linear_reader
from analysis.pooling import pooled, pooled_blocks
from analysis.reconstruction import default_points
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean, bootstrap_ratio

RAW_POINT, READOUT = "features", "readout"
_ENCODER = "encoder"
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class InformationRow:
    """The bound at one point of one encoder.

    Attributes
    ----------
    encoder : str
        ``learned`` for the recordings themselves, else a name from `analysis.controls`.
    point : str
    bits : Estimate
        A clip; ``H(Y) - CE``.
    shuffled : Estimate
        The null: the same of a reader fitted to permuted labels; at most 0 but for chance.
    difference : Estimate or None
        Of a control encoder: the bits of the subject's less its own, paired by clip.
    millibits_per_spike : Estimate or None
        Bits over spikes, both summed over clips, in thousandths of a bit; None where nothing spikes.
    spikes : float or None
        Mean of a clip.
    c : float
        Inverse L2 penalty chosen.
    dim : int
        Inputs of the reader.
    """

    encoder: str
    point: str
    bits: Estimate
    shuffled: Estimate
    difference: Estimate | None
    millibits_per_spike: Estimate | None
    spikes: float | None
    c: float
    dim: int


@dataclass(frozen=True)
class InformationResult(Result):
    """Bounds on the information about the word.

    Attributes
    ----------
    rows : list of InformationRow
    entropy_bits : float
        H(Y) of the evaluated labels: no bound can exceed it.
    prior_bits : float
        Cross-entropy of the evaluated labels under the word shares of the training split: what knowing no
        more than these costs.
    chosen_on : str
        The clips that decided the penalties.
    axes : mapping of str to str
    not_applicable : mapping of str to str
        Control -> why there is none.
    """

    rows: list[InformationRow]
    entropy_bits: float
    prior_bits: float
    chosen_on: str
    axes: Mapping[str, str]
    not_applicable: Mapping[str, str]

    def find(self, encoder: str, point: str) -> InformationRow | None:
        """Return a row, None where there is none."""
        return next((row for row in self.rows if (row.encoder, row.point) == (encoder, point)), None)

    def to_table(self) -> pd.DataFrame:
        """Return one row an encoder and point, then the entropies."""
        lines: list[dict[str, object]] = [_line(row) for row in self.rows]
        for what, value in (
            ("entropy of the word", self.entropy_bits),
            ("cross-entropy, training shares", self.prior_bits),
        ):
            lines.append({"encoder": what, "bits": value})
        lines += [
            {"encoder": what, "point": f"not applicable: {why}"} for what, why in self.not_applicable.items()
        ]
        return pd.DataFrame(lines)


def _line(row: InformationRow) -> dict[str, object]:
    less, per_spike = (found or Estimate(np.nan) for found in (row.difference, row.millibits_per_spike))
    return {
        "encoder": row.encoder,
        "point": row.point,
        "bits": row.bits.value,
        "low": row.bits.low,
        "high": row.bits.high,
        "n": row.bits.n,
        "shuffled": row.shuffled.value,
        "shuffled_low": row.shuffled.low,
        "shuffled_high": row.shuffled.high,
        "difference": less.value,
        "difference_low": less.low,
        "difference_high": less.high,
        "millibits_per_spike": per_spike.value,
        "per_spike_low": per_spike.low,
        "per_spike_high": per_spike.high,
        "spikes_per_clip": row.spikes,
        "C": row.c,
        "dim": row.dim,
    }


def information(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    controls: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> InformationResult:
    """Bound the information about the word from below, in bits a clip and a spike.

    ``I(Y; Z) >= H(Y) - CE`` for any reader of Z (Barber and Agakov 2003): H(Y) is that of the evaluated
    labels, CE the cross-entropy of a linear reader of counts in 10 windows on the same clips, its penalty
    chosen off them. What the reader misses is not shown to be absent; where it is worse than knowing nothing
    the bound is negative. Layers of a trained network are read by penalties chosen on clips that it has seen.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    points : sequence of str, optional
        The log-mel, the encoder, its layers and the readout by default.
    split : {"validation", "test"}
    controls : bool
        Also read the control encoders, where the encoder is among the points.

    Raises
    ------
    SpikelensError
        Unknown point, a missing split, or the split the reader is fitted on.
    """
    report = progress or (lambda fraction, message: None)
    held = recordings.split(split)
    points = _points(recordings, points)
    others: Mapping[str, Recordings] = {}
    missing: dict[str, str] = {}
    if controls and _ENCODER in points:
        others, missing = possible_controls(recordings, seed=seed, progress=lambda f, m: report(0.2 * f, m))
    jobs = [(SUBJECT, point, recordings) for point in points]
    jobs += [(name, _ENCODER, control) for name, control in others.items()]
    shares = np.bincount(held.labels, minlength=len(recordings.class_names)) / len(held)
    read: dict[tuple[str, str], _Read] = {}
    for i, (encoder, point, source) in enumerate(jobs):
        report(0.2 + 0.8 * i / len(jobs), f"bits of {point}, {encoder}")
        read[encoder, point] = _read(source, split, point, shares, seed)
    own = read.get((SUBJECT, _ENCODER))
    known = np.bincount(recordings.split("train").labels, minlength=len(shares))
    return InformationResult(
        provenance=recordings.provenance(split, command, points=points, seed=seed),
        rows=[_row(*key, each, own, held.groups, seed) for key, each in read.items()],
        entropy_bits=float(-np.log2(shares[held.labels]).mean()),
        prior_bits=float(-np.log2(np.maximum(known / known.sum(), 1e-12))[held.labels].mean()),
        chosen_on=next(iter(read.values())).reader.chosen_on,
        axes={
            "bits": "lower bound on the information about the word | bits a clip",
            "millibits_per_spike": "the bound over the spikes | thousandths of a bit",
        },
        not_applicable=missing,
    )


def _points(recordings: Recordings, points: Sequence[str] | None) -> list[str]:
    """Return the points to read, the log-mel first where it was recorded."""
    if points is None:
        points = default_points(recordings)
        points += [READOUT] if READOUT in recordings.points else []
    raw = [RAW_POINT] if RAW_POINT in recordings.points else []
    return [*raw, *(point for point in points if point != RAW_POINT)]


@dataclass(frozen=True)
class _Read:
    bits: np.ndarray  # (n,) of each clip
    shuffled: np.ndarray  # (n,)
    spikes: np.ndarray | None  # (n,)
    reader: LinearReader


def _read(recordings: Recordings, split: str, point: str, shares: np.ndarray, seed: int) -> _Read:
    held = recordings.split(split)
    x = pooled(held, point)
    surprise = -np.log2(shares[held.labels])  # its mean is H(Y)
    readers = [linear_reader(recordings, point, split=split, seed=seed, shuffled=s) for s in (False, True)]
    bits, null = (
        surprise + reader.log_probability(x)[np.arange(len(held)), held.labels] / np.log(2)
        for reader in readers
    )
    return _Read(bits, null, _spikes(held, point), readers[0])


def _spikes(held: SplitRecordings, point: str) -> np.ndarray | None:
    """Return the spikes of each clip, None at a point that does not spike."""
    if held.load(point, slice(0, 1)).dtype != np.uint8:
        return None
    return np.concatenate([values.sum(axis=1) for _, values in pooled_blocks(held, point, "counts")])


def _row(
    encoder: str, point: str, found: _Read, own: _Read | None, groups: np.ndarray, seed: int
) -> InformationRow:
    difference = per_spike = None
    if own is not None and encoder != SUBJECT:
        difference = bootstrap_difference(own.bits, found.bits, groups, seed=seed)
    if found.spikes is not None and found.spikes.any():
        per_spike = bootstrap_ratio(1000 * found.bits, found.spikes, groups, seed=seed)
    return InformationRow(
        encoder,
        point,
        bootstrap_mean(found.bits, groups, seed=seed),
        bootstrap_mean(found.shuffled, groups, seed=seed),
        difference,
        per_spike,
        None if found.spikes is None else float(found.spikes.mean()),
        found.reader.c,
        found.reader.dim,
    )
