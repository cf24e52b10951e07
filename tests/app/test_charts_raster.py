"""The raster's builder, without Streamlit: what is drawn where, and how much of it."""

import numpy as np
import pytest

from analysis.raster import RasterResult
from analysis.result import Provenance
from app.charts.raster import duration_ms, raster_alt, raster_figure, spike_count
from app.charts.theme import STREAMS


def made(**changes) -> RasterResult:
    """Return four frames of four encoder channels in two streams, three hidden units and two words."""
    encoder = np.zeros((4, 4), np.uint8)
    encoder[1, 0] = encoder[3, 2] = 1
    layer = np.eye(4, 3, dtype=np.uint8)
    fields = {
        "provenance": Provenance("net", "tones", "validation", "d"),
        "clip": 0,
        "clip_id": "go/a_nohash_0",
        "label": "go",
        "predicted": "no",
        "speaker": "a",
        "features": np.arange(8, dtype=np.float64).reshape(4, 2),
        "spikes": {"encoder": encoder, "layer1": layer},
        "orders": {"encoder": np.array([1, 0, 2, 3]), "layer1": np.array([2, 1, 0])},
        "streams": {"encoder": {"coarse_on": (0, 2), "fine_on": (2, 4)}, "layer1": {}},
        "probabilities": np.array([[0.5, 0.5], [0.6, 0.4], [0.4, 0.6], [0.3, 0.7]], np.float32),
        "class_names": ["go", "no"],
        "sort": "rate",
        "dt_ms": 10.0,
        "axes": {},
    }
    return RasterResult(**fields | changes)


def heatmaps(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def test_each_spike_is_drawn_in_its_stream_colour_at_its_place_in_the_order():
    figure = raster_figure([made()])
    features, coarse, fine, layer = heatmaps(figure)
    assert coarse.z.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]  # channel 0 comes second
    assert coarse.customdata[:, 0].tolist() == [1, 0]
    assert (coarse.y0, fine.y0) == (0, 2)
    assert coarse.colorscale[1][1] == STREAMS["coarse_on"]
    assert fine.colorscale[1][1] == STREAMS["fine_on"]
    assert fine.z.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    assert layer.z.tolist() == [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert features.z.dtype == np.float32
    assert all(trace.z.dtype == np.uint8 for trace in (coarse, fine, layer))


def test_all_panels_share_one_time_axis_in_milliseconds_and_keep_zoom():
    figure = raster_figure([made()], np.zeros(640, np.float32), first_frame_ms=12.5, key="k")
    axes = [axis for axis in figure.layout if axis.startswith("xaxis")]
    linked = {figure.layout[axis].matches for axis in axes}
    assert len(axes) == 5 and len(linked - {None}) == 1
    assert all((trace.x0, trace.dx) == (12.5, 10.0) for trace in heatmaps(figure))
    assert figure.layout.uirevision == "k"
    assert any("ms" in (figure.layout[axis].title.text or "") for axis in axes)


def test_a_window_holds_for_every_panel():
    figure = raster_figure([made()], window_ms=(10, 30))
    axes = [axis for axis in figure.layout if axis.startswith("xaxis")]
    assert {tuple(figure.layout[axis].range) for axis in axes} == {(10, 30)}
    assert duration_ms(made(), None) == 40
    assert duration_ms(made(), np.zeros(16_000)) == 1000


def test_the_sound_keeps_its_peaks_in_few_points():
    sound = np.zeros(16_000, np.float32)
    sound[1_001], sound[9_000] = 0.8, -0.5
    low, high = raster_figure([made()], sound).data[:2]
    assert len(low.x) + len(high.x) <= 2_000
    assert (max(high.y), min(low.y)) == (np.float32(0.8), -0.5)
    assert high.x[np.argmax(high.y)] == pytest.approx(1000 * 1_001 / 16_000, abs=2)


def test_a_second_system_is_stacked_below_and_counted():
    one, two = made(), made(provenance=Provenance("other", "tones", "validation", "d"))
    figure = raster_figure([one, two])
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [
        "normalised log-mel",
        *(f"{name}: {panel}" for name in ("net", "other") for panel in TITLES),
    ]
    assert spike_count([one]) == 5
    assert spike_count([one, two]) == 10


TITLES = ("encoder", "layer1", "evidence for each word so far")


def test_the_spoken_word_is_shown_even_when_many_others_lead():
    n = 9
    probabilities = np.tile(np.linspace(0, 1, n, dtype=np.float32), (4, 1))
    result = made(probabilities=probabilities, class_names=[f"w{i}" for i in range(n)], label="w0")
    lines = [trace for trace in raster_figure([result]).data if trace.type == "scatter"]
    assert [line.name for line in lines] == ["w8", "w7", "w6", "w5", "w4", "w0 (spoken)"]
    assert lines[-1].line.dash == "solid"


def test_without_features_and_readout_only_spikes_are_drawn():
    figure = raster_figure([made(features=None, probabilities=None, predicted=None, streams=NO_STREAMS)])
    assert len(figure.data) == 2
    assert "heard" not in raster_alt([made(predicted=None)])


NO_STREAMS = {"encoder": {}, "layer1": {}}


def test_words_from_files_cannot_become_markup():
    hostile = "<img src=x>"
    figure = raster_figure([made(class_names=[hostile, "no"], label=hostile)])
    assert hostile not in figure.to_json()
    assert "&lt;img" in figure.to_json()


def test_the_description_names_clip_word_decision_and_counts():
    words = raster_alt([made()])
    for part in ("go/a_nohash_0", "spoken word go", "heard as no", "2 spikes of 4 units at encoder"):
        assert part in words
