r"""Residual step-forward encoder: a coarse and a fine phase on one shared baseline.

Per frame and band, with baseline :math:`B`, steps :math:`D_c > D_f` and thresholds :math:`\tau`:

.. math::
    u &= x_t - B_{t-1}, & a^\pm &= H(\pm u / D_c - \tau_c), & B' &= B_{t-1} + D_c (a^+ - a^-) \\
    v &= x_t - B',      & b^\pm &= H(\pm v / D_f - \tau_f), & B_t &= B' + D_f (b^+ - b^-)

The decoder reads the baseline: :math:`\hat x_t = B_t`. Step-forward coding is Petro, Kasabov and Kiss (2020);
the learned two-phase form reconstructs arXiv 2606.19039, whose method section is not public.

The surrogate is a triangle of the *normalised* distance :math:`z = u/D - \tau`. With peak 1 and
:math:`\tau \ge 1/2` every factor of :math:`\partial B_t / \partial B_{t-1} =
(1 - h(z_c^+) - h(z_c^-))(1 - h(z_f^+) - h(z_f^-))` lies in [0, 1]: training through time cannot explode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from models.encoders.base import Encoder, EncoderOutput
from models.encoders.fit import StepValues, fit_steps, fit_steps_at_rate
from models.encoders.residual_kernels import encode, encode_backward
from models.neurons.engine import as_array, compiled, in_blocks
from models.neurons.surrogate import spike, triangle
from models.registry import register_encoder
from models.streaming import Stage

STREAMS = ("coarse_on", "coarse_off", "fine_on", "fine_off")
MIN_THRESHOLD = 0.5  # below it the baseline Jacobian may leave [0, 1]


class Steps(NamedTuple):
    """Coarse and fine step (normalised log-mel) and thresholds (in steps); scalar or ``(F,)``."""

    dc: torch.Tensor
    df: torch.Tensor
    tc: torch.Tensor
    tf: torch.Tensor


def residual_step_forward(x: torch.Tensor, steps: Steps) -> EncoderOutput:
    """Encode and decode, differentiable in the signal and in the steps.

    Parameters
    ----------
    x : torch.Tensor [shape=(B, T, F)]
        Normalised log-mel; the baseline starts at 0, the mean of the training set.
    steps : Steps

    Returns
    -------
    EncoderOutput
        Spikes ``(B, T, 4F)`` in the order of `STREAMS`; decoded ``(B, T, F)``.
    """
    if compiled(x):
        bands = x.shape[-1:]
        return EncoderOutput(*_Compiled.apply(x, *(value.to(x.dtype).expand(bands) for value in steps)))
    dc, df, tc, tf = steps
    baseline = torch.zeros_like(x[:, 0])  # (B, F)
    spikes, decoded = [], []
    for frame in x.unbind(1):
        z = (frame - baseline) / dc
        coarse_on, coarse_off = spike(z - tc, triangle), spike(-z - tc, triangle)
        baseline = baseline + dc * (coarse_on - coarse_off)
        z = (frame - baseline) / df
        fine_on, fine_off = spike(z - tf, triangle), spike(-z - tf, triangle)
        baseline = baseline + df * (fine_on - fine_off)
        spikes.append(torch.cat((coarse_on, coarse_off, fine_on, fine_off), dim=-1))  # (B, 4F)
        decoded.append(baseline)
    return EncoderOutput(torch.stack(spikes, 1), torch.stack(decoded, 1))  # (B, T, 4F), (B, T, F)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n_clips, n_steps, n_bands = x.shape
        spikes, decoded = x.new_empty(n_clips, n_steps, 4 * n_bands), x.new_empty(x.shape)
        views = spikes.numpy().reshape(n_clips, n_steps, 4, n_bands), decoded.numpy()
        in_blocks(encode, n_clips, *map(as_array, (x, x.new_zeros(n_bands), *steps)), *views)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *steps, spikes, decoded)
        return spikes, decoded

    @staticmethod
    def backward(
        ctx: Any, by_spikes: torch.Tensor | None, by_decoded: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        *given, spikes, decoded = ctx.saved_tensors
        four = (*decoded.shape[:2], 4, decoded.shape[2])
        if by_spikes is None:
            by_spikes = torch.zeros_like(spikes)
        grad_x = torch.empty_like(decoded)
        grad_steps = decoded.new_empty(len(decoded), 4, decoded.shape[2])
        in_blocks(
            encode_backward,
            len(decoded),
            *map(as_array, given),
            spikes.numpy().reshape(four),
            decoded.numpy(),
            as_array(by_spikes).reshape(four),
            as_array(by_decoded if by_decoded is not None else decoded[:0, :0, :0]),
            grad_x.numpy(),
            grad_steps.numpy(),
        )
        return grad_x, *grad_steps.sum(0)


def decode_residual(spikes: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Return the running sum of signed steps, ``(B, T, 4F)`` -> ``(B, T, F)``."""
    coarse_on, coarse_off, fine_on, fine_off = spikes.chunk(4, dim=-1)
    return (steps.dc * (coarse_on - coarse_off) + steps.df * (fine_on - fine_off)).cumsum(dim=1)


