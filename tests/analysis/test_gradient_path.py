"""A training is followed from its untrained twin; without kept epochs there is nothing to follow."""

import pytest

from analysis.figures.gradient_path import draw, gradient_path_figure
from analysis.figures.save import read_table, rendered
from analysis.gradient_path import PULLS, STEPS, GradientPath, gradient_path
from models.checkpoint import load_checkpoint
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
        base = Recipe.from_dict(TINY).override({"train.epochs": 2, "train.shuffle_labels": True})
        train(base, tones, user_checkpoints() / "path-kept", snapshot_every=1)
        train(base, tones, user_checkpoints() / "path-lost")


def test_every_kept_epoch_has_both_pulls_in_both_steps(_trained, tones):
    result = gradient_path(load_checkpoint("path-kept"), tones, n_clips=24)
    assert list(result.cosines) == [0, 1, 2]
    assert {(r.epoch, r.loss, r.parameter) for r in result.rows} == {
        (epoch, loss, step) for epoch in (0, 1, 2) for loss in PULLS for step in STEPS
    }
    start = [row.at for row in result.rows if row.epoch == 0 and row.parameter == "log dc"]
    assert start == pytest.approx([0.9, 0.9])
    assert all(value > 0 for value in result.mse.values())
    again = GradientPath.from_json(result.to_json())
    assert len(again.to_table()) == len(result.to_table())
    figure = gradient_path_figure(result)
    table = read_table(figure.table.to_csv(index=False))
    assert rendered(lambda: draw(table), ".svg") == rendered(lambda: draw(table), ".svg")


def test_without_kept_epochs_it_says_how_to_get_them(_trained, tones):
    with pytest.raises(SpikelensError, match="--snapshots"):
        gradient_path(load_checkpoint("path-lost"), tones)
