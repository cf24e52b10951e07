"""Chart builders of the analysis pages: what is drawn is what was measured, and nothing freezes a browser."""

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis.embedding import EmbeddingResult
from analysis.finite_differences import Slope
from analysis.gradient_measures import MeasureRow
from analysis.gradient_result import GradientResult
from analysis.probing import ProbeResult, ProbeRow
from analysis.reconstruction_result import ReconstructionResult, ReconstructionRow
from analysis.result import Estimate, Provenance
from analysis.separability import SeparabilityResult, SeparabilityRow
from analysis.spikes import SpikeStatistics
from analysis.step_slopes import StepSlope
from app.charts import embedding, gradients, probes, reconstruction, separability, spikes, theme


def provenance(subject="a"):
    return Provenance(subject, "tones", "validation", data_digest="0" * 64, config={"seed": 0})


def near(value, n=36):
    return Estimate(value, value - 0.1, value + 0.2, n)


def probe_result(subject="a"):
    rows = [
        ProbeRow("features", "learned", near(0.9), near(0.3), 1e-3, 400),
        ProbeRow("encoder", "learned", near(0.8), near(0.4), 1e-3, 1600),
        ProbeRow("encoder", "shuffled", near(0.3), near(1.2), 1e-3, 1600),
        ProbeRow("encoder", "untrained", near(0.7), near(0.5), 1e-3, 1600),
        ProbeRow("layer1", "learned", near(0.85), near(0.4), 1e-3, 120),
        ProbeRow("", "chance", near(1 / 3), near(1.1)),
    ]
    confusion = {"encoder": np.diag([12, 12, 12])}
    correct = np.zeros((len(rows), 36))
    return ProbeResult(provenance(subject), rows, correct, "a fifth", {}, ["go", "no", "yes"], confusion, {})


def gradient_result(subject="a"):
    def step(parameter, loss, value, resolved):
        true = [Slope(value, 0.01), Slope(value * 1.1, 0.02)]
        return StepSlope(parameter, loss, 0.9, Slope(-value, 0.01), true, resolved)

    slopes = [
        step(parameter, loss, 0.3, resolved=loss != "rate")
        for parameter in ("log dc", "log df")
        for loss in ("cross-entropy", "squared error", "rate")
    ]
    return GradientResult(
        provenance(subject),
        [MeasureRow("GR-1 Spearman", "median over clips", near(0.02), near(0.01))],
        slopes,
        "2,000 of the 6,257 train clips",
        near(-0.5),
        None,
        [],
        np.zeros((3, 0)),
        np.zeros((3, 0)),
        {},
        quantile_curve=np.linspace(0.8, 1.2, 10),
        quantile_curve_permuted=np.ones(10),
        spearman=np.full(8, 0.02),
        cosine=np.array([0.05] * 6 + [-0.1] * 2),
        cosine_permuted=np.zeros(8),
        n_clips=8,
        n_batches=4,
        n_without_gradient=0,
        axes={},
    )


def reconstruction_result(subject="a"):
    names = [
        ("encoder", "own", 19.0),
        ("encoder", "ridge", 20.0),
        ("encoder", "ridge, permuted clips", 0.5),
        ("features", "frame template", 1.0),
        ("features", "word template", 2.0),
    ]
    rows = [ReconstructionRow(p, d, near(snr), near(snr / 21), near(snr / 22)) for p, d, snr in names]
    return ReconstructionResult(
        provenance(subject),
        rows,
        {},
        r2_per_band=np.linspace(0, 1, 5 * 40).reshape(5, 40),
        pearson_per_band=np.full((5, 40), 0.5),
        error_over_time=np.full((5, 98), 0.1),
        clip_error=np.ones((5, 36)),
        clip_power=np.ones(36),
        dt_ms=10.0,
        penalty_chosen_on="a fifth",
        nonlinear_fit="",
        axes={},
    )


def separability_result(subject="a"):
    rows = [
        SeparabilityRow(point, measure, near(value), None if measure == "ratio" else near(0.0))
        for point, value in (("features", 0.9), ("encoder", 0.5), ("layer1", 0.7))
        for measure in ("Fisher", "silhouette", "CKA to labels", "ratio")
    ]
    return SeparabilityResult(provenance(subject), rows, 36, {}, {})