def residual_stage(steps: Steps, n_bands: int) -> Stage:
    """Return `residual_step_forward` for one frame at a time; the state is the baseline."""
    values = [as_array(value.expand(n_bands)) for value in steps]
    dtype = values[0].dtype

    def step(frame: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        spikes, decoded = np.empty((1, 1, 4, n_bands), dtype), np.empty((1, 1, n_bands), dtype)
        encode(frame.reshape(1, 1, n_bands), baseline, *values, spikes, decoded, 0, 1)
        return spikes.reshape(-1), decoded.reshape(-1)

    return Stage(np.zeros(n_bands, dtype), step)


def stream_columns(n_bands: int, names: Sequence[str] = STREAMS) -> dict[str, tuple[int, int]]:
    """Return the column range of each stream, one channel a band."""
    return {name: (i * n_bands, (i + 1) * n_bands) for i, name in enumerate(names)}


class FrozenResidual(Encoder):
    """The residual encoder with fixed steps: no parameters, steps kept as buffers."""

    has_decoder = True
    dc: torch.Tensor
    df: torch.Tensor
    tc: torch.Tensor
    tf: torch.Tensor

    def __init__(self, values: StepValues, n_bands: int):
        super().__init__()
        self.n_units = 4 * n_bands
        self.streams = stream_columns(n_bands)
        for name, value in values._asdict().items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    def steps(self) -> Steps:
        """Return the fixed steps and thresholds."""
        return Steps(self.dc, self.df, self.tc, self.tf)

    def forward(self, x: torch.Tensor, steps: Steps | None = None) -> EncoderOutput:
        """Encode with the fixed steps, or with `steps`."""
        return residual_step_forward(x, self.steps() if steps is None else steps)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the baseline."""
        return residual_stage(self.steps(), self.n_units // 4)

    def describe(self) -> dict[str, float]:
        """Return steps and thresholds."""
        return {name: float(value) for name, value in self.steps()._asdict().items()}


@dataclass(frozen=True)
class Sf2InitConfig:
    """Given steps, frozen: by default the learned encoder's start; a grid of them is the SF2 task grid."""

    name: Literal["sf2-init"] = "sf2-init"
    dc: float = 0.9
    df: float = 0.33
    tc: float = 0.55
    tf: float = 0.55

    def __post_init__(self) -> None:
        if not 0 < self.df < self.dc:
            raise ValueError(f"encoder.df: {self.df} must lie between 0 and dc = {self.dc}")
        if min(self.tc, self.tf) <= 0:
            raise ValueError(f"encoder.tc: {self.tc} and encoder.tf: {self.tf} must be above 0")


@register_encoder("sf2-init", Sf2InitConfig)
class Sf2Init(FrozenResidual):
    """Residual encoder frozen at the steps of its configuration."""

    def __init__(self, config: Sf2InitConfig, n_bands: int):
        super().__init__(StepValues(config.dc, config.df, config.tc, config.tf), n_bands)


@dataclass(frozen=True)
class Sf2RecConfig:
    """The faithful control: steps that minimise reconstruction error plus `rate_cost` times the rate.

    Attributes
    ----------
    rate_cost : float
        Price of one event per channel and frame.
    rate : float or None
        Events per channel and frame to be met instead (SF2-rec@r).
    """

    name: Literal["sf2-rec"] = "sf2-rec"
    rate_cost: float = 0.0
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and (self.rate_cost or not 0 < self.rate < 1):
            raise ValueError(
                f"encoder.rate: {self.rate} must lie between 0 and 1, with encoder.rate_cost = 0"
            )


@register_encoder("sf2-rec", Sf2RecConfig)
class Sf2Rec(FrozenResidual):
    """Residual encoder fitted to reconstruct the training features, then frozen."""

    def __init__(self, config: Sf2RecConfig, n_bands: int):
        super().__init__(StepValues(0.84, 0.25, 0.51, 0.51), n_bands)
        self.config = config

    def fit(self, features: np.ndarray) -> None:
        """Fit the four values on normalised training features ``(n, T, F)``."""
        rate, cost = self.config.rate, self.config.rate_cost
        fitted = fit_steps(features, cost) if rate is None else fit_steps_at_rate(features, rate)
        for name, value in fitted._asdict().items():
            getattr(self, name).fill_(value)
