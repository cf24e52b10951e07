"""A capture holds what the model did, is made once, and survives a full cache disk."""

import shutil
import tempfile
from collections import namedtuple

import numpy as np
import pytest
import torch

from analysis.capture import capture
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.features.cache import split_features
from models.paths import user_checkpoints
from models.training import train


@pytest.fixture
def checkpoint(tones):
    folder = user_checkpoints() / "captured"
    if not folder.exists():
        recipe = {
            "name": "captured",
            "data": {"name": "tones"},
            "encoder": {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": [12]},
            "train": {"epochs": 1, "batch_size": 24},
        }
        train(Recipe.from_dict(recipe), tones, folder)
    return load_checkpoint("captured")


def test_capture_equals_a_direct_forward_pass(checkpoint, tones):
    recordings = capture(checkpoint, tones)
    split = tones.split("test")
    log_mel = torch.from_numpy(np.array(split_features(split, checkpoint.recipe.features, tones.digest)))
    with torch.no_grad():
        names = ("features", "encoder", "decoded", "layer1", "readout")
        direct = checkpoint.model(log_mel, record=names).recordings
    stored = recordings.split("test")
    assert stored.clip_ids == split.clip_ids and np.array_equal(stored.labels, split.labels)
    for name in ("encoder", "layer1"):
        assert np.array_equal(stored.load(name), direct[name].numpy())
    for name in ("features", "decoded", "readout"):
        assert np.allclose(stored.load(name), direct[name].numpy(), atol=1e-5)
    fine_on = direct["encoder"][..., 80:120].numpy()
    assert np.array_equal(stored.load("encoder/fine_on"), fine_on)
    residual = (direct["features"] - direct["decoded"]).numpy()
    assert np.allclose(stored.load("residual"), residual, atol=1e-5)
    assert recordings.provenance("test").checkpoint_digest == checkpoint.digest


def test_second_call_does_no_work_and_splits_come_one_by_one(checkpoint, tones):
    calls = []
    capture(checkpoint, tones, splits=("validation",))
    capture(checkpoint, tones, splits=("validation",), progress=lambda f, text: calls.append(text))
    assert calls == []
    with pytest.raises(SpikelensError, match="not recorded"):
        capture(checkpoint, tones, splits=("validation",)).split("train")


def test_twin_is_another_recording(checkpoint, tones):
    twin = capture(checkpoint, tones, splits=("validation",), twin=True)
    trained = capture(checkpoint, tones, splits=("validation",))
    assert twin.digest != trained.digest and "features" not in twin.points
    layers = [r.split("validation").load("layer1") for r in (twin, trained)]
    assert not np.array_equal(*layers)


def test_a_full_cache_disk_falls_back_and_a_full_machine_says_so(
    checkpoint, tones, monkeypatch, tmp_path, caplog
):
    usage = namedtuple("usage", "free")
    cache, spare = tmp_path / "cache", tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setenv("SPIKELENS_CACHE", str(cache))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(spare))
    real = shutil.disk_usage
    monkeypatch.setattr(
        shutil, "disk_usage", lambda p: usage(0) if str(p).startswith(str(cache)) else real(p)
    )
    recordings = capture(checkpoint, tones, splits=("validation",))
    assert str(recordings.root).startswith(str(spare)) and "cannot be kept" in caplog.text
    shutil.rmtree(spare)
    spare.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda p: usage(0))
    with pytest.raises(SpikelensError, match="MiB free"):
        capture(checkpoint, tones, splits=("validation",))
    assert not any(path.is_file() for path in (spare / "spikelens" / "captures").rglob("*"))


def test_missing_words_are_named(checkpoint, tones):
    with pytest.raises(SpikelensError, match="yes"):
        capture(checkpoint, tones.restrict(("go", "no")))
