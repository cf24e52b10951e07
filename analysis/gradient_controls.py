"""GR-1 to GR-4 beside trainings whose answer is known: untrained, without a task, trained to reconstruct."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.arms import same_training, siblings
from analysis.finite_differences import RESOLVED
from analysis.gradient_measures import COSINE, RUNNING_SUM, SPEARMAN
from analysis.gradient_result import GradientResult
from analysis.gradients import inspect_gradients
from analysis.model_gradients import LOSSES, PARAMETERS
from analysis.result import Estimate, Result
from analysis.step_slopes import StepSlope
from analysis.store import cached
from analysis.subjects import Subject
from models.checkpoint import find_checkpoint, load_checkpoint, read_info
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.config import Recipe

SUBJECT, TWIN, SEED, OTHER = "subject", "untrained twin", "same recipe, another seed", "another training"
SHUFFLED, REBUILDING = "trained on shuffled labels", "trained to reconstruct"
CHANGES: dict[str, dict[str, Any]] = {
    SHUFFLED: {"train.shuffle_labels": True},
    REBUILDING: {
        "train.encoder_task_gradient": False,
        "train.rate_weight": 0.0,
        "train.reconstruction_weight": 1.0,
    },
}
GR3_TRUE, GR3_SURROGATE = "GR-3 cosine, true differences", "GR-3 cosine, surrogate"
NOT_RESOLVED = "not resolved"
STEPS = PARAMETERS[:2]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ControlRow:
    """One measure of one training.

    Attributes
    ----------
    kind : str
        What the training is to the subject.
    arm : str
        Name of the checkpoint, or of the subject's twin.
    measure : str
    value : Estimate or None
        None where a cosine is not resolved, see `note`. Of a slope: 1.96 standard errors over batches to
        either side.
    permuted : Estimate or None
        GR-1 and GR-2 with the residual of another clip.
    note : str
    """

    kind: str
    arm: str
    measure: str
    value: Estimate | None
    permuted: Estimate | None = None
    note: str = ""


@dataclass(frozen=True)
class GradientControls(Result):
    """The subject's gradient measures and those of its controls.

    Attributes
    ----------
    rows : list of ControlRow
    not_applicable : mapping of str to str
        Control -> why it is not here.
    slopes_on : str
        The clips behind GR-3.
    axes : mapping of str to str
    """

    rows: list[ControlRow]
    not_applicable: Mapping[str, str]
    slopes_on: str
    axes: Mapping[str, str]

    def of(self, measure: str) -> list[ControlRow]:
        """Return the rows of a measure, the subject first."""
        return [row for row in self.rows if row.measure == measure]

    def to_table(self) -> pd.DataFrame:
        """Return one row a training and measure, then mean and standard deviation over equal trainings."""
        lines = [_line(row) for row in self.rows] + self._spread()
        lines += [
            {"kind": kind, "note": f"not applicable: {why}"} for kind, why in self.not_applicable.items()
        ]
        return pd.DataFrame(lines)

    def _spread(self) -> list[dict[str, Any]]:
        lines = []
        for kind, measure in dict.fromkeys((row.kind, row.measure) for row in self.rows):
            values = [row.value.value for row in self.of(measure) if row.kind == kind and row.value]
            if len(values) > 1:
                head = {"kind": kind, "arm": f"mean of {len(values)} trainings", "measure": measure}
                lines.append(head | {"value": np.mean(values), "sd": np.std(values, ddof=1)})
        return lines


def _line(row: ControlRow) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": row.kind, "arm": row.arm, "measure": row.measure}
    if row.value is not None:
        line |= {"value": row.value.value, "low": row.value.low, "high": row.value.high}
    if row.permuted is not None:
        null = row.permuted
        line |= {"permuted": null.value, "permuted_low": null.low, "permuted_high": null.high}
    return line | {"note": row.note}


def control_names(checkpoint: Checkpoint) -> list[str]:
    """Return the trainings on this machine that are controls of a checkpoint, by kind and name."""
    info = read_info(find_checkpoint(checkpoint.name))
    found = [other.name for changes in CHANGES.values() for other in siblings(info, **changes)]
    return [name for name in dict.fromkeys(found) if name != checkpoint.name]


def gradient_controls(
    subject: Subject,
    *,
    controls: Sequence[str] | None = None,
    split: str = "validation",
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> GradientControls:
    """Set a checkpoint's gradient measures beside those of its untrained twin and of control trainings.

    Networks trained on shuffled labels have no task to be aligned with, but the same rate penalty: a slope of
    the squared error speaks for the task only where it differs from theirs. What is left of it where the
    encoder was trained to reconstruct, by the surrogate, is the floor of the measure. Every training is
    inspected as `analysis.gradients.inspect_gradients` does, on the same clips and with the true labels, and
    is kept.

    Parameters
    ----------
    subject : Subject
        A checkpoint with its data set.
    controls : sequence of str, optional
        Names of checkpoints of the same words; those `control_names` finds by default.

    Raises
    ------
    SpikelensError
        Imported recordings, an unknown control or one of other words, or the subject fails the self-check.
    """
    report = progress or (lambda fraction, message: None)
    checkpoint, dataset = subject.model("gradient-residual inspection")
    names = control_names(checkpoint) if controls is None else controls
    others = [_control(name, subject) for name in names]

    def within(index: int, name: str) -> Progress:
        return lambda fraction, message: report((index + fraction) / (len(others) + 2), f"{name}: {message}")

    own = _inspected(subject, split, seed, within(0, subject.name))
    missing = dict(own.not_applicable)
    rows = _rows(SUBJECT, subject.name, own)
    if own.measures:
        twin = cached(
            GradientResult,
            {"analysis": "gradients", "subject": subject.digest, "split": split, "seed": seed, "twin": True},
            lambda: inspect_gradients(
                checkpoint, dataset, split=split, seed=seed, twin=True, progress=within(1, TWIN)
            ),
        )
        rows += _rows(TWIN, f"{subject.name}, untrained", twin)
        for index, (kind, other) in enumerate(others, 2):
            try:
                rows += _rows(kind, other.name, _inspected(other, split, seed, within(index, other.name)))
            except SpikelensError as error:
                missing[other.name] = str(error)
        missing |= _absent(checkpoint, {kind for kind, _ in others})
    report(1.0, "controls")
    return GradientControls(
        replace(own.provenance, command=command, config={**own.provenance.config, "controls": list(names)}),
        rows,
        missing,
        own.slopes_on,
        axes={
            SPEARMAN: "rank correlation | 1",
            COSINE: "cosine | 1",
            "slope": "change of the loss a clip per unit of the logarithm of a step | 1",
            "share": "of the task gradient's energy | 1",
        },
    )


def _inspected(subject: Subject, split: str, seed: int, progress: Progress) -> GradientResult:
    from analysis.catalogue import run

    found = run("gradients", subject, split=split, seed=seed, progress=progress)
    assert isinstance(found, GradientResult)
    return found


def _control(name: str, subject: Subject) -> tuple[str, Subject]:
    """Open a control on the subject's data; return what kind of control it is as well."""
    own, dataset = subject.model("gradient-residual inspection")
    other = load_checkpoint(name)
    if other.labels != own.labels:
        raise SpikelensError(f"controls: {name} was trained on other words than {subject.name}")
    return kind_of(other.recipe, own.recipe), Subject(name, other, dataset)


