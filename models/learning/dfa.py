r"""Direct feedback alignment: fixed random feedback in place of transposed weights.

The error at the readout, :math:`e = \mathrm{softmax}(\mathrm{logits}) - y`, reaches the spikes of layer l
through a matrix that is drawn once and never trained (Nokland 2016; for spiking networks Samadi, Lillicrap
and Tweed 2017, Neftci et al. 2017):

.. math:: g_{l,t} = B_l\, e / T \qquad \text{or, online,} \qquad g_{l,t} = B_l\, e_t / T

What a layer makes of this signal decides how local the rule is:

- ``dfa-d0``: it is sent back through the layer's own recurrence and reset, over time;
- ``dfa-d1``: leaky eligibility traces, local in space and time (random e-prop, Bellec et al. 2020);
- ``dfa-d2``: the input of the same frame alone.

The readout learns from its own gradient. Under D1 and D2 batch norm's statistics are constants in backward
(`models.neurons.local.local_norm`). The encoder has a handful of parameters, whose sensitivities could be
carried forward in time; its own gradient over time is exact in every rule, and only the signal at its spikes
differs: ``transport`` sends that of layer 1 back through :math:`W_1^T`, ``feedback`` has a matrix of its own,
``frozen`` leaves the encoder where it starts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from models.backbones.rlif import RLIF, Credit
from models.classifier import Output, SpikingClassifier
from models.config import LearningConfig, Recipe, TrainConfig
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError
from models.learning.bptt import Objective, loss, reconstruction_term

ENCODER = "encoder"
_CREDIT = {
    "dfa-d0": Credit("within"),
    "dfa-d1": Credit("trace", constant_norm=True),
    "dfa-d2": Credit("instant", constant_norm=True),
}
_PURPOSE = 3  # of the random numbers, beside those of `models.batches`


@dataclass(frozen=True)
class Feedback:
    """The fixed matrices, by the point whose spikes they teach.

    Attributes
    ----------
    matrices : dict of str to torch.Tensor [shape=(N, C)]
        ``layer1`` ..., and ``encoder`` where that has one.
    """

    matrices: dict[str, torch.Tensor]

    @property
    def sha256(self) -> str:
        """Return the digest of all values, by name."""
        digest = hashlib.sha256()
        for name, matrix in sorted(self.matrices.items()):
            digest.update(name.encode() + matrix.numpy().tobytes())
        return digest.hexdigest()


def draw_feedback(recipe: Recipe, n_classes: int) -> Feedback:
    """Draw the matrices of a run from its seed.

    Normal, scaled to the Frobenius norm of the readout's weights at the start, times ``feedback_scale``.

    Raises
    ------
    SpikelensError
        The backbone has no local rules, or the recipe cuts the encoder off as only BPTT can.
    """
    model = SpikingClassifier.from_seed(recipe, n_classes)
    backbone = model.backbone
    if not isinstance(backbone, RLIF):
        raise SpikelensError(
            f"learning.rule: {recipe.learning.rule!r} takes backbone rlif, not {recipe.backbone.name!r}"
        )
    if not recipe.train.encoder_task_gradient:
        raise SpikelensError(
            f"train.encoder_task_gradient: False is for bptt; under {recipe.learning.rule} set "
            'learning.encoder = "frozen"'
        )
    state = np.random.SeedSequence([recipe.seed, 0, _PURPOSE]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0] >> 1))
    size = float(backbone.readout.input.weight.detach().norm()) * recipe.learning.feedback_scale
    units = {name: n for name, (n, spiking) in backbone.points().items() if spiking}
    if recipe.learning.encoder == "feedback":
        units[ENCODER] = model.encoder.n_units
    drawn = {name: torch.randn(n, n_classes, generator=generator) for name, n in units.items()}
    return Feedback({name: size / matrix.norm() * matrix for name, matrix in drawn.items()})


def dfa_objective(
    model: SpikingClassifier,
    log_mel: torch.Tensor,
    labels: torch.Tensor,
    config: TrainConfig,
    rate_weight: float,
    generator: torch.Generator | None,
    *,
    learning: LearningConfig,
    feedback: Feedback,
) -> Objective:
    """Return a scalar whose gradient is the update of a DFA rule, for log-mel ``(B, T, F)``.

    It is the loss, whose gradient ends at the readout, plus the product of every layer's spikes with the
    signal that layer is taught by.
    """
    x = model.normalise(log_mel)
    encoded = model.encoder(x)
    taught = learning.encoder != "frozen"
    if not taught:
        encoded = EncoderOutput(encoded.spikes.detach(), None)
    apart = encoded if learning.encoder == "transport" else encoded._replace(spikes=encoded.spikes.detach())
    layers = [name for name in feedback.matrices if name != ENCODER]
    credit = _CREDIT[learning.rule]
    if learning.norm == "batch":
        credit = credit._replace(constant_norm=False)
    output = model.classify(apart, [*layers, "readout"], generator, credit)
    if model.encoder.spiking:
        output = output._replace(encoder_rate=encoded.spikes.mean())
    value = loss(output, labels, config, rate_weight if taught else 0.0)
    followed = value.detach()
    spikes = output.recordings | {ENCODER: encoded.spikes}
    for name, signal in signals(output, labels, config, learning, feedback).items():
        value = value + (spikes[name] * signal).sum()
    if taught:
        value = value + reconstruction_term(encoded, x, config)
    return Objective(value, followed, output)


def signals(
    output: Output, labels: torch.Tensor, config: TrainConfig, learning: LearningConfig, feedback: Feedback
) -> dict[str, torch.Tensor]:
    """Return what each point's spikes are taught by: ``(B, 1, N)``, or ``(B, T, N)`` with one error a frame.

    `output` holds the recording of ``readout``. The signals are those of the loss's mean over the batch.
    """
    readout = output.recordings["readout"].detach()  # (B, T, C)
    n_clips, n_steps, n_classes = readout.shape
    target = F.one_hot(labels, n_classes).to(readout.dtype)
    target = target * (1 - config.label_smoothing) + config.label_smoothing / n_classes
    scores = readout if learning.error == "frame" else output.logits.detach()[:, None]
    error = scores.softmax(-1) - target[:, None]  # (B, T or 1, C)
    return {
        name: error @ matrix.to(error.dtype).T / (n_clips * n_steps)
        for name, matrix in feedback.matrices.items()
    }
