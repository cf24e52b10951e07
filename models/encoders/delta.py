"""Encoders of change: send-on-delta, threshold-based representation and moving window.

Each compares a frame with something earlier and says no more than which way it went. Their decoder is that of
Petro, Kasabov and Kiss (2020), a running sum of steps of one threshold. Unlike that of step-forward coding it
is not in the encoder's loop, so its error has no bound: what a jump exceeds the threshold by is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.encoders.base import on_off_streams
from models.encoders.frames import TunedEncoder, on_off, running_sum
from models.encoders.tuning import check_positive, check_rate
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage


class _Delta(TunedEncoder):
    """ON and OFF by one threshold shared by all bands."""

    has_decoder = True
    threshold: torch.Tensor

    def __init__(self, rate: float | None, n_bands: int):
        super().__init__()
        self.rate = rate
        self.n_units = 2 * n_bands
        self.streams = on_off_streams(n_bands)
        self.register_buffer("threshold", torch.tensor(0.5))

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the running sum of steps of one threshold, from the mean of the training set."""
        return running_sum(spikes, as_array(self.threshold))


@dataclass(frozen=True)
class SendOnDeltaConfig:
    """An event for every change by more than a threshold since the last event.

    Attributes
    ----------
    rate : float or None
        Events per channel and frame to be met; the threshold with the best SNR by default.
    """

    name: Literal["send-on-delta"] = "send-on-delta"
    rate: float | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate, 0.5)


@register_encoder("send-on-delta", SendOnDeltaConfig)
class SendOnDelta(_Delta):
    r"""Send-on-delta sampling (Miskowicz 2006), of which the network sees the sign alone.

    ON where :math:`x_t - r > \theta`, OFF where :math:`x_t - r < -\theta`; after either the reference
    :math:`r` becomes :math:`x_t`: one event whatever the jump. It starts at 0, the mean of the training set.
    """

    def __init__(self, config: SendOnDeltaConfig, n_bands: int):
        super().__init__(config.rate, n_bands)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the reference."""
        threshold = as_array(self.threshold).copy()

        def step(frame: np.ndarray, reference: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            change = frame if reference is None else frame - reference
            above, below = change > threshold, change < -threshold
            kept = np.zeros_like(frame) if reference is None else reference
            return on_off(above, below, frame.dtype), np.where(above | below, frame, kept)

        return Stage(None, step)


@dataclass(frozen=True)
class ThresholdBasedConfig:
    """An event for every change by more than a threshold from one frame to the next.

    Attributes
    ----------
    gamma : float
        The threshold is mean plus `gamma` standard deviations of the absolute change in the training set.
    rate : float or None
        Events per channel and frame to be met instead.
    """

    name: Literal["threshold-based"] = "threshold-based"
    gamma: float = 1.0
    rate: float | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate, 0.5)


@register_encoder("threshold-based", ThresholdBasedConfig)
class ThresholdBased(_Delta):
    r"""Threshold-based representation (TBR, Petro, Kasabov and Kiss 2020).

    ON where :math:`x_t - x_{t-1} > \theta`, OFF where it is below :math:`-\theta`, neither in the first
    frame.
    """

    def __init__(self, config: ThresholdBasedConfig, n_bands: int):
        super().__init__(config.rate, n_bands)
        self.gamma = config.gamma

    def fit_without_rate(self, x: np.ndarray) -> None:
        """Set the threshold by the spread of the change from frame to frame."""
        change = np.abs(np.diff(x, axis=1)).astype(np.float64)
        self.threshold.fill_(max(float(change.mean() + self.gamma * change.std()), 0.0))

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the frame before."""
        threshold = as_array(self.threshold).copy()

        def step(frame: np.ndarray, before: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            change = np.zeros_like(frame) if before is None else frame - before
            return on_off(change > threshold, change < -threshold, frame.dtype), frame

        return Stage(None, step)


@dataclass(frozen=True)
class MovingWindowConfig:
    """An event where a frame differs from the mean of those before it by more than a threshold.

    Attributes
    ----------
    window : int
        Frames before this one.
    rate : float or None
        Events per channel and frame to be met; the threshold with the best SNR by default.
    """

    name: Literal["moving-window"] = "moving-window"
    window: int = 5
    rate: float | None = None

    def __post_init__(self) -> None:
        check_positive(window=self.window)
        check_rate(self.rate, 0.5)


@register_encoder("moving-window", MovingWindowConfig)
class MovingWindow(_Delta):
    r"""Moving-window coding (MW, Petro, Kasabov and Kiss 2020), causal from the first frame on.

    ON where :math:`x_t` exceeds the mean of the last w frames by more than :math:`\theta`, OFF where it falls
    short of it by more. While there are fewer than w the mean is theirs; nothing in the first frame.
    """

    def __init__(self, config: MovingWindowConfig, n_bands: int):
        super().__init__(config.rate, n_bands)
        self.window = config.window

    def frame_operations(self) -> tuple[float, float]:
        """Return two compares, a difference and two adds to the running sum, a band."""
        return 2.5 * self.n_units, 0.0

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the frames of the window."""
        threshold, length = as_array(self.threshold).copy(), self.window

        def step(
            frame: np.ndarray, before: tuple[np.ndarray, ...] | None
        ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
            before = before or (frame,)
            change = frame - sum(before) / frame.dtype.type(len(before))
            kept = before if before[0] is frame else (*before, frame)[-length:]
            return on_off(change > threshold, change < -threshold, frame.dtype), kept

        return Stage(None, step)
