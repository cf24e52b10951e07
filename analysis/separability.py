"""How the geometry of a code relates to words and to sound: Fisher ratios, neighbours, silhouette, CKA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.controls import SUBJECT, possible_controls
from analysis.recordings import Recordings
from analysis.result import Estimate, Result
from analysis.separability_measures import (
    CKA_LABELS,
    CKA_MEL,
    CKA_RATIO,
    FISHER,
    MAX_FIT,
    MAX_PAIRS,
    MEASURES,
    N_NEIGHBOURS,
    NEIGHBOURS,
    RAW_POINT,
    SHRUNK,
    SILHOUETTE,
    Design,
    Measured,
    measure,
)
from analysis.stats import permutation_p
from models.errors import SpikelensError

_MIN_CLIPS = 8
_ENCODER = "encoder"  # the point that control encoders have too
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SeparabilityRow:
    """One measure at one point of one encoder.

    Attributes
    ----------
    point : str
        ``features`` is the log-mel, the reference.
    measure : str
        One of `MEASURES`.
    value : Estimate
        Not-a-number where it does not apply, see `note`.
    null : Estimate or None
        Mean and 95 % range under permuted labels (`CKA_MEL`: permuted clips).
    p : float or None
        How often the null reaches the value.
    note : str
    encoder : str
        ``learned`` for the recordings themselves, else a name from `analysis.controls`.
    difference : Estimate or None
        Of a control encoder: the subject's value less its own, paired by speaker. Beside SF2-rec@r, the most
        faithful encoder at the same event rate, it is rate-matched.
    """

    point: str
    measure: str
    value: Estimate
    null: Estimate | None = None
    p: float | None = None
    note: str = ""
    encoder: str = SUBJECT
    difference: Estimate | None = None


@dataclass(frozen=True)
class SeparabilityResult(Result):
    """Measures at points.

    Attributes
    ----------
    rows : list of SeparabilityRow
    n_clips : int
        Clips of the split; silhouette and neighbours take a sample of them, see the `n` of each value.
    axes : mapping of str to str
        Measure -> meaning and unit.
    not_applicable : mapping of str to str
        Control -> why there is none.
    """

    rows: list[SeparabilityRow]
    n_clips: int
    axes: Mapping[str, str]
    not_applicable: Mapping[str, str]

    def find(self, point: str, measure: str, encoder: str = SUBJECT) -> SeparabilityRow | None:
        """Return a row, None where there is none."""
        wanted = (point, measure, encoder)
        return next((row for row in self.rows if (row.point, row.measure, row.encoder) == wanted), None)

    def to_table(self) -> pd.DataFrame:
        """Return one row an encoder, point and measure."""
        lines: list[dict[str, object]] = []
        for row in self.rows:
            value, null, less = row.value, row.null or Estimate(np.nan), row.difference or Estimate(np.nan)
            head: dict[str, object] = {"encoder": row.encoder, "point": row.point, "measure": row.measure}
            interval = {"value": value.value, "low": value.low, "high": value.high, "n": value.n}
            beside = {"null": null.value, "null_low": null.low, "null_high": null.high, "p": row.p}
            paired = {"difference": less.value, "difference_low": less.low, "difference_high": less.high}
            lines.append(head | interval | beside | paired | {"note": row.note})
        lines += [
            {"encoder": what, "note": f"not applicable: {why}"} for what, why in self.not_applicable.items()
        ]
        return pd.DataFrame(lines)


def separate(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    controls: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> SeparabilityResult:
    """Measure how activity in 10 windows is arranged by word, and how much like the log-mel.

    In 256 principal components, fitted on at most 10,000 training clips: the Fisher ratio
    ``tr(S_B) / tr(S_W)``, and ``tr(S_W^-1 S_B)`` with S_W shrunk (Ledoit and Wolf 2004). In 50 of them, by
    cosine, on a sample of at most 1,500 clips: the share of clips that the 20 nearest ones of other speakers
    name right, and the silhouette (Rousseeuw 1987). In all dimensions: debiased linear CKA (Kornblith 2019,
    Song 2012) with one-hot labels and with the log-mel. CKA follows the directions of largest variance and a
    few clips can move it (Davari 2022): read it beside the log-mel row.

    Intervals are over speakers: bootstrap of neighbours and silhouette, a jackknife of the rest, which copies
    of clips would inflate. Where speaker and word go together, labels are permuted within speakers.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    points : sequence of str, optional
        Every point, stream and ``residual`` by default; the log-mel is always added where it was recorded.
    split : str
    controls : bool
        Also measure the control encoders, where the encoder is among the points.

    Raises
    ------
    SpikelensError
        Unknown point or split, or fewer than 8 clips.
    """
    report = progress or (lambda fraction, message: None)
    held = recordings.split(split)
    points = list(held.points if points is None else points)
    if RAW_POINT in held.points:
        points = [RAW_POINT, *(p for p in points if p != RAW_POINT)]
    if len(held) < _MIN_CLIPS:
        raise SpikelensError(f"split: {split!r} has {len(held)} clips, at least {_MIN_CLIPS} are needed")
    others: Mapping[str, Recordings] = {}
    missing: dict[str, str] = {}
    if controls and _ENCODER in points:
        others, missing = possible_controls(recordings, seed=seed, progress=lambda f, m: report(0.2 * f, m))
    design = Design.of(held, len(recordings.class_names), seed)
    jobs = [(SUBJECT, point, recordings) for point in points]
    jobs += [(name, _ENCODER, control) for name, control in others.items()]
    start = 0.2 if others else 0.0
    found: dict[tuple[str, str], dict[str, Measured]] = {}
    for i, (encoder, point, source) in enumerate(jobs):
        report(start + (1 - start) * i / len(jobs), f"separability of {point}, {encoder}")
        found[encoder, point] = measure(source, split, point, design, seed)
    own = found.get((SUBJECT, _ENCODER))
    return SeparabilityResult(
        provenance=recordings.provenance(
            split, command, points=points, seed=seed, max_pairs=MAX_PAIRS, max_fit=MAX_FIT
        ),
        rows=[
            _row(encoder, point, name, measured, own, seed)
            for (encoder, point), measures in found.items()
            for name, measured in measures.items()
        ],
        n_clips=len(held),
        axes={
            FISHER: "variance between words over variance within words, 256 components | 1",
            SHRUNK: "the same, each direction in units of its own variance within words | 1",
            NEIGHBOURS: f"clips named by their {N_NEIGHBOURS} nearest of other speakers | fraction",
            SILHOUETTE: "silhouette of words, cosine distance, 50 components | 1",
            CKA_LABELS: "debiased linear CKA with the word | 1",
            CKA_MEL: "debiased linear CKA with the log-mel | 1",
            CKA_RATIO: "likeness to the word over likeness to the sound | 1",
        },
        not_applicable=missing,
    )


def _row(
    encoder: str,
    point: str,
    name: str,
    measured: Measured,
    own: Mapping[str, Measured] | None,
    seed: int,
) -> SeparabilityRow:
    if measured.note:
        return SeparabilityRow(point, name, Estimate(np.nan), note=measured.note, encoder=encoder)
    null = p = difference = None
    if len(measured.null):
        low, high = np.percentile(measured.null, [2.5, 97.5])
        null = Estimate(float(np.mean(measured.null)), float(low), float(high))
        p = permutation_p(measured.value, measured.null)
    if own is not None and encoder != SUBJECT:
        difference = own[name].minus(measured, seed)
    value = measured.estimate(seed)
    return SeparabilityRow(point, name, value, null, p, "", encoder, difference)


__all__ = ["MEASURES", "SeparabilityResult", "SeparabilityRow", "separate"]
