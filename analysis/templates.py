"""What the training clips say of a frame before a single spike is read: its scale and its templates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.recordings import Recordings, Rows, SplitRecordings
from models.errors import SpikelensError


@dataclass(frozen=True)
class Templates:
    """Means of the training features, and the unit in which reconstruction is judged.

    Attributes
    ----------
    mean, std : np.ndarray [shape=(F,)]
        Taken off and divided out before anything is compared. 0 and 1 for a checkpoint, whose features are
        normalised already; those of the training split for other recordings, whose units are unknown: a
        constant offset left in the features would make every decoder look faithful.
    frame : np.ndarray [shape=(T, F)]
        Mean over training clips, normalised.
    word : np.ndarray [shape=(C, T, F)]
        Mean over the training clips of each word, normalised; the frame template where a word has none.
    """

    mean: np.ndarray
    std: np.ndarray
    frame: np.ndarray
    word: np.ndarray

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Return features or decoded features ``(..., F)`` in the unit of judgement, float64."""
        return (values - self.mean) / self.std

    def features(self, split: SplitRecordings, rows: Rows = slice(None)) -> np.ndarray:
        """Return normalised features of some clips, ``(n, T, F)``."""
        return self.normalise(split.load("features", rows))


def train_templates(recordings: Recordings) -> Templates:
    """Read the training split once.

    Raises
    ------
    SpikelensError
        No features were recorded, or there is no training split.
    """
    if "features" not in recordings.points:
        raise SpikelensError(
            f"recordings: {recordings.name} holds no features, so nothing can be compared with them"
        )
    train = recordings.split("train")
    n_bands = recordings.points["features"].units
    sums = np.zeros((len(recordings.class_names), train.n_steps, n_bands))
    squares = np.zeros(n_bands)
    for rows, block in train.blocks("features"):
        member = np.eye(len(sums))[train.labels[rows]]  # (n, C); a product is far faster than np.add.at
        sums += (member.T @ block.reshape(len(block), -1)).reshape(sums.shape)
        squares += np.square(block, dtype=np.float64).sum(axis=(0, 1))
    counts = np.bincount(train.labels, minlength=len(sums))[:, None, None]
    frame = sums.sum(axis=0) / len(train)
    word = np.where(counts > 0, sums / np.maximum(counts, 1), frame)
    mean, std = np.zeros(n_bands), np.ones(n_bands)
    if recordings.source == "import":
        mean = frame.mean(axis=0)
        std = np.sqrt(np.maximum(squares / (len(train) * train.n_steps) - mean**2, 0))
        std[std < 1e-6] = 1.0  # a band that never changes
    return Templates(mean, std, (frame - mean) / std, (word - mean) / std)
