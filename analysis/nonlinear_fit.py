"""Training of the small network that reads features from spikes; `analysis.nonlinear` says what it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HIDDEN = 128
BATCH = 16  # clips
MAX_EPOCHS = 6
_PATIENCE = 2
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class DecoderClips:
    """Activity (n, T, N), its ridge estimate and the features it should give, (n, T, F) float32."""

    activity: np.ndarray
    linear: np.ndarray
    features: np.ndarray

    @property
    def power(self) -> float:
        """Return the summed square of the features."""
        return float(np.square(self.features, dtype=np.float64).sum())


def running_sum_statistics(activity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the running sums over clips and frames, ``(N,)`` each."""
    sums, squares = np.zeros((2, activity.shape[2]))
    for start in range(0, len(activity), 256):
        block = activity[start : start + 256].cumsum(axis=1, dtype=np.float64)
        sums += block.sum(axis=(0, 1))
        squares += np.square(block).sum(axis=(0, 1))
    count = activity.shape[0] * activity.shape[1]
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)  # a silent unit


def network_inputs(
    activity: np.ndarray, linear: np.ndarray, lags: int, mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Return what the hidden layer sees, ``(n T, (2 lags + 2) N + F)`` float32."""
    n_clips, n_steps, n_units = activity.shape
    n_lags = 2 * lags + 1
    padded = np.pad(activity, ((0, 0), (lags, lags), (0, 0)))
    x = np.empty((n_clips, n_steps, (n_lags + 1) * n_units + linear.shape[2]), np.float32)
    for i in range(n_lags):
        x[..., i * n_units : (i + 1) * n_units] = padded[:, i : i + n_steps]
    sums = activity.cumsum(axis=1, dtype=np.float32)
    x[..., n_lags * n_units : (n_lags + 1) * n_units] = (sums - mean) / std
    x[..., (n_lags + 1) * n_units :] = linear
    return x.reshape(n_clips * n_steps, -1)


def train_network(
    net,
    fit: DecoderClips,
    stop: DecoderClips,
    inputs: Callable[[DecoderClips, np.ndarray | slice], np.ndarray],
    seed: int,
    progress: Callable[[float], None],
) -> tuple[list[float], int]:
    """Train in place until the error on `stop` no longer falls; leave the best epoch's weights.

    Returns the summed squared error on `stop` before training and after each epoch, and the best epoch.
    """
    import torch

    def error(held: DecoderClips, rows: np.ndarray | slice) -> torch.Tensor:
        target = torch.from_numpy(held.features[rows] - held.linear[rows])
        return (net(torch.from_numpy(inputs(held, rows))) - target.flatten(0, 1)).square()

    def stop_error() -> float:
        with torch.no_grad():
            starts = range(0, len(stop.features), BATCH)
            return sum(float(error(stop, slice(s, s + BATCH)).sum(dtype=torch.float64)) for s in starts)

    optimizer = torch.optim.Adam(net.parameters(), lr=_LEARNING_RATE)
    rng = np.random.default_rng(seed)
    errors, best = [stop_error()], copy.deepcopy(net.state_dict())
    for epoch in range(MAX_EPOCHS):
        order = rng.permutation(len(fit.features))
        for start in range(0, len(order), BATCH):
            optimizer.zero_grad()
            error(fit, np.sort(order[start : start + BATCH])).mean().backward()
            optimizer.step()
        progress((epoch + 1) / MAX_EPOCHS)
        errors.append(stop_error())
        if errors[-1] == min(errors):
            best = copy.deepcopy(net.state_dict())
        elif len(errors) - 1 - int(np.argmin(errors)) >= _PATIENCE:
            break
    net.load_state_dict(best)
    return errors, int(np.argmin(errors))
