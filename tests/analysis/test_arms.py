"""Trainings are told apart by what was done, not by what they are called."""

import pytest

from analysis.arms import siblings
from models.checkpoint import list_checkpoints, load_checkpoint
from models.config import Recipe
from models.paths import user_checkpoints
from models.training import train
from tests.models.test_training import TINY

OWN = {"train.epochs": 1, "backbone.hidden": [9]}  # no other test trains this


@pytest.fixture(scope="module")
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        base = Recipe.from_dict(TINY).override(OWN)
        for name, changes in {
            "arm-a1": {"seed": 1},
            "arm-a2": {"seed": 2},
            "arm-null": {"seed": 1, "train.shuffle_labels": True},
            "arm-e1": {"encoder.variant": "E1"},
        }.items():
            train(base.override(changes), tones, user_checkpoints() / name)


def test_siblings_share_the_recipe_but_for_seed_and_change(_trained):
    infos = {info.name: info for info in list_checkpoints()}
    first = infos["arm-a1"]
    assert [each.name for each in siblings(first)] == ["arm-a1", "arm-a2"]
    assert [each.name for each in siblings(first, **{"train.shuffle_labels": True})] == ["arm-null"]
    assert [each.name for each in siblings(infos["arm-null"])] == ["arm-null"]
    assert siblings(first, **{"train.rate_weight": 0.7}) == []


def test_arms_that_ship_are_found_by_name_and_offered_to_nobody(_trained, tones, private_folders):
    base = Recipe.from_dict(TINY).override(OWN | {"seed": 3})
    train(base, tones, private_folders["SPIKELENS_CHECKPOINTS"] / "_arms" / "arm-a3")
    assert load_checkpoint("arm-a3").recipe.seed == 3
    assert "arm-a3" not in {info.name for info in list_checkpoints()}
    first = next(info for info in list_checkpoints() if info.name == "arm-a1")
    assert [each.name for each in siblings(first)] == ["arm-a1", "arm-a2", "arm-a3"]
