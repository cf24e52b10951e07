"""Checkpoints: round trip, and every way a foreign or broken file is refused in one line."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import CONFIG, HISTORY, WEIGHTS, list_checkpoints, load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.evaluate import evaluate
from models.features.cache import split_features
from models.paths import shipped_checkpoints, user_checkpoints
from models.training import train
from models.twin import untrained_twin

RECIPE = {
    "name": "small",
    "data": {"name": "tones"},
    "encoder": {"name": "sf2-rec"},
    "backbone": {"name": "rlif", "hidden": [16]},
    "train": {"epochs": 2, "batch_size": 24},
}


@pytest.fixture
def trained(tones, private_folders):
    folder = user_checkpoints() / "small"
    if not folder.exists():
        train(Recipe.from_dict(RECIPE), tones, folder)
    return folder


@pytest.fixture
def broken(trained):
    """Give a copy that a test may break."""
    folder = user_checkpoints() / "broken"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained, folder)
    yield folder
    shutil.rmtree(folder)


def refuses(match):
    with pytest.raises(SpikelensError, match=match) as caught:
        load_checkpoint("broken")
    assert "\n" not in str(caught.value)


def test_round_trip_gives_the_same_numbers(trained, tones):
    checkpoint = load_checkpoint("small")
    split = tones.split("validation")
    features = split_features(split, checkpoint.recipe.features, tones.digest)
    scores = evaluate(checkpoint.model, split, features)
    assert scores.accuracy == checkpoint.metrics["validation"]["accuracy"]
    assert scores.rates == checkpoint.metrics["rates"]
    assert checkpoint.labels == tones.labels and checkpoint.data["digest"] == tones.digest
    assert not any(p.requires_grad for p in checkpoint.model.parameters())
    assert "small" in [info.name for info in list_checkpoints()]
    assert checkpoint.digest == load_checkpoint("small").digest


@pytest.mark.parametrize(
    "name", ["../small", "/etc", "Small", "", "a/b", "nothing-here", ".hidden", "a" * 70]
)
def test_names_that_are_not_checkpoints(trained, name):
    with pytest.raises(SpikelensError):
        load_checkpoint(name)


def test_a_link_out_of_the_roots_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "elsewhere")
    shipped_checkpoints().mkdir(exist_ok=True)
    (shipped_checkpoints() / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpikelensError, match="outside"):
        load_checkpoint("linked")
    (shipped_checkpoints() / "linked").unlink()


def test_a_linked_weights_file_is_refused(broken, tmp_path):
    shutil.move(broken / WEIGHTS, tmp_path / WEIGHTS)
    (broken / WEIGHTS).symlink_to(tmp_path / WEIGHTS)
    refuses("outside")


def test_a_pickle_is_never_opened(broken):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was executed",))

    (broken / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    refuses("not a whole safetensors file")
    torch.save({"w": torch.ones(2)}, broken / WEIGHTS)
    refuses("not a whole safetensors file")


def test_truncated_and_altered_weights(broken):
    content = (broken / WEIGHTS).read_bytes()
    (broken / WEIGHTS).write_bytes(content[: len(content) // 2])
    refuses("not a whole safetensors file")
    (broken / WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refuses("digest")


def test_foreign_tensors_and_shapes(broken):
    import hashlib

    def rewrite(tensors):
        save_file(tensors, broken / WEIGHTS)
        config = json.loads((broken / CONFIG).read_text())
        config["weights_sha256"] = hashlib.sha256((broken / WEIGHTS).read_bytes()).hexdigest()
        (broken / CONFIG).write_text(json.dumps(config))

    tensors = load_file(broken / WEIGHTS)
    rewrite(tensors | {"extra": torch.ones(1)})
    refuses("'extra'")
    rewrite(tensors | {"backbone.layers.0.alpha": torch.ones(3)})
    refuses(r"alpha is \(3,\)")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 1}', '{"schema": 2, "recipe": {}}'])
def test_broken_configuration(broken, content):
    (broken / CONFIG).write_text(content)
    refuses("config.json|schema")


def test_unknown_recipe_key_in_configuration(broken):
    config = json.loads((broken / CONFIG).read_text())
    config["recipe"]["train"]["learning_rate"] = 1.0
    (broken / CONFIG).write_text(json.dumps(config))
    refuses("train.learning_rate")
    assert "broken" not in [info.name for info in list_checkpoints()]  # the list survives it


def test_broken_history(broken):
    (broken / HISTORY).write_text("epoch,loss\n1,abc\n")
    refuses("history")


def test_untrained_twin_is_alive_and_uninformed(trained, tones):
    checkpoint = load_checkpoint("small")
    features = split_features(tones.split("train"), checkpoint.recipe.features, tones.digest)
    twin = untrained_twin(checkpoint.recipe, len(checkpoint.labels), checkpoint.model, features)
    x = torch.from_numpy(np.array(features[:8]))
    before, after = (m(x, record=("encoder", "layer1")).recordings for m in (twin, checkpoint.model))
    assert torch.equal(before["encoder"], after["encoder"])  # a frozen encoder has no other twin
    assert not torch.equal(before["layer1"], after["layer1"])
    assert 0.001 < before["layer1"].mean() < 0.5
    assert not twin.training
