"""One cell of the step-size plane: encode the same clips with these steps, and measure what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.fitting import fitting_clips
from analysis.linear_probe import N_NULLS, Folds, Parts, choose_c, fit_linear, shuffled
from analysis.pooling import pool
from analysis.recordings import Recordings
from analysis.reference import encode_residual
from analysis.templates import train_templates
from models.encoders.fit import StepValues, residual_statistics

if TYPE_CHECKING:
    from models.classifier import SpikingClassifier

_BATCH = 256  # clips


@dataclass(frozen=True)
class LabelledClips:
    """Normalised features ``(n, T, F)`` float32 and labels ``(n,)``."""

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class PlaneClips:
    """The clips that probes are fitted to, those that decide settings and optimum, and the evaluated ones.

    Attributes
    ----------
    fit, choose, held : LabelledClips
    groups : np.ndarray [shape=(n_held,), int]
        What the bootstrap resamples.
    chosen_on : str
    """

    fit: LabelledClips
    choose: LabelledClips
    held: LabelledClips
    groups: np.ndarray
    chosen_on: str

    @property
    def words(self) -> Parts:
        """Return the labels; what is held out are the choosing clips, then the evaluated ones."""
        return self.parts([clips.labels for clips in (self.fit, self.choose, self.held)])

    @property
    def folds(self) -> Folds:
        """Return the roles as `analysis.linear_probe` has them."""
        return Folds("", slice(None), None, self.chosen_on)

    def parts(self, values: Sequence[np.ndarray]) -> Parts:
        """Return values of the three sets of clips by role, ready for one probe that reads the last two."""
        fit, choose, held = values
        return Parts(fit, choose, np.concatenate((choose, held)))

    def commonest_is_right(self) -> np.ndarray:
        """Return 1 where the commonest word of the fitting clips is the true one, ``(n_held,)``."""
        return (self.held.labels == np.bincount(self.fit.labels).argmax()).astype(np.uint8)


@dataclass(frozen=True)
class Cell:
    """What one pair of steps gives.

    Attributes
    ----------
    fit_mse : float
        Mean squared error on the fitting clips.
    choice_accuracy : float
        Of the probe, on the choosing clips.
    rate : float
        Events per channel and frame of the evaluated clips.
    clip_error, clip_power : np.ndarray [shape=(n_held,)]
        Summed squares of the error and of the signal.
    probe_correct, backbone_correct : np.ndarray [shape=(n_held,), uint8]
    """

    fit_mse: float
    choice_accuracy: float
    rate: float
    clip_error: np.ndarray
    clip_power: np.ndarray
    probe_correct: np.ndarray
    backbone_correct: np.ndarray

    @property
    def snr_db(self) -> float:
        """Return the SNR of the own decoder."""
        return 10 * float(np.log10(self.clip_power.sum() / max(self.clip_error.sum(), 1e-12)))

    @property
    def probe_accuracy(self) -> float:
        """Return the fraction of evaluated clips that the probe names."""
        return float(self.probe_correct.mean())

    @property
    def backbone_accuracy(self) -> float:
        """Return the fraction of evaluated clips that the unchanged network names."""
        return float(self.backbone_correct.mean())


def plane_clips(recordings: Recordings, split: str, n_fit: int, seed: int) -> PlaneClips:
    """Read the clips once: at most `n_fit` to fit, half as many to choose, all of `split`."""
    templates = train_templates(recordings)
    fit = fitting_clips(recordings, split, seed, n_fit)
    choose = fitting_clips(recordings, split, seed, max(1, n_fit // 2))

    def read(name: str, rows: np.ndarray | slice) -> LabelledClips:
        held = recordings.split(name)
        return LabelledClips(templates.features(held, rows).astype(np.float32), held.labels[rows])

    return PlaneClips(
        read("train", fit.fit),
        read(choose.choose_split, choose.choose),
        read(split, slice(None)),
        recordings.split(split).groups,
        choose.chosen_on,
    )


def choose_penalty(clips: PlaneClips, steps: StepValues) -> float:
    """Return the probe's C that reads the choosing clips best at these steps."""
    return choose_c(_encode(clips, steps)[0], clips.words, clips.folds)


def shuffled_probes(clips: PlaneClips, steps: StepValues, c: float, seed: int) -> np.ndarray:
    """Return the accuracy of probes fitted to permuted labels on the evaluated clips, ``(N_NULLS,)``."""
    code, _, _ = _encode(clips, steps)
    nulls = (shuffled(clips.words, seed + draw) for draw in range(N_NULLS))
    readings = [fit_linear(code, null, clips.folds, c=c) for null in nulls]
    return np.array([reading.correct[len(clips.choose.labels) :].mean() for reading in readings])


def measure_cell(clips: PlaneClips, steps: StepValues, c: float, model: SpikingClassifier) -> Cell:
    """Encode every clip with these steps; fit a probe, and show the spikes to the unchanged network."""
    code, spikes, decoded = _encode(clips, steps)
    correct = fit_linear(code, clips.words, clips.folds, c=c).correct
    choice, held = np.split(correct, [len(clips.choose.labels)])
    signal = clips.held.features.astype(np.float64)
    return Cell(
        float(residual_statistics(clips.fit.features, steps).mse),
        float(choice.mean()),
        float(spikes.mean(dtype=np.float64)),
        np.square(signal - decoded).sum(axis=(1, 2)),
        np.square(signal).sum(axis=(1, 2)),
        held,
        (_network_words(model, spikes) == clips.held.labels).astype(np.uint8),
    )


def _encode(clips: PlaneClips, steps: StepValues) -> tuple[Parts, np.ndarray, np.ndarray]:
    """Return counts in windows by role, and spikes and decoded signal of the evaluated clips."""
    counts = [pool(encode_residual(part.features, steps)[0]) for part in (clips.fit, clips.choose)]
    spikes, decoded = encode_residual(clips.held.features, steps)
    return clips.parts([*counts, pool(spikes)]), spikes, decoded


def _network_words(model: SpikingClassifier, spikes: np.ndarray) -> np.ndarray:
    """Return the word that the network names for every clip, ``(n,)``."""
    import torch

    from models.encoders.base import EncoderOutput

    found = []
    for start in range(0, len(spikes), _BATCH):
        block = torch.from_numpy(spikes[start : start + _BATCH].astype(np.float32))
        with torch.inference_mode():
            found.append(model.classify(EncoderOutput(block, None)).logits.argmax(dim=1).numpy())
    return np.concatenate(found)
