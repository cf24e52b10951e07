"""The front gathers what differs in the price of reconstruction alone, and says when there is nothing."""

import pytest

from analysis.fidelity_front import FrontResult, fidelity_front
from analysis.subjects import Subject
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.training import train
from tests.models.test_training import TINY

ALONE = {
    "train.encoder_task_gradient": False,
    "train.rate_weight": 0.0,
    "train.reconstruction_weight": 1.0,
}


@pytest.fixture(scope="module")
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        base = Recipe.from_dict(TINY).override({"train.epochs": 1, "backbone.hidden": [10]})
        for name, changes in {
            "front-free": {},
            "front-free-s1": {"seed": 1},
            "front-paid": {"train.reconstruction_weight": 0.5},
            "front-alone": ALONE,
            "front-other": {"train.lr": 1e-3, "train.reconstruction_weight": 0.5},
            "front-direct": {"encoder": {"name": "direct"}},
        }.items():
            train(base.override(changes), tones, user_checkpoints() / name)


def of(name, tones):
    return Subject(name, load_checkpoint(name), tones)


def test_seeds_and_prices_are_gathered_and_other_recipes_left_out(_trained, tones):
    result = fidelity_front(of("front-paid", tones))
    assert [row.name for row in result.rows] == ["front-free", "front-free-s1", "front-paid", "front-alone"]
    assert [row.task for row in result.rows] == [True, True, True, False]
    groups = result.groups()
    assert list(groups) == ["weight 0", "weight 0.5", "reconstruction alone"]
    table = result.to_table()
    mean = table[table["seed"] == "all"].iloc[0]
    values = [row.snr_db for row in groups["weight 0"]]
    assert mean["snr_db"] == pytest.approx(sum(values) / 2)
    assert FrontResult.from_json(result.to_json()).to_table().equals(table)


def test_without_a_decoder_or_another_price_it_says_so(_trained, tones):
    with pytest.raises(SpikelensError, match="no decoder"):
        fidelity_front(of("front-direct", tones))
    with pytest.raises(SpikelensError, match=r"reconstruction_weight is on this machine"):
        fidelity_front(of("front-other", tones))
