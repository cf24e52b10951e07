"""How well a learning rule's updates agree with those of backpropagation through time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from models.classifier import SpikingClassifier
from models.config import Recipe, TrainConfig
from models.learning.bptt import bptt_objective, loss
from models.learning.dfa import ENCODER, Feedback, dfa_objective, signals


def agreement(
    model: SpikingClassifier,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    recipe: Recipe,
    feedback: Feedback,
) -> dict[str, float]:
    """Compare a DFA rule with the gradient of the cross-entropy, on one batch without dropout.

    Parameters
    ----------
    log_mel : torch.Tensor [shape=(B, T, F)]
    labels : torch.Tensor [shape=(B,)]

    Returns
    -------
    dict of str to float
        ``cosine_<tensor>`` between the two updates of a tensor (``layer1_input``, ``layer1_recurrent``,
        ``layer1_leak``, ``layer1_gain``, ``layer1_offset``, ..., all of ``encoder`` as one); where one of the
        two is zero there is no such key. ``angle_<point>``, degrees, between the signal that teaches a
        point's spikes and the gradient there (Lillicrap et al. 2016): 90 is no agreement.
    """
    config, learning = recipe.train, recipe.learning
    with _undisturbed(model):
        by_rule = dfa_objective(
            model, log_mel, labels, config, 0.0, None, learning=learning, feedback=feedback
        )
        updates = _by_tensor(model, by_rule.value)
        gradients = _by_tensor(model, bptt_objective(model, log_mel, labels, config, 0.0, None).value)
        taught = signals(by_rule.output, labels, config, learning, feedback)
        errors = _at_spikes(model, log_mel, labels, config, list(taught))
    found = {
        f"cosine_{name}": _cosine(updates[name], gradients[name])
        for name in gradients
        if name in updates and not name.startswith("readout")  # which learns by its own gradient in any rule
    }
    for name, signal in taught.items():
        cosine = _cosine(signal.expand_as(errors[name]).flatten(), errors[name].flatten())
        found[f"angle_{name}"] = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    return {name: value for name, value in found.items() if math.isfinite(value)}


@contextmanager
def _undisturbed(model: SpikingClassifier) -> Iterator[None]:
    """Leave out dropout, and normalise by the batch without a trace in the running statistics."""
    training = model.training
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    before = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    model.eval()
    try:
        for norm in norms:
            norm.train()
        yield
    finally:
        for norm, state in zip(norms, before, strict=True):
            norm.load_state_dict(state)
        model.train(training)
        model.zero_grad(set_to_none=True)


def _by_tensor(model: SpikingClassifier, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return gradients as vectors, under the names of `agreement`."""
    model.zero_grad(set_to_none=True)
    value.backward()
    found: dict[str, torch.Tensor] = {}
    encoder = [p.grad.flatten() for p in model.encoder.parameters() if p.grad is not None]
    if encoder:
        found[ENCODER] = torch.cat(encoder)
    parts = {f"layer{i}": layer for i, layer in enumerate(model.backbone.layers, 1)}
    for name, part in (parts | {"readout": model.backbone.readout}).items():
        tensors = {
            "input": part.input.weight,
            "recurrent": getattr(part, "recurrent", None),
            "leak": part.alpha,
            "gain": part.input.norm.weight,
            "offset": part.input.norm.bias,
        }
        for kind, tensor in tensors.items():
            if tensor is not None and tensor.grad is not None:
                found[f"{name}_{kind}"] = tensor.grad.flatten().clone()
    return found


def _at_spikes(
    model: SpikingClassifier,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    config: TrainConfig,
    points: list[str],
) -> dict[str, torch.Tensor]:
    """Return the gradient of the cross-entropy at the spikes of some points, ``(B, T, N)``."""
    encoded = model.encoder(model.normalise(log_mel))
    leaf = encoded.spikes.detach().requires_grad_()
    output = model.classify(encoded._replace(spikes=leaf), points)
    value = loss(output, labels, config, 0.0)
    spikes = [leaf if name == ENCODER else output.recordings[name] for name in points]
    return dict(zip(points, torch.autograd.grad(value, spikes), strict=True))


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    size = a.norm() * b.norm()
    return float((a @ b) / size) if size > 0 else math.nan
