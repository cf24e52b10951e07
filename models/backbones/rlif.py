r"""Recurrent LIF layers with batch-normalised input and a leaky readout (after Bittar and Garner 2022).

.. math::
    I_t &= \mathrm{BN}(W z_t) \\
    u_t &= \alpha (u_{t-1} - s_{t-1}) + (1 - \alpha)(I_t + V s_{t-1}), \qquad s_t = H(u_t - 1) \\
    y_t &= \alpha_o y_{t-1} + (1 - \alpha_o) \mathrm{BN}(W_o s_t), \qquad
    \mathrm{logits} = \kappa\, \overline{y_t}

State starts at zero in every call; nothing is kept on the module.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import nn

from models.backbones.rlif_stream import rlif_stage
from models.neurons.lif import ALPHA_RANGE
from models.neurons.local import local_lif, local_norm
from models.neurons.recurrent import Window, integrate, lif, spike_linear
from models.neurons.surrogate import surrogate
from models.registry import register_backbone
from models.streaming import Stage

THETA = 1.0  # firing threshold; weights and gains set the scale


@dataclass(frozen=True)
class RLIFConfig:
    """Sizes and constants of the network.

    Attributes
    ----------
    hidden : tuple of int
        Units of each layer.
    recurrent : bool
    norm_gain : float
        Start of the batch-norm gain; it sets the initial firing rate.
    dropout : float
        Probability, on the spikes handed to the next layer.
    surrogate : str
        A name in `models.neurons.surrogate.SURROGATES`.
    reset : {"soft", "hard"}
        By the threshold, as in the equations above, or to zero.
    logit_scale : float
        kappa; fixed, so that it counts for no parameter.
    """

    name: Literal["rlif"] = "rlif"
    hidden: tuple[int, ...] = (112,)
    recurrent: bool = True
    norm_gain: float = 3.0
    dropout: float = 0.1
    surrogate: str = "boxcar"
    reset: Literal["soft", "hard"] = "soft"
    logit_scale: float = 5.0

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"backbone.hidden: {self.hidden} needs at least one layer of at least one unit")
        surrogate(self.surrogate)


class Credit(NamedTuple):
    """How far gradients travel.

    Attributes
    ----------
    reach : {"through", "within", "trace", "instant"}
        Through all layers and times; within one layer, over time; to a layer's own values by leaky
        eligibility traces; to the input of the same frame alone. But for the first, none goes from a layer to
        the one before it, save from layer 1 to its input.
    constant_norm : bool
        Batch norm's statistics are constants in backward: what a frame teaches depends on no other.
    """

    reach: Literal["through", "within", "trace", "instant"] = "through"
    constant_norm: bool = False


THROUGH = Credit()


class Source(NamedTuple):
    """What a projection has to know of the layer its spikes come from, in training.

    Attributes
    ----------
    keep : torch.Tensor or None [shape=(B, T, N), bool]
        The spikes that dropout passes on.
    scale : float
        Their weight.
    window : Window or None
        Where that layer has a use for the gradient.
    """

    keep: torch.Tensor | None = None
    scale: float = 1.0
    window: Window | None = None


ANY = Source()


class Projection(nn.Module):
    """``BN(W z)`` over batch and time: ``(B, T, N_in)`` -> ``(B, T, N_out)``."""

    def __init__(self, n_in: int, n_out: int, gain: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / n_in**0.5)
        self.norm = nn.BatchNorm1d(n_out, momentum=0.05)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, z: torch.Tensor, source: Source = ANY, constant_norm: bool = False) -> torch.Tensor:
        """Return currents for every frame at once."""
        weight = self.weight if source.keep is None else source.scale * self.weight
        current = spike_linear(z, weight, source.keep, source.window)  # (B, T, N_out)
        rows = current.flatten(0, 1)
        normed = local_norm(rows, self.norm) if constant_norm and self.norm.training else self.norm(rows)
        return normed.unflatten(0, current.shape[:2])


def _leaks(n_units: int) -> nn.Parameter:
    low, high = ALPHA_RANGE
    return nn.Parameter(low + (high - low) * torch.rand(n_units))


class RLIFLayer(nn.Module):
    """One recurrent LIF layer; the diagonal of V is kept out of the dynamics."""

    def __init__(self, n_in: int, n_units: int, config: RLIFConfig):
        super().__init__()
        self.input = Projection(n_in, n_units, config.norm_gain)
        self.alpha = _leaks(n_units)
        self.recurrent = nn.Parameter(nn.init.orthogonal_(torch.empty(n_units, n_units)))
        if not config.recurrent:
            self.register_parameter("recurrent", None)
        self._surrogate, self._reset = config.surrogate, config.reset

    def forward(
        self, z: torch.Tensor, source: Source = ANY, credit: Credit = THROUGH
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return spikes and membrane, both ``(B, T, N)``."""
        weight = self.recurrent_weight()
        alpha = self.alpha.clamp(*ALPHA_RANGE)
        current = self.input(z, source, credit.constant_norm)  # (B, T, N)
        run = lif
        if credit.reach in ("trace", "instant"):
            run = partial(local_lif, trace=credit.reach == "trace")
        return run(current, alpha, weight, surrogate_name=self._surrogate, reset=self._reset, theta=THETA)

    def recurrent_weight(self) -> torch.Tensor | None:
        """Return V as it acts, without its diagonal: ``(N, N)``, from row to column."""
        if self.recurrent is None:
            return None
        return (self.recurrent - torch.diag(self.recurrent.diagonal())).T


