"""Compiled loop of the local learning rule of a LIF layer: eligibility traces, summed back in time."""

from __future__ import annotations

import numpy as np

from models.neurons.kernels import surrogate_slopes
from models.neurons.rows import jit


@jit
def local_backward(
    signal,
    membrane,
    fired,
    alpha,
    theta,
    hard,
    code,
    support,
    trace,
    grad_current,
    grad_alpha,
    start,
    stop,
):
    r"""Turn a learning signal at the spikes into gradients of a layer's own values, clips ``start:stop``.

    With :math:`a_t = g_t \psi_t + \alpha a_{t+1}` (without trace :math:`a_t = g_t \psi_t`) the gradient by
    the current is :math:`(1 - \alpha) a_t`: nothing passes through recurrent weights or the reset, but a
    reset to zero ends a trace. As in `models.neurons.kernels.lif_backward`,
    :math:`\partial u_t / \partial \alpha = (p_t - u_t) / (1 - \alpha)`.

    Parameters
    ----------
    signal, membrane, fired : np.ndarray [shape=(B, T, H)]
    alpha : np.ndarray [shape=(H,)]
    trace : bool
    grad_current : np.ndarray [shape=(B, T, H)]
        Written.
    grad_alpha : np.ndarray [shape=(B, H)]
        Written, one row a clip.
    """
    n_steps, n_units = membrane.shape[1:]
    one, zero = alpha.dtype.type(1), alpha.dtype.type(0)
    rest = one - alpha
    slope = np.empty(n_units, alpha.dtype)
    held = np.empty(n_units, alpha.dtype)
    nothing = np.zeros(n_units, alpha.dtype)
    silence = np.zeros(n_units, np.uint8)
    for b in range(start, stop):
        held[:] = zero
        total = grad_alpha[b]
        total[:] = zero
        for t in range(n_steps - 1, -1, -1):
            g, u, out = signal[b, t], membrane[b, t], grad_current[b, t]
            surrogate_slopes(code, u, theta, support, slope)
            before = nothing if t == 0 else membrane[b, t - 1]
            spiked = silence if t == 0 else fired[b, t - 1]
            if trace and hard:
                now = fired[b, t]
                for i in range(n_units):
                    held[i] = g[i] * slope[i] + alpha[i] * held[i] * (one - now[i])
            elif trace:
                for i in range(n_units):
                    held[i] = g[i] * slope[i] + alpha[i] * held[i]
            else:
                for i in range(n_units):
                    held[i] = g[i] * slope[i]
            if hard:
                for i in range(n_units):
                    total[i] += held[i] * (before[i] * (one - spiked[i]) - u[i])
            else:
                for i in range(n_units):
                    total[i] += held[i] * (before[i] - theta * spiked[i] - u[i])
            for i in range(n_units):
                out[i] = rest[i] * held[i]
        for i in range(n_units):
            total[i] /= rest[i]
