"""Learning rules side by side: how trainings went, and how closely each rule follows the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.arm_table import seeds_of
from analysis.arms import all_trainings
from analysis.result import Array, Estimate, Number, Provenance, Result
from analysis.rule_arms import BPTT, RULES, by_arm, differences, taught_by_feedback
from models.checkpoint import CheckpointInfo, read_history
from models.errors import SpikelensError

_COSINE, _ANGLE = "cosine_", "angle_"
_CREDIT = {"transport": "layer 1, transposed", "feedback": "a matrix of its own", "frozen": "nothing"}


@dataclass(frozen=True)
class RuleArm:
    """Trainings that differ in the seed alone.

    Attributes
    ----------
    label : str
        The rule and, where arms would be alike, what else differs.
    rule : {"BPTT", "D0", "D1", "D2"}
    encoder_credit, error : str
        As `models.config.LearningConfig` names them; empty for BPTT.
    seeds : list of int
    mean, sd : float
        Of the final validation accuracy over seeds, in percent; the standard deviation is not-a-number for
        one seed.
    """

    label: str
    rule: str
    encoder_credit: str
    error: str
    seeds: list[int]
    mean: Number
    sd: Number


@dataclass(frozen=True)
class RuleTraining:
    """One training, epoch by epoch.

    Attributes
    ----------
    name, arm : str
        Checkpoint; label of its `RuleArm`.
    seed : int
    epochs : np.ndarray [shape=(n,)]
    accuracy : np.ndarray [shape=(n,)]
        Validation, percent.
    encoder_rate : np.ndarray [shape=(n,)]
        Events per channel and frame on validation; not-a-number where the encoder does not spike.
    cosines : dict of str to np.ndarray [shape=(n,)]
        Tensor -> cosine of the rule's update with the BPTT gradient, on the same 128 training clips in every
        epoch; not-a-number where one of the two is zero. Empty for BPTT.
    angles : dict of str to np.ndarray [shape=(n,)]
        Point -> degrees between the signal that teaches its spikes and the gradient there.
    final : Estimate
        Validation accuracy of the chosen epoch, percent, interval over speakers.
    final_epoch : int
    """

    name: str
    arm: str
    seed: int
    epochs: Array
    accuracy: Array
    encoder_rate: Array
    cosines: dict[str, Array]
    angles: dict[str, Array]
    final: Estimate
    final_epoch: int


@dataclass(frozen=True)
class LearningRules(Result):
    """Trainings of one data set by the rule they learned with.

    Attributes
    ----------
    arms : list of RuleArm
    trainings : list of RuleTraining
    caveats : list of str
        What differs besides the rule, and what is missing.
    axes : dict of str to str
    """

    arms: list[RuleArm]
    trainings: list[RuleTraining]
    caveats: list[str]
    axes: dict[str, str]

    def of(self, arm: RuleArm) -> list[RuleTraining]:
        """Return the trainings of an arm, by seed."""
        return [training for training in self.trainings if training.arm == arm.label]

    def to_table(self) -> pd.DataFrame:
        """Return one row a training, epoch and quantity, and one of each training's final accuracy."""
        lines: list[dict[str, Any]] = []
        for arm in self.arms:
            head: dict[str, Any] = {"arm": arm.label, "rule": arm.rule}
            head |= {"encoder_credit": arm.encoder_credit, "error": arm.error}
            for training in self.of(arm):
                own = head | {"training": training.name, "seed": training.seed}
                lines += [own | line for line in _lines(training)]
        return pd.DataFrame(lines)

    def summary(self) -> pd.DataFrame:
        """Return one row an arm: what it reached, and how its updates stood to the gradient in the end."""
        return pd.DataFrame([self._summary(arm) for arm in self.arms])

    def _summary(self, arm: RuleArm) -> dict[str, str]:
        trainings = self.of(arm)
        spread = f"{arm.mean:.1f} ± {arm.sd:.1f}" if len(trainings) > 1 else str(trainings[0].final)
        return {
            "learning rule": arm.label,
            "encoder taught by": _CREDIT.get(arm.encoder_credit, "–"),
            "error": f"one a {arm.error}" if arm.error else "–",
            "seeds": ", ".join(map(str, arm.seeds)),
            "validation accuracy (%)": spread,
            "epoch kept": ", ".join(str(training.final_epoch) for training in trainings),
            "last cosine, input weights of layer 1": _last(trainings, "layer1_input"),
            "last cosine, encoder": _last(trainings, "encoder"),
        }


def _lines(training: RuleTraining) -> list[dict[str, Any]]:
    """Return the rows of one training in `LearningRules.to_table`."""
    quantities = {
        "validation accuracy": ("%", training.accuracy),
        "encoder rate": ("events/channel/frame", training.encoder_rate),
        **{f"cosine {name}": ("1", values) for name, values in training.cosines.items()},
        **{f"angle {name}": ("degrees", values) for name, values in training.angles.items()},
    }
    lines: list[dict[str, Any]] = [
        {"epoch": int(epoch), "quantity": quantity, "unit": unit, "value": float(value)}
        for quantity, (unit, values) in quantities.items()
        for epoch, value in zip(training.epochs, values, strict=True)
    ]
    final = training.final
    line = {"epoch": training.final_epoch, "quantity": "final validation accuracy", "unit": "%"}
    return [*lines, line | {"value": final.value, "low": final.low, "high": final.high, "n": final.n}]


