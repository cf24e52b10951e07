"""Trainings told apart by their learning rule: arms that differ in the seed alone, families that compare."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.arm_table import seeds_of
from analysis.arms import all_trainings, same_training
from models.checkpoint import CheckpointInfo
from models.config import LearningConfig, Recipe

BPTT = "BPTT"
RULES = {"bptt": BPTT, "dfa-d0": "D0", "dfa-d1": "D1", "dfa-d2": "D2"}
_SEED = re.compile(r"-s\d+$")
_TUNED = ("train.lr", "train.encoder_lr", "train.epochs")  # each rule may have its own


@dataclass(frozen=True)
class Family:
    """Trainings of one network on one data set that can stand in one chart.

    Attributes
    ----------
    label : str
    arms : dict of str to list of str
        Label of an arm -> what `analysis.learning_rules.learning_rules` takes for it.
    usual : list of str
        Labels to begin with: the arms that differ in nothing but the rule.
    names : list of str
        Every checkpoint of it.
    """

    label: str
    arms: dict[str, list[str]]
    usual: list[str]
    names: list[str]


def families() -> list[Family]:
    """Return the networks that learned by direct feedback alignment here, with all that compares to them.

    Trainings of one family share data, encoder, backbone and features, and differ in rule, learning rate and
    epochs. The largest family comes first.
    """
    known = all_trainings()
    networks: dict[tuple[str, str], list[CheckpointInfo]] = {}
    for info in known.values():
        networks.setdefault((info.data["digest"], _network(info.recipe)), []).append(info)
    found = [_family(infos, known) for infos in networks.values() if any(map(taught_by_feedback, infos))]
    return sorted(found, key=lambda family: (-len(family.names), family.label))


def taught_by_feedback(info: CheckpointInfo) -> bool:
    """Tell whether a training followed another rule than backpropagation through time."""
    return info.recipe.learning.rule != "bptt"


def by_arm(infos: Sequence[CheckpointInfo]) -> dict[str, list[CheckpointInfo]]:
    """Return trainings by the label of their arm, each by seed.

    BPTT comes before D0 to D2, the rule as it is by default before its variants, more seeds before fewer. A
    label names the rule, and whatever else differs from the first arm.
    """
    groups: dict[str, list[CheckpointInfo]] = {}
    for info in infos:
        groups.setdefault(same_training(info.recipe), []).append(info)
    rules = list(RULES)

    def place(group: list[CheckpointInfo]) -> tuple[int, str, int, str]:
        learning = group[0].recipe.learning
        return rules.index(learning.rule), rule_label(learning), -len(group), group[0].name

    ordered = sorted(groups.values(), key=place)
    found: dict[str, list[CheckpointInfo]] = {}
    for group in ordered:
        changed = differences(group[0].recipe, ordered[0][0].recipe)
        words = [f"{key.removeprefix('train.')} {value}" for key, (value, _) in changed.items()]
        label = ", ".join([rule_label(group[0].recipe.learning), *words])
        found[label] = sorted(group, key=lambda info: (info.recipe.seed, info.name))
    return found


def rule_label(learning: LearningConfig) -> str:
    """Return a learning rule in a few words: what is not the default is named."""
    if learning.rule == "bptt":
        return BPTT
    words = [RULES[learning.rule]]
    credit = {"feedback": "encoder by a matrix of its own", "frozen": "encoder frozen"}
    words += [credit[learning.encoder]] if learning.encoder in credit else []
    words += ["an error a frame"] if learning.error == "frame" else []
    words += ["batch norm's own gradient"] if learning.norm == "batch" else []
    words += [f"feedback × {learning.feedback_scale:g}"] if learning.feedback_scale != 1 else []
    return ", ".join(words)


def differences(recipe: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return dotted key -> both values where recipes differ besides name, seed and learning rule."""
    ours, theirs = _besides_the_rule(recipe), _besides_the_rule(other)
    return {
        key: (ours.get(key), theirs.get(key))
        for key in sorted(ours | theirs)
        if ours.get(key) != theirs.get(key)
    }


def _besides_the_rule(recipe: Recipe) -> dict[str, Any]:
    body = recipe.to_dict()
    for key in ("name", "seed", "learning"):
        del body[key]
    return _flat(body)


def _flat(body: dict[str, Any], head: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in body.items():
        found |= _flat(value, f"{head}{key}.") if isinstance(value, dict) else {f"{head}{key}": value}
    return found


def _network(recipe: Recipe) -> str:
    """Return what the trainings of a family share, as stable JSON."""
    body = _besides_the_rule(recipe)
    return json.dumps({key: value for key, value in body.items() if key not in _TUNED}, sort_keys=True)


def _family(infos: Sequence[CheckpointInfo], known: Mapping[str, CheckpointInfo]) -> Family:
    arms = by_arm(infos)
    first = next(iter(arms.values()))[0]
    alike = [label for label, group in arms.items() if not differences(group[0].recipe, first.recipe)]
    taught = any(taught_by_feedback(arms[label][0]) for label in alike)
    recipe = first.recipe
    hidden = " x ".join(map(str, getattr(recipe.backbone, "hidden", ())))
    words = [str(first.data["name"]), f"encoder {recipe.encoder.name}", f"{recipe.backbone.name} {hidden}"]
    return Family(
        ", ".join(words).strip(),
        {label: _names(group, known) for label, group in arms.items()},
        alike if taught else list(arms),
        [info.name for info in infos],
    )


def _names(group: Sequence[CheckpointInfo], known: Mapping[str, CheckpointInfo]) -> list[str]:
    """Return one name that stands for all seeds of an arm, or each of them where there is none."""
    names = [info.name for info in group]
    stem = _SEED.sub("", names[0])
    whole = len(names) > 1 and {info.name for info in seeds_of(stem, known)} == set(names)
    return [stem] if whole else names
