"""Surrogate-gradient backpropagation through time: the loss and one optimiser step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from models.classifier import Output, SpikingClassifier
from models.config import TrainConfig
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError


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


def ramped_rate_weight(step: int, n_steps: int, config: TrainConfig) -> float:
    """Return the encoder-rate weight at `step`: linear from 0 over the first `rate_ramp` of training."""
    ramp = max(1.0, config.rate_ramp * n_steps)
    return config.rate_weight * min(1.0, step / ramp)


def one_cycle(step: int, n_steps: int, warmup: float) -> float:
    """Return the learning rate at `step` relative to its peak (Smith 2018).

    A cosine up from 1/25 over the warm-up, then a cosine down to 0.
    """
    peak = max(1.0, warmup * n_steps)
    if step < peak:
        return 1 / 25 + (1 - 1 / 25) * 0.5 * (1 - math.cos(math.pi * step / peak))
    return max(1e-6, 0.5 * (1 + math.cos(math.pi * (step - peak) / max(1.0, n_steps - peak))))


class Groups(NamedTuple):
    """The parameters that are clipped together."""

    encoder: list[nn.Parameter]
    backbone: list[nn.Parameter]


def make_optimiser(model: SpikingClassifier, config: TrainConfig) -> tuple[torch.optim.AdamW, Groups]:
    """Return AdamW with a group for the encoder, one for matrices (decayed) and one for vectors."""
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    backbone = list(model.backbone.parameters())
    groups = [
        {"params": [p for p in backbone if p.ndim > 1], "lr": config.lr, "weight_decay": config.weight_decay},
        {"params": [p for p in backbone if p.ndim <= 1], "lr": config.lr, "weight_decay": 0.0},
    ]
    if encoder:
        groups.append({"params": encoder, "lr": config.encoder_lr, "weight_decay": 0.0})
    for group in groups:
        group["peak_lr"] = group["lr"]
    return torch.optim.AdamW(groups), Groups(encoder, backbone)


class StepReport(NamedTuple):
    """What one step did: sums over the batch, and gradient norms before clipping."""

    loss_sum: float
    n_correct: int
    n_clips: int
    encoder_rate: float
    layer_rates: list[float]
    encoder_gradient_norm: float
    backbone_gradient_norm: float


def bptt_step(
    model: SpikingClassifier,
    optimiser: torch.optim.Optimizer,
    groups: Groups,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    config: TrainConfig,
    step: int,
    n_steps: int,
    generator: torch.Generator,
) -> StepReport:
    """Update the model on one batch, log-mel ``(B, T, F)`` and labels ``(B,)``."""
    scale = one_cycle(step, n_steps, config.warmup)
    for group in optimiser.param_groups:
        group["lr"] = scale * group["peak_lr"]
    x = model.normalise(log_mel)
    encoded = model.encoder(x)
    if config.encoder_task_gradient:
        output = model.classify(encoded, generator=generator)
    else:
        apart = EncoderOutput(encoded.spikes.detach(), None)
        output = model.classify(apart, generator=generator)._replace(encoder_rate=encoded.spikes.mean())
    rate_weight = ramped_rate_weight(step, n_steps, config) if groups.encoder else 0.0
    value = loss(output, labels, config, rate_weight)
    if config.reconstruction_weight:
        if encoded.decoded is None:
            raise SpikelensError("train.reconstruction_weight: this encoder has no decoder; allowed is 0")
        value = value + config.reconstruction_weight * (x - encoded.decoded).square().mean()
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    norms = [float(nn.utils.clip_grad_norm_(part, config.clip_norm)) if part else 0.0 for part in groups]
    optimiser.step()
    return StepReport(
        float(value.detach()) * len(labels),
        int((output.logits.argmax(1) == labels).sum()),
        len(labels),
        float(output.encoder_rate.detach()),
        output.layer_rates.detach().tolist(),
        *norms,
    )
