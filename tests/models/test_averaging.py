"""The running average of weights: by hand, scored and kept in place of the weights, the same after a kill."""

import copy

import pytest
import torch

from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.learning.averaging import average_weights
from models.paths import user_checkpoints
from models.training import RESUME, train

TINY = {
    "name": "tiny",
    "data": {"name": "tones"},
    "encoder": {"name": "residual"},
    "backbone": {"name": "rlif", "hidden": [16]},
    "train": {"epochs": 3, "batch_size": 24, "average": 0.9},
}


class Stop(Exception):
    """Raised in the middle of a training."""


def test_average_by_hand_with_batch_norm_statistics():
    model = torch.nn.BatchNorm1d(1)
    average = copy.deepcopy(model)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(1.0)
        model.num_batches_tracked.fill_(7)
    average_weights(average, model, 0.5, step=0)  # d = min(.5, 1 / 10)
    assert average.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 3)
    assert average.running_mean.item() == pytest.approx(0.9)
    average_weights(average, model, 0.5, step=100)
    assert average.running_mean.item() == pytest.approx(0.95)
    assert average.num_batches_tracked == 7 and model.weight.item() == 3.0


def test_the_average_is_what_is_kept(tones):
    plain = Recipe.from_dict(TINY).override({"train.average": 0.0})
    train(plain, tones, user_checkpoints() / "not-averaged")
    train(Recipe.from_dict(TINY), tones, user_checkpoints() / "averaged")
    weights = [
        load_checkpoint(name).model.state_dict()["backbone.layers.0.input.weight"]
        for name in ("not-averaged", "averaged")
    ]
    assert not torch.equal(*weights)
    histories = [load_checkpoint(name).history for name in ("not-averaged", "averaged")]
    assert [row["train_loss"] for row in histories[0]] == [row["train_loss"] for row in histories[1]]


def test_a_stopped_run_goes_on_with_the_same_average(tones):
    recipe = Recipe.from_dict(TINY)
    whole, torn = user_checkpoints() / "average-whole", user_checkpoints() / "average-torn"
    train(recipe, tones, whole)

    def stop(progress):
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, tones, torn, progress=stop)
    assert (torn / RESUME).exists()
    train(recipe, tones, torn, resume=True)
    assert (torn / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_a_decay_of_one_is_refused():
    with pytest.raises(SpikelensError, match=r"train.average: 1.0"):
        Recipe.from_dict(TINY).override({"train.average": 1.0})
