"""Charts over trainings: a mark a training, open where a slope is not resolved, everything in words."""

from analysis.fidelity_front import FrontResult, FrontRow
from analysis.gradient_path import GradientPath, PathRow
from analysis.result import Estimate, Provenance
from app.charts import trainings

WHERE = Provenance("net", "tones", "validation", "d")


def test_the_front_has_a_colour_a_price_and_a_mark_a_training():
    rows = [
        FrontRow("a", 0.0, True, 0, Estimate(93.0, 90.0, 95.0), 18.0, 0.1),
        FrontRow("a-s1", 0.0, True, 1, Estimate(92.0, 90.0, 95.0), 18.2, 0.1),
        FrontRow("<b>", 1.0, False, 0, Estimate(91.0, 89.0, 94.0), 20.0, 0.1),
    ]
    result = FrontResult(WHERE, rows, {})
    free, alone = trainings.front(result).data
    assert list(free.y) == [93.0, 92.0] and alone.name == "reconstruction alone"
    assert alone.text[0] == "&lt;b&gt;"  # names come from files
    assert "20.0 dB" in trainings.front_alt(result)


def test_the_path_marks_what_is_not_resolved():
    def row(epoch, loss, resolved):
        return PathRow(epoch, loss, "log dc", 0.9, Estimate(0.1 * epoch, -1.0, 1.0), 0.0, resolved)

    rows = [row(e, loss, e > 0) for loss in ("cross-entropy", "squared error") for e in (0, 3)]
    result = GradientPath(WHERE, rows, {0: None, 3: Estimate(-0.9, -1.0, -0.5)}, {0: 0.01, 3: 0.02}, {})
    task, sound, cosine = trainings.path(result).data
    assert list(task.marker.symbol) == ["circle-open", "circle"]
    assert task.line.color != sound.line.color
    assert list(cosine.x) == [3]
    assert "epoch 0: cosine not resolved" in trainings.path_alt(result)