def embedding_result(clip_id="go/s_nohash_0", n=12):
    return EmbeddingResult(
        provenance(),
        point="encoder",
        method="pca",
        coordinates=np.random.default_rng(0).normal(size=(n, 2)),
        trustworthiness=0.9,
        explained_variance=[0.2, 0.1],
        rows=np.arange(n),
        clip_ids=[clip_id] * n,
        labels=["go", "no", "yes", "up"] * (n // 4),
        speakers=[],
        predicted=["go"] * n,
        rate_hz=np.linspace(1, 2, n),
        axes={"x": "PC 1", "y": "PC 2"},
    )


def spike_result():
    return SpikeStatistics(
        provenance(),
        point="encoder",
        rate_hz=near(12.0),
        stream_rates_hz={"coarse_on": near(10.0), "fine_on": near(14.0)},
        unit_rate_hz=np.array([0.0, 3.0, 100.0]),
        n_silent=1,
        n_saturated=1,
        population_sparsity=near(0.5),
        lifetime_sparsity=np.array([np.nan, 0.2, 0.1]),
        isi_ms=np.arange(1, 98) * 10.0,
        isi_count=np.r_[900, 100, np.zeros(95, int)],
        unit_isi_cv=np.array([np.nan, 1.0, 0.0]),
        dt_ms=10.0,
        axes={},
    )


HISTORY = [
    {
        "epoch": 1.0 + i,
        "encoder_dc": 0.9 + 0.01 * i,
        "encoder_df": 0.3,
        "encoder_tc": 0.55,
        "encoder_tf": 0.55,
    }
    for i in range(5)
]
CLIP = {
    "original": np.ones((98, 40)),
    "own decoder": np.zeros((98, 40)),
    "original minus own decoder": np.ones((98, 40)),
}


def every_chart() -> dict[str, tuple[go.Figure, str]]:
    """Build each chart with its words, comparing two subjects where that is possible."""
    both = [probe_result(), probe_result("b")]
    slopes = [gradient_result(), gradient_result("b")]
    rebuilt = [reconstruction_result(), reconstruction_result("b")]
    apart = [separability_result(), separability_result("b")]
    one, paths = rebuilt[0], {"a": HISTORY, "b": HISTORY}
    return {
        "probes": (probes.accuracy(both), probes.accuracy_alt(both)),
        "gr1": (gradients.bin_association(slopes), gradients.bin_association_alt(slopes)),
        "gr2": (gradients.cosines(slopes), gradients.cosines_alt(slopes)),
        "gr3": (gradients.step_slopes(slopes[0]), gradients.step_slopes_alt(slopes[0])),
        "path": (gradients.training_path(paths), gradients.training_path_alt(paths)),
        "decoders": (reconstruction.decoders(rebuilt), reconstruction.decoders_alt(rebuilt)),
        "bands": (reconstruction.by_band(one, "r2"), reconstruction.curves_alt(one, one.r2_per_band, "R2")),
        "time": (reconstruction.over_time(one), reconstruction.curves_alt(one, one.error_over_time, "error")),
        "clip": (reconstruction.clip(CLIP, 10.0), reconstruction.clip_alt(CLIP, "go")),
        "separability": (separability.measures(apart), separability.measures_alt(apart)),
        "embedding": (
            embedding.scatter(embedding_result(), "word", ["go", "no", "yes"] * 4),
            embedding.scatter_alt(embedding_result(), "word"),
        ),
        "spikes": (spikes.statistics(spike_result()), spikes.statistics_alt(spike_result())),
    }


CHARTS = every_chart()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_light_keeps_its_zoom_and_is_told_in_words(name):
    figure, alt = CHARTS[name]
    assert figure.layout.uirevision
    assert len(alt) > 40 and "nan" not in alt
    assert sum(trace.type.endswith("gl") for trace in figure.data) <= 3 or name == "embedding"
    for trace in figure.data:
        for values in (trace["x"], trace["y"], trace["z"] if trace.type == "heatmap" else None):
            if isinstance(values, np.ndarray):  # a float64 array would double what the browser loads
                assert values.dtype in (np.float32, np.int16)


@pytest.mark.parametrize("name", CHARTS)
def test_every_axis_that_shows_numbers_is_labelled(name):
    figure, _ = CHARTS[name]
    shown = [axis for axis in figure.select_xaxes() if not axis.tickvals and axis.visible is not False]
    shown = [axis for axis in shown if axis.showticklabels is not False]
    titled = [axis for axis in shown if axis.title.text is not None]
    assert titled == shown


def by_name(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_probe_accuracy_stands_beside_its_controls_with_intervals():
    figure = probes.accuracy([probe_result()])
    (learned,) = by_name(figure, "learned, a")
    assert learned.y.tolist() == pytest.approx([0.8, 0.85])
    assert learned.error_y.array.tolist() == pytest.approx([0.2, 0.2])
    assert learned.error_y.arrayminus.tolist() == pytest.approx([0.1, 0.1])
    (shuffled,) = by_name(figure, "shuffled, a")
    assert shuffled.y.tolist() == pytest.approx([0.3])
    assert shuffled.marker.color == theme.CONDITIONS["shuffled"] != learned.marker.color
    heights = sorted(shape.y0 for shape in figure.layout.shapes if shape.type == "line")
    assert heights == pytest.approx([1 / 3, 0.9])  # chance, and the raw log-mel, which is no point of its own
    assert list(figure.layout.xaxis.ticktext) == ["encoder", "layer1"]


def test_a_second_checkpoint_is_drawn_over_the_first_in_its_own_colour():
    figure = probes.accuracy([probe_result(), probe_result("b")])
    first, second = by_name(figure, "learned, a")[0], by_name(figure, "learned, b")[0]
    assert first.marker.color != second.marker.color
    assert first.marker.symbol != second.marker.symbol
    assert np.all(np.abs(first.x - second.x) < 0.2)


def test_slopes_that_are_not_resolved_have_open_markers():
    figure = gradients.step_slopes(gradient_result())
    true = by_name(figure, "true, 5 % steps")
    assert [trace.x.tolist() for trace in true] == [pytest.approx([0.33, 0.33])] * 3
    open_markers = [[symbol.endswith("-open") for symbol in trace.marker.symbol] for trace in true]
    assert open_markers == [[False, False], [False, False], [True, True]]
    assert not any(s.endswith("-open") for t in by_name(figure, "surrogate") for s in t.marker.symbol)
    assert "rate in log dc not resolved" in gradients.step_slopes_alt(gradient_result())


def test_the_cosine_histogram_holds_every_clip_beside_its_null():
    figure = gradients.cosines([gradient_result()])
    clips, permuted = figure.data
    assert clips.y.sum() == pytest.approx(1) and permuted.y.sum() == pytest.approx(1)
    assert clips.x[clips.y.argmax()] == pytest.approx(0.05, abs=0.02)


def test_a_history_without_steps_has_no_path():
    assert gradients.has_path(HISTORY)
    assert not gradients.has_path([])
    assert not gradients.has_path([{"epoch": 1.0, "train_loss": 2.0}])


def test_a_decoder_and_its_null_share_a_row_and_templates_are_lines():
    figure = reconstruction.decoders([reconstruction_result()])
    assert list(figure.layout.yaxis.ticktext) == ["encoder, own", "encoder, ridge"]
    true, null = by_name(figure, "a")[0], by_name(figure, "a, spikes of another clip")[0]
    assert true.x.tolist() == [19.0, 20.0] and null.x.tolist() == [0.5]
    assert null.y[0] == true.y[1]
    assert [s.x0 for s in figure.layout.shapes if s.xref == "x"] == [1.0, 2.0]


def test_the_panels_of_a_clip_share_time_axis_and_colour_scale():
    figure = reconstruction.clip(CLIP, 10.0)
    assert [trace.z.shape for trace in figure.data] == [(40, 98)] * 3
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    assert figure.layout.coloraxis.cmin == -figure.layout.coloraxis.cmax
    assert {trace.dx for trace in figure.data} == {10.0}
    assert figure.layout.xaxis.matches == figure.layout.xaxis2.matches == "x3"


def test_separability_draws_the_log_mel_as_a_line_and_the_null_where_there_is_one():
    figure = separability.measures([separability_result()])
    assert [s.x0 for s in figure.layout.shapes] == [0.9] * 4
    assert len(by_name(figure, "permuted")) == 3  # the ratio has none
    assert by_name(figure, "a")[0].x.tolist() == pytest.approx([0.5, 0.7])


def test_text_from_files_cannot_become_markup_in_a_hover_box():
    result = embedding_result(clip_id="go/<img src=x onerror=alert(1)>")
    figure = embedding.scatter(result, "word", ["<b>go</b>"] * 12)
    drawn = figure.to_json()
    assert "<img" not in drawn.replace("\\u003c", "<") and "<b>" not in drawn.replace("\\u003c", "<")
    assert "&lt;img" in drawn.replace("\\u0026", "&")


def test_numbers_colour_by_scale_and_names_by_group():
    result = embedding_result()
    scale = embedding.scatter(result, "rate", result.rate_hz)
    assert len(scale.data) == 1 and scale.data[0].marker.color.tolist() == pytest.approx(
        result.rate_hz.tolist()
    )
    groups = embedding.scatter(result, "word", result.labels)
    assert {trace.name: len(trace.x) for trace in groups.data} == {"go": 3, "no": 3, "yes": 3, "up": 3}


def test_forty_speakers_get_no_legend_but_differ_in_colour_or_symbol():
    result = embedding_result(n=40)
    figure = embedding.scatter(result, "speaker", [f"s{i}" for i in range(40)])
    assert not figure.layout.showlegend
    assert len({(trace.marker.color, trace.marker.symbol) for trace in figure.data}) == 40


def test_spike_statistics_name_silent_and_saturated_units():
    figure = spikes.statistics(spike_result())
    assert figure.layout.annotations[0].text == "3 units: 1 silent, 1 saturated"
    intervals = figure.data[1]
    assert intervals.y[:2].tolist() == pytest.approx([0.9, 0.1])
    assert list(figure.data[2].x) == ["all", "coarse_on", "fine_on"]
    assert figure.data[2].marker.color[1] == theme.STREAMS["coarse_on"]
