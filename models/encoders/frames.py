"""Encoders that are not trained: one step on arrays, the same for a batch and for a stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from models.encoders.base import Encoder, EncoderOutput
from models.encoders.fit import sample_clips
from models.encoders.tuning import value_at_rate, value_for_error
from models.neurons.engine import as_array
from models.streaming import Stage


class FrameEncoder(Encoder):
    """A fixed encoder, given by its `streaming` form and its decoder.

    The stage starts from None, and its step takes any leading axes: ``(..., F)`` to ``(..., N)``.
    """

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Encode normalised log-mel, without a gradient."""
        values = as_array(x.cpu())
        spikes = run_frames(self.streaming(), values, self.n_units)
        decoded = self.decode(spikes, values[:, 0])
        return EncoderOutput(
            torch.from_numpy(spikes).to(x.device),
            None if decoded is None else torch.from_numpy(decoded).to(x.device),
        )

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray | None:
        """Return the signal that the spikes imply, None without a decoder.

        Parameters
        ----------
        spikes : np.ndarray [shape=(B, T, N)]
        first : np.ndarray [shape=(B, F)]
            The first frame, for codes that send it apart.

        Returns
        -------
        np.ndarray [shape=(B, T, F)] or None
        """
        return None


class TunedEncoder(FrameEncoder):
    """A fixed encoder with one number to choose: for its decoder, or for an event rate.

    Attributes
    ----------
    tuned : str
        The buffer to choose, positive; the larger it is, the fewer events.
    rate : float or None
        Events per channel and frame to be met.
    """

    tuned: str = "threshold"
    rate: float | None = None

    def fit(self, features: np.ndarray) -> None:
        """Choose the number on normalised training features ``(n, T, F)``."""
        x = sample_clips(features)
        if self.rate is not None:
            self._set(value_at_rate(lambda value: self._set(value).event_rate(x), self.rate))
        else:
            self.fit_without_rate(x)

    def fit_without_rate(self, x: np.ndarray) -> None:
        """Choose for the smallest error of the decoder; leave the number as it is where there is none."""
        if self.has_decoder:
            x = x[:500]
            self._set(value_for_error(lambda value: self._set(value).squared_error(x)))

    def event_rate(self, x: np.ndarray) -> float:
        """Return events per channel and frame on features ``(n, T, F)``."""
        return float(run_frames(self.streaming(), x, self.n_units).mean(dtype=np.float64))

    def squared_error(self, x: np.ndarray) -> float:
        """Return the decoder's mean squared error on features ``(n, T, F)``."""
        decoded = self.decode(run_frames(self.streaming(), x, self.n_units), x[:, 0])
        assert decoded is not None
        return float(np.square(x - decoded, dtype=np.float64).mean())

    def describe(self) -> dict[str, float]:
        """Return the chosen number, in units of normalised log-mel; the mean over bands if they differ."""
        return {self.tuned: float(getattr(self, self.tuned).mean())}

    def _set(self, value: float) -> TunedEncoder:
        getattr(self, self.tuned).fill_(value)
        return self


def run_frames(stage: Stage, x: np.ndarray, n_units: int, start: Any = None) -> np.ndarray:
    """Run a stage over clips ``(B, T, F)`` at once, from `start`; return spikes ``(B, T, N)``."""
    spikes = np.empty((*x.shape[:2], n_units), x.dtype)
    state = stage.start if start is None else start
    for t in range(x.shape[1]):
        spikes[:, t], state = stage.step(x[:, t], state)
    return spikes


def running_sum(spikes: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return ``step`` times the running sum of ON minus OFF, ``(B, T, 2F)`` -> ``(B, T, F)``."""
    on, off = np.split(spikes, 2, axis=-1)
    return step * np.cumsum(on - off, axis=1)


def on_off(above: np.ndarray, below: np.ndarray, dtype: Any) -> np.ndarray:
    """Return ON and OFF channels ``(..., 2F)`` for two masks ``(..., F)``."""
    return np.concatenate((above, below), axis=-1).astype(dtype)
