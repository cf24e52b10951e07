"""Level code: a thermometer of thresholds, without memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.encoders.frames import TunedEncoder
from models.encoders.tuning import check_rate
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage


@dataclass(frozen=True)
class LevelConfig:
    """Two levels of either sign.

    Attributes
    ----------
    low, high : float
        In standard deviations of a band, ``0 < low < high``.
    rate : float or None
        Events per channel and frame to be met by scaling both levels alike.
    """

    name: Literal["level"] = "level"
    low: float = 0.5
    high: float = 1.5
    rate: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"encoder.low: {self.low} must lie between 0 and high = {self.high}")
        check_rate(self.rate, 0.5)


@register_encoder("level", LevelConfig)
class Level(TunedEncoder):
    r"""Thermometer code of the signal's level: :math:`H(x - l_k)` and :math:`H(-x - l_k)` for two levels.

    The decoder gives 0 below the lower level, the middle between the two, and half their distance beyond the
    higher one. Its error is at most the lower level below that, and half the distance of the two from there
    up to one distance beyond the higher.
    """

    tuned = "unit"
    has_decoder = True
    unit: torch.Tensor

    def __init__(self, config: LevelConfig, n_bands: int):
        super().__init__()
        self.rate = config.rate
        self.levels = config.low, config.high
        self.n_units = 4 * n_bands
        names = ("low_on", "low_off", "high_on", "high_off")
        self.streams = {name: (i * n_bands, (i + 1) * n_bands) for i, name in enumerate(names)}
        self.register_buffer("unit", torch.tensor(1.0))

    def fit_without_rate(self, x: np.ndarray) -> None:
        """Leave the levels where the configuration has them."""

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; it has no state."""
        unit = as_array(self.unit).copy()
        low, high = (unit * unit.dtype.type(level) for level in self.levels)

        def step(frame: np.ndarray, state: None) -> tuple[np.ndarray, None]:
            masks = (frame > low, frame < -low, frame > high, frame < -high)
            return np.concatenate(masks, axis=-1).astype(frame.dtype), None

        return Stage(None, step)

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the middle of the interval between levels that the spikes name."""
        low, high = self.levels
        unit = as_array(self.unit)
        first_step = unit * unit.dtype.type((low + high) / 2)
        second_step = unit * unit.dtype.type(high - low)
        low_on, low_off, high_on, high_off = np.split(spikes, 4, axis=-1)
        return first_step * (low_on - low_off) + second_step * (high_on - high_off)
