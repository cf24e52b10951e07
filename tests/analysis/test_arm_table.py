"""An arm is its seeds: each with its interval, their spread apart, the verdicts counted."""

import numpy as np
import pytest

from analysis.alignment import VerdictResult
from analysis.arm_table import ACCURACY, ArmsResult, compare_arms, encoder_key, seeds_of
from analysis.claims import VerdictRow
from analysis.result import Estimate, Provenance
from models.config import Recipe
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.training import train
from tests.models.test_training import TINY


@pytest.fixture(scope="module")
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        base = Recipe.from_dict(TINY).override({"train.epochs": 1})
        for name, seed in (("seeded-s1", 1), ("seeded-s2", 2), ("seeded-other-s1", 1)):
            train(base.override({"seed": seed}), tones, user_checkpoints() / name)


def verdict_of(info):
    """Answer +1 [0.5, 1.5] points for seed 1, +3 [-1, 7] for seed 2."""
    found = {1: Estimate(1.0, 0.5, 1.5), 2: Estimate(3.0, -1.0, 7.0)}[info.recipe.seed]
    row = VerdictRow("probe accuracy", "points", Estimate(60.0), Estimate(59.0), found)
    sentence = {1: "Task-aligned: so", 2: "Neither: so"}[info.recipe.seed]
    where = Provenance(info.name, "tones", "validation", info.data["digest"], seed=info.recipe.seed)
    return VerdictResult(where, sentence, "shown", "shown", "", [], [row], "best", found, found, {}, {})


def test_seeds_are_kept_apart_and_their_spread_is_that_of_their_values(_trained):
    result = compare_arms(["seeded"], verdict_of, split="validation")
    row = next(row for row in result.rows if row.side == "difference")
    assert list(row.seeds) == [1, 2]
    assert row.mean == pytest.approx(2.0) and row.sd == pytest.approx(np.std([1, 3], ddof=1))
    assert (row.n_above, row.n_below) == (1, 0)  # the interval of seed 2 holds 0
    assert result.conclusions == {"seeded": {"Task-aligned": 1, "Neither": 1}}
    accuracy = next(row for row in result.rows if row.quantity == ACCURACY)
    assert set(accuracy.seeds) == {1, 2}
    again = ArmsResult.from_json(result.to_json())
    assert again.to_table().equals(result.to_table())
    assert "+2.00 ± 1.41; >0 1, <0 0" in result.summary().to_string()


def test_an_arm_is_its_name_and_seeds_not_what_begins_alike(_trained):
    assert [info.name for info in seeds_of("seeded")] == ["seeded-s1", "seeded-s2"]
    with pytest.raises(SpikelensError, match="nobody"):
        seeds_of("nobody")


def test_frozen_encoders_share_a_verdict_and_learned_ones_do_not(_trained, tones):
    base = Recipe.from_dict(TINY | {"encoder": {"name": "sf2-init"}}).override({"train.epochs": 1})
    for seed in (1, 2):
        train(base.override({"seed": seed}), tones, user_checkpoints() / f"frozen-s{seed}")
    assert len({encoder_key(info) for info in seeds_of("frozen")}) == 1
    assert len({encoder_key(info) for info in seeds_of("seeded")}) == 2
