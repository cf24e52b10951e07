"""What gradient-residual inspection finds: its numbers, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.finite_differences import SIZES
from analysis.gradient_measures import MeasureRow
from analysis.result import Array, Estimate, Result
from analysis.step_slopes import StepSlope
from analysis.stream_energy import StreamRow


@dataclass(frozen=True)
class GradientResult(Result):
    """What the gradients of one checkpoint say.

    Attributes
    ----------
    measures : list of MeasureRow
        GR-1 and GR-2.
    slopes : list of StepSlope
        GR-3.
    slopes_on : str
        The clips behind GR-3: of the training split where the measured one has fewer than 2,000.
    cosine_surrogate, cosine_true : Estimate or None
        Cosine of the mean slopes of cross-entropy and squared error in (log dc, log df), interval over
        batches; the true one from the larger difference, None unless all four slopes are resolved.
    streams : list of StreamRow
        GR-4.
    band_task, band_residual : np.ndarray [shape=(3, F)]
        GR-4: share of each band in the energy of the task gradient and of the residual; mean over clips, low,
        high.
    not_applicable : mapping of str to str
        Analysis -> why this encoder lacks it.
    quantile_curve, quantile_curve_permuted : np.ndarray [shape=(10,)]
        GR-1: mean task gradient within each tenth of the bins by size of the residual, over the clip's mean.
    spearman, cosine, cosine_permuted : np.ndarray [shape=(n_clips,)]
        GR-1 and GR-2 (cumulative) of every clip with a task gradient, and GR-2 on permuted pairs.
    n_clips, n_batches, n_without_gradient : int
        Clips used for all but GR-3, batches behind GR-3's standard errors, clips whose task gradient is
        exactly zero (left out).
    axes : mapping of str to str
    """

    measures: list[MeasureRow]
    slopes: list[StepSlope]
    slopes_on: str
    cosine_surrogate: Estimate | None
    cosine_true: Estimate | None
    streams: list[StreamRow]
    band_task: Array
    band_residual: Array
    not_applicable: Mapping[str, str]
    quantile_curve: Array
    quantile_curve_permuted: Array
    spearman: Array
    cosine: Array
    cosine_permuted: Array
    n_clips: int
    n_batches: int
    n_without_gradient: int
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a measure, null rows included; "not resolved" and "not applicable" are spelt out."""
        lines = [*self._measure_lines(), *self._slope_lines(), *self._stream_lines()]
        lines += [{"measure": m, "condition": f"not applicable: {w}"} for m, w in self.not_applicable.items()]
        return pd.DataFrame(lines)

    def _measure_lines(self) -> list[dict[str, Any]]:
        return [
            {"measure": row.measure, "version": row.version, "condition": condition} | _spelt(found)
            for row in self.measures
            for condition, found in (
                ("clip", row.value),
                ("permuted pairs", row.permuted),
                ("planted half along", row.planted),
            )
            if found is not None
        ]

    def _slope_lines(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for step in self.slopes:
            head = {"measure": f"GR-3 d {step.loss} / d {step.parameter}", "note": step.note}
            named = [("surrogate", step.surrogate)]
            named += [(f"true, {size:.0%}", s) for size, s in zip(SIZES, step.true, strict=True)]
            for version, s in named:
                unsure = {} if step.resolved or version == "surrogate" else {"condition": "not resolved"}
                lines.append(head | {"version": version, "value": s.mean, "se": s.se, "z": s.z} | unsure)
        for version, cosine in (("surrogate", self.cosine_surrogate), ("true", self.cosine_true)):
            head = {"measure": "GR-3 cosine of cross-entropy and squared error", "version": version}
            if self.slopes:
                lines.append(head | (_spelt(cosine) if cosine else {"condition": "not resolved"}))
        return lines

    def _stream_lines(self) -> list[dict[str, Any]]:
        versions = {
            "each clip alike": "share",
            "all clips together": "pooled",
            "over its share of spikes": "per_event",
            "over its share of channels": "per_channel",
            "of the reconstruction gradient": "reconstruction",
        }
        return [
            {"measure": f"GR-4 energy share, {row.stream}", "version": version, "condition": "clip"}
            | _spelt(getattr(row, field))
            for row in self.streams
            for version, field in versions.items()
        ]


def _spelt(found: Estimate) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high}