def _last(trainings: Sequence[RuleTraining], tensor: str) -> str:
    """Return the mean over trainings of the last cosine that is known, a dash where none is."""
    found = []
    for training in trainings:
        values = training.cosines.get(tensor, np.empty(0))
        if len(known := values[np.isfinite(values)]):
            found.append(known[-1])
    return f"{np.mean(found):.2f}" if found else "–"


def learning_rules(names: Sequence[str], *, command: str = "") -> LearningRules:
    """Gather how trainings went from what their checkpoints keep; nothing is computed anew.

    Parameters
    ----------
    names : sequence of str
        Checkpoints, or arms: ``NAME`` stands for ``NAME-s1``, ``NAME-s2``... too.

    Raises
    ------
    SpikelensError
        An unknown name, trainings on different data, or a checkpoint without a history.
    """
    known = all_trainings()
    infos = {info.name: info for name in names for info in seeds_of(name, known)}
    if not infos:
        raise SpikelensError("names: give at least one checkpoint")
    digests = {info.data["digest"]: info.name for info in infos.values()}
    if len(digests) > 1:
        one, other = list(digests.values())[:2]
        raise SpikelensError(f"names: {one} and {other} were trained on different data; compare within one")
    groups = by_arm(list(infos.values()))
    trainings = {label: [_training(info, label) for info in group] for label, group in groups.items()}
    arms = [_arm(label, groups[label], trainings[label]) for label in groups]
    first = groups[arms[0].label][0]
    where = Provenance(
        subject=", ".join(names),
        dataset=str(first.data["name"]),
        split="validation",
        data_digest=first.data["digest"],
        synthetic=bool(first.data["synthetic"]),
        speakers_known=bool(first.data["speakers_known"]),
        interval_unit=first.metrics.get("validation", {}).get("interval_unit", "speaker"),
        command=command,
    )
    return LearningRules(
        where,
        arms,
        [training for label in groups for training in trainings[label]],
        _caveats(arms, groups),
        axes={
            "accuracy": "accuracy on validation | %",
            "cosine": "cosine of the update with the BPTT gradient | 1",
            "angle": "angle between teaching signal and gradient | degrees",
            "epoch": "epoch | 1",
        },
    )


def _arm(label: str, group: Sequence[CheckpointInfo], trainings: Sequence[RuleTraining]) -> RuleArm:
    learning, taught = group[0].recipe.learning, taught_by_feedback(group[0])
    finals = [training.final.value for training in trainings]
    return RuleArm(
        label,
        RULES[learning.rule],
        learning.encoder if taught else "",
        learning.error if taught else "",
        [info.recipe.seed for info in group],
        float(np.mean(finals)),
        float(np.std(finals, ddof=1)) if len(finals) > 1 else float("nan"),
    )


def _training(info: CheckpointInfo, arm: str) -> RuleTraining:
    history = pd.DataFrame(read_history(info.folder))
    scores = info.metrics.get("validation")
    if history.empty or "validation_accuracy" not in history or scores is None:
        raise SpikelensError(f"{info.name}: the checkpoint holds no history of its training")

    def column(name: str) -> np.ndarray:
        return history[name].to_numpy(float) if name in history else np.full(len(history), np.nan)

    def columns(head: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(head): column(name) for name in history if name.startswith(head)}

    return RuleTraining(
        info.name,
        arm,
        info.recipe.seed,
        column("epoch"),
        100 * column("validation_accuracy"),
        column("rate_encoder"),
        columns(_COSINE),
        columns(_ANGLE),
        accuracy_in_percent(scores),
        int(info.metrics.get("epoch", len(history))),
    )


def accuracy_in_percent(scores: Mapping[str, Any]) -> Estimate:
    """Return an accuracy as ``metrics.json`` keeps it, in percent."""
    return Estimate(100 * scores["accuracy"], 100 * scores["low"], 100 * scores["high"], scores["n"])


def _caveats(arms: Sequence[RuleArm], groups: Mapping[str, Sequence[CheckpointInfo]]) -> list[str]:
    """Say what a reader of the table should know before comparing its rows."""
    found = ["the epoch kept is the best on these very clips, in every arm alike"]
    first = arms[0].label
    changed = {
        arm.label: differences(groups[arm.label][0].recipe, groups[first][0].recipe) for arm in arms[1:]
    }
    unlike = [
        f"{label} ({', '.join(f'{key} {value}, not {other}' for key, (value, other) in keys.items())})"
        for label, keys in changed.items()
        if keys
    ]
    if unlike:
        found.append(f"unlike {first} in more than the rule: {'; '.join(unlike)}")
    if single := [arm.label for arm in arms if len(arm.seeds) == 1]:
        found.append(f"one seed only: {'; '.join(single)}")
    if arms[0].rule != BPTT:
        found.append("no training by BPTT is among them")
    return found
