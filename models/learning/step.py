"""One optimiser step: schedule, clipping, and a report, whatever the learning rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from models.classifier import SpikingClassifier
from models.config import Recipe, TrainConfig
from models.learning.bptt import Objective, bptt_objective
from models.learning.dfa import Feedback, dfa_objective

Rule = Callable[
    [SpikingClassifier, torch.Tensor, torch.Tensor, TrainConfig, float, torch.Generator | None], Objective
]


def rule_of(recipe: Recipe, feedback: Feedback | None) -> Rule:
    """Return what a recipe's models learn by; DFA takes its fixed matrices."""
    if feedback is None:
        return bptt_objective
    return partial(dfa_objective, learning=recipe.learning, feedback=feedback)


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


def training_step(
    model: SpikingClassifier,
    optimiser: torch.optim.Optimizer,
    groups: Groups,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    config: TrainConfig,
    step: int,
    n_steps: int,
    generator: torch.Generator,
    rule: Rule = bptt_objective,
) -> StepReport:
    """Update the model on one batch, log-mel ``(B, T, F)`` and labels ``(B,)``, by a learning rule."""
    scale = one_cycle(step, n_steps, config.warmup)
    for group in optimiser.param_groups:
        group["lr"] = scale * group["peak_lr"]
    rate_weight = ramped_rate_weight(step, n_steps, config) if groups.encoder else 0.0
    value, loss, output = rule(model, log_mel, labels, config, rate_weight, generator)
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    norms = [float(nn.utils.clip_grad_norm_(part, config.clip_norm)) if part else 0.0 for part in groups]
    optimiser.step()
    return StepReport(
        float(loss) * len(labels),
        int((output.logits.argmax(1) == labels).sum()),
        len(labels),
        float(output.encoder_rate.detach()),
        output.layer_rates.detach().tolist(),
        *norms,
    )
