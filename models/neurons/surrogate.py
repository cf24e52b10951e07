"""Spike functions: a step forward, a surrogate derivative backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from models.errors import SpikelensError


class _Step(torch.autograd.Function):
    """H(x) with a derivative given by a function of x."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, derivative: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.derivative(x), None


def triangle(x: torch.Tensor) -> torch.Tensor:
    """Return ``max(0, 1 - |x|)``: with peak 1 the residual encoder's baseline Jacobian stays in [0, 1]."""
    return (1 - x.abs()).clamp_min(0)


def boxcar(x: torch.Tensor) -> torch.Tensor:
    """Return 1 where ``|x| <= 0.5`` and 0 elsewhere (Bittar and Garner 2022)."""
    return (x.abs() <= 0.5).to(x.dtype)


def atan(x: torch.Tensor) -> torch.Tensor:
    """Return the derivative of an arc tangent of slope 5, ``2.5 / (1 + (2.5 pi x)^2)`` (Fang et al. 2021)."""
    return 2.5 / (1 + (2.5 * torch.pi * x).square())


def fast_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Return ``1 / (1 + 10 |x|)^2``, the derivative of a fast sigmoid (Zenke and Ganguli 2018)."""
    return (1 + 10 * x.abs()).square().reciprocal()


class Surrogate(NamedTuple):
    """A surrogate derivative.

    Attributes
    ----------
    derivative : callable
        Of ``u - theta``.
    support : float or None
        The derivative is zero where ``|u - theta|`` is above it; None: nowhere.
    """

    derivative: Callable[[torch.Tensor], torch.Tensor]
    support: float | None


SURROGATES: dict[str, Surrogate] = {
    "triangle": Surrogate(triangle, 1.0),
    "boxcar": Surrogate(boxcar, 0.5),
    "atan": Surrogate(atan, None),
    "fast_sigmoid": Surrogate(fast_sigmoid, None),
}


def surrogate(name: str) -> Surrogate:
    """Return a surrogate by name; SpikelensError names the known ones."""
    if name not in SURROGATES:
        raise SpikelensError(f"surrogate: {name!r} is not one of {', '.join(SURROGATES)}")
    return SURROGATES[name]


def spike(x: torch.Tensor, derivative: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return 1 where ``x > 0``, else 0, with `derivative` as the gradient."""
    return _Step.apply(x, derivative)
