"""Gradient-residual inspection: do task and reconstruction pull the encoder the same way?

GR-1 asks bin by bin, GR-2 over whole clips, GR-3 in the encoder's own steps, GR-4 stream by stream. In our
hands GR-1 and GR-2 stay near chance for every encoder: a cosine near 0 among thousands of numbers is what
chance gives. Read every value beside its permuted pairs, and beside other trainings
(`analysis.gradient_controls`). The definitions are ours; those of the source paper (arXiv 2606.19039) are not
public.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analysis import gradient_fields as fields
from analysis.finite_differences import SIZES
from analysis.gradient_measures import compare, measure_rows
from analysis.gradient_result import GradientResult
from analysis.model_clips import model_clips, twin_of
from analysis.model_gradients import LOSSES, check_gradients, spike_gradients, step_gradients
from analysis.result import Provenance
from analysis.step_slopes import step_slopes
from analysis.stream_energy import band_shares, stream_rows
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

Progress = Callable[[float, str], None]
SLOPE_CLIPS = 2000  # wanted on both sides of a central difference
_MIN_BATCHES = 40
_MAX_BATCH = 64
_ALL = ("GR-1", "GR-2", "GR-3", "GR-4")


class SlopeClips(NamedTuple):
    """The clips GR-3 is measured on, in random order, and in words.

    Attributes
    ----------
    log_mel : np.ndarray [shape=(n, T, F)]
    labels : np.ndarray [shape=(n,)]
    described : str
    """

    log_mel: np.ndarray
    labels: np.ndarray
    described: str


def inspect_gradients(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    split: str = "validation",
    n_clips: int | None = None,
    twin: bool = False,
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
        Clips drawn at random, for everything. Default: the whole split, and for GR-3 2,000 clips of the
        training split where this one has fewer. Surrogate gradients and central differences use the same
        clips.
    twin : bool
        Inspect the untrained twin of the checkpoint instead.

    Raises
    ------
    SpikelensError
        Fewer than four clips, or the self-check fails: a gradient is identically zero, spikes change when
        gradients are on, or the encoder's spikes change between training and evaluation mode.
    """
    dataset = dataset.restrict(checkpoint.labels)
    clips = model_clips(
        checkpoint, dataset, split, n_clips, seed, command, differences=list(SIZES), twin=twin
    )
    slope_clips = None
    if n_clips is None and len(clips.labels) < SLOPE_CLIPS and split != "train":
        slope_clips = _training_clips(checkpoint, dataset, len(clips.labels), seed)
    model = twin_of(checkpoint, dataset) if twin else checkpoint.model
    return inspect_model(model, *clips, progress, slope_clips)


def _training_clips(
    checkpoint: Checkpoint, dataset: AudioDataset, at_least: int, seed: int
) -> SlopeClips | None:
    """Draw training clips for GR-3; None where there are no more of them than of those measured."""
    from models.features.cache import split_features

    train = dataset.splits.get("train")
    if train is None or len(train) <= at_least:
        return None
    rows = np.random.default_rng(seed).permutation(len(train))[:SLOPE_CLIPS]
    log_mel = split_features(train, checkpoint.recipe.features, dataset.digest)[rows]
    return SlopeClips(log_mel, train.labels[rows], f"{len(rows):,} of the {len(train):,} train clips")


def inspect_model(
    model: SpikingClassifier,
    log_mel: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    provenance: Provenance,
    progress: Progress | None = None,
    slope_clips: SlopeClips | None = None,
) -> GradientResult:
    """Inspect a model on clips in random order; see `inspect_gradients`.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(n, T, F)]
    labels, groups : np.ndarray [shape=(n,)]
        `groups` is what the bootstrap resamples.
    slope_clips : SlopeClips, optional
        For GR-3; the same clips by default.
    """
    report = progress or (lambda fraction, message: None)
    model = copy.deepcopy(model).eval().requires_grad_(False)
    n, n_bands, seed = len(labels), log_mel.shape[2], provenance.seed or 0
    gains = fields.channel_gains(model.encoder, n_bands)
    if not model.encoder.spiking or gains is None:
        why = "the encoder has no decoder, so there is no residual"
        return _result(provenance, {}, n, not_applicable=dict.fromkeys(_ALL, why))
    check_gradients(model, log_mel[:_MAX_BATCH])

    clips = _clips(model, log_mel, labels, gains.double().numpy(), lambda f: report(0.5 * f, "gradients"))
    _refuse_zero("cross-entropy with respect to the encoder's spikes", clips["energy"])
    live = clips["energy"].any(axis=1)
    clips = {name: values[live] for name, values in clips.items()}
    found = _at_spikes(clips, groups[live], n_bands, model.encoder.streams, seed)
    missing = {} if model.encoder.streams else {"GR-4": "the encoder names no streams"}
    if fields.steps_of(model.encoder) is None:
        missing["GR-3"] = "the encoder has no coarse and fine step"
    else:
        report(0.5, "gradients in the steps and central differences")
        described = f"{n:,} {provenance.split} clips, as everything else"
        found |= _in_steps(model, slope_clips or SlopeClips(log_mel, labels, described), seed)
    report(1.0, "gradients")
    return _result(provenance, clips, n, not_applicable=missing, **found)