class LeakyReadout(nn.Module):
    """Non-spiking leaky integrator, one unit a class; ``(B, T, N)`` -> ``(B, T, C)``."""

    def __init__(self, n_in: int, n_classes: int):
        super().__init__()
        self.input = Projection(n_in, n_classes, 1.0)
        self.alpha = _leaks(n_classes)

    def forward(self, s: torch.Tensor, source: Source = ANY) -> torch.Tensor:
        """Return the integrator's value at every frame."""
        return integrate(self.input(s, source), self.alpha.clamp(*ALPHA_RANGE))


def _dropout(
    shape: torch.Size, probability: float, generator: torch.Generator | None
) -> tuple[torch.Tensor | None, float]:
    """Draw which spikes to pass on, and return their weight, which makes up for the rest.

    Sixteen random bits each, four from one draw: the probability is met to 1 in 65,536.
    """
    level = round(probability * 2**16)
    if level == 0:
        return None, 1.0
    draws = torch.empty(-(-shape.numel() // 4), dtype=torch.int64).random_(
        -(2**63), None, generator=generator
    )
    keep = draws.view(torch.int16)[: shape.numel()].view(shape) >= level - 2**15
    return keep, 1 / (1 - level / 2**16)


@register_backbone("rlif", RLIFConfig)
class RLIF(nn.Module):
    """Stack of recurrent LIF layers and a leaky readout."""

    def __init__(self, config: RLIFConfig, n_in: int, n_classes: int):
        super().__init__()
        self.config = config
        sizes = (n_in, *config.hidden)
        self.layers = nn.ModuleList(RLIFLayer(a, b, config) for a, b in pairwise(sizes))
        self.readout = LeakyReadout(sizes[-1], n_classes)

    def points(self) -> dict[str, tuple[int, bool]]:
        """Return the recordable points as name -> (units, spiking)."""
        named = {f"layer{i}": (size, True) for i, size in enumerate(self.config.hidden, 1)}
        return named | {"readout": (self.readout.alpha.numel(), False)}

    def forward(
        self,
        z: torch.Tensor,
        record: Collection[str] = (),
        generator: torch.Generator | None = None,
        credit: Credit = THROUGH,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Classify encoder spikes.

        Parameters
        ----------
        z : torch.Tensor [shape=(B, T, N)]
        record : collection of str
            Names among ``layer1`` ..., ``layer1/membrane`` ..., ``readout`` (its mean over time: the logits).
        generator : torch.Generator, optional
            Source of the dropout masks in training mode.
        credit : Credit
            How far gradients travel; where not through, a layer is taught at its recorded spikes, see
            `models.learning.dfa`.

        Returns
        -------
        logits : torch.Tensor [shape=(B, C)]
        rates : torch.Tensor [shape=(n_layers,)]
            Mean firing rate of each layer, differentiable.
        recordings : dict of str to torch.Tensor [shape=(B, T, N)]
        """
        kept: dict[str, torch.Tensor] = {}
        rates = []
        support = surrogate(self.config.surrogate).support
        source = ANY
        for i, layer in enumerate(self.layers, 1):
            z, membrane = layer(z if i == 1 or credit.reach == "through" else z.detach(), source, credit)
            rates.append(z.mean())
            kept |= {f"layer{i}": z, f"layer{i}/membrane": membrane}
            if self.training:
                window = None if support is None else Window(membrane.detach(), THETA, support)
                source = Source(*_dropout(z.shape, self.config.dropout, generator), window)
        seen = z if credit.reach == "through" else z.detach()
        kept["readout"] = self.config.logit_scale * self.readout(seen, source)
        logits = kept["readout"].mean(dim=1)
        return logits, torch.stack(rates), {name: kept[name] for name in record if name in kept}

    def streaming(self, spiking_input: bool) -> Stage:
        """Return the network for one frame at a time; see `models.backbones.rlif_stream.rlif_stage`."""
        return rlif_stage(self, THETA, spiking_input)
