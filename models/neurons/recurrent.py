"""Spiking layers over a whole sequence, differentiable, on compiled kernels or as plain torch loops.

Both give the same result: the plain loops over `models.neurons.lif` are the reference, and run on other
devices. `models.neurons.engine.kernels` chooses.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from models.neurons import kernels, product_kernels
from models.neurons.engine import as_array, compiled, in_blocks
from models.neurons.lif import integrator_step, lif_start, lif_step
from models.neurons.rows import column_tiles
from models.neurons.surrogate import surrogate

Reset = Literal["soft", "hard"]
_NOTHING = (0, 0, 0)


class Window(NamedTuple):
    """Where the gradient by a layer's spikes matters: ``|membrane - theta| <= support`` of its surrogate."""

    membrane: torch.Tensor
    theta: float
    support: float


def lif(
    current: torch.Tensor,
    alpha: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    surrogate_name: str = "boxcar",
    reset: Reset = "soft",
    theta: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run (recurrent) LIF units from rest; the equations are those of `models.neurons.lif.lif_step`.

    Parameters
    ----------
    current : torch.Tensor [shape=(B, T, N)]
    alpha : torch.Tensor [shape=(N,), in (0, 1)]
    weight : torch.Tensor [shape=(N, N)], optional
        Recurrent weights, ``weight[j, i]`` from unit j to unit i.
    surrogate_name : str
        A name in `models.neurons.surrogate.SURROGATES`.
    reset : {"soft", "hard"}
        By theta, or to zero.

    Returns
    -------
    spikes, membrane : torch.Tensor [shape=(B, T, N)]
    """
    if compiled(current):
        return _CompiledLIF.apply(current, alpha, weight, surrogate_name, reset, theta)
    return _plain_lif(current, alpha, weight, surrogate_name, reset, theta)


def integrate(current: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Run leaky integrators from zero, ``y_t = alpha y_{t-1} + (1 - alpha) I_t``; ``(B, T, C)`` both."""
    if compiled(current):
        return _CompiledIntegrator.apply(current, alpha)
    state, values = torch.zeros_like(current[:, 0]), []
    for frame in current.unbind(1):
        state = integrator_step(frame, state, alpha)
        values.append(state)
    return torch.stack(values, 1)


def spike_linear(
    z: torch.Tensor,
    weight: torch.Tensor,
    keep: torch.Tensor | None = None,
    window: Window | None = None,
) -> torch.Tensor:
    """Multiply spikes by a matrix: ``(B, T, N)`` by ``(H, N)`` -> ``(B, T, H)``.

    The same as ``F.linear(z * keep, weight)``, at a cost that follows the number of spikes. Input that is not
    spikes takes the dense product.

    Parameters
    ----------
    keep : torch.Tensor [shape=(B, T, N), bool], optional
        Spikes to pass on.
    window : Window, optional
        Leave the gradient by `z` at 0 outside it. Right when z goes back to that layer alone, which would
        multiply it by 0; wrong for a gradient to be looked at.
    """
    if compiled(z):
        return _SpikeLinear.apply(z, weight, keep, window)
    return F.linear(z if keep is None else z * keep, weight)


def _plain_lif(
    current: torch.Tensor,
    alpha: torch.Tensor,
    weight: torch.Tensor | None,
    surrogate_name: str,
    reset: Reset,
    theta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    derivative = surrogate(surrogate_name).derivative
    state = lif_start(current[:, 0])
    spikes, membrane = [], []
    for frame in current.unbind(1):  # unbind: indexing [:, t] makes backward quadratic in T
        drive = frame if weight is None else torch.addmm(frame, state.spikes, weight)  # (B, N)
        state = lif_step(drive, state, alpha, derivative, theta, reset)
        spikes.append(state.spikes)
        membrane.append(state.membrane)
    return torch.stack(spikes, 1), torch.stack(membrane, 1)


def _optional(tensor: torch.Tensor | None, like: np.ndarray) -> np.ndarray:
    return np.empty(_NOTHING, like.dtype) if tensor is None else as_array(tensor)


class _CompiledLIF(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        alpha: torch.Tensor,
        weight: torch.Tensor | None,
        surrogate_name: str,
        reset: Reset,
        theta: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        drive, leak = as_array(current), as_array(alpha)
        number = drive.dtype.type
        matrix = np.empty((0, 0), drive.dtype) if weight is None else as_array(weight)
        tiles = column_tiles(matrix) if weight is not None else matrix[None][:0]
        membrane, spikes = (current.new_empty(current.shape) for _ in range(2))
        learning = any(ctx.needs_input_grad)
        fired = torch.empty(current.shape if learning else _NOTHING, dtype=torch.uint8)
        in_blocks(
            kernels.lif_forward,
            len(drive),
            drive,
            leak,
            number(theta),
            tiles,
            reset == "hard",
            membrane.numpy(),
            spikes.numpy(),
            fired.numpy(),
        )
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(membrane, fired, alpha, weight)
        ctx.settings = surrogate_name, reset, theta
        return spikes, membrane

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        membrane, fired, alpha, weight = ctx.saved_tensors
        surrogate_name, reset, theta = ctx.settings
        leak = as_array(alpha)
        number = leak.dtype.type
        matrix = np.empty((0, 0), leak.dtype) if weight is None else as_array(weight)
        support = surrogate(surrogate_name).support
        grad_current = torch.empty_like(membrane)
        grad_alpha = np.empty((len(membrane), len(leak)), leak.dtype)
        in_blocks(
            kernels.lif_backward,
            len(membrane),
            _optional(gradients[0], leak),
            _optional(gradients[1], leak),
            membrane.numpy(),
            fired.numpy(),
            leak,
            number(theta),
            matrix,
            reset == "hard",
            kernels.SURROGATE_CODES[surrogate_name],
            number(-1 if support is None else support),
            grad_current.numpy(),
            grad_alpha,
        )
        grad_weight = None
        if ctx.needs_input_grad[2]:
            grad_weight = torch.from_numpy(spike_weight_gradient(fired.numpy(), grad_current.numpy(), 1))
        return grad_current, torch.from_numpy(grad_alpha).sum(0), grad_weight, None, None, None


class _CompiledIntegrator(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        values = current.new_empty(current.shape)
        drive = as_array(current)
        in_blocks(kernels.integrator_forward, len(drive), drive, as_array(alpha), values.numpy())
        ctx.save_for_backward(values, alpha)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, alpha = ctx.saved_tensors
        leak = as_array(alpha)
        grad_current = torch.empty_like(values)
        grad_alpha = np.empty((len(values), len(leak)), leak.dtype)
        in_blocks(
            kernels.integrator_backward,
            len(values),
            as_array(gradient),
            values.numpy(),
            leak,
            grad_current.numpy(),
            grad_alpha,
        )
        return grad_current, torch.from_numpy(grad_alpha).sum(0)


class _SpikeLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: torch.Tensor, weight: torch.Tensor, keep: torch.Tensor | None, window: Window | None
    ) -> torch.Tensor:
        rows = as_array(z).reshape(-1, z.shape[-1])
        mask = np.empty((0, 0), np.bool_) if keep is None else as_array(keep).reshape(rows.shape)
        out = z.new_empty(*z.shape[:-1], len(weight))
        fired = torch.empty(z.shape, dtype=torch.uint8)
        spiking = in_blocks(
            product_kernels.spike_product,
            len(rows),
            rows,
            mask,
            column_tiles(as_array(weight.T)),
            out.numpy().reshape(len(rows), -1),
            fired.numpy().reshape(rows.shape),
        )
        ctx.spiking = all(spiking)
        if ctx.spiking:
            ctx.save_for_backward(fired, weight, keep, None if window is None else window.membrane)
            ctx.window = window and window[1:]
            return out
        ctx.save_for_backward(z, weight, keep, None)
        return F.linear(z if keep is None else z * keep, weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        z, weight, keep, membrane = ctx.saved_tensors
        grad_z = grad_weight = None
        if ctx.needs_input_grad[0] and membrane is not None:
            grad_z = _gradient_in_window(as_array(gradient), weight, keep, membrane, *ctx.window)
        elif ctx.needs_input_grad[0]:
            grad_z = gradient @ weight
            if keep is not None:
                grad_z *= keep
        if ctx.needs_input_grad[1] and ctx.spiking:
            grad_weight = torch.from_numpy(spike_weight_gradient(z.numpy(), as_array(gradient), 0)).T
        elif ctx.needs_input_grad[1]:
            dense = z if keep is None else z * keep
            grad_weight = gradient.flatten(0, -2).T @ dense.flatten(0, -2)
        return grad_z, grad_weight, None, None


def spike_weight_gradient(fired: np.ndarray, grad: np.ndarray, lag: int) -> np.ndarray:
    """Sum ``fired[b, t - lag, n] grad[b, t]`` over clips and frames: ``(N, H)``."""
    n_units, n_out = fired.shape[2], grad.shape[2]
    rows = grad.reshape(-1, n_out)
    n_blocks = -(-len(rows) // product_kernels.FRAMES)
    listed = min(n_blocks, product_kernels.BLOCKS)
    frames = np.empty((listed, n_units, product_kernels.FRAMES), np.uint8)
    counts = np.empty((listed, n_units), np.int32)
    out = np.zeros((n_units, n_out), grad.dtype)
    for first in range(0, n_blocks, listed):
        count = min(listed, n_blocks - first)
        in_blocks(product_kernels.spike_frames, count, fired, lag, first, frames, counts)
        here = rows[first * product_kernels.FRAMES :]
        in_blocks(product_kernels.add_gradient_rows, n_units, frames[:count], counts[:count], here, out)
    return out


def _gradient_in_window(
    gradient: np.ndarray,
    weight: torch.Tensor,
    keep: torch.Tensor | None,
    membrane: torch.Tensor,
    theta: float,
    support: float,
) -> torch.Tensor:
    number = gradient.dtype.type
    grad_z = membrane.new_empty(membrane.shape)
    flat = grad_z.numpy().reshape(-1, grad_z.shape[-1])
    in_blocks(
        product_kernels.spike_input_gradient,
        len(flat),
        gradient.reshape(len(flat), -1),
        as_array(weight.T),
        as_array(membrane).reshape(flat.shape),
        number(theta),
        number(support),
        np.empty((0, 0), np.bool_) if keep is None else as_array(keep).reshape(flat.shape),
        flat,
    )
    return grad_z
