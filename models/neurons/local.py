r"""Layers that learn from what is at hand: the same forward pass, a gradient without the future or the rest.

Local learning in the manner of random e-prop (Bellec et al. 2020). For a signal :math:`g_t` at the spikes and
surrogate slope :math:`\psi_t`, the weight from input j to unit i learns from the eligibility trace

.. math::
    \epsilon_{ij,t} = \alpha_i \epsilon_{ij,t-1} + (1 - \alpha_i) z_{j,t}, \qquad
    \Delta W_{ij} \propto -\sum_t g_{i,t} \psi_{i,t} \epsilon_{ij,t}

and the recurrent weight alike with :math:`s_{j,t-1}`. Summed from the end of the clip the same number is
:math:`\sum_t (1 - \alpha_i) a_{i,t} z_{j,t}` with :math:`a_t = g_t \psi_t + \alpha a_{t+1}`, which is what
runs here: one pass back, without the traces of every weight. Nothing passes through recurrent weights or
resets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models.neurons.engine import as_array, compiled, in_blocks
from models.neurons.kernels import SURROGATE_CODES
from models.neurons.lif import LIFState, lif_start, lif_step
from models.neurons.local_kernels import local_backward
from models.neurons.recurrent import Reset, lif, spike_weight_gradient
from models.neurons.surrogate import surrogate


def local_lif(
    current: torch.Tensor,
    alpha: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    trace: bool = True,
    surrogate_name: str = "boxcar",
    reset: Reset = "soft",
    theta: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run LIF units as `models.neurons.recurrent.lif` does, with the local rule as their gradient.

    Parameters
    ----------
    current, alpha, weight, surrogate_name, reset, theta
        As there.
    trace : bool
        Leaky eligibility traces; False: only the input of the same frame is credited.

    Returns
    -------
    spikes, membrane : torch.Tensor [shape=(B, T, N)]
        The membrane is a value to look at, without a gradient.
    """
    if compiled(current):
        spikes, membrane = _CompiledLocal.apply(current, alpha, weight, trace, surrogate_name, reset, theta)
        return spikes, membrane
    return _plain_local(current, alpha, weight, trace, surrogate_name, reset, theta)


def _plain_local(
    current: torch.Tensor,
    alpha: torch.Tensor,
    weight: torch.Tensor | None,
    trace: bool,
    surrogate_name: str,
    reset: Reset,
    theta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Say the same with detached state: autograd then finds the local rule by itself."""
    derivative = surrogate(surrogate_name).derivative
    state = lif_start(current[:, 0])
    spikes, membrane = [], []
    for frame in current.unbind(1):
        before = state.spikes.detach()
        drive = frame if weight is None else torch.addmm(frame, before, weight)  # (B, N)
        kept = state.membrane if trace else state.membrane.detach()
        state = lif_step(drive, LIFState(kept, before), alpha, derivative, theta, reset)
        spikes.append(state.spikes)
        membrane.append(state.membrane)
    return torch.stack(spikes, 1), torch.stack(membrane, 1).detach()


class _CompiledLocal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        alpha: torch.Tensor,
        weight: torch.Tensor | None,
        trace: bool,
        surrogate_name: str,
        reset: Reset,
        theta: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        spikes, membrane = lif(
            current, alpha, weight, surrogate_name=surrogate_name, reset=reset, theta=theta
        )
        ctx.mark_non_differentiable(membrane)
        ctx.save_for_backward(membrane, spikes > 0, alpha)
        ctx.settings = trace, surrogate_name, reset, theta
        return spikes, membrane

    @staticmethod
    def backward(ctx: Any, signal: torch.Tensor, _: None) -> tuple[torch.Tensor | None, ...]:
        membrane, spiked, alpha = ctx.saved_tensors
        trace, surrogate_name, reset, theta = ctx.settings
        leak, fired = as_array(alpha), spiked.numpy().view(np.uint8)
        number, support = leak.dtype.type, surrogate(surrogate_name).support
        grad_current = torch.empty_like(membrane)
        grad_alpha = np.empty((len(membrane), len(leak)), leak.dtype)
        in_blocks(
            local_backward,
            len(membrane),
            as_array(signal),
            membrane.numpy(),
            fired,
            leak,
            number(theta),
            reset == "hard",
            SURROGATE_CODES[surrogate_name],
            number(-1 if support is None else support),
            trace,
            grad_current.numpy(),
            grad_alpha,
        )
        grad_weight = None
        if ctx.needs_input_grad[2]:
            grad_weight = torch.from_numpy(spike_weight_gradient(fired, grad_current.numpy(), 1))
        return grad_current, torch.from_numpy(grad_alpha).sum(0), grad_weight, None, None, None, None


def local_norm(x: torch.Tensor, norm: nn.BatchNorm1d) -> torch.Tensor:
    r"""Normalise by the batch as `norm` does in training, but treat its statistics as constants in backward.

    :math:`\partial y / \partial x = \gamma / \sigma` with the *running* :math:`\sigma`: what a frame learns
    does not depend on other frames or clips. The statistics are updated by this pass.

    Parameters
    ----------
    x : torch.Tensor [shape=(M, N)]
    """
    return _LocalNorm.apply(x, norm.weight, norm.bias, norm)


class _LocalNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor, norm: nn.BatchNorm1d
    ) -> torch.Tensor:
        assert norm.running_mean is not None and norm.running_var is not None
        standard = F.batch_norm(
            x, norm.running_mean, norm.running_var, training=True, momentum=norm.momentum or 0.0, eps=norm.eps
        )
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
        ctx.save_for_backward(standard, gain * (norm.running_var + norm.eps).rsqrt())
        return torch.addcmul(offset, standard, gain)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        standard, slope = ctx.saved_tensors
        return gradient * slope, (gradient * standard).sum(0), gradient.sum(0), None
