"""Counting spikes: rates, silent and saturated units, sparsity and intervals, read block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.recordings import Recordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_mean
from models.errors import SpikelensError

_SATURATED = 0.9  # of all frames


@dataclass(frozen=True)
class SpikeStatistics(Result):
    """What one spiking point does on one split.

    Attributes
    ----------
    point : str
    rate_hz : Estimate
        Spikes per unit and second.
    stream_rates_hz : mapping of str to Estimate
    unit_rate_hz : np.ndarray [shape=(N,)]
    n_silent, n_saturated : int
        Units that never fire, and units that fire in at least 90 % of the frames.
    population_sparsity : Estimate
        How unevenly a clip's spikes fall on the units: 0 evenly, 1 on one unit (Vinje and Gallant 2000);
        mean over clips that have spikes.
    lifetime_sparsity : np.ndarray [shape=(N,)]
        How unevenly a unit's spikes fall on the clips; not-a-number for silent units.
    isi_ms : np.ndarray [shape=(T - 1,)]
        Possible intervals between consecutive spikes of a unit within a clip.
    isi_count : np.ndarray [shape=(T - 1,)]
    unit_isi_cv : np.ndarray [shape=(N,)]
        Standard deviation over mean of a unit's intervals; not-a-number below two intervals.
    dt_ms : float
    axes : mapping of str to str
    """

    point: str
    rate_hz: Estimate
    stream_rates_hz: Mapping[str, Estimate]
    unit_rate_hz: Array
    n_silent: int
    n_saturated: int
    population_sparsity: Estimate
    lifetime_sparsity: Array
    isi_ms: Array
    isi_count: Array
    unit_isi_cv: Array
    dt_ms: float
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a quantity; medians stand for quantities that each unit has."""
        rows = [("rate", "Hz", self.rate_hz)]
        rows += [(f"rate of {name}", "Hz", value) for name, value in self.stream_rates_hz.items()]
        rows += [
            ("silent units", f"of {len(self.unit_rate_hz)}", Estimate(self.n_silent)),
            ("saturated units", f"of {len(self.unit_rate_hz)}", Estimate(self.n_saturated)),
            ("population sparsity", "1", self.population_sparsity),
            ("lifetime sparsity, median unit", "1", Estimate(_median(self.lifetime_sparsity))),
            ("inter-spike interval, mean", "ms", Estimate(self.mean_isi_ms)),
            ("inter-spike interval CV, median unit", "1", Estimate(_median(self.unit_isi_cv))),
        ]
        return pd.DataFrame(
            {"quantity": name, "unit": unit, "value": e.value, "low": e.low, "high": e.high, "n": e.n}
            for name, unit, e in rows
        )

    @property
    def mean_isi_ms(self) -> float:
        """Return the mean interval, not-a-number where no unit fires twice in a clip."""
        total = self.isi_count.sum()
        return float((self.isi_ms * self.isi_count).sum() / total) if total else float("nan")


def spike_statistics(
    recordings: Recordings, *, point: str = "encoder", split: str = "validation", command: str = ""
) -> SpikeStatistics:
    """Count the spikes of one point, a whole stage or one of its streams.

    Raises
    ------
    SpikelensError
        The point was not recorded, or holds no spikes.
    """
    held = recordings.split(split)
    n_units = _spiking_units(recordings, point, split)
    clip_counts = np.zeros((len(held), n_units), np.float32)
    isi_count = np.zeros(max(held.n_steps - 1, 0), np.int64)
    isi_n, isi_sum, isi_squares = np.zeros((3, n_units))
    for rows, block in held.blocks(point):
        clip_counts[rows] = block.sum(axis=1)
        intervals, unit = _intervals(block)
        isi_count += np.bincount(intervals - 1, minlength=len(isi_count))
        isi_n += np.bincount(unit, minlength=n_units)
        isi_sum += np.bincount(unit, intervals, minlength=n_units)
        isi_squares += np.bincount(unit, intervals.astype(np.float64) ** 2, minlength=n_units)
    mean = isi_sum / np.maximum(isi_n, 1)
    spread = np.sqrt(np.maximum(isi_squares / np.maximum(isi_n, 1) - mean**2, 0))
    hz = 1000 / (recordings.dt_ms * held.n_steps)
    unit_rate = clip_counts.mean(axis=0, dtype=np.float64) * hz
    active = clip_counts.any(axis=1)
    streams = recordings.points[point].streams if point in recordings.points else {}
    groups = held.groups
    return SpikeStatistics(
        provenance=recordings.provenance(split, command, point=point),
        point=point,
        rate_hz=bootstrap_mean(clip_counts.mean(axis=1) * hz, groups),
        stream_rates_hz={
            name: bootstrap_mean(clip_counts[:, start:stop].mean(axis=1) * hz, groups)
            for name, (start, stop) in streams.items()
        },
        unit_rate_hz=unit_rate,
        n_silent=int((unit_rate == 0).sum()),
        n_saturated=int((unit_rate >= _SATURATED * 1000 / recordings.dt_ms).sum()),
        population_sparsity=(
            bootstrap_mean(sparsity(clip_counts[active]), groups[active])
            if active.any()
            else Estimate(float("nan"), n=0)
        ),
        lifetime_sparsity=sparsity(clip_counts.T),
        isi_ms=np.arange(1, held.n_steps) * recordings.dt_ms,
        isi_count=isi_count,
        unit_isi_cv=np.where(isi_n >= 2, spread / np.maximum(mean, 1), np.nan),
        dt_ms=recordings.dt_ms,
        axes={
            "unit_rate_hz": "unit | rate, Hz",
            "lifetime_sparsity": "unit | sparsity over clips, 1",
            "isi_count": "inter-spike interval, ms | intervals, 1",
            "unit_isi_cv": "unit | coefficient of variation, 1",
        },
    )


def sparsity(responses: np.ndarray) -> np.ndarray:
    """Return the Vinje-Gallant sparsity of each row, ``(1 - mean(r)^2 / mean(r^2)) / (1 - 1 / m)``.

    Parameters
    ----------
    responses : np.ndarray [shape=(n, m), non-negative]

    Returns
    -------
    np.ndarray [shape=(n,)]
        0: all responses equal, 1: one response alone; not-a-number for rows of zeros and for m = 1.
    """
    responses = np.asarray(responses, np.float64)
    square, power = responses.mean(axis=1) ** 2, (responses**2).mean(axis=1)
    m = responses.shape[1]
    if m == 1:
        return np.full(len(responses), np.nan)
    return np.where(power > 0, (1 - square / np.where(power > 0, power, 1)) / (1 - 1 / m), np.nan)


def _intervals(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals in frames within clips, and the unit of each, from spikes ``(n, T, N)``."""
    clip, unit, step = np.nonzero(block.transpose(0, 2, 1))
    same = (clip[1:] == clip[:-1]) & (unit[1:] == unit[:-1])
    return np.diff(step)[same], unit[1:][same]


def _spiking_units(recordings: Recordings, point: str, split: str) -> int:
    """Return the number of units of a spiking point; SpikelensError for any other."""
    sample = recordings.split(split).load(point, slice(0, 1))
    if sample.dtype != np.uint8:
        raise SpikelensError(
            f"point: {point!r} does not spike; spiking are {', '.join(recordings.spiking_points) or 'none'}"
        )
    return sample.shape[2]


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
