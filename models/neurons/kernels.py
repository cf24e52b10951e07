r"""Compiled loops over time for spiking layers, on arrays; `models.neurons.recurrent` gives them gradients.

What makes them fast is leaving out zeros. A product with spikes is a sum of the weight rows of the units
that fired (`_add_rows`), its gradient in the weights a sum of the gradient rows of the frames in which a unit
fired, and the product with the transposed weights on the way back is wanted only where the surrogate
derivative is not zero. Weights come in column tiles that stay in a core's second-level cache while a block of
clips sweeps them.

Every kernel works on the range ``start:stop`` of one axis and touches nothing outside it, releases the
interpreter's lock, and reduces in a fixed order: results do not depend on the number of threads. They share
one file because numba's cache notices changes only in the file a kernel stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# Sums may be regrouped to fill vector registers; infinities and NaN keep their meaning.
FAST_MATH = {"reassoc", "contract", "nsz"}
BOXCAR, TRIANGLE, ATAN, FAST_SIGMOID = range(4)
SURROGATE_CODES = {"boxcar": BOXCAR, "triangle": TRIANGLE, "atan": ATAN, "fast_sigmoid": FAST_SIGMOID}

_TILE_BYTES = 256 * 1024  # half of a small second-level cache
_BLOCK = 16  # clips, or frames, that sweep a tile before the next is fetched
_CHUNK = 256  # frames whose gradient rows are summed while they are in cache


def jit(function: Callable[..., Any]) -> Any:
    """Compile for the machine it runs on; the result is cached on disk."""
    return numba.njit(cache=True, nogil=True, fastmath=FAST_MATH, error_model="numpy")(function)


def column_tiles(weight: np.ndarray) -> np.ndarray:
    """Cut a matrix into column tiles that fit the cache: ``(N, H)`` -> ``(n_tiles, N, W)``, zero-padded."""
    n_rows, n_columns = weight.shape
    width = max(32, _TILE_BYTES // (max(1, n_rows) * weight.itemsize) // 16 * 16)
    if width >= n_columns:
        return np.ascontiguousarray(weight)[None]
    n_tiles = -(-n_columns // width)
    padded = np.zeros((n_rows, n_tiles * width), weight.dtype)
    padded[:, :n_columns] = weight
    return np.ascontiguousarray(padded.reshape(n_rows, n_tiles, width).transpose(1, 0, 2))


@jit
def _add_rows(out, rows, events, count):
    """Add ``rows[events[:count]]`` to `out`, four rows in one pass over it."""
    width = out.shape[0]
    i = 0
    while i + 4 <= count:
        a, b, c, d = rows[events[i]], rows[events[i + 1]], rows[events[i + 2]], rows[events[i + 3]]
        for k in range(width):
            out[k] += (a[k] + b[k]) + (c[k] + d[k])
        i += 4
    while i < count:
        a = rows[events[i]]
        for k in range(width):
            out[k] += a[k]
        i += 1


@jit
def _add_dots(out, rows, vector, events, first, last):
    """Add ``rows[j] . vector`` to ``out[j]`` for each j in ``events[first:last]``."""
    width = vector.shape[0]
    i = first
    while i + 4 <= last:
        ja, jb, jc, jd = events[i], events[i + 1], events[i + 2], events[i + 3]
        a, b, c, d = rows[ja], rows[jb], rows[jc], rows[jd]
        sa = sb = sc = sd = vector.dtype.type(0)
        for k in range(width):
            sa += a[k] * vector[k]
            sb += b[k] * vector[k]
            sc += c[k] * vector[k]
            sd += d[k] * vector[k]
        out[ja] += sa
        out[jb] += sb
        out[jc] += sc
        out[jd] += sd
        i += 4
    while i < last:
        ja = events[i]
        a = rows[ja]
        sa = vector.dtype.type(0)
        for k in range(width):
            sa += a[k] * vector[k]
        out[ja] += sa
        i += 1


@jit
def _slopes(code, membrane, theta, width, out):
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
    events = np.empty((_BLOCK, n_units), np.int32)
    counts = np.empty(_BLOCK, np.int64)
    rest = one - alpha
    carry = np.empty((_BLOCK, n_units), current.dtype)  # the membrane after its reset
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
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
                    _add_rows(membrane[first + b, t, low:high], tiles[k], events[b], counts[b])
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
    tile_rows = max(8, _TILE_BYTES // (max(1, n_units) * alpha.itemsize))
    wanted = np.empty((_BLOCK, n_units), np.int32)
    counts = np.zeros(_BLOCK, np.int64)
    done = np.zeros(_BLOCK, np.int64)
    into = np.empty((_BLOCK, n_units), alpha.dtype)  # the gradient that reaches the spikes
    later = np.empty((_BLOCK, n_units), alpha.dtype)
    back = np.empty((_BLOCK, n_units), alpha.dtype)
    slope = np.empty(n_units, alpha.dtype)
    held = np.empty(n_units, alpha.dtype)
    rest = one - alpha
    ratio = alpha / rest
    nothing = np.zeros(n_units, alpha.dtype)
    silence = np.zeros(n_units, np.uint8)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
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
                            _add_dots(into[b], weight, grad_current[first + b, t + 1], wanted[b], begin, end)
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
                _slopes(code, u, theta, support, slope)
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
def spike_product(z, keep, tiles, out, fired, start, stop):
    """Sum the weight rows of the units that fired, for the frames ``start:stop``.

    Parameters
    ----------
    z : np.ndarray [shape=(R, N)]
        Spikes, 0 or 1.
    keep : np.ndarray [shape=(R, N) or (0, 0), bool]
        Spikes to pass on; empty: all.
    tiles : np.ndarray [shape=(n_tiles, N, W)]
        `column_tiles` of the weights, from row to column.
    out : np.ndarray [shape=(R, H)]
        Written.
    fired : np.ndarray [shape=(R, N), uint8]
        Written: the spikes passed on.

    Returns
    -------
    bool
        False as soon as a value is neither 0 nor 1; what was written is then to be thrown away.
    """
    n_units, n_out = z.shape[1], out.shape[1]
    n_tiles, width = tiles.shape[0], tiles.shape[2]
    masked = keep.shape[0] > 0
    zero = z.dtype.type(0)
    one = z.dtype.type(1)
    events = np.empty((_BLOCK, n_units), np.int32)
    counts = np.empty(_BLOCK, np.int64)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        for r in range(size):
            row, raw, count, strange = z[first + r], fired[first + r], 0, 0
            for i in range(n_units):
                strange += (row[i] != zero) & (row[i] != one)
                raw[i] = np.uint8(row[i] != zero)
            if strange > 0:
                return False
            if masked:
                passes = keep[first + r]
                for i in range(n_units):
                    raw[i] &= np.uint8(passes[i])
            found = events[r]
            for i in range(n_units):
                found[count] = i
                count += raw[i]
            counts[r] = count
            out[first + r] = zero
        for k in range(n_tiles):
            low, high = k * width, min((k + 1) * width, n_out)
            for r in range(size):
                _add_rows(out[first + r, low:high], tiles[k], events[r], counts[r])
    return True


@jit
def spike_input_gradient(grad, rows, membrane, theta, support, keep, out, start, stop):
    """Multiply by the transposed weights where the gradient is wanted, for the frames ``start:stop``.

    Parameters
    ----------
    grad : np.ndarray [shape=(R, H)]
    rows : np.ndarray [shape=(N, H)]
        The weights of `spike_product`, from row to column.
    membrane : np.ndarray [shape=(R, N)]
        Of the units that fired the spikes; wanted is where ``|membrane - theta| <= support``.
    keep : np.ndarray [shape=(R, N) or (0, 0), bool]
    out : np.ndarray [shape=(R, N)]
        Written; 0 where nothing is wanted.
    """
    n_units, n_out = out.shape[1], grad.shape[1]
    masked = keep.shape[0] > 0
    zero = grad.dtype.type(0)
    tile_rows = max(8, _TILE_BYTES // (max(1, n_out) * grad.itemsize))
    wanted = np.empty((_BLOCK, n_units), np.int32)
    counts = np.empty(_BLOCK, np.int64)
    done = np.empty(_BLOCK, np.int64)
    near = np.empty(n_units, np.uint8)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        for r in range(size):
            u, found, count = membrane[first + r], wanted[r], 0
            for i in range(n_units):
                near[i] = np.uint8(abs(u[i] - theta) <= support)
            if masked:
                passes = keep[first + r]
                for i in range(n_units):
                    near[i] &= np.uint8(passes[i])
            for i in range(n_units):
                found[count] = i
                count += near[i]
            counts[r] = count
            done[r] = 0
            out[first + r] = zero
        for low in range(0, n_units, tile_rows):
            for r in range(size):
                begin, end = done[r], counts[r]
                if low + tile_rows < n_units:
                    end = begin + np.searchsorted(wanted[r, begin:end], low + tile_rows)
                _add_dots(out[first + r], rows, grad[first + r], wanted[r], begin, end)
                done[r] = end


@jit
def spike_weight_gradient(fired, grad, lag, out, start, stop):
    """Sum, for each of the units ``start:stop``, the gradient rows of the frames in which it fired.

    Parameters
    ----------
    fired : np.ndarray [shape=(B, T, N), uint8]
    grad : np.ndarray [shape=(B, T, H)]
    lag : int
        Frames from a spike to the gradient row it belongs to: 0, or 1 for recurrent weights.
    out : np.ndarray [shape=(N, H)]
        Written.
    """
    n_clips, n_steps, n_out = grad.shape
    rows = grad.reshape(n_clips * n_steps, n_out)
    spikes = fired.reshape(n_clips * n_steps, fired.shape[2])
    width = max(32, _TILE_BYTES // (_CHUNK * grad.itemsize))
    tile = np.empty((_CHUNK, width), grad.dtype)  # packed: rows a power of two apart would evict each other
    frames = np.empty((stop - start, _CHUNK), np.int32)
    found = np.empty(stop - start, np.int32)
    counts = np.empty(stop - start, np.int64)
    for n in range(start, stop):
        out[n] = grad.dtype.type(0)
    for first in range(0, len(rows), _CHUNK):
        counts[:] = 0
        for r in range(first, min(first + _CHUNK, len(rows))):
            if r % n_steps < lag:
                continue
            row, count = spikes[r - lag], 0
            for n in range(start, stop):  # first collect, then scatter: no branch to guess wrong
                found[count] = n - start
                count += row[n]
            for k in range(count):
                n = found[k]
                frames[n, counts[n]] = r - first
                counts[n] += 1
        size = min(_CHUNK, len(rows) - first)
        for low in range(0, n_out, width):
            high = min(low + width, n_out)
            for r in range(size):
                tile[r, : high - low] = rows[first + r, low:high]
            for n in range(start, stop):
                _add_rows(out[n, low:high], tile, frames[n - start], counts[n - start])


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


@jit
def lif_frame(z, spiking, state, weight, recurrent, vectors, theta, hard):
    """Advance one layer by one frame of one clip: projection, normalisation, membrane.

    Parameters
    ----------
    z : np.ndarray [shape=(M,)]
        Spikes of the layer before, or values if not `spiking`.
    state : np.ndarray [shape=(2, N)]
        Membrane and spikes after the frame before.
    weight : np.ndarray [shape=(M, N)]
    recurrent : np.ndarray [shape=(N, N) or (0, 0)]
        From row to column.
    vectors : np.ndarray [shape=(3, N)]
        Leak alpha; gain and offset of the projection.

    Returns
    -------
    np.ndarray [shape=(2, N)]
        The new state.
    """
    n_units = state.shape[1]
    one, zero = z.dtype.type(1), z.dtype.type(0)
    after = np.zeros_like(state)
    u, s = after[0], after[1]
    events = np.empty(max(len(z), n_units), np.int32)
    if spiking:
        count = 0
        for i in range(len(z)):
            events[count] = i
            count += z[i] != zero
        _add_rows(u, weight, events, count)
    else:
        u[:] = np.dot(z, weight)
    for i in range(n_units):
        u[i] = u[i] * vectors[1, i] + vectors[2, i]
    fired = state[1]
    if recurrent.shape[0] > 0:
        count = 0
        for i in range(n_units):
            events[count] = i
            count += fired[i] != zero
        _add_rows(u, recurrent, events, count)
    for i in range(n_units):
        kept = state[0, i] * (one - fired[i]) if hard else state[0, i] - theta * fired[i]
        u[i] = vectors[0, i] * kept + (one - vectors[0, i]) * u[i]
    for i in range(n_units):
        s[i] = one if u[i] > theta else zero
    return after


@jit
def integrator_frame(z, state, weight, vectors):
    """Advance the readout by one frame of one clip.

    Parameters
    ----------
    z : np.ndarray [shape=(N,)]
        Spikes.
    state : np.ndarray [shape=(2, C)]
        Integrators, and their sum over the frames so far.
    weight : np.ndarray [shape=(N, C)]
    vectors : np.ndarray [shape=(3, C)]
        As in `lif_frame`.

    Returns
    -------
    np.ndarray [shape=(2, C)]
    """
    one, zero = z.dtype.type(1), z.dtype.type(0)
    after = np.zeros_like(state)
    y = after[0]
    events = np.empty(len(z), np.int32)
    count = 0
    for i in range(len(z)):
        events[count] = i
        count += z[i] != zero
    _add_rows(y, weight, events, count)
    for i in range(len(y)):
        drive = y[i] * vectors[1, i] + vectors[2, i]
        y[i] = vectors[0, i] * state[0, i] + (one - vectors[0, i]) * drive
        after[1, i] = state[1, i] + y[i]
    return after
