"""Noise that no training has heard, added to the sound at a known signal-to-noise ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.data.base import AudioDataset, Split

_HEARD = 0.7  # of each background recording, from its start: what augmentation may use
_LEAST_POWER = 1e-12


class NoiseSource:
    """Pieces of noise for clips of one data set, one a clip and the same at every level.

    From the last 30 % of the background recordings; where the data set has none of that length, pink noise.

    Parameters
    ----------
    dataset : AudioDataset
    seed : int

    Attributes
    ----------
    name : str
        What it is, in words.
    """

    def __init__(self, dataset: AudioDataset, seed: int = 0):
        n_samples = next(iter(dataset.splits.values())).waveforms.shape[1]
        ends = [recording[int(_HEARD * len(recording)) :] for recording in dataset.noise]
        self._ends = [end for end in ends if len(end) >= n_samples and end.any()]
        self._seed = seed
        self.name = (
            f"the last 30 % of {len(self._ends)} background recordings"
            if self._ends
            else "seeded pink noise: the data set has no background recordings"
        )

    def piece(self, clip: int, n_samples: int) -> np.ndarray:
        """Return the noise of one clip, ``(n_samples,)`` float32 of any power."""
        rng = np.random.default_rng([self._seed, clip])
        if not self._ends:
            from models.data.scene import coloured_noise

            return np.resize(coloured_noise("pink", rng), n_samples).astype(np.float32)
        end = self._ends[rng.integers(len(self._ends))]
        start = rng.integers(len(end) - n_samples + 1)
        return end[start : start + n_samples].astype(np.float32) / 32768.0

    def added(self, split: Split, rows: np.ndarray, snr_db: float) -> np.ndarray:
        """Return clips with their noise.

        Parameters
        ----------
        rows : np.ndarray of int
        snr_db : float
            Mean power of the clip as recorded to that of what is added, both over the whole clip.

        Returns
        -------
        np.ndarray [shape=(n, n_samples), float32]
            Not clipped.
        """
        clips = split.waveforms[rows].astype(np.float32) / 32768.0
        for i, clip in enumerate(rows):
            noise = self.piece(int(clip), clips.shape[1])
            power = max(float(np.square(noise).mean()), _LEAST_POWER)
            wanted = float(np.square(clips[i]).mean()) * 10 ** (-snr_db / 10)
            clips[i] += noise * np.float32(np.sqrt(wanted / power))
        return clips
