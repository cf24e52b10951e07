r"""A running average of a model's weights over training (Polyak and Juditsky 1992).

.. math::
    \bar\theta_k = d_k \bar\theta_{k-1} + (1 - d_k)\, \theta_k, \qquad
    d_k = \min\Big(d, \frac{1 + k}{10 + k}\Big)

Batch norm's running statistics are averaged like weights: they belong to them.
"""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def average_weights(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move `average` towards the parameters and buffers of `model`, by more at first.

    Parameters
    ----------
    decay : float
        d, in [0, 1).
    step : int
        k, counted from 0.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    for held, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if held.is_floating_point():
            held.lerp_(now, share)
        else:
            held.copy_(now)
