"""How the geometry of a code relates to words and to sound: Fisher ratio, silhouette, CKA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings
from analysis.result import Estimate, Result
from analysis.similarity import cka_without_each_group, debiased_hsic, gram, jackknife
from analysis.stats import bootstrap_mean, permutation_p
from models.errors import SpikelensError

FISHER, SILHOUETTE = "Fisher ratio", "silhouette"
CKA_LABELS, CKA_MEL, CKA_RATIO = "CKA to labels", "CKA to log-mel", "CKA labels / log-mel"
MEASURES = (FISHER, SILHOUETTE, CKA_LABELS, CKA_MEL, CKA_RATIO)
RAW_POINT = "features"  # the log-mel
_CONSTANT = "nothing varies between clips"
_MIN_CLIPS, _MAX_CLIPS = 8, 1500  # every pair of them is compared
_N_FISHER, _N_SILHOUETTE = 256, 50  # principal components
_N_PERMUTATIONS = 50
_MAX_PARTS = 50  # into which speakers are gathered for the jackknife
_FLAT = 1e-6  # share of the variance below which there is none
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SeparabilityRow:
    """One measure at one point.

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
    """

    point: str
    measure: str
    value: Estimate
    null: Estimate | None = None
    p: float | None = None
    note: str = ""


@dataclass(frozen=True)
class SeparabilityResult(Result):
    """Measures at points.

    Attributes
    ----------
    rows : list of SeparabilityRow
    n_clips : int
        Clips measured, at most 1,500 drawn at random from the split.
    axes : mapping of str to str
        Measure -> meaning and unit.
    """

    rows: list[SeparabilityRow]
    n_clips: int
    axes: Mapping[str, str]

    def find(self, point: str, measure: str) -> SeparabilityRow | None:
        """Return a row, None where there is none."""
        return next((row for row in self.rows if (row.point, row.measure) == (point, measure)), None)

    def to_table(self) -> pd.DataFrame:
        """Return one row a point and measure."""
        lines = []
        for row in self.rows:
            value, null = row.value, row.null or Estimate(np.nan)
            head = {"point": row.point, "measure": row.measure, "value": value.value}
            interval = {"low": value.low, "high": value.high, "n": self.n_clips}
            beside = {"null": null.value, "null_low": null.low, "null_high": null.high, "p": row.p}
            lines.append(head | interval | beside | {"note": row.note})
        return pd.DataFrame(lines)


def separate(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> SeparabilityResult:
    """Measure how activity in 10 windows is arranged by word, and how much like the log-mel.

    Fisher ratio ``tr(S_B) / tr(S_W)`` after PCA to 256 dimensions fitted on the training split; silhouette
    (cosine) after PCA to 50; debiased linear CKA (Kornblith 2019, Song 2012) with one-hot labels and with the
    log-mel. CKA follows the directions of largest variance and a few clips can move it (Davari 2022): read it
    beside the log-mel row. Intervals are over speakers: bootstrap of the silhouette, a jackknife of the rest,
    which copies of clips would inflate.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    points : sequence of str, optional
        Every point, stream and ``residual`` by default; the log-mel is always added where it was recorded.
    split : str

    Raises
    ------
    SpikelensError
        Unknown point or split, or fewer than 8 clips.
    """
    held = recordings.split(split)
    points = list(held.points if points is None else points)
    if RAW_POINT in held.points:
        points = [RAW_POINT, *(p for p in points if p != RAW_POINT)]
    if len(held) < _MIN_CLIPS:
        raise SpikelensError(f"split: {split!r} has {len(held)} clips, at least {_MIN_CLIPS} are needed")
    rng = np.random.default_rng(seed)
    clips = np.sort(rng.permutation(len(held))[:_MAX_CLIPS])
    labels, groups = held.labels[clips], held.groups[clips]
    design = _Design(
        labels,
        groups,
        rng.permutation(groups.max() + 1)[groups] % _MAX_PARTS,
        np.stack([rng.permutation(len(clips)) for _ in range(_N_PERMUTATIONS)]),
    )
    label_gram = gram(np.eye(len(recordings.class_names))[labels])
    mel_gram = gram(pooled(held, RAW_POINT)[clips]) if RAW_POINT in held.points else None
    rows: list[SeparabilityRow] = []
    for i, point in enumerate(points):
        if progress is not None:
            progress(i / len(points), f"separability of {point}")
        x = pooled(held, point)[clips]
        if not np.ptp(x, axis=0).any():
            rows += [_not_applicable(point, measure, _CONSTANT) for measure in MEASURES]
            continue
        z = _principal_components(pooled(recordings.split("train"), point), x, seed)
        rows += [_fisher_row(point, z, design), _silhouette_row(point, z, design)]
        rows += _cka_rows(point, gram(x), label_gram, mel_gram, design)
    return SeparabilityResult(
        provenance=recordings.provenance(split, command, points=points, seed=seed, max_clips=_MAX_CLIPS),
        rows=rows,
        n_clips=len(clips),
        axes={
            FISHER: "variance between words over variance within words, 256 components | 1",
            SILHOUETTE: "silhouette of words, cosine distance, 50 components | 1",
            CKA_LABELS: "debiased linear CKA with the word | 1",
            CKA_MEL: "debiased linear CKA with the log-mel | 1",
            CKA_RATIO: "likeness to the word over likeness to the sound | 1",
        },
    )


@dataclass(frozen=True)
class _Design:
    """What every measure is repeated over."""

    labels: np.ndarray  # (n,)
    groups: np.ndarray  # (n,) speakers
    parts: np.ndarray  # (n,) speakers gathered into at most 50, left out one at a time
    permutations: np.ndarray  # (P, n)


def fisher_ratio(z: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return ``tr(S_B) / tr(S_W)`` of weighted clips; not-a-number where clips of a word do not differ.

    Parameters
    ----------
    z : np.ndarray [shape=(n, D)]
    labels : np.ndarray [shape=(n,)]
    weights : np.ndarray [shape=(n,), non-negative], optional
    """
    weights = np.ones(len(z)) if weights is None else weights
    z = np.asarray(z, np.float64) - np.mean(z, axis=0, dtype=np.float64)
    members = (labels[:, None] == np.unique(labels)) * weights[:, None]  # (n, C)
    counts = np.maximum(members.sum(axis=0), 1e-12)
    of_words = float((np.square(members.T @ z).sum(axis=1) / counts).sum())
    within = float(weights @ np.square(z).sum(axis=1)) - of_words
    between = of_words - float(np.square(weights @ z).sum() / weights.sum())
    return between / within if within > _FLAT * (within + between) else np.nan


