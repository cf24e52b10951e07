"""Sums of rows and dot products: what compiled kernels do with spikes instead of matrix products.

A product with spikes is a sum of the weight rows of the units that fired (`add_rows`), its gradient in the
weights a sum of the gradient rows of the frames in which a unit fired, and the product with the transposed
weights is wanted only where a surrogate derivative is not zero (`add_dots`). Weights come in column tiles
that stay in a core's second-level cache while a block of clips or frames sweeps them.

numba's disk cache notices a change in the file of the kernel that is called, not in this one: after an edit
here delete the ``__pycache__`` folders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# Sums may be regrouped to fill vector registers; infinities and NaN keep their meaning.
_FAST_MATH = {"reassoc", "contract", "nsz"}
TILE_BYTES = 1024 * 1024  # a share of the last-level cache; narrower tiles cost more calls than they save
BLOCK = 16  # clips, or frames, that sweep a tile before the next is fetched


def jit(function: Callable[..., Any]) -> Any:
    """Compile for the machine it runs on; the result is cached on disk."""
    return numba.njit(cache=True, nogil=True, fastmath=_FAST_MATH, error_model="numpy")(function)


def column_tiles(weight: np.ndarray) -> np.ndarray:
    """Cut a matrix into column tiles that fit the cache: ``(N, H)`` -> ``(n_tiles, N, W)``, zero-padded."""
    n_rows, n_columns = weight.shape
    width = max(32, TILE_BYTES // (max(1, n_rows) * weight.itemsize) // 16 * 16)
    if width >= n_columns:
        return np.ascontiguousarray(weight)[None]
    n_tiles = -(-n_columns // width)
    padded = np.zeros((n_rows, n_tiles * width), weight.dtype)
    padded[:, :n_columns] = weight
    return np.ascontiguousarray(padded.reshape(n_rows, n_tiles, width).transpose(1, 0, 2))


@jit
def add_rows(out, rows, events, count):
    """Add ``rows[events[:count]]`` to `out`, eight rows in one pass over it."""
    width = out.shape[0]
    i = 0
    while i + 8 <= count:
        a, b, c, d = rows[events[i]], rows[events[i + 1]], rows[events[i + 2]], rows[events[i + 3]]
        e, f, g, h = rows[events[i + 4]], rows[events[i + 5]], rows[events[i + 6]], rows[events[i + 7]]
        for k in range(width):
            out[k] += ((a[k] + b[k]) + (c[k] + d[k])) + ((e[k] + f[k]) + (g[k] + h[k]))
        i += 8
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
def add_dots(out, rows, vector, events, first, last):
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
