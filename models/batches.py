"""Augmented training batches of one epoch, each prepared while the model learns from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from models.config import Recipe
from models.data.base import AudioDataset
from models.features.augment import add_noise, mask, shift, shift_frames, warp
from models.features.cache import split_features
from models.features.mel import log_mel

_LABELS = 2  # what random numbers are for, beside order (0) and dropout (1)


class Batch(NamedTuple):
    """Log-mel ``(B, T, F)`` and labels ``(B,)``."""

    log_mel: torch.Tensor
    labels: torch.Tensor


def epoch_generator(recipe: Recipe, epoch: int, purpose: int) -> torch.Generator:
    """Return the random numbers of one epoch for one purpose, whatever else was drawn before."""
    state = np.random.SeedSequence([recipe.seed, epoch, purpose]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))


def n_batches(dataset: AudioDataset, recipe: Recipe) -> int:
    """Return the number of whole batches in an epoch: a short last one would disturb batch norm."""
    return max(1, len(dataset.split("train")) // recipe.train.batch_size)


def training_batches(
    dataset: AudioDataset, recipe: Recipe, fill: torch.Tensor, generator: torch.Generator
) -> Iterator[Batch]:
    """Yield the training split once, shuffled and augmented.

    Parameters
    ----------
    fill : torch.Tensor [shape=(F,)]
        What masked log-mel becomes.
    generator : torch.Generator
        Read by this iterator alone until it ends.
    """
    split, size = dataset.split("train"), recipe.train.batch_size
    order = torch.randperm(len(split), generator=generator).numpy()
    labels = split.labels
    if not recipe.augment.on_waveforms:
        features = split_features(split, recipe.features, dataset.digest)
    if recipe.train.shuffle_labels:
        labels = np.random.default_rng([recipe.seed, _LABELS]).permutation(labels)

    def prepare(number: int) -> Batch:
        rows = order[number * size : (number + 1) * size]
        if recipe.augment.on_waveforms:
            waveforms = torch.from_numpy(split.waveforms[rows].astype(np.float32) / 32768.0)
            waveforms = shift(waveforms, recipe.augment, recipe.features.sample_rate, generator)
            waveforms = add_noise(waveforms, dataset.noise, recipe.augment, generator)
            values = log_mel(waveforms, recipe.features)
        else:
            values = torch.from_numpy(features[rows])
        values = shift_frames(values, recipe.augment, recipe.features, generator)
        values = warp(values, recipe.augment, generator)
        values = mask(values, fill, recipe.augment, generator)
        return Batch(values, torch.from_numpy(labels[rows]))

    return _one_ahead(prepare, n_batches(dataset, recipe))


def _one_ahead(prepare: Callable[[int], Batch], count: int) -> Iterator[Batch]:
    """Yield ``prepare(0)``, ``prepare(1)``, ... in order, each computed in a thread beside its user."""
    with ThreadPoolExecutor(1, thread_name_prefix="spikelens-batches") as worker:
        coming = worker.submit(prepare, 0)
        for number in range(count):
            ready = coming.result()
            if number + 1 < count:
                coming = worker.submit(prepare, number + 1)
            yield ready
