"""Compiled products of spikes with matrices, and their gradients, at a cost that follows the spikes.

Every kernel works on the range ``start:stop`` of one axis and touches nothing outside it, releases the
interpreter's lock, and reduces in a fixed order: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from models.neurons.rows import BLOCK, TILE_BYTES, add_dots, add_rows, jit

_CHUNK = 256  # frames whose gradient rows are summed while they are in cache


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
    events = np.empty((BLOCK, n_units), np.int32)
    counts = np.empty(BLOCK, np.int64)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
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
                add_rows(out[first + r, low:high], tiles[k], events[r], counts[r])
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
    tile_rows = max(8, TILE_BYTES // (max(1, n_out) * grad.itemsize))
    wanted = np.empty((BLOCK, n_units), np.int32)
    counts = np.empty(BLOCK, np.int64)
    done = np.empty(BLOCK, np.int64)
    near = np.empty(n_units, np.uint8)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
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
                add_dots(out[first + r], rows, grad[first + r], wanted[r], begin, end)
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
    width = max(32, TILE_BYTES // (_CHUNK * grad.itemsize))
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
                add_rows(out[n, low:high], tile, frames[n - start], counts[n - start])
