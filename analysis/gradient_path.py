"""GR-3 through training: when the task and the reconstruction begin to pull the encoder's steps apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.arms import siblings
from analysis.finite_differences import RESOLVED, SIZES
from analysis.gradient_fields import steps_of
from analysis.model_clips import model_clips, twin_of
from analysis.model_gradients import LOSSES, PARAMETERS, step_gradients
from analysis.result import Estimate, Result
from analysis.step_slopes import StepSlope, step_slopes
from models.checkpoint import find_checkpoint, has_snapshots, load_snapshots, read_info
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

STEPS = PARAMETERS[:2]
PULLS = LOSSES[:2]  # the task and the reconstruction
_BATCHES = 40
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class PathRow:
    """One loss along one step at one epoch.

    Attributes
    ----------
    epoch : int
        0 is the untrained twin.
    loss, parameter : str
    at : float
        The step itself.
    slope : Estimate
        Of the true loss by the larger central difference, per unit of the logarithm of the step; 1.96
        standard errors over batches to either side.
    surrogate : float
    resolved : bool
        Both differences agree in sign and stand clear of their standard errors.
    """

    epoch: int
    loss: str
    parameter: str
    at: float
    slope: Estimate
    surrogate: float
    resolved: bool


@dataclass(frozen=True)
class GradientPath(Result):
    """The pulls of task and reconstruction on the encoder's steps, epoch by epoch.

    Attributes
    ----------
    rows : list of PathRow
    cosines : dict of int to Estimate or None
        Epoch -> cosine of the true mean slopes of both losses in (log dc, log df), interval over batches;
        None where one of the slopes is not resolved.
    mse : dict of int to float
        Epoch -> mean squared error on these clips.
    axes : dict of str to str
    """

    rows: list[PathRow]
    cosines: dict[int, Estimate | None]
    mse: dict[int, float]
    axes: dict[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row an epoch, loss and step, and one an epoch for the cosine."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            line: dict[str, Any] = {"epoch": row.epoch, "measure": f"d {row.loss} / d {row.parameter}"}
            line |= {"value": row.slope.value, "low": row.slope.low, "high": row.slope.high}
            line |= {"surrogate": row.surrogate, "step": row.at}
            lines.append(line | {"note": "" if row.resolved else "not resolved"})
        for epoch, cosine in self.cosines.items():
            line = {"epoch": epoch, "measure": "cosine", "note": "" if cosine else "not resolved"}
            if cosine:
                line |= {"value": cosine.value, "low": cosine.low, "high": cosine.high}
            lines.append(line)
            lines.append({"epoch": epoch, "measure": "mean squared error", "value": self.mse[epoch]})
        return pd.DataFrame(lines)


def followed(name: str) -> str | None:
    """Return a checkpoint that kept its epochs: this one, or one of the same recipe from another seed."""
    own = read_info(find_checkpoint(name))
    candidates = [own, *siblings(own)]
    return next((info.name for info in candidates if has_snapshots(info.folder)), None)


def gradient_path(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    split: str = "train",
    n_clips: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> GradientPath:
    """Follow GR-3 through the kept epochs of a training, from the untrained twin to the last of them.

    Parameters
    ----------
    checkpoint : Checkpoint
        Trained with ``--snapshots N``.
    dataset : AudioDataset
        Restricted to the checkpoint's words.
    split : str
        The training split by default: these are the gradients training follows.
    n_clips : int
        Drawn at random, the same for every epoch and both sides of a difference.

    Raises
    ------
    SpikelensError
        No epochs were kept, or the encoder has no coarse and fine step.
    """
    report = progress or (lambda fraction, message: None)
    snapshots = load_snapshots(checkpoint.name)
    if not snapshots:
        raise SpikelensError(
            f"{checkpoint.name}: no epochs were kept; train with --snapshots N to follow a training"
        )
    if steps_of(checkpoint.model.encoder) is None:
        raise SpikelensError(f"{checkpoint.name}: the encoder has no coarse and fine step")
    n_clips = min(n_clips, len(dataset.split(split)))
    clips = model_clips(checkpoint, dataset, split, n_clips, seed, command, differences=list(SIZES))
    models = {0: twin_of(checkpoint, dataset), **snapshots}
    batches = np.array_split(np.arange(n_clips), min(_BATCHES, n_clips // 2))
    sizes = [len(rows) for rows in batches]
    found: list[PathRow] = []
    cosines: dict[int, Estimate | None] = {}
    mse: dict[int, float] = {}
    for i, (epoch, model) in enumerate(models.items()):
        report(i / len(models), f"epoch {epoch}")
        model = model.requires_grad_(False)
        steps = steps_of(model.encoder)
        assert steps is not None
        sums = np.array([step_gradients(model, clips.log_mel[rows], clips.labels[rows]) for rows in batches])
        slopes, _, cosine = step_slopes(model, steps, clips.log_mel, clips.labels, sizes, sums, seed)
        found += [_row(epoch, slope) for slope in slopes if slope.loss in PULLS and slope.parameter in STEPS]
        cosines[epoch] = cosine
        mse[epoch] = _squared_error(model, clips.log_mel)
    report(1.0, "path")
    return GradientPath(
        clips.provenance,
        found,
        cosines,
        mse,
        axes={
            "slope": "change of the loss a clip per unit of the logarithm of a step | 1",
            "cosine": "cosine of the slopes of cross-entropy and squared error | 1",
            "epoch": "epoch of training, 0 untrained | 1",
        },
    )


def _row(epoch: int, step: StepSlope) -> PathRow:
    slope = step.true[-1]
    bars = RESOLVED * slope.se
    value = Estimate(slope.mean, slope.mean - bars, slope.mean + bars)
    return PathRow(epoch, step.loss, step.parameter, step.at, value, step.surrogate.mean, step.resolved)


def _squared_error(model: Any, log_mel: np.ndarray) -> float:
    import torch

    with torch.inference_mode():
        x = model.normalise(torch.from_numpy(np.ascontiguousarray(log_mel)))
        return float((x - model.encoder(x).decoded).double().square().mean())
