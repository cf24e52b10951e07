"""No encoder at all: the features enter the network as currents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from models.encoders.base import Encoder, EncoderOutput
from models.registry import register_encoder
from models.streaming import Stage


@dataclass(frozen=True)
class DirectConfig:
    """No encoder: the features enter the first layer as currents."""

    name: Literal["direct"] = "direct"


@register_encoder("direct", DirectConfig)
class Direct(Encoder):
    """Hand the normalised log-mel on as it is: not spikes, and trivially faithful."""

    spiking = False

    def __init__(self, config: DirectConfig, n_bands: int):
        super().__init__()
        self.n_units = n_bands
        self.streams = {}

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Return the features; nothing is decoded since nothing was encoded."""
        return EncoderOutput(x, None)

    def streaming(self) -> Stage:
        """Return the identity; it has no state."""
        return Stage(None, lambda frame, state: (frame, state))
