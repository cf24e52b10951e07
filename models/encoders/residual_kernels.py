"""Compiled loop over time of the residual step-forward encoder, and its adjoint through the baseline."""

from __future__ import annotations

import numpy as np

from models.neurons.rows import jit


@jit
def encode(x, base, dc, df, tc, tf, spikes, decoded, start, stop):
    """Encode the clips ``start:stop``; the equations are those of `models.encoders.residual`.

    Parameters
    ----------
    x : np.ndarray [shape=(B, T, F)]
    base : np.ndarray [shape=(F,)]
        The baseline before the first frame.
    dc, df, tc, tf : np.ndarray [shape=(F,)]
    spikes : np.ndarray [shape=(B, T, 4, F)]
        Written: coarse on, coarse off, fine on, fine off.
    decoded : np.ndarray [shape=(B, T, F)]
        Written: the baseline after each frame.
    """
    n_steps, n_bands = x.shape[1:]
    baseline = np.empty(n_bands, x.dtype)
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for b in range(start, stop):
        baseline[:] = base
        for t in range(n_steps):
            frame, out, row = x[b, t], spikes[b, t], decoded[b, t]
            for i in range(n_bands):
                z = (frame[i] - baseline[i]) / dc[i]
                on = one if z - tc[i] > zero else zero
                off = one if -z - tc[i] > zero else zero
                middle = baseline[i] + dc[i] * (on - off)
                out[0, i] = on
                out[1, i] = off
                z = (frame[i] - middle) / df[i]
                on = one if z - tf[i] > zero else zero
                off = one if -z - tf[i] > zero else zero
                out[2, i] = on
                out[3, i] = off
                row[i] = middle + df[i] * (on - off)
                baseline[i] = row[i]


@jit
def encode_backward(
    x, dc, df, tc, tf, spikes, decoded, grad_spikes, grad_decoded, grad_x, grad_steps, start, stop
):
    """Run the adjoint of `encode` back in time for the clips ``start:stop``.

    Parameters
    ----------
    grad_spikes : np.ndarray [shape=(B, T, 4, F)]
    grad_decoded : np.ndarray [shape=(B, T, F) or (0, 0, 0)]
        Empty: zero.
    grad_x : np.ndarray [shape=(B, T, F)]
        Written.
    grad_steps : np.ndarray [shape=(B, 4, F)]
        Written, for each clip: by dc, df, tc, tf.
    """
    n_steps, n_bands = x.shape[1:]
    one, zero = x.dtype.type(1), x.dtype.type(0)
    by_decoded = grad_decoded.shape[0] > 0
    held = np.empty(n_bands, x.dtype)  # d loss / d baseline, from later frames
    silence = np.zeros(n_bands, x.dtype)
    for b in range(start, stop):
        held[:] = zero
        sums = grad_steps[b]
        sums[:] = zero
        for t in range(n_steps - 1, -1, -1):
            frame, given, s = x[b, t], grad_spikes[b, t], spikes[b, t]
            baseline = decoded[b, t - 1] if t > 0 else silence
            for i in range(n_bands):
                g = held[i]
                if by_decoded:
                    g += grad_decoded[b, t, i]
                coarse, fine = s[0, i] - s[1, i], s[2, i] - s[3, i]
                middle = baseline[i] + dc[i] * coarse
                zf = (frame[i] - middle) / df[i]
                on = (given[2, i] + df[i] * g) * max(zero, one - abs(zf - tf[i]))
                off = (given[3, i] - df[i] * g) * max(zero, one - abs(-zf - tf[i]))
                into_fine = (on - off) / df[i]  # d loss / d (x - middle)
                sums[1, i] += g * fine - into_fine * zf
                sums[3, i] -= on + off
                g -= into_fine
                zc = (frame[i] - baseline[i]) / dc[i]
                on = (given[0, i] + dc[i] * g) * max(zero, one - abs(zc - tc[i]))
                off = (given[1, i] - dc[i] * g) * max(zero, one - abs(-zc - tc[i]))
                into_coarse = (on - off) / dc[i]
                sums[0, i] += g * coarse - into_coarse * zc
                sums[2, i] -= on + off
                held[i] = g - into_coarse
                grad_x[b, t, i] = into_fine + into_coarse
