"""The network that every arm of the benchmark trains: 80 inputs, one recurrent layer, a leaky readout."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from models.neurons.engine import kernels
from models.neurons.recurrent import lif

N_IN, N_OUT = 80, 35
INPUT_RATE = 0.1


@dataclass(frozen=True)
class Shape:
    """Clips, frames and hidden units, and the hidden firing rate to be met."""

    b: int
    t: int
    h: int
    rate: float = 0.08


@dataclass(frozen=True)
class Problem:
    """Input spikes ``(B, T, 80)``, labels, and start values of the parameters."""

    shape: Shape
    x: torch.Tensor
    labels: torch.Tensor
    w_in: torch.Tensor
    v: torch.Tensor
    w_out: torch.Tensor
    alpha: torch.Tensor
    alpha_out: torch.Tensor
    rate: float
    support: float


def make_problem(shape: Shape, reset: str = "soft") -> Problem:
    """Draw the problem and scale the input weights until the hidden layer fires at the wanted rate."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator)

    x = (torch.rand(shape.b, shape.t, N_IN, generator=generator) < INPUT_RATE).float()
    labels = torch.randint(N_OUT, (shape.b,), generator=generator)
    w_in, v = draw(shape.h, N_IN) / N_IN**0.5, torch.linalg.qr(draw(shape.h, shape.h))[0]
    w_out = draw(N_OUT, shape.h) / shape.h**0.5
    alpha = 0.82 + 0.14 * torch.rand(shape.h, generator=generator)
    alpha_out = 0.82 + 0.14 * torch.rand(N_OUT, generator=generator)
    low, high = 0.0, 200.0
    for _ in range(30):
        gain = (low + high) / 2
        with torch.no_grad(), kernels("compiled"):
            spikes, membrane = lif(x[:32] @ (gain * w_in.T), alpha, v, reset=reset)
        low, high = (gain, high) if spikes.mean() < shape.rate else (low, gain)
    near = float(((membrane - 1).abs() <= 0.5).float().mean())
    return Problem(
        shape, x, labels, gain * w_in, v, w_out, alpha, alpha_out, float(spikes.mean()), support=near
    )


def dense_flop(shape: Shape) -> float:
    """Return the operations of all matrix products in one step, forward and backward, none left out."""
    per_frame = 3 * shape.h * shape.h + 2 * N_IN * shape.h + 3 * shape.h * N_OUT
    return 2.0 * per_frame * shape.b * shape.t
