"""Gradient-residual inspection: do task and reconstruction pull the encoder the same way?

GR-1 asks bin by bin, GR-2 over whole clips, GR-3 in the encoder's own steps; in our hands only GR-3 separates
encoders. A cosine near 0 among thousands of numbers is what chance gives: read every value beside its
permuted pairs. The definitions are ours; those of the source paper (arXiv 2606.19039) are not public.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import gradient_fields as fields
from analysis.finite_differences import SIZES
from analysis.model_gradients import LOSSES, PARAMETERS, check_gradients, gradients
from analysis.result import Array, Estimate, Provenance, Result
from analysis.stats import bootstrap_mean
from analysis.step_slopes import StepSlope, step_slopes
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

Progress = Callable[[float, str], None]
_MIN_BATCHES = 40
_MAX_BATCH = 64


@dataclass(frozen=True)
class MeasureRow:
    """A GR-1 or GR-2 measure, averaged over clips, beside the same measure on permuted pairs."""

    measure: str
    version: str
    value: Estimate
    permuted: Estimate


@dataclass(frozen=True)
class GradientResult(Result):
    """What the gradients of one checkpoint say.

    Attributes
    ----------
    measures : list of MeasureRow
        GR-1 and GR-2.
    slopes : list of StepSlope
        GR-3.
    cosine_surrogate, cosine_true : Estimate or None
        Cosine of the mean slopes of cross-entropy and squared error in (log dc, log df), interval over
        batches; the true one from the larger difference, None unless all four slopes are resolved.
    not_applicable : mapping of str to str
        Analysis -> why this encoder lacks it.
    quantile_curve, quantile_curve_permuted : np.ndarray [shape=(10,)]
        GR-1: mean task gradient within each tenth of the bins by size of the residual, over the clip's mean.
    spearman, cosine, cosine_permuted : np.ndarray [shape=(n_clips,)]
        GR-1 and GR-2 (cumulative) of every clip with a task gradient, and GR-2 on permuted pairs.
    n_clips, n_batches, n_without_gradient : int
        Clips used, batches behind the standard errors, clips whose task gradient is exactly zero (left out).
    axes : mapping of str to str
    """

    measures: list[MeasureRow]
    slopes: list[StepSlope]
    cosine_surrogate: Estimate | None
    cosine_true: Estimate | None
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
        lines: list[dict[str, Any]] = []
        for row in self.measures:
            for condition, found in (("clip", row.value), ("permuted pairs", row.permuted)):
                head = {"measure": row.measure, "version": row.version, "condition": condition}
                lines.append(head | {"value": found.value, "low": found.low, "high": found.high})
        for step in self.slopes:
            head = {"measure": f"GR-3 d {step.loss} / d {step.parameter}", "note": step.note}
            named = [("surrogate", step.surrogate)]
            named += [(f"true, {size:.0%}", s) for size, s in zip(SIZES, step.true, strict=True)]
            for version, s in named:
                lines.append(
                    head
                    | {"version": version, "value": s.mean, "se": s.se, "z": s.z}
                    | ({} if step.resolved or version == "surrogate" else {"condition": "not resolved"})
                )
        if self.slopes:
            for version, cosine in (("surrogate", self.cosine_surrogate), ("true", self.cosine_true)):
                head = {"measure": "GR-3 cosine of cross-entropy and squared error", "version": version}
                if cosine is None:
                    lines.append(head | {"condition": "not resolved"})
                else:
                    lines.append(head | {"value": cosine.value, "low": cosine.low, "high": cosine.high})
        lines += [{"measure": m, "condition": f"not applicable: {w}"} for m, w in self.not_applicable.items()]
        return pd.DataFrame(lines)


def inspect_gradients(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    split: str = "validation",
    n_clips: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> GradientResult:
    """Inspect a checkpoint's gradients on some clips, on a private copy of the model in evaluation mode.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : AudioDataset
        Restricted to the checkpoint's words.
    n_clips : int, optional
        Clips drawn at random; default: the whole split. Surrogate gradients and central differences use the
        same clips.

    Raises
    ------
    SpikelensError
        Fewer than four clips, or the self-check fails: a gradient is identically zero, spikes change when
        gradients are on, or the encoder's spikes change between training and evaluation mode.
    """
    from models.features.cache import split_features

    dataset = dataset.restrict(checkpoint.labels)
    clips = dataset.split(split)
    if n_clips is None:
        n_clips = len(clips)
    if not 4 <= n_clips <= len(clips):
        raise SpikelensError(f"n_clips: {n_clips} must lie between 4 and the {len(clips)} clips of {split}")
    rows = np.random.default_rng(seed).permutation(len(clips))[:n_clips]
    clips = clips.select(rows)
    provenance = Provenance(
        subject=checkpoint.name,
        dataset=dataset.name,
        split=split,
        data_digest=dataset.digest,
        checkpoint_digest=checkpoint.digest,
        seed=seed,
        synthetic=dataset.synthetic,
        speakers_known=clips.speakers is not None,
        interval_unit="clip" if clips.speakers is None else "speaker",
        config={"n_clips": n_clips, "differences": list(SIZES)},
        command=command,
    )
    log_mel = split_features(dataset.split(split), checkpoint.recipe.features, dataset.digest)[rows]
    groups = (
        np.arange(n_clips) if clips.speakers is None else np.unique(clips.speakers, return_inverse=True)[1]
    )
    return inspect_model(checkpoint.model, log_mel, clips.labels, groups, provenance, progress)


def inspect_model(
    model: SpikingClassifier,
    log_mel: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    provenance: Provenance,
    progress: Progress | None = None,
) -> GradientResult:
    """Inspect a model on clips in random order; see `inspect_gradients`.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(n, T, F)]
    labels, groups : np.ndarray [shape=(n,)]
        `groups` is what the bootstrap resamples.
    """
    report = progress or (lambda fraction, message: None)
    model = copy.deepcopy(model).eval().requires_grad_(False)
    gains = fields.channel_gains(model.encoder, log_mel.shape[2])
    if not model.encoder.spiking or gains is None:
        why = "the encoder has no decoder, so there is no residual"
        return _result(provenance, [], [], dict.fromkeys(("GR-1", "GR-2", "GR-3"), why), {}, len(labels), 0)
    check_gradients(model, log_mel[:_MAX_BATCH])

    n = len(labels)
    batches = np.array_split(np.arange(n), min(max(_MIN_BATCHES, -(-n // _MAX_BATCH)), n // 2))
    found: dict[str, list[np.ndarray]] = {}
    step_sums = np.zeros((len(batches), len(PARAMETERS), len(LOSSES)))
    for i, rows in enumerate(batches):
        task, residual, step_sums[i] = gradients(model, log_mel[rows], labels[rows])
        for name, values in _compare(task, residual, gains.double().numpy()).items():
            found.setdefault(name, []).append(values)
        report(0.6 * (i + 1) / len(batches), "gradients")
    clips = {name: np.concatenate(values) for name, values in found.items()}
    _refuse_zero("cross-entropy with respect to the encoder's spikes", clips["strength"])
    seed = provenance.seed or 0
    measures = _measures(clips, groups, seed)
    if (steps := fields.steps_of(model.encoder)) is None:
        why = "the encoder has no coarse and fine step"
        return _result(provenance, measures, [], {"GR-3": why}, clips, n, len(batches))

    for loss, sums in zip(LOSSES, step_sums.transpose(2, 0, 1), strict=True):
        _refuse_zero(f"{loss} with respect to the encoder's steps", sums)
    slopes, smooth, true = step_slopes(
        model, steps, log_mel, labels, [len(rows) for rows in batches], step_sums, seed
    )
    report(1.0, "central differences")
    return _result(provenance, measures, slopes, {}, clips, n, len(batches), smooth, true)


def _refuse_zero(what: str, values: np.ndarray) -> None:
    if not np.any(values):
        raise SpikelensError(f"gradients: the gradient of {what} is identically zero")


def _compare(task: np.ndarray, residual: np.ndarray, gains: np.ndarray) -> dict[str, np.ndarray]:
    """Return the GR-1 and GR-2 numbers of a batch's clips, and the same with another clip's residual."""
    strength = fields.bin_strength(task, residual.shape[2])
    found = {"strength": np.square(strength).sum(axis=(1, 2))}
    for suffix, other in (("", residual), (" permuted", np.roll(residual, 1, axis=0))):
        cumulative = fields.reconstruction_gradient(other, gains)
        found |= {
            f"spearman{suffix}": fields.spearman(strength, np.abs(other)),
            f"curve{suffix}": fields.curve(strength, other),
            f"cosine{suffix}": fields.cosine(task, cumulative),
            f"instantaneous{suffix}": fields.cosine(task, fields.reconstruction_gradient(other, gains, True)),
            f"block{suffix}": fields.block_share(task, cumulative),
        }
    return found


def _measures(clips: dict[str, np.ndarray], groups: np.ndarray, seed: int) -> list[MeasureRow]:
    """Average over the clips that have a task gradient."""
    live = clips["strength"] > 0
    groups = groups[live]

    def row(measure: str, version: str, name: str, average: Callable[..., Estimate], of: Any) -> MeasureRow:
        value, permuted = (
            average(of(clips[name + end][live]), groups, seed=seed) for end in ("", " permuted")
        )
        return MeasureRow(measure, version, value, permuted)

    same, whole = (lambda v: v), "running sum of the residual"
    return [
        row("GR-1 Spearman", "median over clips", "spearman", _bootstrap_median, same),
        row("GR-2 cosine", whole, "cosine", bootstrap_mean, same),
        row("GR-2 cosine", "residual of the frame", "instantaneous", bootstrap_mean, same),
        row("GR-2 explained share", whole, "cosine", bootstrap_mean, np.square),
        row("GR-2 gradient residual, share of the norm", whole, "cosine", bootstrap_mean, _orthogonal),
        row("GR-2 explained share", "channel blocks", "block", bootstrap_mean, same),
    ]


def _orthogonal(cosine: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(1 - np.square(cosine), 0))


def _bootstrap_median(values: np.ndarray, groups: np.ndarray, seed: int) -> Estimate:
    """Return the median with its 95 % interval over resampled groups."""
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    order = values.argsort()
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=1000)
    weights = draws[:, index[order]].cumsum(axis=1)  # (resamples, clips), clips in order of their value
    middle = (weights < 0.5 * weights[:, -1:]).sum(axis=1)
    low, high = np.percentile(values[order][middle], [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high), len(values))


def _result(
    provenance: Provenance,
    measures: list[MeasureRow],
    slopes: list[StepSlope],
    not_applicable: dict[str, str],
    clips: dict[str, np.ndarray],
    n_clips: int,
    n_batches: int,
    cosine_surrogate: Estimate | None = None,
    cosine_true: Estimate | None = None,
) -> GradientResult:
    live = clips["strength"] > 0 if clips else np.zeros(0, bool)

    def kept(name: str) -> np.ndarray:
        return clips[name][live] if clips else np.zeros((0, 10) if "curve" in name else 0)

    return GradientResult(
        provenance,
        measures,
        slopes,
        cosine_surrogate,
        cosine_true,
        not_applicable,
        quantile_curve=kept("curve").mean(axis=0) if clips else np.zeros(0),
        quantile_curve_permuted=kept("curve permuted").mean(axis=0) if clips else np.zeros(0),
        spearman=kept("spearman"),
        cosine=kept("cosine"),
        cosine_permuted=kept("cosine permuted"),
        n_clips=n_clips,
        n_batches=n_batches,
        n_without_gradient=int((~live).sum()),
        axes={
            "quantile_curve": "tenth of the bins by residual | task gradient over the clip's mean, 1",
            "spearman": "clip | rank correlation",
            "cosine": "clip | cosine",
        },
    )
