"""Training learns, resumes to the bit after a real kill, and refuses what does not belong together."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.checkpoint import load_checkpoint, load_snapshots
from models.config import Recipe
from models.errors import SpikelensError
from models.learning.step import one_cycle, ramped_rate_weight
from models.paths import user_checkpoints
from models.training import RESUME, train

TINY = {
    "name": "tiny",
    "data": {"name": "tones"},
    "encoder": {"name": "residual"},
    "backbone": {"name": "rlif", "hidden": [16]},
    "train": {"epochs": 6, "batch_size": 24},
}


@pytest.fixture
def recipe():
    return Recipe.from_dict(TINY)


def test_training_learns_the_task_and_records_the_encoder_path(tones, recipe):
    folder = user_checkpoints() / "tiny-learns"
    longer = recipe.override({"train.epochs": 16, "train.batch_size": 12})
    metrics = train(longer, tones, folder, score_test=True)
    assert metrics["validation"]["accuracy"] > 0.8  # chance is a third
    assert metrics["test"]["n"] == 36
    checkpoint = load_checkpoint("tiny-learns")
    assert len(checkpoint.history) == 16
    assert checkpoint.history[0]["encoder_dc"] != checkpoint.history[-1]["encoder_dc"]
    assert {"gradient_norm_encoder", "gradient_norm_backbone", "train_loss"} <= set(checkpoint.history[0])
    best = max(row["validation_accuracy"] for row in checkpoint.history)
    assert metrics["validation"]["accuracy"] == pytest.approx(best)
    assert not (folder / RESUME).exists()


def test_same_seed_same_weights_other_seed_other_weights(tones, recipe):
    short = recipe.override({"train.epochs": 1})
    for name, seed in (("twin-a", 0), ("twin-b", 0), ("twin-c", 1)):
        train(short.override({"seed": seed}), tones, user_checkpoints() / name)
    a, b, c = (load_checkpoint(name).model.state_dict() for name in ("twin-a", "twin-b", "twin-c"))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["backbone.layers.0.input.weight"], c["backbone.layers.0.input.weight"])


_WORKER = """
import sys, torch
from pathlib import Path
from models.config import Recipe
from models.training import train
from tests.conftest import make_tones
torch.set_num_threads(1)
tones = make_tones({"train": 24, "validation": 12, "test": 12})
train(Recipe.from_dict(%r), tones, Path(sys.argv[1]), resume=sys.argv[2] == "resume",
      progress=lambda p: print(p.epoch, p.batch, flush=True))
"""


def _worker(folder: Path, mode: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER % TINY, str(folder), mode],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_a_killed_run_resumes_to_the_same_bits():
    whole, torn = user_checkpoints() / "whole", user_checkpoints() / "torn"
    assert _worker(whole, "fresh").wait(timeout=120) == 0
    process = _worker(torn, "fresh")
    for line in process.stdout:
        if line.split() == ["3", "2"]:  # in the middle of the third epoch
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=60)
    assert (torn / RESUME).exists() and not (torn / "config.json").exists()
    resumed = _worker(torn, "resume")
    epochs = {line.split()[0] for line in resumed.stdout}
    assert resumed.wait(timeout=120) == 0
    assert epochs == {"3", "4", "5", "6"}  # it did not start over
    assert (torn / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert json.loads((torn / "metrics.json").read_text()) == json.loads((whole / "metrics.json").read_text())


def test_resume_refuses_another_recipe_and_nothing(tones, recipe, monkeypatch):
    with pytest.raises(SpikelensError, match="no unfinished run"):
        train(recipe, tones, user_checkpoints() / "never-begun", resume=True)
    folder = user_checkpoints() / "stopped"

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, tones, folder, progress=stop)
    with pytest.raises(SpikelensError, match="--resume"):
        train(recipe, tones, folder)  # would overwrite the unfinished run
    with pytest.raises(SpikelensError, match="recipe differs"):
        train(recipe.override({"train.lr": 1e-3}), tones, folder, resume=True)
    (folder / RESUME).write_bytes(b"torn")
    with pytest.raises(SpikelensError, match="cannot be read"):
        train(recipe, tones, folder, resume=True)


def test_schedules_by_hand(recipe):
    assert one_cycle(0, 100, 0.3) == pytest.approx(1 / 25)
    assert one_cycle(30, 100, 0.3) == pytest.approx(1.0)
    assert one_cycle(65, 100, 0.3) == pytest.approx(0.5)
    config = recipe.train
    assert ramped_rate_weight(0, 100, config) == 0
    assert ramped_rate_weight(5, 100, config) == pytest.approx(config.rate_weight / 2)
    assert ramped_rate_weight(50, 100, config) == pytest.approx(config.rate_weight)


def test_a_frozen_encoder_gets_no_penalty_and_does_not_move(tones, recipe):
    frozen = recipe.override({"train.epochs": 1, "train.rate_weight": 100.0})
    frozen = Recipe.from_dict(frozen.to_dict() | {"encoder": {"name": "sf2-init"}})
    train(frozen, tones, user_checkpoints() / "frozen")
    checkpoint = load_checkpoint("frozen")
    assert checkpoint.history[0]["encoder_dc"] == pytest.approx(0.9)
    assert checkpoint.history[0]["train_loss"] < 10  # 100 x rate would be far above
    assert checkpoint.history[0]["gradient_norm_encoder"] == 0


def test_an_encoder_cut_off_from_the_task_learns_to_reconstruct(tones, recipe):
    cut = {"train.encoder_task_gradient": False, "train.rate_weight": 0.0, "train.epochs": 3}
    train(recipe.override(cut), tones, user_checkpoints() / "no-aim")
    assert load_checkpoint("no-aim").history[-1]["encoder_dc"] == pytest.approx(0.9)  # nothing moves it
    train(recipe.override(cut | {"train.reconstruction_weight": 1.0}), tones, user_checkpoints() / "rebuilds")
    path = [row["snr_db"] for row in load_checkpoint("rebuilds").history]
    assert path[-1] > load_checkpoint("no-aim").history[-1]["snr_db"]
    direct = Recipe.from_dict(
        recipe.to_dict() | {"encoder": {"name": "direct"}, "train": {"reconstruction_weight": 1.0}}
    )
    with pytest.raises(SpikelensError, match="no decoder"):
        train(direct, tones, user_checkpoints() / "direct-rebuilds")


def test_nothing_is_learned_from_shuffled_labels_and_the_last_epoch_is_kept(tones, recipe):
    null = recipe.override({"train.epochs": 8, "train.batch_size": 12, "train.shuffle_labels": True})
    metrics = train(null, tones, user_checkpoints() / "shuffled")
    assert metrics["epoch"] == 8
    assert metrics["validation"]["accuracy"] < 0.67  # 1 where the labels are true, a third by chance


def test_snapshots_follow_a_training_and_end_at_its_last_weights(tones, recipe):
    folder = user_checkpoints() / "followed"
    null = recipe.override({"train.epochs": 4, "train.shuffle_labels": True})  # keeps the last epoch
    train(null, tones, folder, snapshot_every=2)
    kept = load_snapshots("followed")
    assert list(kept) == [2, 4]
    last = load_checkpoint("followed").model.state_dict()
    assert all(torch.equal(value, last[key]) for key, value in kept[4].state_dict().items())
    assert any(not torch.equal(value, last[key]) for key, value in kept[2].state_dict().items())
    (folder / "snapshots" / "epoch-002.safetensors").write_bytes(b"torn")
    with pytest.raises(SpikelensError, match=r"epoch-002.*not a whole safetensors"):
        load_snapshots("followed")
