"""What every encoder offers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from models.errors import SpikelensError
from models.streaming import Stage


class EncoderOutput(NamedTuple):
    """Spikes ``(B, T, N)`` and, from an encoder with a decoder, the signal they imply ``(B, T, F)``."""

    spikes: torch.Tensor
    decoded: torch.Tensor | None


class Encoder(nn.Module):
    """Base class: normalised log-mel ``(B, T, F)`` in, `EncoderOutput` out.

    Attributes
    ----------
    n_units : int
        N, the size of the last axis of the output.
    streams : dict of str to (start, stop)
        Column ranges with a meaning of their own.
    spiking : bool
        False where the output is a current, not spikes.
    """

    n_units: int
    streams: dict[str, tuple[int, int]]
    spiking: bool = True

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Encode normalised log-mel."""
        raise NotImplementedError

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; raises SpikelensError where it has no such form."""
        raise SpikelensError(f"encoder: {type(self).__name__} has no streaming form")

    def fit(self, features: np.ndarray) -> None:
        """Choose what is fitted on the training features ``(n, T, F)``, normalised; nothing by default."""

    def describe(self) -> dict[str, float]:
        """Return the numbers worth following through training, by name."""
        return {}
