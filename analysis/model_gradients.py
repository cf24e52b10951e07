"""What a model's losses say of its encoder's spikes and steps: surrogate gradients and true values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.gradient_fields import steps_of
from models.errors import SpikelensError

if TYPE_CHECKING:
    import torch

    from models.classifier import SpikingClassifier
    from models.encoders.residual import Steps

LOSSES = ("cross-entropy", "squared error", "rate")
PARAMETERS = ("log dc", "log df", "log tc", "log tf")
_EVALUATION_BATCH = 256


def check_gradients(model: SpikingClassifier, log_mel: np.ndarray) -> None:
    """Refuse a model whose gradients would not describe its evaluation.

    Raises
    ------
    SpikelensError
        Spikes change when gradients are on, or the encoder's change between training and evaluation mode.
    """
    import torch

    values = torch.from_numpy(np.ascontiguousarray(log_mel))
    points = [point.name for point in model.points() if point.spiking]
    with torch.no_grad():
        plain = model(values, record=points).recordings
    x = model.normalise(values)
    steps = steps_of(model.encoder)
    if steps is None:
        encoded = model.encoder(x.requires_grad_())
    else:
        encoded = model.encoder(x, _scaled(steps, torch.zeros(len(PARAMETERS), requires_grad=True)))
    live = model.classify(encoded, record=points).recordings
    for name in points:
        if not torch.equal(plain[name], live[name].detach()):
            raise SpikelensError(f"gradients: the spikes of {name} differ with and without gradients")
    if not model.encoder.spiking:
        return
    training = copy.deepcopy(model.encoder).train()
    with torch.no_grad():
        if not torch.equal(training(model.normalise(values)).spikes, plain["encoder"]):
            raise SpikelensError(
                "gradients: the encoder's spikes differ between training and evaluation mode"
            )


def _scaled(steps: Steps, change: torch.Tensor) -> Steps:
    """Return the steps after a change of their logarithms ``(4,)``."""
    return type(steps)(*(value * factor for value, factor in zip(steps, change.exp().unbind(), strict=True)))


class SpikeGradients(NamedTuple):
    """Of a batch of clips, at the encoder's output.

    Attributes
    ----------
    task : np.ndarray [shape=(B, T, N)]
        Gradient of each clip's own cross-entropy in the encoder's spikes, taken as a leaf.
    residual : np.ndarray [shape=(B, T, F)]
        Normalised log-mel less its decoded form.
    events : np.ndarray [shape=(B, N)]
        Spikes of each channel.
    """

    task: np.ndarray
    residual: np.ndarray
    events: np.ndarray


def spike_gradients(model: SpikingClassifier, log_mel: np.ndarray, labels: np.ndarray) -> SpikeGradients:
    """Differentiate the cross-entropy through the surrogate, down to the encoder's spikes.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(B, T, F)]
    labels : np.ndarray [shape=(B,)]
    """
    import torch
    import torch.nn.functional as F

    x = model.normalise(torch.from_numpy(np.ascontiguousarray(log_mel)))
    with torch.no_grad():
        encoded = model.encoder(x)
    assert encoded.decoded is not None
    spikes = encoded.spikes.requires_grad_()
    logits = model.classify(encoded).logits.double()
    entropy = F.cross_entropy(logits, torch.from_numpy(labels), reduction="sum")
    (task,) = torch.autograd.grad(entropy, spikes)
    residual = x - encoded.decoded
    events = spikes.detach().sum(dim=1)
    return SpikeGradients(*(values.double().numpy() for values in (task, residual, events)))


def step_gradients(model: SpikingClassifier, log_mel: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the slopes of `LOSSES` in `PARAMETERS` through the surrogate, summed over clips: ``(4, 3)``.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(B, T, F)]
    labels : np.ndarray [shape=(B,)]
    """
    import torch
    import torch.nn.functional as F

    steps = steps_of(model.encoder)
    assert steps is not None
    x = model.normalise(torch.from_numpy(np.ascontiguousarray(log_mel)))
    change = torch.zeros(len(PARAMETERS), requires_grad=True)
    encoded = model.encoder(x, _scaled(steps, change))
    assert encoded.decoded is not None
    logits = model.classify(encoded).logits.double()
    losses = (
        F.cross_entropy(logits, torch.from_numpy(labels), reduction="sum"),
        (x - encoded.decoded).square().mean(dim=(1, 2)).sum(),
        encoded.spikes.mean(dim=(1, 2)).sum(),
    )
    slopes = [torch.autograd.grad(loss, change, retain_graph=True)[0] for loss in losses]
    return torch.stack(slopes, dim=1).double().numpy()


def true_losses(
    model: SpikingClassifier, log_mel: np.ndarray, labels: np.ndarray, change: np.ndarray
) -> np.ndarray:
    """Return the true losses of every clip after a change of the steps' logarithms, ``(n, 3)``."""
    import torch
    import torch.nn.functional as F

    steps = steps_of(model.encoder)
    assert steps is not None
    steps = _scaled(steps, torch.from_numpy(change).float())
    found = np.empty((len(labels), len(LOSSES)))
    for start in range(0, len(labels), _EVALUATION_BATCH):
        rows = slice(start, start + _EVALUATION_BATCH)
        with torch.inference_mode():
            x = model.normalise(torch.from_numpy(np.ascontiguousarray(log_mel[rows])))
            encoded = model.encoder(x, steps)
            assert encoded.decoded is not None
            logits = model.classify(encoded).logits.double()
            found[rows, 0] = F.cross_entropy(logits, torch.from_numpy(labels[rows]), reduction="none").numpy()
            found[rows, 1] = (x - encoded.decoded).double().square().mean(dim=(1, 2)).numpy()
            found[rows, 2] = encoded.spikes.double().mean(dim=(1, 2)).numpy()
    return found
