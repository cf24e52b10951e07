"""Charts of streams, controls, flow and saliency: what is drawn is what was measured."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis import gradient_controls as controls
from analysis.gradient_controls import ControlRow, GradientControls
from analysis.gradient_flow import FlowResult, FlowRow
from analysis.result import Estimate
from analysis.saliency import DeletionRow, SaliencyResult
from analysis.stream_energy import StreamRow
from app.charts import flow, gradient_controls, saliency, streams, theme
from tests.app.test_charts import gradient_result, near, provenance


def shared(subject="a"):
    rows = [
        StreamRow(name, near(value), near(value), near(1.0), near(2 * value), near(0.6))
        for name, value in (("coarse", 0.8), ("fine", 0.2))
    ]
    bands = np.array([[0.5, 0.3, 0.2], [0.4, 0.2, 0.1], [0.6, 0.4, 0.3]])
    return replace(
        gradient_result(subject), streams=rows, band_task=bands, band_residual=bands[:, ::-1].copy()
    )


def compared():
    share, slope = controls.share_of("coarse"), controls.slope_of("cross-entropy", "log dc")
    rows = [
        ControlRow(kind, arm, measure, near(value), near(0.0) if measure == "GR-2 cosine" else None, note)
        for kind, arm, value in ((controls.SUBJECT, "a", 0.8), (controls.TWIN, "a, untrained", 0.5))
        for measure, note in ((share, ""), (slope, controls.NOT_RESOLVED), ("GR-2 cosine", ""))
    ]
    rows.append(ControlRow(controls.SUBJECT, "a", controls.GR3_SURROGATE, None, note=controls.NOT_RESOLVED))
    return GradientControls(provenance(), rows, {controls.SHUFFLED: "not here"}, "36 clips", {})


def flowed():
    rows = [
        FlowRow("encoder", "learned", near(0.1), near(0.7)),
        FlowRow("layer1", "learned", near(0.2), None, "it has none"),
        FlowRow("encoder", "untrained", near(0.3), near(0.9)),
    ]
    curve = np.stack([np.linspace(0.1, 0.2, 9)] * 3) * np.array([[1.0], [0.8], [1.2]])
    window = np.stack([curve, np.full((3, 9), np.nan), curve])
    return FlowResult(provenance(), rows, np.stack([curve] * 3), window, 10.0, 36, {}, {})


def explained(subject="a"):
    maps = np.zeros((2, 9, 4))
    maps[1, 5, 2] = 0.5
    deletions = [
        DeletionRow("nothing", near(0.9), Estimate(0.0)),
        DeletionRow("most salient", near(0.4), Estimate(50.0, 45.0, 55.0)),
        DeletionRow("random bins", near(0.8), Estimate(10.0, 5.0, 15.0)),
    ]
    return SaliencyResult(
        provenance(subject), ["go", "<no>"], maps, maps, [18, 18], [], deletions, 0.1, 32, 10.0, 36, {}, {}
    )


def every_chart() -> dict[str, tuple[go.Figure, str]]:
    both, words = [shared(), shared("b")], [explained(), explained("b")]
    return {
        "streams": (streams.shares(both), streams.shares_alt(both)),
        "bands": (streams.bands(both), streams.bands_alt(both)),
        "controls": (
            gradient_controls.comparison(compared()),
            gradient_controls.comparison_alt(compared()),
        ),
        "flow": (flow.by_time(flowed()), flow.by_time_alt(flowed())),
        "maps": (saliency.word_maps(explained(), "<no>"), saliency.word_maps_alt(explained(), "<no>")),
        "deletions": (saliency.deletions(words), saliency.deletions_alt(words)),
    }


CHARTS = every_chart()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_light_keeps_its_zoom_and_is_told_in_words(name):
    figure, alt = CHARTS[name]
    assert figure.layout.uirevision
    assert len(alt) > 40 and "nan" not in alt
    for trace in figure.data:
        for values in (trace["x"], trace["y"], trace["z"] if trace.type == "heatmap" else None):
            if isinstance(values, np.ndarray):
                assert values.dtype in (np.float32, np.int16)
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    numbered = [a for a in figure.select_xaxes() if not a.tickvals and a.showticklabels is not False]
    assert axes and all(axis.title.text for axis in numbered)


def by_name(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_each_stream_stands_beside_what_reconstruction_would_give():
    figure = streams.shares([shared()])
    (ours,), (rebuilt,) = by_name(figure, "a"), by_name(figure, "reconstruction gradient, a")
    assert ours.y.tolist() == pytest.approx([0.8, 0.2])
    assert rebuilt.y.tolist() == pytest.approx([0.6, 0.6])
    assert list(figure.layout.xaxis.ticktext) == ["coarse", "fine"]


def test_controls_have_their_own_colour_and_open_marks_where_nothing_is_resolved():
    figure = gradient_controls.comparison(compared())
    assert list(figure.layout.yaxis.ticktext) == ["a", "a, untrained"]
    twins = by_name(figure, controls.TWIN)
    assert {trace.marker.color for trace in twins} == {theme.CONDITIONS["untrained"]}
    assert [t.marker.symbol for t in twins].count("circle-open") == 1
    assert len(by_name(figure, "permuted pairs")) == 2
    assert "dCE / dlog Dc: a 0.8 (not resolved)" in gradient_controls.comparison_alt(compared())


def test_flow_draws_the_twin_dashed_and_leaves_out_what_does_not_apply():
    figure = flow.by_time(flowed())
    (norm,) = by_name(figure, "layer1, learned")  # no window below it
    assert norm.y.tolist() == pytest.approx(np.linspace(0.1, 0.2, 9).tolist())
    assert {trace.line.dash for trace in by_name(figure, "encoder, untrained")} == {"dash"}
    assert figure.layout.yaxis.type == "log"


def test_a_map_is_symmetric_about_nothing_and_its_word_is_no_markup():
    figure = saliency.word_maps(explained(), "<no>")
    heat = figure.data[0]
    assert (heat.zmin, heat.zmax) == (-0.5, 0.5)
    assert np.unravel_index(heat.z.argmax(), heat.z.shape) == (2, 5)
    assert "&lt;no&gt;" in figure.layout.annotations[0].text
    assert "50 ms in band 2" in saliency.word_maps_alt(explained(), "<no>")


def test_deletions_are_drawn_with_intervals_and_without_the_empty_one():
    (lost,) = saliency.deletions([explained()]).data
    assert lost.x.tolist() == [50.0, 10.0]
    assert lost.error_x.array.tolist() == [5.0, 5.0]
