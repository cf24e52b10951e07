"""Compiled frames of the two fixed encoders for which array operations are too slow."""

from __future__ import annotations

import numpy as np

from models.neurons.rows import jit

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(n) for n in (30, 27, 31, 11))


@jit
def draw_spikes(probability, keys, first):
    """Return spikes drawn with splitmix64: number i of row r is that of the counter ``first + i``.

    Parameters
    ----------
    probability : np.ndarray [shape=(R, N)]
    keys : np.ndarray [shape=(R,), uint64]
    first : np.uint64

    Returns
    -------
    np.ndarray [shape=(R, N)]
    """
    spikes = np.empty_like(probability)
    for r in range(probability.shape[0]):
        counter = keys[r] + first * _ODD
        for i in range(probability.shape[1]):
            z = counter
            z = (z ^ (z >> _S30)) * _FIRST
            z = (z ^ (z >> _S27)) * _SECOND
            z = z ^ (z >> _S31)
            uniform = np.float64(z >> _S11) * 2.0**-53
            spikes[r, i] = uniform < probability[r, i]
            counter += _ODD
    return spikes


@jit
def bsa_frame(level, held, taps, margin):
    """Decide on the oldest frame of the window that `level` completes.

    Parameters
    ----------
    level : np.ndarray [shape=(R,)]
        The newest value of each channel.
    held : np.ndarray [shape=(M - 1, R)]
        What is left of the values before it.
    taps : np.ndarray [shape=(M,)]

    Returns
    -------
    spikes : np.ndarray [shape=(R,)]
    held : np.ndarray [shape=(M - 1, R)]
        For the next frame.
    """
    last = len(held)
    gain, spikes, after = np.zeros_like(level), np.empty_like(level), np.empty_like(held)
    for j in range(last + 1):
        values = held[j] if j < last else level
        for i in range(len(level)):
            gain[i] += abs(values[i]) - abs(values[i] - taps[j])
    for i in range(len(level)):
        spikes[i] = gain[i] >= margin
    for j in range(1, last + 1):
        values = held[j] if j < last else level
        for i in range(len(level)):
            after[j - 1, i] = values[i] - taps[j] * spikes[i]
    return spikes, after
