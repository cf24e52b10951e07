"""GR-1 and GR-2 clip by clip, beside the same on permuted pairs and on a gradient planted half along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import gradient_fields as fields
from analysis.result import Estimate
from analysis.stats import bootstrap_mean

SPEARMAN, COSINE = "GR-1 Spearman", "GR-2 cosine"
RUNNING_SUM = "running sum of the residual"
OWN, PERMUTED, PLANTED = "", " permuted", " planted"


@dataclass(frozen=True)
class MeasureRow:
    """A GR-1 or GR-2 measure, averaged over clips, beside its null and its positive control.

    Attributes
    ----------
    permuted : Estimate
        With the residual of another clip.
    planted : Estimate or None
        With a task gradient of which half is the gradient of the reconstruction error: what the measure says
        of an encoder that is pulled both ways alike.
    """

    measure: str
    version: str
    value: Estimate
    permuted: Estimate
    planted: Estimate | None = None


def compare(task: np.ndarray, residual: np.ndarray, gains: np.ndarray) -> dict[str, np.ndarray]:
    """Return the numbers of a batch's clips, ``(B,)`` or ``(B, 10)`` each.

    Parameters
    ----------
    task : np.ndarray [shape=(B, T, N)]
    residual : np.ndarray [shape=(B, T, F)]
    gains : np.ndarray [shape=(N,)]
        See `analysis.gradient_fields.channel_gains`.
    """
    n_bands = residual.shape[2]
    other = np.roll(residual, 1, axis=0)
    planted, planted_at_once = (
        fields.unit(task) + fields.unit(fields.reconstruction_gradient(residual, gains, instantaneous))
        for instantaneous in (False, True)
    )
    strength = fields.bin_strength(task, n_bands)
    sizes, strengths = fields.ranks(np.abs(residual)), fields.ranks(strength)
    strengths_planted = fields.ranks(fields.bin_strength(planted_at_once, n_bands))
    bins = {
        f"spearman{OWN}": fields.rank_correlation(strengths, sizes),
        f"spearman{PERMUTED}": fields.rank_correlation(strengths, np.roll(sizes, 1, axis=0)),
        f"spearman{PLANTED}": fields.rank_correlation(strengths_planted, sizes),
        f"curve{OWN}": fields.curve(strength, residual),
        f"curve{PERMUTED}": fields.curve(strength, other),
    }
    return (
        bins
        | _projections(task, task, residual, gains, OWN)
        | _projections(task, task, other, gains, PERMUTED)
        | _projections(planted, planted_at_once, residual, gains, PLANTED)
    )


def _projections(
    task: np.ndarray, task_at_once: np.ndarray, residual: np.ndarray, gains: np.ndarray, ending: str
) -> dict[str, np.ndarray]:
    """Project on the running sum of the residual and, frame by frame, on the residual itself."""
    summed = fields.reconstruction_gradient(residual, gains)
    at_once = fields.reconstruction_gradient(residual, gains, instantaneous=True)
    return {
        f"cosine{ending}": fields.cosine(task, summed),
        f"instantaneous{ending}": fields.cosine(task_at_once, at_once),
        f"block{ending}": fields.block_share(task, summed),
    }


def measure_rows(clips: Mapping[str, np.ndarray], groups: np.ndarray, seed: int) -> list[MeasureRow]:
    """Average over clips what `compare` found.

    Parameters
    ----------
    clips : mapping of str to np.ndarray [shape=(n, ...)]
        Clips without a task gradient are left out beforehand.
    groups : np.ndarray [shape=(n,)]
        What the bootstrap resamples.
    """

    def row(measure: str, version: str, name: str, average: Callable[..., Estimate], of: Any) -> MeasureRow:
        endings = (OWN, PERMUTED, PLANTED)
        return MeasureRow(
            measure, version, *(average(of(clips[name + ending]), groups, seed=seed) for ending in endings)
        )

    def same(values: np.ndarray) -> np.ndarray:
        return values

    return [
        row(SPEARMAN, "median over clips", "spearman", bootstrap_median, same),
        row(COSINE, RUNNING_SUM, "cosine", bootstrap_mean, same),
        row(COSINE, "residual of the frame", "instantaneous", bootstrap_mean, same),
        row("GR-2 explained share", RUNNING_SUM, "cosine", bootstrap_mean, np.square),
        row("GR-2 gradient residual, share of the norm", RUNNING_SUM, "cosine", bootstrap_mean, _orthogonal),
        row("GR-2 explained share", "channel blocks", "block", bootstrap_mean, same),
    ]


def _orthogonal(cosine: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(1 - np.square(cosine), 0))


def bootstrap_median(values: np.ndarray, groups: np.ndarray, seed: int) -> Estimate:
    """Return the median with its 95 % interval over resampled groups."""
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    order = values.argsort()
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=1000)
    weights = draws[:, index[order]].cumsum(axis=1)  # (resamples, clips), clips in order of their value
    middle = (weights < 0.5 * weights[:, -1:]).sum(axis=1)
    low, high = np.percentile(values[order][middle], [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high), len(values))
