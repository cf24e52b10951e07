"""The R-LIF network for one frame at a time, on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from models.neurons.engine import as_array
from models.neurons.frame_kernels import integrator_frame, lif_frame
from models.neurons.lif import ALPHA_RANGE
from models.streaming import Stage

if TYPE_CHECKING:
    from models.backbones.rlif import RLIF, LeakyReadout, RLIFLayer

State = tuple[tuple[np.ndarray, ...], np.ndarray]


def rlif_stage(network: RLIF, theta: float, spiking_input: bool) -> Stage:
    """Return the network as a stage: spikes ``(N,)`` in; summed readout ``(C,)`` and layer spikes out.

    Parameters
    ----------
    theta : float
        Firing threshold.
    spiking_input : bool
        False where the first layer gets values rather than spikes.
    """
    modules = cast("list[RLIFLayer]", list(network.layers))
    arrays = [_arrays(layer) for layer in modules]
    recurrent = [_recurrent(layer) for layer in modules]
    out_weight, out_vectors = _arrays(network.readout)
    number = out_weight.dtype.type
    threshold, hard = number(theta), network.config.reset == "hard"
    scale = number(network.config.logit_scale)
    layers = [(weight, v, vectors) for (weight, vectors), v in zip(arrays, recurrent, strict=True)]

    def step(z: np.ndarray, state: State) -> tuple[tuple[np.ndarray, tuple[np.ndarray, ...]], State]:
        after, spiking = [], spiking_input
        for values, (weight, v, vectors) in zip(state[0], layers, strict=True):
            values = lif_frame(z, spiking, values, weight, v, vectors, threshold, hard)
            after.append(values)
            z, spiking = values[1], True
        sums = integrator_frame(z, state[1], out_weight, out_vectors)
        return (scale * sums[1], tuple(values[1] for values in after)), (tuple(after), sums)

    silent = tuple(np.zeros((2, weight.shape[1]), number) for weight, _ in arrays)
    return Stage((silent, np.zeros((2, out_weight.shape[1]), number)), step)


def _arrays(layer: RLIFLayer | LeakyReadout) -> tuple[np.ndarray, np.ndarray]:
    """Return the projection ``(N_in, N)``, and leak, gain and offset ``(3, N)``."""
    norm = layer.input.norm
    assert norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    vectors = torch.stack((layer.alpha.clamp(*ALPHA_RANGE), gain, norm.bias - norm.running_mean * gain))
    return as_array(layer.input.weight.T).copy(), as_array(vectors)


def _recurrent(layer: RLIFLayer) -> np.ndarray:
    weight = layer.recurrent_weight()
    return np.empty((0, 0), as_array(layer.alpha).dtype) if weight is None else as_array(weight).copy()
