"""What an inference costs in operations: the one definition of SynOps, and the energy proxy made of it.

Per clip of T frames, with n spikes of a source and H units that each of them reaches:

- *synaptic operations* (SynOps): ``n H`` accumulates, of the encoder's spikes into the first layer, of each
  layer's into the next, into itself where it is recurrent (V with its unused diagonal, as in the parameter
  count), and into the readout;
- *dense operations*: ``T F H_1`` multiply-accumulates where a current, not spikes, enters the first layer,
  and the products of an encoder that has any;
- *encoder operations*: what `Encoder.frame_operations` says, an upper bound: for the residual encoder ``4F``
  compares and ``2F`` adds a frame, though an add is due at an event only;
- *neuron updates*: one multiply-accumulate (leak and bias) a unit and frame. Batch norm and ``1 - alpha`` are
  scales of rows of W and V and cost nothing at inference.

The energy proxy takes 0.9 pJ an accumulate or compare and 4.6 pJ a multiply-accumulate: 32-bit floating point
in 45 nm (Horowitz 2014: add 0.9 pJ, multiply 3.7 pJ). It leaves out memory, which dominates on any chip, and
the log-mel front end, which is the same for all; it ranks models and says nothing of a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.classifier import SpikingClassifier

AC_PJ, MAC_PJ = 0.9, 4.6
READOUT = "readout"
Count = float | np.ndarray  # a mean over clips, or one number a clip (n,)


@dataclass(frozen=True)
class Operations:
    """Operations of one part of the network, per clip.

    Attributes
    ----------
    synaptic : float or np.ndarray [shape=(n,)]
        Accumulates that spikes cause.
    dense : float
        Multiply-accumulates of an input that is not spikes, and of an encoder that multiplies.
    encoder : float
        Compares and adds.
    updates : float
        Of neurons.
    """

    synaptic: Count = 0.0
    dense: float = 0.0
    encoder: float = 0.0
    updates: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.synaptic + other.synaptic,
            self.dense + other.dense,
            self.encoder + other.encoder,
            self.updates + other.updates,
        )

    @property
    def energy_nj(self) -> Count:
        """Return the energy proxy in nanojoules."""
        accumulates = self.synaptic + self.encoder
        return (AC_PJ * accumulates + MAC_PJ * (self.dense + self.updates)) / 1000


def operations(model: SpikingClassifier, n_frames: int, spikes: Mapping[str, Count]) -> dict[str, Operations]:
    """Return what each part costs, by recording point: ``encoder``, ``layer1`` ..., ``readout``.

    What arrives at a layer counts for that layer.

    Parameters
    ----------
    model : SpikingClassifier
    n_frames : int
        Frames of a clip.
    spikes : mapping of str to float or np.ndarray
        Spikes of each spiking point per clip.
    """
    units = {point.name: point.units for point in model.points()}
    layers = [name for name in spikes if name.startswith("layer")]
    recurrent = bool(getattr(model.backbone.config, "recurrent", False))
    accumulates, multiplies = model.encoder.frame_operations()
    costs = {"encoder": Operations(encoder=n_frames * accumulates, dense=n_frames * multiplies)}
    for source, name in zip(["encoder", *layers], [*layers, READOUT], strict=True):
        arriving: Count = spikes[source] * units[name] if source in spikes else 0.0
        if recurrent and name != READOUT:
            arriving = arriving + spikes[name] * units[name]
        dense = 0.0 if source in spikes else float(n_frames * units[source] * units[name])
        costs[name] = Operations(arriving, dense=dense, updates=float(n_frames * units[name]))
    return costs


def synaptic_operations(model: SpikingClassifier, n_frames: int, spikes: Mapping[str, Count]) -> Count:
    """Return the SynOps of the whole network per clip; parameters as for `operations`."""
    return sum(operations(model, n_frames, spikes).values(), start=Operations()).synaptic
