"""The interventions page and its command."""

import json
import sys

import pytest
import streamlit as st

from app.cli import main
from tests.app.conftest import FROZEN, LEARNED, charts, clean, commands, page


def test_the_page_asks_waits_measures_and_swaps_the_compared_encoder(workbench):
    opened = page(workbench, "interventions", checkpoint=LEARNED, compare=FROZEN)
    assert opened.title[0].value == "Interventions"
    assert opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")
    assert not charts(opened)
    opened = clean(opened.button(key=f"interventions-{LEARNED}").click().run(timeout=240))
    (chart,) = charts(opened)
    assert f"other encoder: {FROZEN}" in chart["layout"]["yaxis"]["ticktext"]
    assert {"network", "probe", "chance (majority word)"} <= {trace["name"] for trace in chart["data"]}
    (command,) = commands(opened)
    assert command.startswith(f"spikelens interventions {LEARNED} --data tones --split validation")
    assert f"--swap {FROZEN}" in command
    assert any("pink noise" in caption.value for caption in opened.caption)


def test_imported_recordings_cannot_be_read_again_and_say_why(workbench, planted):
    st.cache_resource.clear()
    opened = page(workbench, "interventions", checkpoint=planted)
    assert "not applicable, an intervention needs the network" in opened.info[0].value
    assert not opened.button and not charts(opened)


@pytest.mark.parametrize("more", [(), ("--swap", FROZEN)])
def test_the_command_prints_one_json_object_and_its_own_command(workbench, monkeypatch, capsys, more):
    arguments = ["spikelens", "interventions", LEARNED, "--data", "tones", *more]
    for as_json in (True, False):
        monkeypatch.setattr(sys, "argv", arguments + (["--json"] if as_json else []))
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr().out
        assert not stopped.value.code
        if as_json:
            body = json.loads(out)
            assert body["kind"] == "InterventionResult"
            assert body["provenance"]["command"].startswith(f"spikelens interventions {LEARNED} ")
            swapped = [row["what"] for row in body["rows"] if row["kind"] == "other encoder"]
            assert (FROZEN in swapped) == bool(more)
        else:
            assert LEARNED in out


def test_a_swap_that_does_not_exist_is_one_line(workbench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["spikelens", "interventions", LEARNED, "--swap", "nobody"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "nobody" in capsys.readouterr().err
