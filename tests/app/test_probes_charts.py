"""Charts of probe controls, encoders, time and nuisance: what is drawn is what was measured."""

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis import controls, probing
from analysis.encoder_comparison import LINEAR, LOG_MEL, RANDOM_MEAN, SMALL, EncoderRow, EncodersResult
from analysis.nuisance import ACCURACY, R2, NuisanceResult, NuisanceRow
from analysis.probing import ProbeResult, ProbeRow
from analysis.time_probes import HalfTime, TimeResult, TimeRow
from app.charts import encoders, nuisance, probes, theme, time_probes
from tests.app.test_charts import near, provenance


def probed():
    conditions = (probing.LEARNED, probing.REDUCED, probing.NEIGHBORS, probing.CONTROL_TASK)
    rows = [
        ProbeRow(
            point,
            condition,
            near(0.5 + 0.1 * k),
            near(1.0),
            1e-3,
            256,
            near(0.4) if condition == probing.CONTROL_TASK else None,
        )
        for point in ("features", "encoder")
        for k, condition in enumerate(conditions)
    ]
    rows += [ProbeRow("decoded", probing.LEARNED, near(0.5), near(1.0))]
    rows += [ProbeRow("", name, near(0.2), near(1.1)) for name in (probing.CHANCE, probing.CONTROL_CHANCE)]
    counts = np.array([[8, 4, 0], [1, 11, 0], [0, 0, 12]])
    confusion = {"encoder": counts}
    words = ["<go>", "no", "yes"]
    return ProbeResult(provenance(), rows, np.zeros((len(rows), 36)), "a fifth", {}, words, confusion, {})


def compared():
    rows = []
    rates = {controls.SUBJECT: True, controls.MATCHED: True, f"{controls.RANDOM} 1": False, RANDOM_MEAN: None}
    for k, (name, matched) in enumerate((rates | {LOG_MEL: None, "<b>": False}).items()):
        for reading in (LINEAR, SMALL, "10 clips a word", "50 clips a word"):
            less = None if name == controls.SUBJECT else near(0.05)
            few = reading not in (LINEAR, SMALL)
            rows.append(
                EncoderRow(
                    name,
                    reading,
                    near(0.6 - 0.05 * k),
                    near(1.0),
                    less,
                    None if few or less is None else 0.01,
                    None if matched is None else 19.0,
                    matched,
                    0.01 if few else None,
                    0.01,
                    256,
                )
            )
    return EncodersResult(provenance(), rows, np.zeros((len(rows), 36)), "a fifth", 5, {}, {})


def timed():
    rows = [
        TimeRow(code, 100.0 * k, near(0.1 * k), near(0.1))
        for code in ("features", "encoder", "layer1", controls.MATCHED, "layer1, untrained")
        for k in range(1, 6)
    ]
    halves = [
        HalfTime(code, None if "untrained" in code else near(250.0), None)
        for code in dict.fromkeys(row.code for row in rows)
    ]
    return TimeResult(provenance(), rows, halves, 0.1, "a fifth", {}, {})


def asked():
    rows = [
        NuisanceRow(
            target,
            R2 if target == "level" else ACCURACY,
            code,
            near(0.5),
            near(0.0),
            0.0 if target == "level" else 0.1,
            controls.MATCHED if code == "encoder" else "",
            near(-0.1) if code == "encoder" else None,
        )
        for target in ("word", "speaker", "level", "<added> noise")
        for code in ("features", "encoder", "layer1", controls.MATCHED, "layer1, untrained")
    ]
    return NuisanceResult(provenance(), rows, {}, 256, {}, {})


CHARTS = {
    "controls": (probes.controls(probed()), probes.controls_alt(probed())),
    "confusion": (probes.confusion(probed(), "encoder"), probes.confusion_alt(probed(), "encoder")),
    "encoders": (encoders.by_encoder(compared()), encoders.by_encoder_alt(compared())),
    "few labels": (encoders.few_labels(compared()), encoders.few_labels_alt(compared())),
    "time": (time_probes.by_time(timed()), time_probes.by_time_alt(timed())),
    "nuisance": (nuisance.by_target(asked()), nuisance.by_target_alt(asked())),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_light_keeps_its_zoom_has_named_axes_and_is_told_in_words(name):
    figure, alt = CHARTS[name]
    assert isinstance(figure, go.Figure) and figure.layout.uirevision
    assert len(alt) > 40 and "nan" not in alt
    for trace in figure.data:
        for values in (trace.x, trace.y, trace.z if trace.type == "heatmap" else None):
            if isinstance(values, np.ndarray) and values.dtype != object:
                assert values.dtype in (np.float32, np.int16)
    shown = [axis for axis in figure.select_xaxes() if axis.anchor is None or axis.title.text]
    assert shown and all(axis.title.text for axis in shown)


@pytest.mark.parametrize("name", CHARTS)
def test_words_of_a_file_are_no_markup(name):
    drawn = CHARTS[name][0].to_json()
    for markup in ("<b>", "<go>", "<added>"):
        assert markup not in drawn


def by_name(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_controls_stand_beside_whole_codes_and_say_the_selectivity():
    figure, alt = CHARTS["controls"]
    assert list(figure.layout.xaxis.ticktext) == ["features", "encoder"]
    (task,) = by_name(figure, "linear probe, control task")
    assert task.y.tolist() == pytest.approx([0.8, 0.8]) and "selectivity 0.4" in task.text[0]
    assert "selectivity 0.4" in alt


def test_confusions_are_shares_of_a_true_word_and_name_the_commonest_mistake():
    figure, alt = CHARTS["confusion"]
    assert figure.data[0].z.sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert figure.data[0].z[0, 1] == pytest.approx(4 / 12)
    assert "<go> for no (4 clips)" in alt


def test_marks_are_filled_only_at_the_subjects_event_rate():
    figure, _ = CHARTS["encoders"]
    (linear,) = by_name(figure, LINEAR)
    assert list(linear.marker.symbol) == ["circle"] * 2 + ["circle-open"] * 4
    assert linear.marker.color[1] == theme.CONDITIONS["SF2-rec@r"]
    assert "subject less this 0.05" in linear.text[1]


def test_few_labels_show_random_steps_once():
    figure, _ = CHARTS["few labels"]
    names = [trace.name for trace in figure.data]
    assert RANDOM_MEAN in names and f"{controls.RANDOM} 1" not in names
    assert figure.data[0].x.tolist() == [10, 50]


def test_half_times_are_starred_where_there_are_any():
    figure, alt = CHARTS["time"]
    stars = [trace for trace in figure.data if trace.marker.symbol == "star"]
    assert [trace.name for trace in stars] == [
        f"half-time, {code}" for code in ("features", "encoder", "layer1", controls.MATCHED)
    ]
    assert stars[0].y[0] == pytest.approx(0.3)
    assert "never above chance" in alt
    (twin,) = by_name(figure, "layer1, untrained")
    assert twin.line.dash == "dash" and twin.line.color == by_name(figure, "layer1")[0].line.color


def test_each_property_has_a_panel_with_its_null():
    figure, _ = CHARTS["nuisance"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles[:3] == ["word, accuracy", "speaker, accuracy", "level, R2"]
    assert len(by_name(figure, "permuted values")) == len(by_name(figure, "probe")) == 4
    assert "less SF2-rec@r: -0.1" in by_name(figure, "probe")[0].text[1]
