"""GR-5: what the sound costs the task. Trainings that were paid for reconstruction, from nothing to all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.arms import all_trainings, same_training
from analysis.gradient_controls import CHANGES, REBUILDING
from analysis.result import Estimate, Provenance, Result
from analysis.subjects import Progress, Subject
from models.checkpoint import CheckpointInfo, find_checkpoint, read_info
from models.errors import SpikelensError

_WEIGHT = "train.reconstruction_weight"


@dataclass(frozen=True)
class FrontRow:
    """One training.

    Attributes
    ----------
    name : str
    reconstruction_weight : float
        Price of the mean squared error in the loss.
    task : bool
        False: the encoder learned from reconstruction alone, the positive control.
    seed : int
    accuracy : Estimate
        Of the network, percent.
    snr_db : float
        Of the encoder's own decoder.
    rate : float
        Events per channel and frame.
    """

    name: str
    reconstruction_weight: float
    task: bool
    seed: int
    accuracy: Estimate
    snr_db: float
    rate: float


@dataclass(frozen=True)
class FrontResult(Result):
    """Accuracy against SNR over the price of reconstruction.

    Attributes
    ----------
    rows : list of FrontRow
        By price and seed, the positive control last.
    axes : dict of str to str
    """

    rows: list[FrontRow]
    axes: dict[str, str]

    def groups(self) -> dict[str, list[FrontRow]]:
        """Return the rows of each price, in order; a group holds the seeds."""
        found: dict[str, list[FrontRow]] = {}
        for row in self.rows:
            name = f"weight {row.reconstruction_weight:g}" if row.task else "reconstruction alone"
            found.setdefault(name, []).append(row)
        return found

    def to_table(self) -> pd.DataFrame:
        """Return one row a training, then mean and standard deviation over the seeds of each price."""
        lines: list[dict[str, Any]] = []
        for price, rows in self.groups().items():
            for row in rows:
                line: dict[str, Any] = {"price": price, "training": row.name, "seed": str(row.seed)}
                line |= {"accuracy_percent": row.accuracy.value, "low": row.accuracy.low}
                line |= {"high": row.accuracy.high, "n": row.accuracy.n}
                lines.append(line | {"snr_db": row.snr_db, "rate": row.rate})
            if len(rows) > 1:
                accuracy = [row.accuracy.value for row in rows]
                snr = [row.snr_db for row in rows]
                line = {"price": price, "training": f"mean of {len(rows)}", "seed": "all"}
                line |= {"accuracy_percent": np.mean(accuracy), "accuracy_sd": np.std(accuracy, ddof=1)}
                lines.append(line | {"snr_db": np.mean(snr), "snr_sd": np.std(snr, ddof=1)})
        return pd.DataFrame(lines)


def fidelity_front(
    subject: Subject,
    *,
    split: str = "validation",
    progress: Progress | None = None,
    command: str = "",
) -> FrontResult:
    """Gather the trainings that differ from a checkpoint in the price of reconstruction alone (and the seed).

    Numbers are those of each training's ``metrics.json``: nothing is measured here. If the sound were free,
    accuracy would not fall as SNR rises; the encoder that learned from reconstruction alone shows the most
    that this kind of encoder can keep.

    Raises
    ------
    SpikelensError
        Imported recordings, an encoder without a decoder, or no other price on this machine.
    """
    checkpoint, dataset = subject.model("the fidelity front")
    info = read_info(find_checkpoint(checkpoint.name))
    if checkpoint.metrics.get("snr_db") is None:
        raise SpikelensError(f"{checkpoint.name}: the encoder has no decoder, so no SNR to trade")
    known = all_trainings()
    free = same_training(info.recipe.override({_WEIGHT: 0.0}))
    alone = same_training(info.recipe.override(CHANGES[REBUILDING]))
    rows = []
    for other in known.values():
        if other.data["digest"] != info.data["digest"] or split not in other.metrics:
            continue
        if same_training(other.recipe.override({_WEIGHT: 0.0})) == free:
            rows.append(_row(other, split, task=True))
        elif same_training(other.recipe) == alone:
            rows.append(_row(other, split, task=False))
    if len({(row.reconstruction_weight, row.task) for row in rows}) < 2:
        raise SpikelensError(
            f"{checkpoint.name}: no training with another {_WEIGHT} is on this machine; make one with --set"
        )
    rows.sort(key=lambda row: (not row.task, row.reconstruction_weight, row.seed, row.name))
    where = Provenance(
        subject=checkpoint.name,
        dataset=str(info.data["name"]),
        split=split,
        data_digest=info.data["digest"],
        checkpoint_digest=checkpoint.digest,
        seed=checkpoint.recipe.seed,
        synthetic=dataset.synthetic,
        speakers_known=bool(info.data["speakers_known"]),
        interval_unit=checkpoint.metrics[split]["interval_unit"],
        command=command,
    )
    axes = {"accuracy": f"network accuracy on {split} | %", "snr_db": "SNR of the own decoder | dB"}
    return FrontResult(where, rows, axes)


def _row(info: CheckpointInfo, split: str, task: bool) -> FrontRow:
    scores = info.metrics[split]
    value, low, high = (100 * scores[key] for key in ("accuracy", "low", "high"))
    accuracy = Estimate(value, low, high, scores["n"])
    weight = info.recipe.train.reconstruction_weight
    rate = info.metrics["rates"]["encoder"]
    return FrontRow(info.name, weight, task, info.recipe.seed, accuracy, info.metrics["snr_db"], rate)
