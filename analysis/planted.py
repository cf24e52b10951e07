"""Encoders whose answer is known, built as recordings: they check the analyses, not the network.

Every builder takes the same `Material` and returns the arrays of a file that
`analysis.importing.import_recordings` reads, so that planted encoders come in through the door that is open
to everybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.recordings import Recordings
from analysis.reference import encode_residual
from analysis.templates import train_templates

RATE = 0.12  # events per channel and frame, near that of the faithful encoder
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Material:
    """Clips to encode.

    Attributes
    ----------
    features : np.ndarray [shape=(n, T, F)]
        Normalised log-mel.
    label : np.ndarray [shape=(n,), int]
    split : np.ndarray [shape=(n,), str]
        ``train``, ``validation`` or ``test``.
    speaker : np.ndarray [shape=(n,), str] or None
    """

    features: np.ndarray
    label: np.ndarray
    split: np.ndarray
    speaker: np.ndarray | None = None

    @classmethod
    def of(cls, recordings: Recordings) -> Material:
        """Take features, labels, splits and speakers from recordings."""
        templates = train_templates(recordings)
        splits = list(recordings.splits.values())
        known = all(split.speakers is not None for split in splits)
        return cls(
            np.concatenate([templates.features(split).astype(np.float32) for split in splits]),
            np.concatenate([split.labels for split in splits]),
            np.concatenate([np.full(len(split), split.name) for split in splits]),
            np.concatenate([np.array(split.speakers) for split in splits]) if known else None,
        )

    def arrays(self, spikes: np.ndarray, decoded: np.ndarray | None = None) -> Arrays:
        """Return the arrays of an import file, with these spikes ``(n, T, N)``."""
        found = {"spikes": spikes, "label": self.label, "split": self.split, "features": self.features}
        if self.speaker is not None:
            found["speaker"] = self.speaker
        if decoded is not None:
            found["decoded"] = decoded
        return found


def planted_faithful(material: Material, seed: int = 0) -> Arrays:
    """Plant R2 at its MSE optimum, with its own decoder: keeps the sound, knows nothing of words.

    The steps are fitted on the training clips. A *small* step would not do: it is overloaded by slopes.
    """
    from models.encoders.fit import fit_steps

    spikes, decoded = encode_residual(
        material.features, fit_steps(material.features[material.split == "train"])
    )
    return material.arrays(spikes, decoded)


def planted_task_only(material: Material, seed: int = 0) -> Arrays:
    """Plant one fixed random pattern a word, the same for all its clips: the word and nothing else."""
    n_words = int(material.label.max()) + 1
    patterns = _bernoulli((n_words, *_code_shape(material)), seed)  # (C, T, N)
    return material.arrays(patterns[material.label])


def planted_random(material: Material, seed: int = 0) -> Arrays:
    """Plant random weights and thresholds on each frame: fitted to neither aim, it carries some of both."""
    n_steps, n_units = _code_shape(material)
    n_bands = material.features.shape[2]
    weights = np.random.default_rng(seed).normal(size=(n_bands, n_units)).astype(np.float32) / np.sqrt(
        n_bands
    )
    sample = material.features[material.split == "train"][:200] @ weights
    thresholds = np.quantile(sample.reshape(-1, n_units), 1 - RATE, axis=0)
    spikes = np.empty((len(material.label), n_steps, n_units), np.uint8)
    for start in range(0, len(spikes), 256):
        spikes[start : start + 256] = material.features[start : start + 256] @ weights > thresholds
    return material.arrays(spikes)


def planted_noise(material: Material, seed: int = 0) -> Arrays:
    """Plant coin tosses: every analysis must find nothing."""
    return material.arrays(_bernoulli((len(material.label), *_code_shape(material)), seed))


def planted_both(material: Material, seed: int = 0) -> Arrays:
    """Plant the faithful and the task-only code side by side: nothing given up, the word added."""
    faithful = planted_faithful(material, seed)
    spikes = np.concatenate([faithful["spikes"], planted_task_only(material, seed)["spikes"]], axis=-1)
    return material.arrays(spikes, faithful["decoded"])


PLANTED: dict[str, Callable[[Material, int], Arrays]] = {
    "faithful": planted_faithful,
    "task-only": planted_task_only,
    "random": planted_random,
    "noise": planted_noise,
    "both": planted_both,
}


def _code_shape(material: Material) -> tuple[int, int]:
    _, n_steps, n_bands = material.features.shape
    return n_steps, 4 * n_bands  # as many channels as the residual encoder


def _bernoulli(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.random(shape[1:], dtype=np.float32) < RATE for _ in range(shape[0])]).astype(
        np.uint8
    )
