"""Encoder and backbone as one model that takes log-mel and can be recorded by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import nn

from models.config import Recipe
from models.encoders.base import Encoder, EncoderOutput
from models.errors import SpikelensError
from models.registry import BACKBONES, ENCODERS


class PointInfo(NamedTuple):
    """A recordable point: its size, whether it holds spikes, and its named column ranges."""

    name: str
    units: int
    spiking: bool
    streams: dict[str, tuple[int, int]]


class Output(NamedTuple):
    """What a forward pass returns.

    Attributes
    ----------
    logits : torch.Tensor [shape=(B, C)]
    encoder_rate : torch.Tensor
        Mean events per encoder channel and frame, differentiable.
    layer_rates : torch.Tensor [shape=(n_layers,)]
        Mean spikes per unit and frame.
    recordings : dict of str to torch.Tensor [shape=(B, T, N)]
    """

    logits: torch.Tensor
    encoder_rate: torch.Tensor
    layer_rates: torch.Tensor
    recordings: dict[str, torch.Tensor]


class SpikingClassifier(nn.Module):
    """Log-mel in, class scores out: normalisation, encoder, backbone.

    Parameters
    ----------
    recipe : Recipe
    n_classes : int
    """

    feature_mean: torch.Tensor
    feature_std: torch.Tensor

    def __init__(self, recipe: Recipe, n_classes: int):
        super().__init__()
        n_bands = recipe.features.n_mels
        self.register_buffer("feature_mean", torch.zeros(n_bands))
        self.register_buffer("feature_std", torch.ones(n_bands))
        self.encoder: Encoder = ENCODERS[recipe.encoder.name].build(recipe.encoder, n_bands)
        self.backbone = BACKBONES[recipe.backbone.name].build(
            recipe.backbone, self.encoder.n_inputs, n_classes
        )

    @classmethod
    def from_seed(cls, recipe: Recipe, n_classes: int) -> SpikingClassifier:
        """Build the model with the initial weights that belong to the recipe's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            return cls(recipe, n_classes)

    def normalise(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Return log-mel in units of the training set's standard deviation per band, ``(B, T, F)``."""
        return (log_mel - self.feature_mean) / self.feature_std

    def denormalise(self, x: torch.Tensor) -> torch.Tensor:
        """Undo `normalise`."""
        return x * self.feature_std + self.feature_mean

    def points(self) -> tuple[PointInfo, ...]:
        """Return every point that `forward` can record, in the order of the signal's path."""
        n_bands = len(self.feature_mean)
        found = [PointInfo("features", n_bands, False, {})]
        found.append(PointInfo("encoder", self.encoder.n_units, self.encoder.spiking, self.encoder.streams))
        if self.encoder.has_decoder:
            found.append(PointInfo("decoded", n_bands, False, {}))
        found += [PointInfo(n, units, spikes, {}) for n, (units, spikes) in self.backbone.points().items()]
        return tuple(found)

    def forward(
        self, log_mel: torch.Tensor, record: Collection[str] = (), generator: torch.Generator | None = None
    ) -> Output:
        """Classify clips.

        Parameters
        ----------
        log_mel : torch.Tensor [shape=(B, T, F)]
            As `models.features.mel.log_mel` gives it; normalised inside.
        record : collection of str
            Points to return, see `points`; also ``layerN/membrane``.
        generator : torch.Generator, optional
            Dropout in training mode draws from it.
        """
        x = self.normalise(log_mel)
        output = self.classify(self.encoder(x), record, generator)
        if "features" in record:
            output.recordings["features"] = x
        if missing := [name for name in record if name not in output.recordings]:
            raise SpikelensError(f"record: {missing[0]!r} is not a point of this model")
        return output

    def classify(
        self,
        encoded: EncoderOutput,
        record: Collection[str] = (),
        generator: torch.Generator | None = None,
        credit: Any = None,
    ) -> Output:
        """Run the backbone on what the encoder gave; the gradient's leaf may be ``encoded.spikes``.

        `credit` is how far gradients travel where the backbone has a choice: `models.backbones.rlif.Credit`.
        """
        drive = self.encoder.drive(encoded.spikes)
        choice = {} if credit is None else {"credit": credit}
        logits, rates, recordings = self.backbone(drive, record, generator, **choice)
        if "encoder" in record:
            recordings["encoder"] = encoded.spikes
        if "decoded" in record and encoded.decoded is not None:
            recordings["decoded"] = encoded.decoded
        rate = encoded.spikes.mean() if self.encoder.spiking else encoded.spikes.new_zeros(())
        return Output(logits, rate, rates, recordings)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
