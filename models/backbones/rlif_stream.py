"""The R-LIF network for one frame at a time, on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from models.neurons.engine import as_array
from models.neurons.frame_kernels import LayerArrays, network_frame, pack
from models.neurons.lif import ALPHA_RANGE
from models.streaming import Stage

if TYPE_CHECKING:
    from models.backbones.rlif import RLIF, LeakyReadout, RLIFLayer


def rlif_stage(network: RLIF, theta: float, spiking_input: bool) -> Stage:
    """Return the network as a stage: spikes ``(N,)`` in; summed readout ``(C,)`` and layer spikes out.

    Parameters
    ----------
    theta : float
        Firing threshold.
    spiking_input : bool
        False where the first layer gets values rather than spikes.
    """
    layers = cast("list[RLIFLayer]", list(network.layers))
    arrays = [_arrays(layer, layer.recurrent_weight()) for layer in layers]
    packed = pack([*arrays, _arrays(network.readout, None)])
    number = packed.parameters.dtype.type
    threshold, hard = number(theta), network.config.reset == "hard"
    scale = number(network.config.logit_scale)
    spikes, sums = packed.spike_slices(), packed.sum_slice()

    def step(z: np.ndarray, state: np.ndarray) -> tuple[Any, np.ndarray]:
        after = network_frame(z, spiking_input, state, *packed, threshold, hard)
        return (scale * after[sums], tuple([after[where] for where in spikes])), after

    return Stage(packed.start(), step)


def _arrays(layer: RLIFLayer | LeakyReadout, back: torch.Tensor | None) -> LayerArrays:
    norm = layer.input.norm
    assert norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return LayerArrays(
        as_array(layer.input.weight.T),
        None if back is None else as_array(back),
        as_array(layer.alpha.clamp(*ALPHA_RANGE)),
        as_array(gain),
        as_array(norm.bias - norm.running_mean * gain),
    )
