"""Ben's spiker algorithm: a spike where taking a filter's response out of the signal makes it smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from models.encoders.fit import sample_clips
from models.encoders.fixed_kernels import bsa_frame
from models.encoders.frames import TunedEncoder
from models.encoders.tuning import check_rate
from models.encoders.unit_range import UnitRange, to_unit
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage


@dataclass(frozen=True)
class BsaConfig:
    """Ben's spiker algorithm.

    Attributes
    ----------
    taps : int
        Length M of the filter; spikes come M - 1 frames after what they stand for.
    cutoff : float in (0, 0.5)
        Of the low-pass filter, in cycles per frame.
    rate : float or None
        Events per channel and frame to be met; the margin with the best SNR by default.
    """

    name: Literal["bsa"] = "bsa"
    taps: int = 8
    cutoff: float = 0.2
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.taps < 2:
            raise ValueError(f"encoder.taps: {self.taps} must be at least 2")
        if not 0 < self.cutoff < 0.5:
            raise ValueError(f"encoder.cutoff: {self.cutoff} must lie between 0 and 0.5 cycles per frame")
        check_rate(self.rate)


@register_encoder("bsa", BsaConfig)
class Bsa(TunedEncoder):
    r"""Ben's spiker algorithm (Schrauwen and Van Campenhout 2003), made causal.

    The signal y is scaled to [0, 1] by each band's 1st and 99th percentile. A spike stands at t, and the
    filter k is subtracted from y there, where

    .. math:: \sum_{j<M} |y_{t+j} - k_j| \le \sum_{j<M} |y_{t+j}| - \theta .

    That needs M - 1 frames to come, so the spike is emitted at t + M - 1; for the last M - 1 frames of a clip
    there are none. The decoder convolves the spikes with k, takes the delay out again and undoes the scaling.

    Subtracting k lessens the sum by at most 1, the sum of the taps, and does so wherever y is above the
    filter: those spikes stay at any margin up to 1 and go at once beyond, so low rates are out of reach.
    """

    tuned = "margin"
    has_decoder = True
    margin: torch.Tensor
    kernel: torch.Tensor

    def __init__(self, config: BsaConfig, n_bands: int):
        super().__init__()
        from scipy.signal import firwin

        self.rate = config.rate
        self.n_units = n_bands
        self.streams = {}
        self.range = UnitRange(n_bands)
        self.register_buffer("margin", torch.tensor(0.3))
        taps = firwin(config.taps, config.cutoff, fs=1.0)
        self.register_buffer("kernel", torch.tensor(taps, dtype=torch.float32))

    def fit(self, features: np.ndarray) -> None:
        """Find the range of each band, then the margin."""
        self.range.fit(sample_clips(features))
        super().fit(features)

    def frame_operations(self) -> tuple[float, float]:
        """Return differences and two sums over M taps, a compare, and the filter's subtraction, a band."""
        return self.n_units * (4.0 * len(self.kernel) + 1), 0.0

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is what is left of the last M frames."""
        low, high = self.range.bounds()
        taps = as_array(self.kernel).copy()
        margin = taps.dtype.type(float(self.margin))

        def step(frame: np.ndarray, state: tuple[np.ndarray, int] | None) -> Any:
            held, seen = (np.zeros((len(taps) - 1, frame.size), frame.dtype), 0) if state is None else state
            level = to_unit(frame, low, high).reshape(-1)
            if seen < len(taps) - 1:
                return np.zeros_like(frame), (np.concatenate((held[1:], level[None])), seen + 1)
            spikes, held = bsa_frame(level, held, taps, margin)
            return spikes.reshape(frame.shape), (held, seen)

        return Stage(None, step)

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the filtered spikes, without their delay, on the scale of normalised log-mel."""
        low, high = self.range.bounds()
        taps = as_array(self.kernel)
        n_steps, delay = spikes.shape[1], len(taps) - 1
        meant = np.zeros((len(spikes), n_steps + delay, spikes.shape[2]), spikes.dtype)
        meant[:, delay:n_steps] = spikes[:, delay:]
        signal = sum(tap * meant[:, delay - j : delay - j + n_steps] for j, tap in enumerate(taps))
        return low + (high - low) * signal