def kind_of(recipe: Recipe, subject: Recipe) -> str:
    """Return what a training is to that of the subject."""
    train = recipe.train
    if train.shuffle_labels:
        return SHUFFLED
    if train.reconstruction_weight > 0 and not train.encoder_task_gradient:
        return REBUILDING
    return SEED if same_training(recipe) == same_training(subject) else OTHER


def _absent(checkpoint: Checkpoint, kinds: set[str]) -> dict[str, str]:
    missing = {}
    for kind, changes in CHANGES.items():
        if kind in kinds:
            continue
        settings = ", ".join(f"{key} = {str(value).lower()}" for key, value in changes.items())
        missing[kind] = f"no such training on this machine (this recipe with {settings})"
    if REBUILDING in missing and not any(True for _ in checkpoint.model.encoder.parameters()):
        missing[REBUILDING] = "this encoder is not trained"
    return missing


def _rows(kind: str, arm: str, found: GradientResult) -> list[ControlRow]:
    rows = [
        ControlRow(kind, arm, m.measure, m.value, m.permuted)
        for m in found.measures
        if m.measure == SPEARMAN or (m.measure, m.version) == (COSINE, RUNNING_SUM)
    ]
    if found.slopes:
        true, smooth = found.cosine_true, found.cosine_surrogate
        rows.append(ControlRow(kind, arm, GR3_TRUE, true, note="" if true else NOT_RESOLVED))
        rows.append(ControlRow(kind, arm, GR3_SURROGATE, smooth))
    wanted = [s for s in found.slopes if s.parameter in STEPS and s.loss in LOSSES[:2]]
    rows += [_slope_row(kind, arm, s) for s in wanted]
    return rows + [ControlRow(kind, arm, share_of(row.stream), row.share) for row in found.streams]


def _slope_row(kind: str, arm: str, step: StepSlope) -> ControlRow:
    """Return the slope of the true loss by the larger difference."""
    slope = step.true[-1]
    bars = RESOLVED * slope.se
    note = "; ".join(filter(None, ["" if step.resolved else NOT_RESOLVED, step.note]))
    value = Estimate(slope.mean, slope.mean - bars, slope.mean + bars)
    return ControlRow(kind, arm, slope_of(step.loss, step.parameter), value, note=note)


def slope_of(loss: str, parameter: str) -> str:
    """Return the name of a slope among the measures."""
    return f"GR-3 d {loss} / d {parameter}"


def share_of(stream: str) -> str:
    """Return the name of a stream's share among the measures."""
    return f"GR-4 energy share, {stream}"