def _principal_components(train: np.ndarray, x: np.ndarray, seed: int) -> np.ndarray:
    """Fit PCA on training clips and return `x` in it, ``(n, at most 256)``."""
    from sklearn.decomposition import PCA

    model = PCA(min(_N_FISHER, *train.shape), random_state=seed)
    return model.fit(train).transform(x)


def _row(point: str, measure: str, value: Estimate, null: list[float]) -> SeparabilityRow:
    low, high = np.percentile(null, [2.5, 97.5])
    chance = Estimate(float(np.mean(null)), float(low), float(high))
    return SeparabilityRow(point, measure, value, chance, permutation_p(value.value, np.array(null)))


def _not_applicable(point: str, measure: str, note: str) -> SeparabilityRow:
    return SeparabilityRow(point, measure, Estimate(np.nan), note=note)


def _interval(value: float, without: np.ndarray, design: _Design) -> Estimate:
    """Return the jackknife interval; none where leaving out a speaker leaves nothing to measure."""
    if len(without) < 2 or not np.isfinite(without).all():
        return Estimate(value, n=len(design.labels))
    return jackknife(value, without, len(design.labels))


def _fisher_row(point: str, z: np.ndarray, design: _Design) -> SeparabilityRow:
    value = fisher_ratio(z, design.labels)
    if np.isnan(value):
        return _not_applicable(point, FISHER, "clips of a word do not differ")
    parts = np.unique(design.parts)
    without = np.array([fisher_ratio(z, design.labels, (design.parts != part) * 1.0) for part in parts])
    null = [fisher_ratio(z, design.labels[order]) for order in design.permutations]
    return _row(point, FISHER, _interval(value, without, design), null)


def _silhouette_row(point: str, z: np.ndarray, design: _Design) -> SeparabilityRow:
    from sklearn.metrics import pairwise_distances, silhouette_samples

    if not 2 <= len(np.unique(design.labels)) < len(z):
        return _not_applicable(point, SILHOUETTE, "needs two words, and two clips of one")
    distances = pairwise_distances(z[:, :_N_SILHOUETTE], metric="cosine")
    np.fill_diagonal(distances, 0)  # exactly, as silhouette_samples demands

    def samples(labels: np.ndarray) -> np.ndarray:
        return silhouette_samples(distances, labels, metric="precomputed")

    value = bootstrap_mean(samples(design.labels), design.groups)
    null = [float(samples(design.labels[order]).mean()) for order in design.permutations]
    return _row(point, SILHOUETTE, value, null)


def _cka_rows(
    point: str, k: np.ndarray, label: np.ndarray, mel: np.ndarray | None, design: _Design
) -> list[SeparabilityRow]:
    rows: list[SeparabilityRow] = []
    without: list[np.ndarray] = []
    for measure, other in ((CKA_LABELS, label), (CKA_MEL, mel)):
        if other is None:
            rows.append(_not_applicable(point, measure, "no log-mel was recorded"))
            continue
        power = debiased_hsic(k, k) * debiased_hsic(other, other)
        if power <= 0:
            rows.append(_not_applicable(point, measure, _CONSTANT))
            continue
        with np.errstate(divide="ignore", invalid="ignore"):  # a speaker with nearly all clips
            without.append(cka_without_each_group(k, other, design.parts))
        scale = np.sqrt(power)  # the same in every order of the clips
        null = [debiased_hsic(k, other[order][:, order]) / scale for order in design.permutations]
        value = debiased_hsic(k, other) / scale
        rows.append(_row(point, measure, _interval(value, without[-1], design), null))
    to_labels, to_mel = rows
    if to_labels.note or to_mel.value.low is None or to_mel.value.low <= 0:
        why = to_labels.note or to_mel.note or "the CKA to log-mel is not clear of 0"
        return [*rows, _not_applicable(point, CKA_RATIO, why)]
    ratio = _interval(to_labels.value.value / to_mel.value.value, without[0] / without[1], design)
    return [*rows, SeparabilityRow(point, CKA_RATIO, ratio)]
