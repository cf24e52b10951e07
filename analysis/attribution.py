"""Integrated gradients of a word's logit in the log-mel, and what happens when bins are blanked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.errors import SpikelensError

if TYPE_CHECKING:
    import torch

    from models.classifier import SpikingClassifier

_CLIPS = 16  # at once, each with all its steps
_ROWS = 256  # in one forward pass


class Attribution(NamedTuple):
    """Integrated gradients of some clips.

    Attributes
    ----------
    maps : np.ndarray [shape=(n, T, F)]
        Part of each bin in the logit, signed.
    differences : np.ndarray [shape=(n,)]
        The logit less that of the baseline: what the bins of a smooth network would add up to.
    """

    maps: np.ndarray
    differences: np.ndarray


def attribute(
    model: SpikingClassifier,
    x: np.ndarray,
    targets: np.ndarray,
    n_steps: int,
    report: Callable[[float], None] = lambda fraction: None,
) -> Attribution:
    """Integrate the gradient of a logit from silence to the clip (Sundararajan 2017), by captum.

    The baseline is 0: the training mean of every band, where the encoder's own baseline starts.

    Parameters
    ----------
    model : SpikingClassifier
        In evaluation mode, no gradients required.
    x : np.ndarray [shape=(n, T, F)]
        Normalised log-mel.
    targets : np.ndarray [shape=(n,)]
        The word whose logit is explained.
    n_steps : int
        Points of the integral (Gauss-Legendre).

    Raises
    ------
    SpikelensError
        The gradient is identically zero.
    """
    import torch
    from captum.attr import IntegratedGradients

    explain = IntegratedGradients(lambda values: model.classify(model.encoder(values)).logits)
    maps = np.empty(x.shape, np.float32)
    for start in range(0, len(x), _CLIPS):
        rows = slice(start, start + _CLIPS)
        maps[rows] = (
            explain.attribute(
                torch.from_numpy(x[rows]),
                target=torch.from_numpy(targets[rows]),
                n_steps=n_steps,
                internal_batch_size=_ROWS,
            )
            .detach()
            .numpy()
        )
        report(min(1.0, (start + _CLIPS) / len(x)))
    if not maps.any():
        raise SpikelensError("saliency: the gradient of the logit in the log-mel is identically zero")
    silence = logits(model, np.zeros_like(x[:1]))[0]
    own = logits(model, x)[np.arange(len(x)), targets]
    return Attribution(maps, own - silence[targets])


def logits(model: SpikingClassifier, x: np.ndarray) -> np.ndarray:
    """Return the logits of normalised log-mel ``(n, T, F)``: ``(n, C)``."""
    import torch

    with torch.inference_mode():
        parts = [
            model.classify(model.encoder(torch.from_numpy(x[start : start + _ROWS]))).logits.numpy()
            for start in range(0, len(x), _ROWS)
        ]
    return np.concatenate(parts).astype(np.float64)


def passes_gradient(model: SpikingClassifier, x: np.ndarray) -> bool:
    """Tell whether the encoder lets a gradient through to the log-mel ``(n, T, F)``."""
    import torch

    values: torch.Tensor = torch.from_numpy(x[:1].copy()).requires_grad_()
    return model.encoder(values).spikes.requires_grad


def blanked(x: np.ndarray, score: np.ndarray, share: float) -> np.ndarray:
    """Return clips with the bins of highest score set to 0, the baseline.

    Parameters
    ----------
    x, score : np.ndarray [shape=(n, T, F)]
    share : float
        Of the bins of each clip.
    """
    flat = score.reshape(len(score), -1)
    count = round(share * flat.shape[1])
    chosen = np.argpartition(-flat, count - 1, axis=1)[:, :count]
    copy = x.reshape(len(x), -1).copy()
    np.put_along_axis(copy, chosen, 0, axis=1)
    return copy.reshape(x.shape)


def variance_between(maps: np.ndarray, labels: np.ndarray, n_classes: int) -> float:
    """Return the share of the maps' variance over clips that lies between words: 0 to 1.

    Parameters
    ----------
    maps : np.ndarray [shape=(n, D)]
        Centred: the mean over clips is 0.
    labels : np.ndarray [shape=(n,)]
    """
    members = np.eye(n_classes)[labels].T  # (C, n)
    sizes = members.sum(axis=1)
    sums = members @ maps
    between = (np.square(sums).sum(axis=1)[sizes > 0] / sizes[sizes > 0]).sum()
    return float(between / np.square(maps).sum())
