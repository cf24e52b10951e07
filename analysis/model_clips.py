"""What analyses that need the network itself begin with: clips, their features, and the untrained twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analysis.result import Provenance
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

_MIN_CLIPS = 4


class ModelClips(NamedTuple):
    """Clips of one split in random order.

    Attributes
    ----------
    log_mel : np.ndarray [shape=(n, T, F)]
    labels : np.ndarray [shape=(n,)]
    groups : np.ndarray [shape=(n,)]
        What the bootstrap resamples: speakers, or clips where speakers are unknown.
    provenance : Provenance
    """

    log_mel: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    provenance: Provenance


def model_clips(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    split: str,
    n_clips: int | None,
    seed: int,
    command: str,
    **config: Any,
) -> ModelClips:
    """Draw clips of a split, all of it by default.

    Parameters
    ----------
    dataset : AudioDataset
        Restricted to the checkpoint's words.
    **config
        Settings of the analysis, for the provenance.

    Raises
    ------
    SpikelensError
        Unknown split, or `n_clips` below four or above what the split has.
    """
    from models.features.cache import split_features

    dataset = dataset.restrict(checkpoint.labels)
    whole = dataset.split(split)
    n = len(whole) if n_clips is None else n_clips
    if not _MIN_CLIPS <= n <= len(whole):
        raise SpikelensError(
            f"n_clips: {n} must lie between {_MIN_CLIPS} and the {len(whole)} clips of {split}"
        )
    rows = np.random.default_rng(seed).permutation(len(whole))[:n]
    clips = whole.select(rows)
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
        config={"n_clips": n, **config},
        command=command,
    )
    log_mel = split_features(whole, checkpoint.recipe.features, dataset.digest)[rows]
    groups = np.arange(n) if clips.speakers is None else np.unique(clips.speakers, return_inverse=True)[1]
    return ModelClips(log_mel, clips.labels, groups, provenance)


def twin_of(checkpoint: Checkpoint, dataset: AudioDataset) -> SpikingClassifier:
    """Return the untrained twin, its batch norm fitted on the training clips of the checkpoint's words."""
    from models.features.cache import split_features
    from models.twin import untrained_twin

    dataset = dataset.restrict(checkpoint.labels)
    train = split_features(dataset.split("train"), checkpoint.recipe.features, dataset.digest)
    return untrained_twin(checkpoint.recipe, len(checkpoint.labels), checkpoint.model, train)
