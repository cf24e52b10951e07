"""The command line as a user meets it: one line of error and exit code 2, pure JSON, nothing half-written."""

import json
import subprocess
import sys

import pytest

from analysis.shipped import kept_verdict
from app.cli import main
from models.checkpoint import list_checkpoints
from models.config import Recipe
from models.data.base import AudioDataset
from models.paths import user_checkpoints
from models.training import train
from tests.conftest import make_tones, write_speech_commands


@pytest.fixture(scope="session")
def recordings_folder(tones: AudioDataset, tmp_path_factory):
    """Give the tone data as a Speech Commands folder of wav files."""
    return write_speech_commands(tones, tmp_path_factory.mktemp("data") / "tones")


@pytest.fixture
def checkpoint(recordings_folder):
    """Give the name of a small trained checkpoint."""
    folder = user_checkpoints() / "cli-model"
    if not folder.exists():
        from models.data import open_dataset

        recipe = {
            "name": "cli-model",
            "data": {"name": "tones"},
            "encoder": {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": [12]},
            "train": {"epochs": 8, "batch_size": 12},
        }
        train(Recipe.from_dict(recipe), open_dataset(str(recordings_folder)), folder)
    return "cli-model"


@pytest.fixture
def spikelens(monkeypatch, capsys):
    """Call the command line; return (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikelens", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr()
        return int(stopped.value.code or 0), out.out, out.err

    return call


def refused(result, match: str) -> None:
    code, out, err = result
    assert code == 2 and out == ""
    assert match in err and len(err.strip().splitlines()) == 1 and "Traceback" not in err


def test_mistakes_are_one_line_and_exit_two(spikelens, checkpoint, recordings_folder, tmp_path):
    refused(spikelens("probe", "nothing-here", "--data", recordings_folder), "nothing-here")
    refused(spikelens("probe", "../cli-model", "--data", recordings_folder), "lower-case")
    refused(spikelens("evaluate", checkpoint, "--data", tmp_path / "absent"), "absent")
    refused(spikelens("evaluate", checkpoint, "--data", recordings_folder, "--split", "dev"), "dev")
    refused(spikelens("train", "no-such-recipe"), "no-such-recipe")
    refused(spikelens("train", "gsc8-residual-35k", "--set", "train.epoch=3"), "train.epoch")
    refused(
        spikelens("train", "gsc8-residual-35k", "--data", recordings_folder, "--name", "Bad Name"), "name"
    )
    refused(spikelens("data", "fetch", "imagenet"), "imagenet")
    refused(spikelens("import", tmp_path / "absent.npz", "--name", "x"), "absent.npz")


def test_a_checkpoint_without_its_data_says_how_to_get_it(spikelens, checkpoint):
    refused(spikelens("evaluate", checkpoint), "--data PATH")


def test_train_then_evaluate_then_list(spikelens, recordings_folder, tmp_path):
    recipe = tmp_path / "quick.toml"
    recipe.write_text(
        '[data]\nname = "tones"\n[encoder]\nname = "residual"\n[backbone]\nname = "rlif"\nhidden = [8]\n'
        "[train]\nepochs = 1\nbatch_size = 24\n"
    )
    code, out, _ = spikelens(
        "train", recipe, "--data", recordings_folder, "--set", "train.epochs=2", "--json"
    )
    assert code == 0 and json.loads(out)["checkpoint"] == "quick"
    assert (user_checkpoints() / "quick" / "README.md").exists()
    refused(spikelens("train", recipe, "--data", recordings_folder), "exists")
    code, out, _ = spikelens("evaluate", "quick", "--data", recordings_folder, "--split", "test", "--json")
    scores = json.loads(out)
    assert code == 0 and scores["n"] == 36 and scores["checkpoint"] == "quick" and scores["split"] == "test"
    assert 0 <= scores["accuracy_low"] <= scores["accuracy"] <= scores["accuracy_high"] <= 1
    code, out, _ = spikelens("list", "--json")
    assert "quick" in [row["name"] for row in json.loads(out)["subjects"]]


def test_data_info_counts(spikelens, recordings_folder):
    code, out, _ = spikelens("data", "info", recordings_folder, "--json")
    body = json.loads(out)
    assert code == 0 and body["labels"] == ["go", "no", "yes"] and body["speakers_known"]
    assert {row["split"]: row["clips"] for row in body["splits"]} == {
        "train": 72,
        "validation": 36,
        "test": 36,
    }


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("raster", "--clip", "3"), "RasterResult"),
        (("spikes",), "SpikeStatistics"),
        (("energy",), "EnergyResult"),
        (("probe", "--point", "encoder"), "ProbeResult"),
        (("gradients",), "GradientResult"),
        (("reconstruct", "--point", "encoder"), "ReconstructionResult"),
        (("separability", "--point", "encoder"), "SeparabilityResult"),
        (("embed",), "EmbeddingResult"),
        (("verdict",), "VerdictResult"),
    ],
)
def test_every_analysis_prints_one_json_object_and_its_own_command(
    spikelens, checkpoint, recordings_folder, command, kind
):
    analysis, *options = command
    code, out, err = spikelens(analysis, checkpoint, "--data", recordings_folder, *options, "--json")
    assert code == 0, err
    body = json.loads(out)
    assert body["kind"] == kind
    where = body["provenance"]
    assert where["subject"] == checkpoint and where["split"] == "validation" and where["data_digest"]
    assert where["command"].startswith(f"spikelens {analysis} {checkpoint} ")
    code, out, _ = spikelens(analysis, checkpoint, "--data", recordings_folder, *options)
    assert code == 0 and checkpoint in out


def test_a_verdict_is_kept_only_beside_the_checkpoint_and_data_it_is_of(
    spikelens, checkpoint, recordings_folder, tones, tmp_path
):
    code, _, err = spikelens("verdict", checkpoint, "--data", recordings_folder, "--keep")
    assert code == 0, err
    info = next(info for info in list_checkpoints() if info.name == checkpoint)
    assert kept_verdict(info, "validation").provenance.subject == checkpoint
    other = make_tones({"train": 24, "validation": 12, "test": 12}, seed=1)
    elsewhere = write_speech_commands(other, tmp_path / "other-tones")
    code, _, err = spikelens("verdict", checkpoint, "--data", elsewhere, "--keep")
    assert code == 2 and "trained on" in err


def test_raster_is_drawn_to_a_file(spikelens, checkpoint, recordings_folder, tmp_path):
    target = tmp_path / "raster.png"
    code, _, err = spikelens("raster", checkpoint, "--data", recordings_folder, "--out", target)
    assert code == 0, err
    assert target.read_bytes().startswith(b"\x89PNG")
    refused(
        spikelens("raster", checkpoint, "--data", recordings_folder, "--out", tmp_path / "raster.doc"), ".doc"
    )


def test_the_installed_command_answers_fast_without_torch():
    script = "import sys, app.cli; print('torch' in sys.modules, 'streamlit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
