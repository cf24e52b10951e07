"""What an inference costs, part by part: SynOps, multiply-accumulates, neuron updates and an energy proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_mean
from models.classifier import SpikingClassifier
from models.operations import AC_PJ, MAC_PJ, Operations, operations

TOTAL = "total"
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class EnergyRow:
    """One part of the network, per clip.

    Attributes
    ----------
    part : str
        ``encoder``, ``layer1`` ..., ``readout``, or ``total``.
    spikes : Estimate or None
        That it sends; None where it sends none.
    synops : Estimate
        Accumulates caused by the spikes that arrive.
    encoder_operations, dense, updates : float
        Compares and adds of the encoder, multiply-accumulates of an input that is not spikes, neuron updates.
    energy_nj : Estimate
        The proxy of `models.operations`, in nanojoules.
    """

    part: str
    spikes: Estimate | None
    synops: Estimate
    encoder_operations: float
    dense: float
    updates: float
    energy_nj: Estimate


@dataclass(frozen=True)
class EnergyResult(Result):
    """Operations and energy proxy of one model on one split.

    Attributes
    ----------
    rows : list of EnergyRow
        In the order of the signal's path, then the total.
    ac_pj, mac_pj : float
        Energy of an accumulate and of a multiply-accumulate that the proxy takes, in picojoules.
    """

    rows: list[EnergyRow]
    ac_pj: float = AC_PJ
    mac_pj: float = MAC_PJ

    @property
    def total(self) -> EnergyRow:
        """Return the row of the whole network."""
        return self.rows[-1]

    @property
    def sentence(self) -> str:
        """Say what the numbers mean."""
        return (
            f"{self.total.synops.value:,.0f} SynOps and {self.total.energy_nj.value:,.0f} nJ a clip at "
            f"{self.ac_pj} pJ an accumulate and {self.mac_pj} pJ a multiply-accumulate (45 nm, 32-bit "
            "floating point, Horowitz 2014). A proxy to rank models by: memory and the log-mel front end are "
            "left out."
        )

    def to_table(self) -> pd.DataFrame:
        """Return one row a part."""
        return pd.DataFrame([_line(row) for row in self.rows])


def _line(row: EnergyRow) -> dict[str, Any]:
    spikes = row.spikes or Estimate(np.nan)
    return {
        "part": row.part,
        "spikes": spikes.value,
        "synops": row.synops.value,
        "synops_low": row.synops.low,
        "synops_high": row.synops.high,
        "encoder_operations": row.encoder_operations,
        "dense_macs": row.dense,
        "neuron_updates": row.updates,
        "energy_nj": row.energy_nj.value,
        "energy_nj_low": row.energy_nj.low,
        "energy_nj_high": row.energy_nj.high,
    }


def energy(
    recordings: Recordings,
    model: SpikingClassifier,
    *,
    split: str,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> EnergyResult:
    """Count what a model does on a split.

    Parameters
    ----------
    recordings : Recordings
        Of the model, with all its spiking points.
    model : SpikingClassifier
        Its sizes and connections say how many operations a spike causes.
    split : str
    seed : int
        Of the bootstrap over speakers (over clips where they are unknown).

    Raises
    ------
    SpikelensError
        An unknown split.
    """
    clips = recordings.split(split)
    spikes: dict[str, float | np.ndarray] = {}
    for done, point in enumerate(recordings.spiking_points):
        if progress is not None:
            progress(done / len(recordings.spiking_points), f"spikes of {point}")
        spikes[point] = pooled(clips, point, "counts").sum(axis=1, dtype=np.float64)
    costs = operations(model, clips.n_steps, spikes)

    def estimate(values: float | np.ndarray) -> Estimate:
        if isinstance(values, np.ndarray):
            return bootstrap_mean(values, clips.groups, seed=seed)
        return Estimate(values, n=len(clips))  # the same for every clip

    def row(part: str, cost: Operations, sent: float | np.ndarray | None) -> EnergyRow:
        return EnergyRow(
            part,
            None if sent is None else estimate(sent),
            estimate(cost.synaptic),
            cost.encoder,
            cost.dense,
            cost.updates,
            estimate(cost.energy_nj),
        )

    rows = [row(part, cost, spikes.get(part)) for part, cost in costs.items()]
    whole = sum(costs.values(), start=Operations())
    rows.append(row(TOTAL, whole, sum(spikes.values())))
    return EnergyResult(recordings.provenance(split, command, seed=seed), rows)
