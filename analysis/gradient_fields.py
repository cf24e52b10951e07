"""Gradients at the encoder's output, clip by clip: the task's, the reconstruction's, and how they relate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from models.encoders.base import Encoder
    from models.encoders.residual import Steps


def steps_of(encoder: Encoder) -> Steps | None:
    """Return the steps of an encoder with a coarse and a fine phase and a decoder, None for any other."""
    find = getattr(encoder, "steps", None)
    if find is None or not encoder.has_decoder or "fine_on" not in encoder.streams:
        return None
    return find()


def channel_gains(encoder: Encoder, n_bands: int) -> torch.Tensor | None:
    """Return what one spike of each channel adds to the decoded signal from then on, ``(N,)``.

    None where the encoder has no decoder that is a running sum of its spikes.
    """
    import torch

    if not encoder.has_decoder:
        return None
    if (steps := getattr(encoder, "steps", None)) is not None:
        coarse, fine = (step.detach().expand(n_bands) for step in steps()[:2])
        if (log_gain := getattr(encoder, "log_gain", None)) is not None:  # undone by the decoder
            coarse, fine = coarse / log_gain.detach().exp(), fine / log_gain.detach().exp()
        return torch.cat((coarse, -coarse, fine, -fine))[: encoder.n_units]
    if (threshold := getattr(encoder, "threshold", None)) is not None:  # step-forward, encoders of change
        step = threshold.detach().expand(n_bands)
        return torch.cat((step, -step))
    return None


def reconstruction_gradient(
    residual: np.ndarray, gains: np.ndarray, instantaneous: bool = False
) -> np.ndarray:
    r"""Return the gradient of :math:`\frac12 \lVert x - \hat x \rVert^2` in the spikes.

    For a channel of gain g at t it is ``-g sum_{k >= t} r[k]``; the instantaneous version has ``r[t]`` alone.

    Parameters
    ----------
    residual : np.ndarray [shape=(B, T, F)]
        r = x - xhat.
    gains : np.ndarray [shape=(N,)]
        See `channel_gains`; N a multiple of F.

    Returns
    -------
    np.ndarray [shape=(B, T, N)]
    """
    field = residual if instantaneous else np.flip(np.flip(residual, 1).cumsum(axis=1), 1)
    return -gains * np.tile(field, len(gains) // residual.shape[2])


def unit(field: np.ndarray) -> np.ndarray:
    """Return a field ``(B, T, N)`` with every clip at length 1; a clip that is zero stays zero."""
    return _over(field, np.sqrt(_energy(field))[:, None, None])


def channel_energy(field: np.ndarray) -> np.ndarray:
    """Return the energy of each channel, ``(B, T, N)`` -> ``(B, N)``."""
    return np.einsum("btn,btn->bn", field, field)


def cosine(task: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Return the cosine of two fields ``(B, T, N)`` per clip, ``(B,)``; 0 where one of them is zero."""
    inner = np.einsum("btn,btn->b", task, reconstruction)
    return _over(_over(inner, np.sqrt(_energy(task))), np.sqrt(_energy(reconstruction)))


def block_share(task: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Return the share of the task gradient's energy in the span of the reconstruction's channels, ``(B,)``.

    Every channel (stream, polarity, band) is a direction of its own: its time course in `reconstruction`.
    """
    inner = np.einsum("btn,btn->bn", task, reconstruction)
    length = channel_energy(reconstruction)
    return _over(np.square(_over(inner, np.sqrt(length))).sum(axis=1), _energy(task))


def bin_strength(task: np.ndarray, n_bands: int) -> np.ndarray:
    """Return the norm of the task gradient over the channels of each bin, ``(B, T, N)`` -> ``(B, T, F)``."""
    channels = task.reshape(*task.shape[:2], -1, n_bands)
    return np.sqrt(np.square(channels).sum(axis=2))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each bin within its clip less the mean rank, ``(B, ...)`` -> ``(B, bins)``.

    Ties share a rank.
    """
    from scipy.stats import rankdata

    found = rankdata(values.reshape(len(values), -1), axis=1)
    return found - found.mean(axis=1, keepdims=True)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each clip from two sets of `ranks`, ``(B,)``; 0 where one is flat."""
    length = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return _over((a * b).sum(axis=1), length)


def curve(strength: np.ndarray, residual: np.ndarray, n_bins: int = 10) -> np.ndarray:
    """Return the mean strength within each quantile of ``|residual|``, over the clip's mean, ``(B, n_bins)``.

    Every quantile at 1 is no association.
    """
    flat = strength.reshape(len(strength), -1)
    order = np.abs(residual).reshape(len(residual), -1).argsort(axis=1, kind="stable")
    by_size = np.take_along_axis(flat, order, axis=1)
    means = np.stack([part.mean(axis=1) for part in np.array_split(by_size, n_bins, axis=1)], axis=1)
    return _over(means, flat.mean(axis=1, keepdims=True))


def _energy(field: np.ndarray) -> np.ndarray:
    return np.einsum("btn,btn->b", field, field)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return ``top / bottom``, 0 where the bottom is 0."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=np.broadcast_to(bottom > 0, top.shape))
