"""One training step, forward and backward, in Spikelens and in its peers.

Each arm is a function that takes a `Problem` and returns a step without arguments; the step ends with
gradients on every parameter. Peers whose package is absent raise ImportError.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from models.neurons.engine import kernels
from models.neurons.recurrent import Window, integrate, lif, spike_linear
from models.neurons.surrogate import boxcar, spike, surrogate
from tests.bench.problem import N_IN, Problem

Step = Callable[[], None]


def _parameters(problem: Problem) -> list[torch.Tensor]:
    given = (problem.w_in, problem.v, problem.w_out, problem.alpha, problem.alpha_out)
    return [value.clone().requires_grad_() for value in given]


def _finish(loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None
    loss.backward()


def _readout(spikes: torch.Tensor, w_out: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Run the leaky readout the plain way; every arm but ours uses it."""
    with kernels("plain"):
        return integrate(F.linear(spikes, w_out), alpha).mean(1)


def spikelens(problem: Problem, surrogate_name: str = "boxcar", reset: str = "soft") -> Step:
    """Run our compiled kernels."""
    parameters = w_in, v, w_out, alpha, alpha_out = _parameters(problem)
    support = surrogate(surrogate_name).support

    def step() -> None:
        with kernels("compiled"):
            spikes, membrane = lif(
                spike_linear(problem.x, w_in), alpha, v, surrogate_name=surrogate_name, reset=reset
            )
            window = None if support is None else Window(membrane.detach(), 1.0, support)
            logits = integrate(spike_linear(spikes, w_out, None, window), alpha_out).mean(1)
            del spikes, membrane, window  # as in the model: nobody holds them through the backward pass
            _finish(F.cross_entropy(logits, problem.labels), list(parameters))

    return step


def plain(problem: Problem, surrogate_name: str = "boxcar", reset: str = "soft") -> Step:
    """Loop in plain torch at its best: projection hoisted, ``unbind`` instead of indexing."""
    parameters = w_in, v, w_out, alpha, alpha_out = _parameters(problem)

    def step() -> None:
        with kernels("plain"):
            spikes, _ = lif(F.linear(problem.x, w_in), alpha, v, surrogate_name=surrogate_name, reset=reset)
        logits = _readout(spikes, w_out, alpha_out)
        del spikes
        _finish(F.cross_entropy(logits, problem.labels), list(parameters))

    return step


def sparch(problem: Problem, batch_norm: bool = False) -> Step:
    """R-LIF layer with the operations of sparch (Bittar and Garner 2022), written anew.

    Per step it indexes the projection and clears the diagonal's part; it starts from random states.
    """
    parameters = w_in, v, w_out, alpha, alpha_out = _parameters(problem)
    norm = nn.BatchNorm1d(problem.shape.h, momentum=0.05)

    def step() -> None:
        current = F.linear(problem.x, w_in)
        if batch_norm:
            current = norm(current.reshape(-1, current.shape[2])).reshape(current.shape)
        weight = v - torch.diag(v.diagonal())
        leak = alpha.clamp(0.8, 0.97)
        u, s = torch.rand_like(current[:, 0]), torch.rand_like(current[:, 0])
        found = []
        for t in range(current.shape[1]):
            u = leak * (u - s) + (1 - leak) * (current[:, t, :] + s @ weight)
            s = spike(u - 1.0, boxcar)
            found.append(s)
        logits = _readout(torch.stack(found, 1), w_out, alpha_out)
        _finish(F.cross_entropy(logits, problem.labels), list(parameters))

    return step


def snntorch(problem: Problem) -> Step:
    """Run snntorch's RLeaky, projection hoisted."""
    import snntorch as snn

    w_in, v, w_out, _, alpha_out = _parameters(problem)
    layer = snn.RLeaky(
        beta=problem.alpha.clone(),
        linear_features=problem.shape.h,
        learn_beta=True,
        reset_mechanism="subtract",
    )
    with torch.no_grad():
        layer.recurrent.weight.copy_(v)
    parameters = [w_in, w_out, alpha_out, *layer.parameters()]

    def step() -> None:
        s, u = layer.init_rleaky()
        found = []
        for current in F.linear(problem.x, w_in).unbind(1):
            s, u = layer(current, s, u)
            found.append(s)
        logits = _readout(torch.stack(found, 1), w_out, alpha_out)
        _finish(F.cross_entropy(logits, problem.labels), parameters)

    return step


def norse(problem: Problem) -> Step:
    """Run norse's LIFRecurrent over the sequence."""
    import norse.torch

    _, _, w_out, _, alpha_out = _parameters(problem)
    layer = norse.torch.LIFRecurrent(N_IN, problem.shape.h)
    parameters = [w_out, alpha_out, *layer.parameters()]

    def step() -> None:
        spikes, _ = layer(problem.x.transpose(0, 1))
        logits = _readout(spikes.transpose(0, 1), w_out, alpha_out)
        _finish(F.cross_entropy(logits, problem.labels), parameters)

    return step


def spikingjelly(problem: Problem) -> Step:
    """Run spikingjelly's recurrent container around its LIFNode, multi-step."""
    from spikingjelly.activation_based import functional, layer, neuron

    w_in, _, w_out, _, alpha_out = _parameters(problem)
    node = neuron.LIFNode(v_reset=None, detach_reset=False)
    recurrent = layer.LinearRecurrentContainer(node, problem.shape.h, problem.shape.h, step_mode="m")
    parameters = [w_in, w_out, alpha_out, *recurrent.parameters()]

    def step() -> None:
        functional.reset_net(recurrent)
        spikes = recurrent(F.linear(problem.x, w_in).transpose(0, 1))
        logits = _readout(spikes.transpose(0, 1), w_out, alpha_out)
        _finish(F.cross_entropy(logits, problem.labels), parameters)

    return step


def sparch_with_norm(problem: Problem) -> Step:
    """Run the sparch layer with its batch norm inside the timed step, as published."""
    return sparch(problem, batch_norm=True)


ARMS: dict[str, Callable[[Problem], Step]] = {
    "plain": plain,
    "spikelens": spikelens,
    "snntorch": snntorch,
    "norse": norse,
    "sparch": sparch,
    "sparch+BN": sparch_with_norm,
    "spikingjelly": spikingjelly,
}
