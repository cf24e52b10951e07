r"""The residual encoder as a trained part of the network, with its variants.

What is learned (`variant`), with :math:`D` and :math:`\tau` as in `models.encoders.residual`:

- E0: four scalars, shared by all bands;
- E1: four values a band;
- E2: E0, and gain and bias of each band before the code, undone by the decoder;
- E3: E2 on linear mixtures of the bands. A mixture need not have an inverse, so nothing is decoded.

How the phases stand to each other (`coding`):

- shared: both follow the signal on one baseline;
- cascade: the coarse phase is step-forward coding of the signal, the fine phase step-forward coding, on a
  baseline of its own, of what the coarse one leaves; the decoder adds the two baselines;
- single: the coarse phase alone, which is step-forward coding with a learned step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models.encoders.base import Encoder, EncoderOutput
from models.encoders.residual import (
    MIN_THRESHOLD,
    STREAMS,
    Steps,
    residual_stage,
    residual_step_forward,
    stream_columns,
)
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage

Coding = Literal["shared", "cascade", "single"]
Start = Literal["zero", "first"]
_OUT_OF_REACH = 1e9  # threshold of a phase that is not there
_RAW = ("rho", "kappa", "raw_tc", "raw_tf")
_LEARNED = {"both": _RAW, "steps": _RAW[:2], "thresholds": _RAW[2:], "none": ()}


@dataclass(frozen=True)
class ResidualConfig:
    """The learned encoder.

    Attributes
    ----------
    variant : {"E0", "E1", "E2", "E3"}
        E0: four shared scalars. E1: steps and thresholds per band. E2: E0 with gain and bias on the signal.
        E3: E2 on learned mixtures of the bands.
    dc, df, tc, tf : float
        Values at the start; ``df < dc`` and thresholds above 0.5.
    coding : {"shared", "cascade", "single"}
        Two phases on one baseline, two encoders one behind the other, or the coarse phase alone.
    signed : bool
        The network gets ON minus OFF of each phase, on half as many inputs.
    start : {"zero", "first"}
        Where the baseline starts: the mean of the training set, or the first frame, which discards level.
    learn : {"both", "steps", "thresholds", "none"}
        Which of steps and thresholds are trained; gain, bias and mixture are in any case.
    """

    name: Literal["residual"] = "residual"
    variant: Literal["E0", "E1", "E2", "E3"] = "E0"
    dc: float = 0.9
    df: float = 0.33
    tc: float = 0.55
    tf: float = 0.55
    coding: Coding = "shared"
    signed: bool = False
    start: Start = "zero"
    learn: Literal["both", "steps", "thresholds", "none"] = "both"

    def __post_init__(self) -> None:
        if not 0 < self.df < self.dc:
            raise ValueError(f"encoder.df: {self.df} must lie between 0 and dc = {self.dc}")
        if min(self.tc, self.tf) <= MIN_THRESHOLD:
            raise ValueError(f"encoder.tc and encoder.tf must be above {MIN_THRESHOLD}")


def encode(x: torch.Tensor, steps: Steps, coding: Coding = "shared", start: Start = "zero") -> EncoderOutput:
    """Encode and decode by any of the codings, differentiable in the signal and in the steps.

    Parameters
    ----------
    x : torch.Tensor [shape=(B, T, F)]
    steps : Steps

    Returns
    -------
    EncoderOutput
        Spikes ``(B, T, 4F)``, ``(B, T, 2F)`` of a single phase, in the order of `STREAMS`.
    """
    if start == "first":
        origin = x[:, :1]
        spikes, decoded = encode(x - origin, steps, coding)
        assert decoded is not None
        return EncoderOutput(spikes, decoded + origin)
    if coding == "shared":
        return residual_step_forward(x, steps)
    coarse = _one_phase(x, steps.dc, steps.tc)
    if coding == "single":
        return coarse
    assert coarse.decoded is not None
    fine = _one_phase(x - coarse.decoded, steps.df, steps.tf)
    assert fine.decoded is not None
    return EncoderOutput(torch.cat((coarse.spikes, fine.spikes), dim=-1), coarse.decoded + fine.decoded)


def _one_phase(x: torch.Tensor, step: torch.Tensor, threshold: torch.Tensor) -> EncoderOutput:
    never = torch.full_like(threshold, _OUT_OF_REACH)
    spikes, decoded = residual_step_forward(x, Steps(step, step, threshold, never))
    return EncoderOutput(spikes[..., : 2 * x.shape[-1]], decoded)


def encoding_stage(steps: Steps, n_bands: int, coding: Coding = "shared", start: Start = "zero") -> Stage:
    """Return `encode` for one frame at a time."""
    if start == "first":
        return _from_first(encoding_stage(steps, n_bands, coding))
    if coding == "shared":
        return residual_stage(steps, n_bands)
    never = torch.full_like(steps.tc, _OUT_OF_REACH)
    coarse = residual_stage(Steps(steps.dc, steps.dc, steps.tc, never), n_bands)
    fine = residual_stage(Steps(steps.df, steps.df, steps.tf, never), n_bands)

    def one(frame: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        spikes, baseline = coarse.step(frame, baseline)
        return spikes[: 2 * n_bands], baseline

    def two(frame: np.ndarray, baselines: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, Any]:
        above, first = one(frame, baselines[0])
        below, second = fine.step(frame - first, baselines[1])
        return np.concatenate((above, below[: 2 * n_bands])), (first, second)

    return Stage(coarse.start, one) if coding == "single" else Stage((coarse.start, fine.start), two)


def _from_first(inner: Stage) -> Stage:
    """Return a stage that codes the distance from the first frame."""

    def step(frame: np.ndarray, state: tuple[np.ndarray, Any] | None) -> tuple[np.ndarray, Any]:
        origin, held = (frame.copy(), inner.start) if state is None else state
        spikes, held = inner.step(frame - origin, held)
        return spikes, (origin, held)

    return Stage(None, step)


@register_encoder("residual", ResidualConfig)
class ResidualEncoder(Encoder):
    """Learned residual step-forward encoder.

    Parametrised so that every value is allowed: ``dc = softplus(rho)``, ``df = dc sigmoid(kappa)``,
    ``tau = 0.5 + softplus(.)``, ``gain = exp(log_gain)``. What `learn` leaves out is a buffer.

    Attributes
    ----------
    plain : bool
        Two phases on one baseline that starts at 0.
    """

    rho: torch.Tensor
    kappa: torch.Tensor
    raw_tc: torch.Tensor
    raw_tf: torch.Tensor

    def __init__(self, config: ResidualConfig, n_bands: int):
        super().__init__()
        self.config = config
        self.plain = config.coding == "shared" and config.start == "zero"
        self.has_decoder = config.variant != "E3"
        self.signed = config.signed
        names = STREAMS[:2] if config.coding == "single" else STREAMS
        self.n_units = len(names) * n_bands
        self.streams = stream_columns(n_bands, names)
        ratio = config.df / config.dc
        values = (
            _inverse_softplus(config.dc),
            math.log(ratio / (1 - ratio)),
            _inverse_softplus(config.tc - MIN_THRESHOLD),
            _inverse_softplus(config.tf - MIN_THRESHOLD),
        )
        for name, value in zip(_RAW, values, strict=True):
            if config.coding != "single" or name in ("rho", "raw_tc"):
                self._add(name, value, n_bands)
        if config.variant in ("E2", "E3"):
            self.log_gain = nn.Parameter(torch.zeros(n_bands))
            self.bias = nn.Parameter(torch.zeros(n_bands))
        if config.variant == "E3":
            self.mix = nn.Parameter(torch.eye(n_bands))

    def _add(self, name: str, value: float, n_bands: int) -> None:
        tensor = torch.full((n_bands,) if self.config.variant == "E1" else (), value)
        if name in _LEARNED[self.config.learn]:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def steps(self) -> Steps:
        """Return the current steps and thresholds; of a single phase, the fine ones mean nothing."""
        dc, tc = F.softplus(self.rho), MIN_THRESHOLD + F.softplus(self.raw_tc)
        if self.config.coding == "single":
            return Steps(dc, dc, tc, tc)
        return Steps(dc, dc * torch.sigmoid(self.kappa), tc, MIN_THRESHOLD + F.softplus(self.raw_tf))

    def forward(self, x: torch.Tensor, steps: Steps | None = None) -> EncoderOutput:
        """Encode; `steps` replaces the module's own, for gradients and finite differences in them."""
        config = self.config
        steps = self.steps() if steps is None else steps
        if config.variant in ("E0", "E1"):
            return encode(x, steps, config.coding, config.start)
        gain = self.log_gain.exp()
        mixed = x @ self.mix.T if config.variant == "E3" else x
        spikes, decoded = encode(gain * mixed + self.bias, steps, config.coding, config.start)
        assert decoded is not None
        return EncoderOutput(spikes, (decoded - self.bias) / gain if self.has_decoder else None)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the baseline, or what `coding` needs."""
        config = self.config
        n_bands = next(iter(self.streams.values()))[1]
        coded = encoding_stage(self.steps(), n_bands, config.coding, config.start)
        if config.variant in ("E0", "E1"):
            return coded
        gain, bias = as_array(self.log_gain.exp()), as_array(self.bias)
        if config.variant == "E2":
            return Stage(coded.start, lambda frame, state: coded.step(gain * frame + bias, state))
        mix = as_array(self.mix)
        return Stage(coded.start, lambda frame, state: coded.step(gain * (mix @ frame) + bias, state))

    def frame_operations(self) -> tuple[float, float]:
        """Return as the base class does, and the products of E3's mixture; gain and bias are mere scale."""
        accumulates, _ = super().frame_operations()
        return accumulates, float(self.mix.numel()) if self.config.variant == "E3" else 0.0

    def describe(self) -> dict[str, float]:
        """Return steps and thresholds, band means for E1, and how far gains and mixture have moved."""
        single = self.config.coding == "single"
        named = {
            name: float(value.detach().mean())
            for name, value in self.steps()._asdict().items()
            if not (single and name in ("df", "tf"))
        }
        if self.config.variant in ("E2", "E3"):
            named |= {"gain_mean": float(self.log_gain.detach().exp().mean())}
            named |= {"gain_sd": float(self.log_gain.detach().exp().std())}
        if self.config.variant == "E3":
            shift = self.mix.detach() - torch.eye(len(self.mix))
            named |= {"mix_shift": float(shift.square().sum().sqrt())}
        return named


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
