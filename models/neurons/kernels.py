r"""Compiled loops over time for spiking layers, on arrays; `models.neurons.recurrent` gives them gradients.

Every kernel works on the clips ``start:stop`` and touches nothing outside them, releases the interpreter's
lock, and reduces in a fixed order: results do not depend on the number of threads. What makes them fast is
told in `models.neurons.rows`.
"""

from __future__ import annotations

import numpy as np

from models.neurons.rows import BLOCK, TILE_BYTES, add_dots, add_rows, jit

BOXCAR, TRIANGLE, ATAN, FAST_SIGMOID = range(4)
SURROGATE_CODES = {"boxcar": BOXCAR, "triangle": TRIANGLE, "atan": ATAN, "fast_sigmoid": FAST_SIGMOID}


@jit
def surrogate_slopes(code, membrane, theta, width, out):
    """Write the surrogate derivative at ``membrane - theta`` for one row of units."""
    one = membrane.dtype.type(1)
    zero = membrane.dtype.type(0)
    if code == BOXCAR:
        for i in range(out.shape[0]):
            out[i] = one if abs(membrane[i] - theta) <= width else zero
    elif code == TRIANGLE:
        for i in range(out.shape[0]):
            out[i] = max(zero, one - abs(membrane[i] - theta))
    elif code == ATAN:
        slope = membrane.dtype.type(2.5)
        turn = membrane.dtype.type(2.5 * np.pi)
        for i in range(out.shape[0]):
            x = turn * (membrane[i] - theta)
            out[i] = slope / (one + x * x)
    else:
        slope = membrane.dtype.type(10)
        for i in range(out.shape[0]):
            x = one + slope * abs(membrane[i] - theta)
            out[i] = one / (x * x)


@jit
def lif_forward(current, alpha, theta, tiles, hard, membrane, spikes, fired, start, stop):
    """Run LIF units over time for the clips ``start:stop``.

    Parameters
    ----------
    current : np.ndarray [shape=(B, T, H)]
    alpha : np.ndarray [shape=(H,)]
    theta : scalar of the same type
    tiles : np.ndarray [shape=(n_tiles, H, W)]
        `column_tiles` of the recurrent weights, from row to column; no tiles for no recurrence.
    hard : bool
        Reset to zero rather than by theta.
    membrane, spikes : np.ndarray [shape=(B, T, H)]
        Written.
    fired : np.ndarray [shape=(B, T, H) or (0, 0, 0), uint8]
        The spikes once more, as bytes, if there is room for them.
    """
    n_steps, n_units = current.shape[1:]
    n_tiles, width = tiles.shape[0], tiles.shape[2]
    keep_bytes = fired.shape[0] > 0
    one = current.dtype.type(1)
    zero = current.dtype.type(0)
    events = np.empty((BLOCK, n_units), np.int32)
    counts = np.empty(BLOCK, np.int64)
    rest = one - alpha
    carry = np.empty((BLOCK, n_units), current.dtype)  # the membrane after its reset
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        carry[:] = zero
        counts[:] = 0
        for t in range(n_steps):
            for b in range(size):
                drive, given = membrane[first + b, t], current[first + b, t]
                for i in range(n_units):
                    drive[i] = given[i]
            for k in range(n_tiles):
                low, high = k * width, min((k + 1) * width, n_units)
                for b in range(size):
                    add_rows(membrane[first + b, t, low:high], tiles[k], events[b], counts[b])
            for b in range(size):
                u, s, kept = membrane[first + b, t], spikes[first + b, t], carry[b]
                # one array written in a loop, or the compiler does not dare to use vector registers
                for i in range(n_units):
                    u[i] = alpha[i] * kept[i] + rest[i] * u[i]
                for i in range(n_units):
                    s[i] = one if u[i] > theta else zero
                for i in range(n_units):
                    kept[i] = u[i] * (one - s[i]) if hard else u[i] - theta * s[i]
                if keep_bytes:
                    raw = fired[first + b, t]
                    for i in range(n_units):
                        raw[i] = np.uint8(u[i] > theta)
                if n_tiles > 0:
                    count, found = 0, events[b]
                    for i in range(n_units):
                        found[count] = i
                        count += u[i] > theta
                    counts[b] = count


