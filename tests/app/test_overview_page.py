"""The overview: encoders in their corners, the sentence, and the shipped figures."""

import json

import numpy as np
import pytest

from analysis import catalogue, loaders
from analysis.alignment import VerdictResult
from analysis.importing import import_recordings
from analysis.planted import planted_faithful, planted_task_only
from analysis.result import Estimate, Provenance
from analysis.subjects import open_subject
from app.charts.plane import plane, plane_alt
from models.paths import user_data_dir
from tests.analysis.smooth import smooth_material
from tests.app.conftest import FROZEN, LEARNED, clean

PAGE = "pages/overview.py"


def points(page) -> dict[str, tuple[float, float]]:
    """Return each encoder's place in the plane by name."""
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    named = [trace for trace in figure["data"] if " (" in trace.get("name", "")]
    return {trace["name"].split(" (")[0]: (trace["x"][0], trace["y"][0]) for trace in named}


def test_the_scores_are_those_of_the_metrics_files(workbench):
    page = clean(workbench(PAGE))
    table = page.dataframe[0].value.set_index("checkpoint")
    metrics = open_subject(LEARNED, "tones").checkpoint.metrics
    assert list(table.index) == [LEARNED, FROZEN]
    assert table.loc[LEARNED, "parameters"] == metrics["parameters"]
    assert table.loc[LEARNED, "test accuracy"].startswith(f"{metrics['test']['accuracy']:.1%}")
    assert "n = 36" in table.loc[LEARNED, "test accuracy"]


def test_nothing_is_measured_before_it_is_asked_for_and_then_it_stays(workbench, monkeypatch):
    def call(subject, *, split, progress, command, seed) -> VerdictResult:
        progress(0.5, "half way")
        where = Provenance(subject.name, "tones", split, "d", seed=seed, command=command)
        return verdict_at(15.0, 2.0, provenance=where, refuted_by="a better decoder")

    monkeypatch.setitem(loaders.ANALYSES, "verdict", lambda: (VerdictResult, call))
    page = clean(workbench(PAGE, split="test"))
    assert not page.get("plotly_chart")
    assert page.multiselect[0].value == [LEARNED, FROZEN]
    page.multiselect[0].set_value([LEARNED])
    next(button for button in page.button if button.label == "Measure").click()
    clean(page.run())
    assert set(points(page)) == {LEARNED}
    assert any("What would refute it" in words.value for words in page.markdown)
    again = clean(workbench(PAGE, split="test"))
    assert set(points(again)) == {LEARNED}
    assert again.multiselect[0].options == [FROZEN]
    assert any(code.value.startswith(f"spikelens verdict {LEARNED}") for code in again.code)


def test_planted_encoders_land_in_opposite_corners(workbench, tmp_path):
    material = smooth_material()
    for name, plant in (("faithful", planted_faithful), ("task-only", planted_task_only)):
        np.savez(tmp_path / f"{name}.npz", **plant(material))
        import_recordings(tmp_path / f"{name}.npz", name)
        catalogue.run("verdict", open_subject(name), seed=0)
    page = clean(workbench(PAGE, checkpoint="task-only"))
    placed = points(page)
    (faithful_x, faithful_y), (task_x, task_y) = placed["faithful"], placed["task-only"]
    assert faithful_x > task_x + 10
    assert task_y > 10 > abs(faithful_y)
    assert any("Task-aligned, not faithful" in words.value.replace("\\", "") for words in page.markdown)
    assert (user_data_dir() / "recordings").is_dir()


def test_a_data_set_that_is_absent_comes_with_the_line_that_gets_it(workbench, monkeypatch):
    monkeypatch.delenv("SPIKELENS_DATA")
    page = workbench(PAGE)
    assert list(page.dataframe[0].value["checkpoint"]) == [LEARNED, FROZEN]
    assert any("tones is not on this machine" in caption.value for caption in page.caption)
    assert not page.exception


def verdict_at(x: float | None, y: float | None, **changes) -> VerdictResult:
    fields = {
        "provenance": Provenance("<b>net", "tones", "validation", "d", synthetic=True),
        "sentence": "",
        "faithful": "shown",
        "task_aligned": "not shown",
        "refuted_by": "",
        "caveats": [],
        "rows": [],
        "decoder": "best",
        "x": None if x is None else Estimate(x, x - 1, x + 2),
        "y": None if y is None else Estimate(y, y - 3, y + 4),
        "lines": {"SF2-rec": 18.0, "frame template": 0.1, "word template": 0.8},
        "axes": {},
    }
    return VerdictResult(**fields | changes)


def test_a_point_carries_both_intervals_and_is_tied_to_its_faithful_encoder():
    figure = plane([verdict_at(15.0, 2.0)])
    tie, point, frame, word = figure.data
    assert (point.x[0], point.y[0]) == (15.0, 2.0)
    assert (point.error_x.array[0], point.error_x.arrayminus[0]) == (2.0, 1.0)
    assert (point.error_y.array[0], point.error_y.arrayminus[0]) == (4.0, 3.0)
    assert tie.x[0] == 18.0 and tie.y[0] == 0.0
    assert (frame.x[0], word.x[0]) == (0.1, 0.8)
    assert "tones" in frame.name and "0.8 dB" in word.name
    assert figure.layout.yaxis.range[0] == -figure.layout.yaxis.range[1]
    assert "synthetic speech" in point.name and "<b>net" not in point.name
    assert "15" in plane_alt([verdict_at(15.0, 2.0)])


@pytest.mark.parametrize("place", [(None, 2.0), (15.0, None)])
def test_what_cannot_be_placed_is_left_out_not_put_at_zero(place):
    assert not plane([verdict_at(*place)]).data
