"""Rate code by leaky integrate-and-fire units, two a band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.encoders.base import on_off_streams
from models.encoders.frames import TunedEncoder
from models.encoders.tuning import check_rate
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage


@dataclass(frozen=True)
class LifConfig:
    """Fixed LIF units.

    Attributes
    ----------
    leak : float in (0, 1)
        What is left of the membrane after a frame.
    threshold : float
    rate : float or None
        Events per channel and frame to be met by another threshold.
    """

    name: Literal["lif"] = "lif"
    leak: float = 0.9
    threshold: float = 1.0
    rate: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.leak < 1:
            raise ValueError(f"encoder.leak: {self.leak} must lie between 0 and 1")
        if self.threshold <= 0:
            raise ValueError(f"encoder.threshold: {self.threshold} must be above 0")
        check_rate(self.rate)


@register_encoder("lif", LifConfig)
class Lif(TunedEncoder):
    r"""One LIF unit a band and sign, on :math:`\max(x, 0)` and :math:`\max(-x, 0)`.

    .. math:: u_t = \lambda (u_{t-1} - \theta s_{t-1}) + i_t, \quad s_t = H(u_t - \theta)

    It has no decoder: what the leak takes leaves no trace in the spikes, so a frame's value can only be
    guessed from averages.
    """

    tuned = "theta"
    theta: torch.Tensor

    def __init__(self, config: LifConfig, n_bands: int):
        super().__init__()
        self.rate, self.leak = config.rate, config.leak
        self.n_units = 2 * n_bands
        self.streams = on_off_streams(n_bands)
        self.register_buffer("theta", torch.tensor(config.threshold))

    def frame_operations(self) -> tuple[float, float]:
        """Return a compare and a reset a unit, and the product with the leak."""
        return 2.0 * self.n_units, float(self.n_units)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the membrane after reset."""
        theta = as_array(self.theta).copy()
        leak = theta.dtype.type(self.leak)

        def step(frame: np.ndarray, membrane: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            current = np.maximum(np.concatenate((frame, -frame), axis=-1), 0)
            u = current if membrane is None else leak * membrane + current
            spikes = (u > theta).astype(frame.dtype)
            return spikes, u - theta * spikes

        return Stage(None, step)
