"""How much of the sound the spikes hold: own decoder and ridge, against templates and shuffled pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.decoders import BLOCK, Progress, RidgeWeights, derangement, ridge_weights
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_ratio
from analysis.templates import Templates, train_templates
from models.errors import SpikelensError

OWN, RIDGE, RUNNING_SUM = "own", "ridge", "ridge on running sums"
PERMUTED = ", permuted clips"  # the null of a ridge decoder
FRAME_TEMPLATE, WORD_TEMPLATE = "frame template", "word template"
_FLOOR = 1e-12  # of the signal: an error of zero is shown as 120 dB


@dataclass(frozen=True)
class ReconstructionRow:
    """One decoder at one point.

    Attributes
    ----------
    point : str
    decoder : str
        ``own``, ``ridge``, ``ridge on running sums``, a null of these (another clip's spikes), a template.
    snr_db : Estimate
        ``10 log10(sum x^2 / sum (x - xhat)^2)`` on normalised log-mel.
    r2 : Estimate
        Baseline: the training mean of each band.
    r2_within_word : Estimate
        Baseline: the word template, so 0 is what the word alone gives.
    penalty : float or None
        Chosen ridge penalty, in units of the mean diagonal of the Gram matrix.
    """

    point: str
    decoder: str
    snr_db: Estimate
    r2: Estimate
    r2_within_word: Estimate
    penalty: float | None = None


@dataclass(frozen=True)
class ReconstructionResult(Result):
    """Decoders at points, in the order of `rows`.

    Attributes
    ----------
    rows : list of ReconstructionRow
    not_applicable : mapping of str to str
        Decoder or point -> why it has no number.
    r2_per_band, pearson_per_band : np.ndarray [shape=(n_rows, F)]
    error_over_time : np.ndarray [shape=(n_rows, T)]
        Mean squared error per frame, in variances of a band.
    clip_error : np.ndarray [shape=(n_rows, n_clips)]
        Summed squared error, so that two results on the same clips can be compared in pairs.
    clip_power : np.ndarray [shape=(n_clips,)]
        Summed squared signal.
    dt_ms : float
    penalty_chosen_on : str
    axes : mapping of str to str
        Array -> meaning and unit of its axes.
    """

    rows: list[ReconstructionRow]
    not_applicable: Mapping[str, str]
    r2_per_band: Array
    pearson_per_band: Array
    error_over_time: Array
    clip_error: Array
    clip_power: Array
    dt_ms: float
    penalty_chosen_on: str
    axes: Mapping[str, str]

    def find(self, point: str, decoder: str) -> int | None:
        """Return the index of a row, None where it does not apply."""
        found = [i for i, row in enumerate(self.rows) if (row.point, row.decoder) == (point, decoder)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row a point, decoder and metric; what does not apply stands there without a number."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            for metric, unit in (("snr_db", "dB"), ("r2", "1"), ("r2_within_word", "1")):
                found: Estimate = getattr(row, metric)
                head = {"point": row.point, "decoder": row.decoder, "metric": metric, "unit": unit}
                lines.append(
                    head | {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
                )
        for what, why in self.not_applicable.items():
            lines.append({"point": what, "decoder": "", "metric": f"not applicable: {why}", "unit": ""})
        return pd.DataFrame(lines)


def reconstruct(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> ReconstructionResult:
    """Measure how well the normalised log-mel can be rebuilt from recorded activity.

    Two ridge decoders read every point: one a window of `lags` frames on either side, one the running sums
    of the spikes, which is what a decoder must read where a spike stands for a step. Penalties are chosen on
    the validation split when the evaluation is on test, else on a speaker-disjoint fifth of train (then
    fitted again on all of it). The null is the same decoder fitted and read with the spikes of another clip.

    Parameters
    ----------
    recordings : Recordings
        With ``features``, and a ``train`` split.
    points : sequence of str, optional
        Default: the encoder and every hidden layer.
    split : {"validation", "test"}
    lags : int >= 0

    Raises
    ------
    SpikelensError
        No features, an unknown point, or the split the decoder is fitted on.
    """
    held = recordings.split(split)
    if split == "train":
        raise SpikelensError("split: 'train' is what the decoders are fitted on; allowed: validation, test")
    if points is None:
        points = default_points(recordings)
    templates = train_templates(recordings)
    order = derangement(len(held), seed)
    decoders: dict[tuple[str, str], Callable[[slice], np.ndarray]] = {}
    penalties: dict[tuple[str, str], float] = {}
    not_applicable: dict[str, str] = {}
    if "decoded" in recordings.points:
        decoders["encoder", OWN] = lambda rows: templates.normalise(held.load("decoded", rows))
    else:
        not_applicable[OWN] = "the encoder has no decoder of its own"
    chosen_on = ""
    for i, (point, kind) in enumerate(product(points, (RIDGE, RUNNING_SUM))):
        fitted = ridge_weights(
            recordings,
            point,
            split=split,
            lags=lags,
            running_sum=kind == RUNNING_SUM,
            seed=seed,
            progress=partial(_within, progress, i / (2 * len(points)), 0.5 / len(points)),
        )
        chosen_on = fitted.chosen_on
        decoders[point, kind] = partial(_read, held, point, fitted, None)
        decoders[point, kind + PERMUTED] = partial(_read, held, point, fitted, order)
        penalties |= {(point, kind): fitted.penalty, (point, kind + PERMUTED): fitted.null_penalty}
    decoders["features", FRAME_TEMPLATE] = lambda rows: templates.frame
    decoders["features", WORD_TEMPLATE] = lambda rows: templates.word[held.labels[rows]]

    scores = {key: _score(held, templates, estimate) for key, estimate in decoders.items()}
    word_error = scores["features", WORD_TEMPLATE].clip_error
    rows = []
    for key, score in scores.items():
        least = _FLOOR * score.clip_power

        def ratio(baseline: np.ndarray, score: _Score = score, least: np.ndarray = least) -> Estimate:
            return bootstrap_ratio(score.clip_error, np.maximum(baseline, least), held.groups, seed=seed)

        rows.append(
            ReconstructionRow(
                *key,
                snr_db=to_decibel(ratio(score.clip_power)),
                r2=_complement(ratio(score.clip_spread)),
                r2_within_word=_complement(ratio(word_error)),
                penalty=penalties.get(key),
            )
        )
    found = list(scores.values())
    return ReconstructionResult(
        provenance=recordings.provenance(split, command, points=list(points), lags=lags, seed=seed),
        rows=rows,
        not_applicable=not_applicable,
        r2_per_band=np.stack([score.r2_per_band for score in found]),
        pearson_per_band=np.stack([score.pearson_per_band for score in found]),
        error_over_time=np.stack([score.error_over_time for score in found]),
        clip_error=np.stack([score.clip_error for score in found]),
        clip_power=found[0].clip_power,
        dt_ms=recordings.dt_ms,
        penalty_chosen_on=chosen_on,
        axes={
            "r2_per_band": "decoder, mel band | explained share of the band's variance",
            "pearson_per_band": "decoder, mel band | correlation over clips and frames",
            "error_over_time": f"decoder, time in frames of {recordings.dt_ms:g} ms | mean squared error, 1",
            "clip_error": "decoder, clip | sum of squared error, 1",
        },
    )


def reconstruct_clip(
    recordings: Recordings, split: str, clip: int, point: str, *, lags: int = 5, seed: int = 0
) -> np.ndarray:
    """Return one clip rebuilt, ``(T, F)`` float32 in the unit of the features; see `clip_decoder`."""
    return clip_decoder(recordings, split, point, lags=lags, seed=seed)(clip)


def clip_decoder(
    recordings: Recordings, split: str, point: str, *, lags: int = 5, seed: int = 0
) -> Callable[[int], np.ndarray]:
    """Return a function that rebuilds a clip of `split`, ``(T, F)`` float32 in the unit of the features.

    `point` ``decoded`` gives the encoder's own decoder and ``features`` the original; any other point is read
    by the better of its two ridge decoders, which are fitted once and then come from the cache. What is slow
    is done here; each clip then takes milliseconds.
    """
    held = recordings.split(split)

    def row(clip: int) -> slice:
        if not 0 <= clip < len(held):
            raise SpikelensError(f"clip: {clip} is not between 0 and {len(held) - 1}")
        return slice(clip, clip + 1)

    if point in ("decoded", "features"):
        return lambda clip: held.load(point, row(clip))[0]
    templates = train_templates(recordings)
    fitted = [
        ridge_weights(
            recordings,
            point,
            split="validation" if split == "train" else split,
            lags=lags,
            running_sum=running_sum,
            seed=seed,
        )
        for running_sum in (False, True)
    ]
    best = min(fitted, key=lambda decoder: decoder.error)

    def rebuild(clip: int) -> np.ndarray:
        estimate = best.read(held.load(point, row(clip)))[0]
        return (estimate * templates.std + templates.mean).astype(np.float32)

    return rebuild


def default_points(recordings: Recordings) -> list[str]:
    """Return the encoder and the hidden layers, without membranes."""
    names = [n for n in recordings.points if n == "encoder" or (n.startswith("layer") and "/" not in n)]
    return names or list(recordings.spiking_points)


def to_decibel(ratio: Estimate) -> Estimate:
    """Turn a ratio of summed squares error / signal into an SNR in dB; the interval's ends change places."""

    def decibel(value: float | None) -> float | None:
        return None if value is None else -10 * float(np.log10(max(value, _FLOOR)))

    value = decibel(ratio.value)
    assert value is not None
    return Estimate(value, decibel(ratio.high), decibel(ratio.low), ratio.n)


def _complement(ratio: Estimate) -> Estimate:
    low, high = ratio.low, ratio.high
    return Estimate(
        1 - ratio.value, None if high is None else 1 - high, None if low is None else 1 - low, ratio.n
    )


def _read(
    split: SplitRecordings, point: str, fitted: RidgeWeights, order: np.ndarray | None, rows: slice
) -> np.ndarray:
    """Estimate some clips from their own spikes, or by the null decoder from those of ``order[rows]``."""
    if order is None:
        return fitted.read(split.load(point, rows))
    return fitted.read(split.load(point, order[rows]), null=True)


@dataclass(frozen=True)
class _Score:
    clip_error: np.ndarray  # (n,)
    clip_power: np.ndarray  # (n,)
    clip_spread: np.ndarray  # (n,) around the training mean of each band
    r2_per_band: np.ndarray  # (F,)
    pearson_per_band: np.ndarray  # (F,)
    error_over_time: np.ndarray  # (T,)


def _score(split: SplitRecordings, templates: Templates, estimate: Callable[[slice], np.ndarray]) -> _Score:
    """Compare one decoder with the features, block by block; only sums are kept."""
    n_bands = len(templates.mean)
    center = templates.frame.mean(axis=0)  # (F,)
    clip_error, clip_power, clip_spread = np.zeros((3, len(split)))
    over_time = np.zeros(split.n_steps)
    error, spread, sx, sy, sxx, syy, sxy = np.zeros((7, n_bands))
    for start in range(0, len(split), BLOCK):
        rows = slice(start, min(start + BLOCK, len(split)))
        x = templates.features(split, rows)  # (n, T, F)
        y = np.broadcast_to(estimate(rows), x.shape).astype(np.float64)
        squared, around = np.square(x - y), np.square(x - center)
        clip_error[rows] = squared.sum(axis=(1, 2))
        clip_power[rows] = np.square(x).sum(axis=(1, 2))
        clip_spread[rows] = around.sum(axis=(1, 2))
        over_time += squared.sum(axis=(0, 2))
        for total, values in zip(
            (error, spread, sx, sy, sxx, syy, sxy), (squared, around, x, y, x * x, y * y, x * y), strict=True
        ):
            total += values.sum(axis=(0, 1))
    count = len(split) * split.n_steps
    covariance = sxy - sx * sy / count
    scale = np.sqrt(np.maximum((sxx - sx**2 / count) * (syy - sy**2 / count), 0))
    safe = scale > 1e-9 * count
    return _Score(
        clip_error,
        clip_power,
        clip_spread,
        1 - error / np.maximum(spread, _FLOOR),
        np.where(safe, covariance / np.where(safe, scale, 1), 0.0),
        over_time / (len(split) * n_bands),
    )


def _within(progress: Progress | None, start: float, share: float, fraction: float, message: str) -> None:
    if progress is not None:
        progress(start + share * fraction, message)
