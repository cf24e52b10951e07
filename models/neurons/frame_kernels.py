"""Compiled step of a whole network for one frame of one clip, for streaming: state in, new state out.

One call a frame, with all weights in one vector and all state in another: at this size, handing arrays to
compiled code costs as much as the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.neurons.rows import add_rows, jit


class LayerArrays(NamedTuple):
    """What one layer computes with.

    Attributes
    ----------
    weight : np.ndarray [shape=(N_in, N)]
    recurrent : np.ndarray or None [shape=(N, N)]
        From row to column.
    alpha, gain, offset : np.ndarray [shape=(N,)]
        Leak, and what becomes of the projection: ``gain * sum + offset``.
    """

    weight: np.ndarray
    recurrent: np.ndarray | None
    alpha: np.ndarray
    gain: np.ndarray
    offset: np.ndarray


class PackedNetwork(NamedTuple):
    """LIF layers and a leaky readout in the form that `network_frame` takes.

    Attributes
    ----------
    parameters : np.ndarray [shape=(P,)]
    sizes : np.ndarray [shape=(n_layers + 2,), int64]
        Inputs, units of each layer, classes.
    recurrent : bool
    """

    parameters: np.ndarray
    sizes: np.ndarray
    recurrent: bool

    def start(self) -> np.ndarray:
        """Return the state before the first frame, laid out as `network_frame` says."""
        return np.zeros(2 * int(self.sizes[1:].sum()), self.parameters.dtype)

    def spike_slices(self) -> list[slice]:
        """Return where in the state the spikes of each layer are."""
        ends = 2 * np.cumsum(self.sizes[1:-1])
        return [slice(int(end - n), int(end)) for end, n in zip(ends, self.sizes[1:-1], strict=True)]

    def sum_slice(self) -> slice:
        """Return where in the state the readout's sum over the frames so far is."""
        end = 2 * int(self.sizes[1:].sum())
        return slice(end - int(self.sizes[-1]), end)


def pack(layers: Sequence[LayerArrays]) -> PackedNetwork:
    """Lay the arrays of all layers, the readout last, one behind the other."""
    parts: list[np.ndarray] = []
    for layer in layers:
        matrices = [layer.weight] if layer.recurrent is None else [layer.weight, layer.recurrent]
        parts += [np.ravel(part) for part in (*matrices, layer.alpha, layer.gain, layer.offset)]
    sizes = np.array([len(layers[0].weight), *(len(layer.alpha) for layer in layers)], np.int64)
    recurrent = any(layer.recurrent is not None for layer in layers)
    return PackedNetwork(np.concatenate(parts).astype(layers[0].weight.dtype), sizes, recurrent)


@jit
def _find(z, events):
    """Write the places where `z` is not zero to `events`; return how many."""
    count = 0
    for i in range(len(z)):
        events[count] = i
        count += z[i] != z.dtype.type(0)
    return count


@jit
def network_frame(z, spiking, state, parameters, sizes, recurrent, theta, hard):
    """Advance LIF layers and the leaky readout by one frame of one clip.

    Parameters
    ----------
    z : np.ndarray [shape=(N_in,)]
        Spikes, or values if not `spiking`.
    state : np.ndarray [shape=(S,)]
        For each layer its membrane and its spikes, then the readout and its sum over the frames so far.
    parameters, sizes, recurrent
        Of a `PackedNetwork`; the readout has no recurrent weights.
    theta : scalar of the same type
    hard : bool
        Reset to zero rather than by theta.

    Returns
    -------
    np.ndarray [shape=(S,)]
        The new state.
    """
    one, zero = z.dtype.type(1), z.dtype.type(0)
    after = np.zeros_like(state)
    events = np.empty(max(sizes), np.int32)
    at, place, last = 0, 0, len(sizes) - 2
    for layer in range(last + 1):
        n_in, n = sizes[layer], sizes[layer + 1]
        u, second = after[place : place + n], after[place + n : place + 2 * n]
        before, fired = state[place : place + n], state[place + n : place + 2 * n]
        weight = parameters[at : at + n_in * n].reshape(n_in, n)
        at += n_in * n
        if spiking:
            add_rows(u, weight, events, _find(z, events))
        else:
            u[:] = np.dot(z, weight)
        feedback = recurrent and layer < last
        back = parameters[at : at + (n * n if feedback else 0)]
        at += len(back)
        alpha, gain = parameters[at : at + n], parameters[at + n : at + 2 * n]
        offset = parameters[at + 2 * n : at + 3 * n]
        at += 3 * n
        for i in range(n):
            u[i] = u[i] * gain[i] + offset[i]
        if feedback:
            add_rows(u, back.reshape(n, n), events, _find(fired, events))
        if layer == last:
            for i in range(n):
                u[i] = alpha[i] * before[i] + (one - alpha[i]) * u[i]
            for i in range(n):
                second[i] = fired[i] + u[i]
        else:
            for i in range(n):
                kept = before[i] * (one - fired[i]) if hard else before[i] - theta * fired[i]
                u[i] = alpha[i] * kept + (one - alpha[i]) * u[i]
            for i in range(n):
                second[i] = one if u[i] > theta else zero
        z, spiking = second, True
        place += 2 * n
    return after
