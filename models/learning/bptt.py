"""Surrogate-gradient backpropagation through time: what is minimised."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from models.classifier import Output, SpikingClassifier
from models.config import TrainConfig
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError


class Objective(NamedTuple):
    """What one batch gives.

    Attributes
    ----------
    value : torch.Tensor
        A scalar; its gradient is what the parameters learn from.
    loss : torch.Tensor
        A scalar to follow: the same, unless the learning rule's value means nothing by itself.
    output : Output
    """

    value: torch.Tensor
    loss: torch.Tensor
    output: Output


def loss(output: Output, labels: torch.Tensor, config: TrainConfig, rate_weight: float) -> torch.Tensor:
    """Return cross-entropy plus the activity penalties.

    ``CE + rate_weight * mean encoder rate + hidden_rate_weight * mean hidden rate``

    Parameters
    ----------
    output : Output
    labels : torch.Tensor [shape=(B,), int64]
    rate_weight : float
        The ramped weight of this step, see `ramped_rate_weight`.
    """
    total = F.cross_entropy(output.logits, labels, label_smoothing=config.label_smoothing)
    if rate_weight:  # a term of weight 0 would still send a gradient through every spike
        total = total + rate_weight * output.encoder_rate
    if config.hidden_rate_weight:
        total = total + config.hidden_rate_weight * output.layer_rates.mean()
    return total


def bptt_objective(
    model: SpikingClassifier,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    config: TrainConfig,
    rate_weight: float,
    generator: torch.Generator | None,
) -> Objective:
    """Return the loss of log-mel ``(B, T, F)`` with labels ``(B,)``; its gradient goes through all of it."""
    x = model.normalise(log_mel)
    encoded = model.encoder(x)
    if config.encoder_task_gradient:
        output = model.classify(encoded, generator=generator)
    else:
        apart = EncoderOutput(encoded.spikes.detach(), None)
        output = model.classify(apart, generator=generator)._replace(encoder_rate=encoded.spikes.mean())
    value = loss(output, labels, config, rate_weight) + reconstruction_term(encoded, x, config)
    return Objective(value, value.detach(), output)


def reconstruction_term(encoded: EncoderOutput, x: torch.Tensor, config: TrainConfig) -> torch.Tensor | float:
    """Return the weighted error of the decoded signal; SpikelensError where an encoder has none."""
    if not config.reconstruction_weight:
        return 0.0
    if encoded.decoded is None:
        raise SpikelensError("train.reconstruction_weight: this encoder has no decoder; allowed is 0")
    return config.reconstruction_weight * (x - encoded.decoded).square().mean()