@jit
def lif_backward(
    grad_spikes,
    grad_membrane,
    membrane,
    fired,
    alpha,
    theta,
    weight,
    hard,
    code,
    support,
    grad_current,
    grad_alpha,
    start,
    stop,
):
    r"""Run the adjoint of `lif_forward` back in time for the clips ``start:stop``.

    With :math:`p_t` the membrane after its reset, :math:`u_t = \alpha p_t + (1-\alpha) J_t`, so
    :math:`\partial u_t / \partial \alpha = p_t - J_t = (p_t - u_t) / (1 - \alpha)`: the drive J need not
    be kept.

    Parameters
    ----------
    grad_spikes, grad_membrane : np.ndarray [shape=(B, T, H) or (0, 0, 0)]
        Empty: zero.
    membrane, fired : np.ndarray [shape=(B, T, H)]
        From the forward pass.
    weight : np.ndarray [shape=(H, H) or (0, 0)]
        From row to column.
    code : int
        Of the surrogate.
    support : scalar
        The derivative is zero where ``|u - theta|`` is above it; negative: nowhere.
    grad_current : np.ndarray [shape=(B, T, H)]
        Written.
    grad_alpha : np.ndarray [shape=(B, H)]
        Written, one row a clip.
    """
    n_steps, n_units = membrane.shape[1:]
    recurrent = weight.shape[0] > 0
    by_spikes, by_membrane = grad_spikes.shape[0] > 0, grad_membrane.shape[0] > 0
    one = alpha.dtype.type(1)
    zero = alpha.dtype.type(0)
    tile_rows = max(8, TILE_BYTES // (max(1, n_units) * alpha.itemsize))
    wanted = np.empty((BLOCK, n_units), np.int32)
    counts = np.zeros(BLOCK, np.int64)
    done = np.zeros(BLOCK, np.int64)
    into = np.empty((BLOCK, n_units), alpha.dtype)  # the gradient that reaches the spikes
    later = np.empty((BLOCK, n_units), alpha.dtype)
    back = np.empty((BLOCK, n_units), alpha.dtype)
    slope = np.empty(n_units, alpha.dtype)
    held = np.empty(n_units, alpha.dtype)
    rest = one - alpha
    ratio = alpha / rest
    nothing = np.zeros(n_units, alpha.dtype)
    silence = np.zeros(n_units, np.uint8)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        for b in range(size):
            grad_alpha[first + b] = zero
        for t in range(n_steps - 1, -1, -1):
            last = t == n_steps - 1
            for b in range(size):
                if by_spikes:
                    into[b] = grad_spikes[first + b, t]
                else:
                    into[b] = zero
            if recurrent and not last:
                if support >= zero:
                    for b in range(size):
                        u, found, count = membrane[first + b, t], wanted[b], 0
                        for i in range(n_units):
                            found[count] = i
                            count += abs(u[i] - theta) <= support
                        counts[b] = count
                        done[b] = 0
                    for low in range(0, n_units, tile_rows):
                        for b in range(size):
                            begin = done[b]
                            end = counts[b]
                            if low + tile_rows < n_units:
                                end = begin + np.searchsorted(wanted[b, begin:end], low + tile_rows)
                            add_dots(into[b], weight, grad_current[first + b, t + 1], wanted[b], begin, end)
                            done[b] = end
                else:
                    for b in range(size):
                        later[b] = grad_current[first + b, t + 1]
                    np.dot(later[:size], weight.T, back[:size])
                    for b in range(size):
                        for i in range(n_units):
                            into[b, i] += back[b, i]
            for b in range(size):
                u, s, g = membrane[first + b, t], fired[first + b, t], into[b]
                out, total = grad_current[first + b, t], grad_alpha[first + b]
                surrogate_slopes(code, u, theta, support, slope)
                following = nothing if last else grad_current[first + b, t + 1]
                before = nothing if t == 0 else membrane[first + b, t - 1]
                spiked = silence if t == 0 else fired[first + b, t - 1]
                for i in range(n_units):
                    held[i] = following[i] * ratio[i]  # d loss / d p of the next frame
                if hard:
                    for i in range(n_units):
                        g[i] = (g[i] - u[i] * held[i]) * slope[i] + held[i] * (one - s[i])
                else:
                    for i in range(n_units):
                        g[i] = (g[i] - theta * held[i]) * slope[i] + held[i]
                if by_membrane:
                    for i in range(n_units):
                        g[i] += grad_membrane[first + b, t, i]
                if hard:
                    for i in range(n_units):
                        total[i] += g[i] * (before[i] * (one - spiked[i]) - u[i])
                else:
                    for i in range(n_units):
                        total[i] += g[i] * (before[i] - theta * spiked[i] - u[i])
                for i in range(n_units):
                    out[i] = rest[i] * g[i]
        for b in range(size):  # the last factor of d u / d alpha once a clip, not once a frame
            for i in range(n_units):
                grad_alpha[first + b, i] /= one - alpha[i]


@jit
def integrator_forward(current, alpha, values, start, stop):
    """Run leaky integrators, ``y = alpha y + (1 - alpha) I``, for the clips ``start:stop``; ``(B, T, C)``."""
    one = alpha.dtype.type(1)
    for b in range(start, stop):
        for t in range(current.shape[1]):
            for i in range(current.shape[2]):
                before = values[b, t - 1, i] if t > 0 else one - one
                values[b, t, i] = alpha[i] * before + (one - alpha[i]) * current[b, t, i]


@jit
def integrator_backward(grad, values, alpha, grad_current, grad_alpha, start, stop):
    """Run the adjoint of `integrator_forward`; `grad_alpha` ``(B, C)`` gets one row a clip."""
    one = alpha.dtype.type(1)
    zero = alpha.dtype.type(0)
    n_units = values.shape[2]
    held = np.empty(n_units, alpha.dtype)
    for b in range(start, stop):
        held[:] = zero
        grad_alpha[b] = zero
        for t in range(values.shape[1] - 1, -1, -1):
            for i in range(n_units):
                total = grad[b, t, i] + held[i]
                before = values[b, t - 1, i] if t > 0 else zero
                grad_current[b, t, i] = (one - alpha[i]) * total
                grad_alpha[b, i] += total * (before - values[b, t, i])
                held[i] = alpha[i] * total
        for i in range(n_units):
            grad_alpha[b, i] /= one - alpha[i]
