"""Compiled steps of one frame of one clip, for streaming: state in, new state out."""

from __future__ import annotations

import numpy as np

from models.neurons.rows import add_rows, jit


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
        add_rows(u, weight, events, count)
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
        add_rows(u, recurrent, events, count)
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
    add_rows(y, weight, events, count)
    for i in range(len(y)):
        drive = y[i] * vectors[1, i] + vectors[2, i]
        y[i] = vectors[0, i] * state[0, i] + (one - vectors[0, i]) * drive
        after[1, i] = state[1, i] + y[i]
    return after
