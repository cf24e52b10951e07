"""The table of a sweep says what the checkpoints say, over seeds, and the same as the other commands."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.capture import capture
from analysis.probing import probe
from analysis.sweep_table import SweepTable, sweep_table
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.data import open_dataset
from models.errors import SpikelensError
from models.operations import AC_PJ, MAC_PJ
from models.paths import user_checkpoints
from models.sweep import Sweep, plan
from models.training import train
from tests.conftest import TONES_RECIPE


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "base.toml").write_text(TONES_RECIPE.format(epochs=2))
    rows = [
        {"name": "learned", "label": "learned", "group": "a", "seeds": [1, 2]},
        {"name": "direct", "note": "one seed", "set": {"encoder": {"name": "direct"}}},
        {"name": "later"},
    ]
    body = {"base": str(tmp_path / "base.toml"), "checkpoint": "table-{row}-s{seed}", "row": rows}
    return plan(Sweep.from_dict({"name": "tiny"} | body), 3)


@pytest.fixture
def table(runs, tones_folder):
    """Train three of the four runs as they were before there were sweeps: with ``train``, by name."""
    tones = open_dataset(tones_folder)
    for run in runs[:-1]:
        place = user_checkpoints() / run.checkpoint
        if not place.exists():
            named = run.recipe.override({"name": "another-name"})
            train(named, tones, place, score_test=run.row == "learned")
    return sweep_table(runs, user_checkpoints(), tones_folder, name="tiny", command="spikelens sweep tiny")


def test_each_run_is_told_as_its_metrics_tell_it(table):
    assert table.missing == ["table-later-s1"]
    lines = table.to_table().set_index("checkpoint")
    assert list(lines.index) == ["table-learned-s1", "table-learned-s2", "table-direct-s1"]
    for name, line in lines.iterrows():
        metrics = load_checkpoint(name).metrics
        scores = metrics["validation"]
        assert (line.validation, line.validation_low, line.validation_high) == (
            scores["accuracy"],
            scores["low"],
            scores["high"],
        )
        assert (line.parameters, line.epochs, line.seed) == (metrics["parameters"], 2, metrics["seed"])
        assert line.synops == metrics["synops"]
        assert line.rate_layer1 == metrics["rates"]["layer1"]
    learned = load_checkpoint("table-learned-s1").metrics
    assert lines.test["table-learned-s1"] == learned["test"]["accuracy"]
    assert lines.rate_fine_on["table-learned-s1"] == learned["rates"]["encoder/fine_on"]
    assert lines.snr_db["table-learned-s1"] == learned["snr_db"]
    direct = lines.loc["table-direct-s1"]
    assert direct[["test", "encoder_rate", "snr_db", "rate_fine_on"]].isna().all()
    assert (direct.encoder_operations, direct.note) == (0, "one seed")


def test_operations_and_energy_by_hand(table):
    learned, _, direct = table.runs
    assert learned.encoder_operations == 98 * (160 + 80)
    updates = 98 * (8 + 3)
    accumulates = learned.synops + learned.encoder_operations
    assert learned.energy_nj == pytest.approx((AC_PJ * accumulates + MAC_PJ * updates) / 1000)
    dense = 98 * 40 * 8
    assert direct.energy_nj == pytest.approx((AC_PJ * direct.synops + MAC_PJ * (dense + updates)) / 1000)


def test_the_probe_is_that_of_the_probe_command(table, tones_folder):
    checkpoint, tones = load_checkpoint("table-learned-s1"), open_dataset(tones_folder)
    result = probe(capture(checkpoint, tones), points=["encoder"], split="validation")
    (row,) = (r for r in result.rows if (r.point, r.condition) == ("encoder", "learned"))
    found = table.runs[0].probe
    assert (found.value, found.low, found.high) == pytest.approx(
        (row.accuracy.value, row.accuracy.low, row.accuracy.high)
    )


def test_the_summary_is_mean_and_spread_over_seeds(table):
    lines = table.summary().set_index("row")
    accuracies = [run.validation.value for run in table.runs[:2]]
    assert lines.validation["learned"] == pytest.approx(np.mean(accuracies))
    assert lines.validation_sd["learned"] == pytest.approx(np.std(accuracies, ddof=1))
    assert (lines.seeds["learned"], lines.seeds["direct"]) == (2, 1)
    assert np.isnan(lines.validation_sd["direct"]) and np.isnan(lines.test["direct"])
    partly = replace(table, runs=[replace(table.runs[0], test=None), *table.runs[1:]])
    assert partly.summary().set_index("row").test.isna().all()  # not a mean over some of the seeds
    printed = table.printed().set_index("encoder")
    assert " ± " in printed["validation %"]["learned"] and printed["test %"]["direct"] == "–"


def test_it_comes_back_from_json(table):
    again = SweepTable.from_json(table.to_json())
    assert again.runs == table.runs and again.missing == table.missing


def test_no_table_of_nothing_and_none_of_another_training(runs, tones_folder, tmp_path, tones):
    with pytest.raises(SpikelensError, match="no run of tiny is done yet"):
        sweep_table(runs, tmp_path / "empty", tones_folder, name="tiny")
    other = Recipe.from_dict(runs[0].recipe.to_dict()).override({"train.epochs": 1, "seed": 9})
    train(other, tones, tmp_path / "out" / runs[0].checkpoint)
    with pytest.raises(SpikelensError, match="exists with another recipe: seed is 9"):
        sweep_table(runs, tmp_path / "out", tones_folder, name="tiny")
