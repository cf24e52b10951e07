"""Controls on the gradients page, the saliency page, and the commands behind both."""

import json
import sys

import pytest
import streamlit as st

from app.cli import main
from tests.app.conftest import FROZEN, LEARNED, charts, clean, commands, page


def test_controls_wait_for_their_button_and_say_what_is_not_here(workbench):
    opened = page(workbench, "gradients", checkpoint=LEARNED, split="test")
    opened = clean(opened.button(key=f"gradient-controls-{LEARNED}").click().run())
    assert any(
        line.startswith(f"spikelens gradient-controls {LEARNED} --data tones --split test")
        for line in commands(opened)
    )
    assert any("trained on shuffled labels: not applicable" in box.value for box in opened.info)
    assert any(trace.get("name") == "untrained twin" for chart in charts(opened) for trace in chart["data"])


def test_streams_are_shown_once_gradients_are_measured(workbench):
    opened = page(workbench, "gradients", checkpoint=LEARNED)
    if f"gradients-{LEARNED}" in [button.key for button in opened.button]:
        opened = clean(opened.button(key=f"gradients-{LEARNED}").click().run())
    assert any("GR-4" in heading.value for heading in opened.subheader)
    assert any("train clips" in text.value for text in opened.markdown)


def test_the_saliency_page_asks_explains_and_follows(workbench):
    opened = page(workbench, "saliency", checkpoint=LEARNED, compare=FROZEN)
    assert opened.title[0].value == "Saliency"
    assert opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")
    assert not charts(opened)
    for analysis in ("saliency", "flow"):
        opened = clean(opened.button(key=f"{analysis}-{LEARNED}").click().run())
    assert len(charts(opened)) == 3  # maps, deletions, flow
    for analysis in ("saliency", "flow"):
        assert any(line.startswith(f"spikelens {analysis} {LEARNED}") for line in commands(opened))
    opened = clean(opened.selectbox(key="saliency-word").select("yes").run())
    assert "“yes”" in charts(opened)[0]["layout"]["annotations"][0]["text"]


def test_imported_recordings_have_no_saliency_and_say_why(workbench, planted):
    st.cache_resource.clear()
    opened = page(workbench, "saliency", checkpoint=planted)
    assert "not applicable, gradients need the network" in opened.info[0].value
    assert not opened.button and not charts(opened)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("gradient-controls",), "GradientControls"),
        (("flow", "--n-clips", "12"), "FlowResult"),
        (("saliency", "--n-clips", "12", "--n-steps", "4"), "SaliencyResult"),
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
