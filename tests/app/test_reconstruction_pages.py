"""Reconstruction page with its controls, the step-size plane, and the commands behind both."""

import functools
import json
import sys

import pytest
import soundfile

from analysis import reconstruction_controls
from analysis.controls import control_encoders
from app.cli import main
from tests.app.conftest import FROZEN, LEARNED, charts, clean, commands, page


@pytest.fixture(autouse=True)
def _few_controls(monkeypatch):
    """One draw of random steps is as good as five for a page."""
    few = functools.partial(control_encoders, n_random=1)
    monkeypatch.setattr(reconstruction_controls, "control_encoders", few)


@pytest.fixture
def spikelens(workbench, monkeypatch, capsys):
    """Call the command line in the workbench; return (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikelens", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr()
        return int(stopped.value.code or 0), out.out, out.err

    return call


def press(opened, key):
    if key in [button.key for button in opened.button]:
        opened = clean(opened.button(key=key).click().run(timeout=300))
    return opened


def test_control_encoders_wait_for_their_button(workbench):
    opened = page(workbench, "reconstruction", checkpoint=LEARNED)
    before = len(charts(opened))
    opened = press(opened, f"reconstruct-controls-{LEARNED}")
    assert len(charts(opened)) > before
    assert any(
        line.startswith(f"spikelens reconstruct-controls {LEARNED} --data tones --split validation")
        for line in commands(opened)
    )


def test_fitted_decoders_and_the_reference_join_the_clip(workbench):
    opened = press(page(workbench, "reconstruction", checkpoint=LEARNED), f"reconstruct-{LEARNED}")
    opened = press(opened, f"reconstruct-controls-{LEARNED}")
    panels = {trace["name"] for trace in charts(opened)[-1]["data"]}
    assert {"original", "own decoder", "ridge", "non-linear"} < panels
    assert any(name.startswith("SF2-rec") for name in panels)
    decoders = {trace["name"] for trace in charts(opened)[0]["data"]}
    assert {LEARNED, f"{LEARNED}, spikes of another clip", f"{LEARNED}, untrained twin"} <= decoders


def test_the_plane_waits_for_its_button_and_shows_maps_path_and_optima(workbench):
    opened = page(workbench, "plane", checkpoint=LEARNED, compare=FROZEN)
    assert opened.title[0].value == "Step-size plane" and opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")
    assert not charts(opened)
    opened = press(opened, f"plane-{LEARNED}")
    names = [trace.get("name") for trace in charts(opened)[0]["data"]]
    assert {"training, epoch by epoch", "the encoder", "MSE optimum of the grid"} <= set(names)
    assert any(line.startswith(f"spikelens plane {LEARNED} --data tones") for line in commands(opened))
    opened = press(opened, f"plane-{FROZEN}")  # fixed steps: a plane, no path
    fixed = [trace.get("name") for trace in charts(opened)[-1]["data"]]
    assert "the encoder" in fixed and "training, epoch by epoch" not in fixed


def test_imported_recordings_have_no_plane_and_say_why(workbench, planted):
    opened = page(workbench, "plane", checkpoint=planted)
    assert "it needs the model" in opened.info[0].value and not opened.button


def test_commands_print_one_json_object_and_their_own_command(spikelens):
    for analysis, kind, *options in (
        ("reconstruct-controls", "ReconstructionControls", "--lags", 2),
        ("plane", "StepPlaneResult", "--n-fit", 40),
    ):
        code, out, err = spikelens(analysis, LEARNED, *options, "--json")
        assert code == 0, err
        body = json.loads(out)
        assert body["kind"] == kind
        assert body["provenance"]["command"].startswith(f"spikelens {analysis} {LEARNED} --data tones")
        code, out, _ = spikelens(analysis, LEARNED, *options)
        assert code == 0 and LEARNED in out


def test_listen_writes_every_version_under_safe_names(spikelens, tmp_path):
    out = tmp_path / "made" / "here"
    code, printed, err = spikelens("listen", LEARNED, "--clip", 3, "--out", out, "--split", "test", "--json")
    assert code == 0, err
    files = [*map(str, sorted(out.iterdir()))]
    assert sorted(json.loads(printed)["files"]) == files
    versions = {name.rpartition("_nohash_")[2].split("-", 1)[1] for name in files}
    assert {"original.wav", "own-decoder.wav", "ridge.wav", "non-linear.wav"} < versions
    assert len(versions) == 5 and any(name.startswith("sf2-rec") for name in versions)
    sound, rate = soundfile.read(files[0])
    assert rate == 16_000 and 0.9 < len(sound) / rate <= 1.0 and abs(sound).max() <= 1.0
    code, _, err = spikelens("listen", LEARNED, "--clip", "../x", "--out", out)
    assert code == 2 and "../x" in err and len(err.strip().splitlines()) == 1
    (tmp_path / "file").write_text("")
    code, _, err = spikelens("listen", LEARNED, "--clip", 0, "--out", tmp_path / "file" / "x")
    assert code == 2 and len(err.strip().splitlines()) == 1


def test_imports_cannot_be_heard_and_encoders_without_steps_have_no_plane(spikelens, planted):
    for analysis, words in (("listen", "scale of the log-mel"), ("plane", "needs the model")):
        options = ("--out", "x") if analysis == "listen" else ()
        code, out, err = spikelens(analysis, planted, *options)
        assert code == 2 and out == "" and words in err and "Traceback" not in err
