"""Encoders beside their controls and bits about the word: charts, page and command."""

import json
import sys

import numpy as np
import pytest

from analysis.controls import MATCHED, SUBJECT
from analysis.information import InformationResult, InformationRow
from analysis.result import Estimate
from analysis.separability import SeparabilityResult, SeparabilityRow
from app.charts import information, separability
from app.cli import main
from tests.app.conftest import LEARNED, charts, clean, commands, page
from tests.app.test_charts import near, provenance


def separated(subject="a"):
    rows = [
        SeparabilityRow(point, measure, near(value), near(0.0), 0.02, "", encoder, difference)
        for encoder, point, value, difference in (
            (SUBJECT, "features", 0.9, None),
            (SUBJECT, "encoder", 0.5, None),
            (SUBJECT, "layer1", 0.7, None),
            (MATCHED, "encoder", 0.4, near(0.1)),
        )
        for measure in ("Fisher", "silhouette")
    ]
    return SeparabilityResult(provenance(subject), rows, 36, {}, {})


def informed(subject="a"):
    def row(encoder, point, bits, spike, difference=None):
        null = Estimate(-0.01, -0.02, 0.0, 36)
        return InformationRow(encoder, point, near(bits), null, difference, spike, 100.0, 0.01, 40)

    rows = [
        row(SUBJECT, "features", 1.2, None),
        row(SUBJECT, "encoder", 1.1, near(11.0)),
        row(MATCHED, "encoder", 1.0, near(10.0), near(0.1)),
    ]
    return InformationResult(provenance(subject), rows, 1.58, 1.6, "a fifth", {}, {})


def test_points_and_encoders_are_drawn_apart():
    points = separability.measures([separated()])
    assert list(points.layout.yaxis.ticktext) == ["encoder", "layer1"]
    encoders = separability.encoders([separated(), separated("b")])
    assert list(encoders.layout.yaxis.ticktext) == [SUBJECT, MATCHED]
    first = next(trace for trace in encoders.data if trace.name == "a")
    assert first.x.tolist() == pytest.approx([0.5, 0.4])
    assert {shape.x0 for shape in encoders.layout.shapes} == {0.9}  # the log-mel
    words = separability.encoders_alt([separated()])
    assert f"{MATCHED} Fisher 0.4" in words and "a less it 0.1" in words and "layer1" not in words


def test_bits_stand_beside_what_there_is_to_know_and_spikes_apart():
    figure = information.bits([informed(), informed("b")])
    assert list(figure.layout.yaxis.ticktext) == ["features", "encoder", MATCHED]
    assert [shape.x0 for shape in figure.layout.shapes] == [1.58]
    clip, null, spike = figure.data[:3]
    assert clip.x.tolist() == pytest.approx([1.2, 1.1, 1.0]) and null.x.tolist() == pytest.approx([-0.01] * 3)
    assert spike.x.tolist() == pytest.approx([11.0, 10.0]) and spike.y.tolist() == [1, 2]
    words = information.bits_alt([informed()])
    assert "1.58 bits" in words and f"{MATCHED} 1 [" in words and "less it 0.1" in words
    json.dumps(figure.to_plotly_json(), default=lambda value: np.asarray(value).tolist())


def test_the_page_measures_geometry_and_bits_each_on_its_button(workbench):
    opened = page(workbench, "separability", checkpoint=LEARNED)
    for analysis in ("separability", "information"):
        if f"{analysis}-{LEARNED}" in [button.key for button in opened.button]:
            opened = clean(opened.button(key=f"{analysis}-{LEARNED}").click().run())
        assert any(
            line.startswith(f"spikelens {analysis} {LEARNED} --data tones") for line in commands(opened)
        )
    assert len(charts(opened)) == 3
    assert any("only in their steps" in heading.value for heading in opened.subheader)


def test_imported_recordings_are_measured_too(workbench, planted):
    opened = page(workbench, "separability", checkpoint=planted)
    opened = clean(opened.button(key=f"information-{planted}").click().run())
    assert len(charts(opened)) == 1
    assert any(line.startswith(f"spikelens information {planted}") for line in commands(opened))


def test_the_command_prints_one_object(workbench, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["spikelens", "information", LEARNED, "--data", "tones", "--point", "layer1", "--json"]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    body = json.loads(capsys.readouterr().out)
    assert not stopped.value.code and body["kind"] == "InformationResult"
    assert {row["point"] for row in body["rows"]} == {"features", "layer1"}
    assert body["provenance"]["command"].startswith(f"spikelens information {LEARNED} ")
