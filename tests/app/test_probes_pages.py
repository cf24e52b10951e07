"""Encoders, time and nuisance on their pages, and the commands behind them."""

import json
import sys

import pytest

from app.cli import main
from tests.app.conftest import FROZEN, LEARNED, charts, clean, commands, page


def pressed(opened, analysis, name=LEARNED):
    """Measure, unless a test before has."""
    key = f"{analysis}-{name}"
    return clean(opened.button(key=key).click().run()) if key in [b.key for b in opened.button] else opened


def test_probes_are_shown_beside_their_controls_and_confusions_by_point(workbench):
    opened = pressed(page(workbench, "probes", checkpoint=LEARNED), "probe")
    names = {trace.get("name") for chart in charts(opened) for trace in chart["data"]}
    assert {"20 nearest neighbours", "linear probe, control task", "linear, 256 dimensions"} <= names
    before = [chart for chart in charts(opened) if chart["data"][0]["type"] == "heatmap"]
    opened = clean(opened.selectbox(key="confusion-point").select("layer1").run())
    after = [chart for chart in charts(opened) if chart["data"][0]["type"] == "heatmap"]
    assert len(before) == len(after) == 1 and before[0]["data"] != after[0]["data"]


@pytest.mark.parametrize(("analysis", "trace"), [("encoders", "linear"), ("time", "layer1, untrained")])
def test_encoders_and_time_wait_for_their_buttons(workbench, analysis, trace):
    opened = pressed(page(workbench, "probes", checkpoint=LEARNED), analysis)
    assert any(line.startswith(f"spikelens {analysis} {LEARNED} --data tones") for line in commands(opened))
    assert any(drawn.get("name") == trace for chart in charts(opened) for drawn in chart["data"])
    if analysis == "encoders":
        assert any("clips a word" in box.value for box in opened.info)  # too few to draw


def test_the_second_checkpoint_is_compared_on_the_same_clips(workbench):
    opened = pressed(page(workbench, "probes", checkpoint=LEARNED, compare=FROZEN), "encoders")
    assert any(f"--against {FROZEN}" in line for line in commands(opened))


def test_the_nuisance_page_asks_explains_and_measures(workbench):
    opened = page(workbench, "nuisance", checkpoint=LEARNED)
    assert opened.title[0].value == "Nuisance" and opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")
    opened = pressed(opened, "nuisance")
    assert any(line.startswith(f"spikelens nuisance {LEARNED}") for line in commands(opened))
    titles = [note["text"] for note in charts(opened)[0]["layout"]["annotations"]]
    assert {"word, accuracy", "level, R2", "added noise, accuracy"} <= set(titles)


def test_imported_recordings_have_no_level_or_noise_and_say_why(workbench, planted):
    opened = pressed(page(workbench, "nuisance", checkpoint=planted), "nuisance", planted)
    said = " ".join(box.value for box in opened.info)
    assert "level of planted: not applicable" in said and "takes the model" in said


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("encoders", "--n-draws", "2", "--against", FROZEN), "EncodersResult"),
        (("time",), "TimeResult"),
        (("nuisance",), "NuisanceResult"),
    ],
)
def test_a_command_prints_one_json_object_and_its_own_command(workbench, monkeypatch, capsys, command, kind):
    analysis, *options = command
    arguments = ["spikelens", analysis, LEARNED, "--data", "tones", *options]
    for as_json in (True, False):
        monkeypatch.setattr(sys, "argv", arguments + (["--json"] if as_json else []))
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr().out
        assert not stopped.value.code
        if as_json:
            body = json.loads(out)
            assert body["kind"] == kind
            assert body["provenance"]["command"].startswith(f"spikelens {analysis} {LEARNED} ")
        else:
            assert LEARNED in out


def test_a_second_subject_that_is_the_first_or_unknown_is_one_line(workbench, monkeypatch, capsys):
    for other, said in ((LEARNED, "is the subject itself"), ("nothing-here", "nothing-here")):
        monkeypatch.setattr(
            sys, "argv", ["spikelens", "encoders", LEARNED, "--data", "tones", "--against", other]
        )
        with pytest.raises(SystemExit) as stopped:
            main()
        err = capsys.readouterr().err
        assert stopped.value.code == 2 and said in err and len(err.strip().splitlines()) == 1
