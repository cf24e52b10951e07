"""How well an estimate matches the features: sums over clips, and estimates with intervals made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.decoders import BLOCK
from analysis.reconstruction_result import ReconstructionRow
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Estimate
from analysis.stats import bootstrap_mean, bootstrap_ratio
from analysis.templates import Templates

Estimator = Callable[[slice], np.ndarray]  # rows of a split -> normalised features (n, T, F)
_FLOOR = 1e-12  # of the signal: an error of zero is shown as 120 dB
_DB_PER_NAT = 10 / np.log(10)  # the log-mel is a natural logarithm of power


@dataclass(frozen=True)
class Score:
    """Sums over the evaluated clips.

    Attributes
    ----------
    clip_error, clip_power : np.ndarray [shape=(n,)]
        Summed squares of the error and of the signal.
    clip_spread : np.ndarray [shape=(n,)]
        Summed squares around the training mean of each band.
    clip_distance_db : np.ndarray [shape=(n,)] or None
        Log-spectral distance, mean over the clip's frames.
    r2_per_band, pearson_per_band : np.ndarray [shape=(F,)]
    error_over_time : np.ndarray [shape=(T,)]
    """

    clip_error: np.ndarray
    clip_power: np.ndarray
    clip_spread: np.ndarray
    clip_distance_db: np.ndarray | None
    r2_per_band: np.ndarray
    pearson_per_band: np.ndarray
    error_over_time: np.ndarray


def score(
    split: SplitRecordings, templates: Templates, estimate: Estimator, band_db: np.ndarray | None = None
) -> Score:
    """Compare one decoder with the features, block by block; only sums are kept.

    `band_db` is what `decibels_per_unit` says of the recordings.
    """
    n_bands = len(templates.mean)
    center = templates.frame.mean(axis=0)  # (F,)
    clip_error, clip_power, clip_spread, distance = np.zeros((4, len(split)))
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
        if band_db is not None:
            distance[rows] = np.sqrt(squared @ np.square(band_db) / n_bands).mean(axis=1)
        over_time += squared.sum(axis=(0, 2))
        for total, values in zip(
            (error, spread, sx, sy, sxx, syy, sxy), (squared, around, x, y, x * x, y * y, x * y), strict=True
        ):
            total += values.sum(axis=(0, 1))
    count = len(split) * split.n_steps
    covariance = sxy - sx * sy / count
    scale = np.sqrt(np.maximum((sxx - sx**2 / count) * (syy - sy**2 / count), 0))
    safe = scale > 1e-9 * count
    return Score(
        clip_error,
        clip_power,
        clip_spread,
        None if band_db is None else distance,
        1 - error / np.maximum(spread, _FLOOR),
        np.where(safe, covariance / np.where(safe, scale, 1), 0.0),
        over_time / (len(split) * n_bands),
    )


def decibels_per_unit(recordings: Recordings, templates: Templates) -> np.ndarray | None:
    """Return the dB of mel power in one unit of the judged features, by band; None where it is unknown.

    Checkpoints record by how much they normalised; recordings made elsewhere need not.
    """
    std = recordings.extra.get("feature_std")
    return None if std is None else _DB_PER_NAT * np.asarray(std, np.float64) * templates.std


def judged(
    key: tuple[str, str],
    found: Score,
    word_error: np.ndarray,
    groups: np.ndarray,
    seed: int,
    penalty: float | None = None,
) -> ReconstructionRow:
    """Return the row of a decoder: point and name, and every measure with its interval over speakers."""
    least = _FLOOR * found.clip_power

    def ratio(baseline: np.ndarray) -> Estimate:
        return bootstrap_ratio(found.clip_error, np.maximum(baseline, least), groups, seed=seed)

    distance = found.clip_distance_db
    return ReconstructionRow(
        *key,
        snr_db=to_decibel(ratio(found.clip_power)),
        r2=_complement(ratio(found.clip_spread)),
        r2_within_word=_complement(ratio(word_error)),
        log_spectral_distance_db=None if distance is None else bootstrap_mean(distance, groups, seed=seed),
        penalty=penalty,
    )


def snr_difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray, seed: int) -> Estimate:
    """Return by how many dB the first SNR exceeds the second, from summed squared errors paired by clip.

    The signal being one, the difference of the SNRs is the ratio of the errors.
    """
    return to_decibel(bootstrap_ratio(first, second, groups, seed=seed))


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
