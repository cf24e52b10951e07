"""One streamed frame of one clip, hidden layer and readout, in Spikelens and in its peers."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models.neurons.frame_kernels import LayerArrays, network_frame, pack
from tests.bench.problem import N_OUT, Problem

Frame = Callable[[], None]


class Cell(nn.Module):
    """R-LIF cell with readout as tensors, for torch and for export."""

    def __init__(self, problem: Problem):
        super().__init__()
        for name in ("w_in", "v", "w_out", "alpha", "alpha_out"):
            self.register_buffer(name, getattr(problem, name))

    def forward(self, x, u, s, y):
        """Advance by one frame, all tensors ``(1, .)``."""
        u = self.alpha * (u - s) + (1 - self.alpha) * (F.linear(x, self.w_in) + s @ self.v)
        s = (u > 1.0).to(u.dtype)
        y = self.alpha_out * y + (1 - self.alpha_out) * F.linear(s, self.w_out)
        return u, s, y


def _state(problem: Problem) -> tuple[torch.Tensor, ...]:
    h = problem.shape.h
    spikes = (torch.rand(1, h, generator=torch.Generator().manual_seed(1)) < problem.shape.rate).float()
    return problem.x[0, :1], torch.zeros(1, h), spikes, torch.zeros(1, N_OUT)


def spikelens(problem: Problem) -> Frame:
    """Run our frame kernel."""

    def layer(weight: torch.Tensor, v: torch.Tensor | None, alpha: torch.Tensor) -> LayerArrays:
        n = len(alpha)
        back = None if v is None else v.numpy()
        return LayerArrays(weight.T.numpy(), back, alpha.numpy(), np.ones(n), np.zeros(n))

    hidden = layer(problem.w_in, problem.v, problem.alpha)
    packed = pack([hidden, layer(problem.w_out, None, problem.alpha_out)])
    x, _, spikes, _ = (value.numpy() for value in _state(problem))
    state = packed.start()
    state[packed.spike_slices()[0]] = spikes[0]
    frame, theta = x[0], np.float32(1)

    def step() -> None:
        network_frame(frame, True, state, *packed, theta, False)

    return step


def plain(problem: Problem) -> Frame:
    """Run plain torch under inference mode."""
    cell, state = Cell(problem), _state(problem)

    def step() -> None:
        with torch.inference_mode():
            cell(*state)

    return step


def onnxruntime(problem: Problem) -> Frame:
    """Run the exported cell, one thread."""
    import onnxruntime as ort

    cell, state = Cell(problem), _state(problem)
    names = ["x", "u", "s", "y"]
    exported = io.BytesIO()
    torch.onnx.export(cell, state, exported, input_names=names, dynamo=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = dict(zip(names, (value.numpy() for value in state), strict=True))

    def step() -> None:
        session.run(None, feed)

    return step


def snntorch(problem: Problem) -> Frame:
    """Run snntorch's RLeaky and Leaky."""
    import snntorch as snn

    h = problem.shape.h
    w_in, w_out = nn.Linear(problem.x.shape[2], h, bias=False), nn.Linear(h, N_OUT, bias=False)
    layer, out = snn.RLeaky(beta=0.9, linear_features=h), snn.Leaky(beta=0.9, reset_mechanism="none")
    x, u, s, y = _state(problem)

    def step() -> None:
        with torch.inference_mode():
            spikes, _ = layer(w_in(x), s, u)
            out(w_out(spikes), y)

    return step


def norse(problem: Problem) -> Frame:
    """Run norse's LIFRecurrentCell and LILinearCell."""
    import norse.torch

    h = problem.shape.h
    cell, out = norse.torch.LIFRecurrentCell(problem.x.shape[2], h), norse.torch.LILinearCell(h, N_OUT)
    x = _state(problem)[0]
    with torch.inference_mode():
        spikes, state = cell(x)
        _, out_state = out(spikes)

    def step() -> None:
        with torch.inference_mode():
            spikes, _ = cell(x, state)
            out(spikes, out_state)

    return step


def spikingjelly(problem: Problem) -> Frame:
    """Run spikingjelly's recurrent container and a non-spiking node, single-step."""
    from spikingjelly.activation_based import layer, neuron

    h = problem.shape.h
    w_in, w_out = nn.Linear(problem.x.shape[2], h, bias=False), nn.Linear(h, N_OUT, bias=False)
    cell = layer.LinearRecurrentContainer(neuron.LIFNode(v_reset=None), h, h)
    out = neuron.LIFNode(v_threshold=1e9, v_reset=None)
    x = _state(problem)[0]

    def step() -> None:
        with torch.inference_mode():
            out(w_out(cell(w_in(x))))

    return step


FRAMES: dict[str, Callable[[Problem], Frame]] = {
    "plain": plain,
    "spikelens": spikelens,
    "onnxruntime": onnxruntime,
    "snntorch": snntorch,
    "norse": norse,
    "spikingjelly": spikingjelly,
}
