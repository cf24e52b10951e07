"""Compiled products of spikes with matrices, and their gradients, at a cost that follows the spikes.

Every kernel works on the range ``start:stop`` of one axis and touches nothing outside it, releases the
interpreter's lock, and reduces in a fixed order: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from models.neurons.rows import BLOCK, TILE_BYTES, add_dots, add_rows, jit

FRAMES = 256  # whose gradient rows are summed while they are in cache; places among them fit a byte
BLOCKS = 16  # of FRAMES frames listed at a time: the lists of a whole batch are as large as its spikes


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
def spike_frames(fired, lag, first, frames, counts, start, stop):
    """List, for some blocks of frames, the frames in which each unit fired.

    Parameters
    ----------
    fired : np.ndarray [shape=(B, T, N), uint8]
    lag : int
        Frames from a spike to the frame it is listed under: 0, or 1 for recurrent weights.
    first : int
        The block of FRAMES frames, clips one behind the other, that comes first in `frames`; listed are
        those from ``first + start`` to ``first + stop``.
    frames : np.ndarray [shape=(n_blocks, N, FRAMES), uint8]
        Written: frames counted from the start of their block.
    counts : np.ndarray [shape=(n_blocks, N), int32]
        Written: how many.
    """
    n_clips, n_steps, n_units = fired.shape
    spikes = fired.reshape(n_clips * n_steps, n_units)
    found = np.empty(n_units, np.int32)
    for block in range(start, stop):
        listed, many = frames[block], counts[block]
        many[:] = 0
        origin = (first + block) * FRAMES
        for r in range(origin, min(origin + FRAMES, len(spikes))):
            if r % n_steps < lag:
                continue
            row, count = spikes[r - lag], 0
            for n in range(n_units):  # first collect, then scatter: no branch to guess wrong
                found[count] = n
                count += row[n]
            for k in range(count):
                n = found[k]
                listed[n, many[n]] = r - origin
                many[n] += 1


@jit
def add_gradient_rows(frames, counts, grad, out, start, stop):
    """Add, for each of the units ``start:stop``, the gradient rows of the frames in which it fired.

    Parameters
    ----------
    frames, counts : np.ndarray
        From `spike_frames`.
    grad : np.ndarray [shape=(R, H)]
        From the first frame of the first listed block on.
    out : np.ndarray [shape=(N, H)]
        Added to.
    """
    for block in range(len(frames)):
        rows = grad[block * FRAMES :]
        for n in range(start, stop):
            add_rows(out[n], rows, frames[block, n], counts[block, n])
