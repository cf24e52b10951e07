"""Charts of learning rules: one colour a rule, a reference line in every panel, everything in words."""

import numpy as np
import pytest

from analysis.learning_rules import LearningRules, RuleArm, RuleTraining
from analysis.result import Estimate, Provenance
from analysis.rule_result import Likeness, PointReading, RuleRepresentations, System
from app.charts import learning_rules as charts
from app.charts import theme

WHERE = Provenance("net", "tones", "validation", "d")


def training(name, arm, seed, accuracy, cosines=None, angles=None):
    epochs = np.arange(1.0, 1 + len(accuracy))
    rows = {key: np.array(row) for key, row in (cosines or {}).items()}
    turned = {key: np.array(row) for key, row in (angles or {}).items()}
    final = Estimate(accuracy[-1], accuracy[-1] - 2, accuracy[-1] + 2, 50)
    return RuleTraining(name, arm, seed, epochs, np.array(accuracy), epochs / 10, rows, turned, final, 2)


@pytest.fixture
def rules():
    arms = [
        RuleArm("BPTT", "BPTT", "", "", [1, 2], 85.0, 7.0),
        RuleArm("D1", "D1", "transport", "clip", [1], 70.0, np.nan),
        RuleArm("D1, <lr> 0.02", "D1", "transport", "clip", [1], 60.0, np.nan),
    ]
    cosines = {"layer1_leak": [0.1, np.nan], "encoder": [0.5, -0.2], "layer1_input": [0.0, 0.3]}
    angles = {"layer1": [88.0, 60.0]}
    trainings = [
        training("a-s1", "BPTT", 1, [60.0, 80.0]),
        training("a-s2", "BPTT", 2, [80.0, 90.0]),
        training("b", "D1", 1, [50.0, 70.0], cosines, angles),
        training("c", "D1, <lr> 0.02", 1, [40.0, 60.0], cosines, angles),
    ]
    return LearningRules(WHERE, arms, trainings, [], {})


def test_an_arm_is_the_mean_of_its_seeds_in_the_colour_of_its_rule(rules):
    lines = [trace for trace in charts.accuracy(rules).data if trace.name]
    assert [line.name for line in lines] == ["BPTT (mean of 2 seeds)", "D1", "D1, &lt;lr&gt; 0.02"]
    assert list(lines[0].y) == [70.0, 85.0] and lines[0].y.dtype == np.float32
    assert [line.line.color for line in lines] == [theme.RULES[rule] for rule in ("BPTT", "D1", "D1")]
    assert lines[1].line.dash != lines[2].line.dash
    assert "BPTT: 85.0 % in the epoch kept, 2 seeds; D1: 70.0 %" in charts.accuracy_alt(rules)


def test_every_tensor_has_a_panel_with_a_line_at_zero(rules):
    figure = charts.cosines(rules)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["encoder", "layer1: input weights", "layer1: leak"]
    assert [shape.y0 for shape in figure.layout.shapes] == [0, 0, 0]
    assert {trace.legendgroup for trace in figure.data} == {"D1", "D1, <lr> 0.02"}  # BPTT is the gradient
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2
    assert {trace.line.color for trace in figure.data} == {theme.RULES["D1"]}
    assert "D1, layer1: leak 0.10 to 0.10" in charts.cosines_alt(rules)  # the last that is known


def test_angles_point_up_with_a_line_at_ninety(rules):
    figure = charts.angles(rules)
    assert figure.layout.yaxis.range[0] > 90 > figure.layout.yaxis.range[1] == 0
    assert [shape.y0 for shape in figure.layout.shapes] == [90]
    assert "D1, layer1 88 to 60" in charts.angles_alt(rules)


def test_backpropagation_alone_has_no_agreement_to_draw(rules):
    alone = LearningRules(WHERE, rules.arms[:1], rules.trainings[:2], [], {})
    assert charts.cosines(alone) is None and charts.angles(alone) is None


@pytest.fixture
def compared():
    def system(label):
        return System(label, "net", None, Estimate(80.0), {"encoder": 0.1}, {"dc": 0.9}, 18.0)

    readings = [
        PointReading("D1", "encoder", Estimate(70.0, 65.0, 75.0), Estimate(12.0), None),
        PointReading("BPTT, epoch 3", "encoder", Estimate(72.0, 66.0, 77.0), Estimate(13.0), Estimate(-2.0)),
        PointReading("untrained", "encoder", Estimate(50.0, 45.0, 55.0), None, Estimate(20.0)),
    ]
    likenesses = [
        Likeness("D1", "BPTT, epoch 3", "encoder", Estimate(0.9, 0.8, 0.95), 0.02, 0.4),
        Likeness("D1", "untrained", "encoder", Estimate(0.7, 0.6, 0.8), 0.01, 0.3),
    ]
    labels = ("D1", "BPTT, epoch 3", "untrained")
    return RuleRepresentations(WHERE, [system(x) for x in labels], readings, likenesses, True, "", [], {})


def test_probes_show_each_system_and_the_null(compared):
    figure = charts.probes(compared)
    nulls = [trace for trace in figure.data if trace.name == "permuted labels"]
    assert [list(trace.y) for trace in nulls] == [[12.0], [13.0]]
    found = {trace.name: trace.marker.color for trace in figure.data if trace not in nulls}
    assert found == {
        "D1": theme.RULES["D1"],
        "BPTT, epoch 3": theme.RULES["BPTT"],
        "untrained": theme.CONDITIONS["untrained"],
    }
    assert "untrained at encoder: 50 [45, 55] %" in charts.probes_alt(compared)


def test_likeness_shows_pairs_from_the_top_beside_both_nulls(compared):
    _, words, cka = charts.likeness(compared).data
    assert list(cka.y) == ["D1 ~ untrained", "D1 ~ BPTT, epoch 3"]  # the last one is drawn on top
    assert list(cka.x) == pytest.approx([0.7, 0.9]) and list(words.x) == pytest.approx([0.3, 0.4])
    assert "encoder, D1 and untrained: 0.7 [0.6, 0.8], permuted within words 0.30" in charts.likeness_alt(
        compared
    )
