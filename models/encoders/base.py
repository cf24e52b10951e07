"""What every encoder offers."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from models.errors import SpikelensError
from models.streaming import Stage

Spikes = TypeVar("Spikes", torch.Tensor, np.ndarray)


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
    has_decoder : bool
        True where the output comes with a decoded signal.
    signed : bool
        The network gets ON minus OFF, values -1, 0 and 1 on half as many inputs. Spikes, their rates and
        recordings stay ON and OFF; the streams must come in such pairs.
    """

    n_units: int
    streams: dict[str, tuple[int, int]]
    spiking: bool = True
    has_decoder: bool = False
    signed: bool = False

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Encode normalised log-mel."""
        raise NotImplementedError

    @property
    def n_inputs(self) -> int:
        """Number of values a frame that the network gets."""
        return self.n_units // 2 if self.signed else self.n_units

    def drive(self, spikes: Spikes) -> Spikes:
        """Return what the network gets for spikes ``(..., N)``: the spikes, or ON minus OFF if `signed`."""
        if not self.signed:
            return spikes
        start, stop = next(iter(self.streams.values()))
        pairs = spikes.reshape(*spikes.shape[:-1], -1, 2, stop - start)
        return (pairs[..., 0, :] - pairs[..., 1, :]).reshape(*spikes.shape[:-1], self.n_inputs)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; raises SpikelensError where it has no such form."""
        raise SpikelensError(f"encoder: {type(self).__name__} has no streaming form")

    def set_scale(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Take note of what log-mel was normalised by, ``(F,)`` each; called once, before `fit`."""

    def fit(self, features: np.ndarray) -> None:
        """Choose what is fitted on the training features ``(n, T, F)``, normalised; nothing by default."""

    def frame_operations(self) -> tuple[float, float]:
        """Return the accumulates (adds and compares) and multiply-accumulates of a frame, an upper bound.

        By default a compare a channel and an add a pair of channels: ``4F`` and ``2F`` for two phases.
        """
        return (1.5 * self.n_units, 0.0) if self.spiking else (0.0, 0.0)

    def describe(self) -> dict[str, float]:
        """Return the numbers worth following through training, by name."""
        return {}


def on_off_streams(n_bands: int) -> dict[str, tuple[int, int]]:
    """Return the column ranges of ON and OFF channels, one of each a band."""
    return {"on": (0, n_bands), "off": (n_bands, 2 * n_bands)}
