r"""Leaky integrate-and-fire neurons as pure steps.

.. math::
    u_t &= \alpha (u_{t-1} - \theta s_{t-1}) + (1 - \alpha) I_t \\
    s_t &= H(u_t - \theta)

with a soft reset through :math:`s_{t-1}`, and a non-spiking leaky integrator for the readout,
:math:`y_t = \alpha y_{t-1} + (1 - \alpha) I_t` (as in Bittar and Garner 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from models.neurons.surrogate import spike

ALPHA_RANGE = (math.exp(-1 / 5), math.exp(-1 / 25))  # time constants of 5 to 25 frames


class LIFState(NamedTuple):
    """Membrane and spikes after a step, each ``(B, N)``."""

    membrane: torch.Tensor
    spikes: torch.Tensor


def lif_start(like: torch.Tensor) -> LIFState:
    """Return the silent state for currents shaped like `like`, ``(B, N)``."""
    return LIFState(torch.zeros_like(like), torch.zeros_like(like))


def lif_step(
    current: torch.Tensor,
    state: LIFState,
    alpha: torch.Tensor,
    derivative: Callable[[torch.Tensor], torch.Tensor],
    theta: float = 1.0,
    reset: str = "soft",
) -> LIFState:
    """Advance the neurons by one frame.

    Parameters
    ----------
    current : torch.Tensor [shape=(B, N)]
        Input with recurrent drive already added.
    alpha : torch.Tensor [shape=(N,), in (0, 1)]
    derivative : callable
        Surrogate derivative as a function of ``u - theta``.
    reset : {"soft", "hard"}
        By theta, or to zero: ``u (1 - s)`` in place of ``u - theta s``.
    """
    hard = reset == "hard"
    kept = state.membrane * (1 - state.spikes) if hard else state.membrane - theta * state.spikes
    membrane = alpha * kept + (1 - alpha) * current
    return LIFState(membrane, spike(membrane - theta, derivative))


def integrator_step(current: torch.Tensor, state: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Advance the leaky readout by one frame, ``(B, C)`` in and out."""
    return alpha * state + (1 - alpha) * current