def _at_spikes(
    clips: Mapping[str, np.ndarray],
    groups: np.ndarray,
    n_bands: int,
    streams: Mapping[str, tuple[int, int]],
    seed: int,
) -> dict[str, Any]:
    """Return GR-1, GR-2 and GR-4 by field of the result."""
    energies = clips["energy"], clips["reconstruction"], clips["events"]
    return {
        "measures": measure_rows(clips, groups, seed),
        "streams": stream_rows(*energies, streams, groups, seed),
        "band_task": band_shares(clips["energy"], n_bands, groups, seed),
        "band_residual": band_shares(clips["residual"], n_bands, groups, seed),
    }


def _in_steps(model: SpikingClassifier, clips: SlopeClips, seed: int) -> dict[str, Any]:
    """Return GR-3 by field of the result."""
    steps = fields.steps_of(model.encoder)
    assert steps is not None
    batches = _batches(len(clips.labels))
    sums = np.array([step_gradients(model, clips.log_mel[rows], clips.labels[rows]) for rows in batches])
    for loss, values in zip(LOSSES, sums.transpose(2, 0, 1), strict=True):
        _refuse_zero(f"{loss} with respect to the encoder's steps", values)
    sizes = [len(rows) for rows in batches]
    slopes, smooth, true = step_slopes(model, steps, clips.log_mel, clips.labels, sizes, sums, seed)
    return {
        "slopes": slopes,
        "cosine_surrogate": smooth,
        "cosine_true": true,
        "slopes_on": clips.described,
        "n_batches": len(batches),
    }


def _batches(n: int) -> list[np.ndarray]:
    """Return the rows of enough batches, of at least two clips each: permuted pairs take two."""
    return np.array_split(np.arange(n), min(max(_MIN_BATCHES, -(-n // _MAX_BATCH)), n // 2))


def _clips(
    model: SpikingClassifier,
    log_mel: np.ndarray,
    labels: np.ndarray,
    gains: np.ndarray,
    report: Callable[[float], None],
) -> dict[str, np.ndarray]:
    """Return what is kept of every clip, ``(n, ...)``: measures, energies and spikes by channel."""
    found: dict[str, list[np.ndarray]] = {}
    batches = _batches(len(labels))
    for i, rows in enumerate(batches):
        task, residual, events = spike_gradients(model, log_mel[rows], labels[rows])
        numbers = compare(task, residual, gains) | {
            "energy": fields.channel_energy(task),
            "residual": fields.channel_energy(residual),
            "reconstruction": fields.channel_energy(fields.reconstruction_gradient(residual, gains)),
            "events": events,
        }
        for name, values in numbers.items():
            found.setdefault(name, []).append(values)
        report((i + 1) / len(batches))
    return {name: np.concatenate(values) for name, values in found.items()}


def _refuse_zero(what: str, values: np.ndarray) -> None:
    if not np.any(values):
        raise SpikelensError(f"gradients: the gradient of {what} is identically zero")


def _result(
    provenance: Provenance, clips: Mapping[str, np.ndarray], n_clips: int, **found: Any
) -> GradientResult:
    """Put a result together; what was not found is empty."""
    nothing, no_band = np.zeros(0), np.zeros((3, 0))
    curves: dict[str, Any] = {
        f"quantile_curve{ending}": clips[f"curve{ending.replace('_', ' ')}"].mean(axis=0)
        if clips
        else nothing
        for ending in ("", "_permuted")
    }
    default: dict[str, Any] = {
        "measures": [],
        "slopes": [],
        "slopes_on": "",
        "cosine_surrogate": None,
        "cosine_true": None,
        "streams": [],
        "band_task": no_band,
        "band_residual": no_band,
        "n_batches": 0,
    }
    return GradientResult(
        provenance,
        **(default | found),
        **curves,
        spearman=clips.get("spearman", nothing),
        cosine=clips.get("cosine", nothing),
        cosine_permuted=clips.get("cosine permuted", nothing),
        n_clips=n_clips,
        n_without_gradient=n_clips - len(clips["energy"]) if clips else 0,
        axes={
            "quantile_curve": "tenth of the bins by residual | task gradient over the clip's mean, 1",
            "spearman": "clip | rank correlation",
            "cosine": "clip | cosine",
            "band_task": "band | share of the task gradient's energy, 1",
            "band_residual": "band | share of the residual's energy, 1",
        },
    )
