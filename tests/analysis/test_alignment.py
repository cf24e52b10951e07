"""The verdict tells planted corners apart, and its claims follow whole intervals, not point values."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis import claims
from analysis.alignment import VerdictResult, verdict
from analysis.claims import CONTRADICTED, NOT_APPLICABLE, NOT_SHOWN, SHOWN, VerdictRow
from analysis.planted import PLANTED
from analysis.result import Estimate
from tests.analysis.smooth import plant, smooth_material, written


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.fixture(scope="module")
def verdicts(material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verdicts")
    return {
        kind: verdict(plant(PLANTED[kind](material, 0), folder, f"verdict-{kind}"))
        for kind in ("faithful", "task-only", "random", "noise", "both")
    }


def test_faithful_and_task_only_land_in_opposite_corners(verdicts):
    faithful, task = verdicts["faithful"], verdicts["task-only"]
    assert (faithful.faithful, faithful.task_aligned) == (SHOWN, NOT_SHOWN)
    assert (task.faithful, task.task_aligned) == (CONTRADICTED, SHOWN)
    assert faithful.x.value > task.x.value + 10
    assert task.y.low > 0
    assert faithful.y.low <= 0 <= faithful.y.high
    assert faithful.sentence.startswith("Faithful, not shown to be task-aligned")
    assert task.sentence.startswith("Task-aligned, not faithful")
    # It keeps what the word says of the sound, and not more.
    assert task.x.value == pytest.approx(task.lines["word template"], abs=0.4)
    assert any("no decoder of its own" in caveat for caveat in task.caveats)


def test_noise_is_neither(verdicts):
    noise = verdicts["noise"]
    assert (noise.faithful, noise.task_aligned) == (CONTRADICTED, CONTRADICTED)
    assert noise.y.high < 0
    assert noise.x.value < noise.lines["word template"]


def test_an_untuned_code_of_another_kind_is_not_called_faithful_or_task_aligned(verdicts):
    # Ridge reads more from it than from step-forward spikes, whose sound lies in their running sums.
    random = verdicts["random"]
    assert random.faithful == CONTRADICTED
    assert random.task_aligned != SHOWN


def test_both_keeps_the_sound_and_is_no_case_of_giving_it_up(verdicts):
    both = verdicts["both"]
    assert both.faithful == SHOWN
    assert both.task_aligned != SHOWN
    assert both.y.low > 0
    assert any("channels" in caveat for caveat in both.caveats)


def test_a_verdict_names_what_would_refute_it_and_survives_json(verdicts):
    for found in verdicts.values():
        assert found.refuted_by
        assert VerdictResult.from_json(found.to_json()).rows == found.rows
    bar = next(
        row for row in verdicts["task-only"].rows if row.quantity == "SNR, best decoder"
    ).reference.value
    assert f"{bar:.1f} dB or more" in verdicts["task-only"].refuted_by


def test_missing_features_are_not_applicable_never_zero(material, tmp_path):
    arrays = PLANTED["task-only"](material, 0)
    del arrays["features"]
    found = verdict(plant(arrays, tmp_path, "bare"))
    assert (found.faithful, found.task_aligned) == (NOT_APPLICABLE, NOT_APPLICABLE)
    assert found.x is None and found.y is None
    assert "no features" in found.sentence
    table = found.to_table()
    assert table[table.quantity == "SNR"].value.isna().all()
    accuracy = table[table.quantity == "probe accuracy at the encoder"]
    assert accuracy.value.item() == 100.0  # what can be measured still is


@pytest.mark.parametrize("kept", [1, 4])
def test_a_handful_of_speakers_carries_no_claim(material, tmp_path, kept):
    arrays = PLANTED["faithful"](material, 0)
    other = arrays["split"] != "validation"
    arrays["speaker"] = np.where(
        other, material.speaker, np.char.add("v", (np.arange(len(other)) % kept).astype(str))
    )
    found = verdict(plant(arrays, tmp_path, f"few-{kept}"))
    assert (found.faithful, found.task_aligned) == (NOT_APPLICABLE, NOT_APPLICABLE)
    assert f"at least 5 speakers, the validation split has {kept}" in found.sentence


def test_direct_input_is_not_applicable(tmp_path):
    rng = np.random.default_rng(0)
    values = {}
    for split, count in (("train", 40), ("validation", 12)):
        x = rng.standard_normal((count, 10, 3)).astype(np.float32)
        values[split] = {"labels": np.arange(count) % 2, "features": x, "encoder": x}
    found = verdict(written(tmp_path / "direct", values))
    assert found.faithful == NOT_APPLICABLE
    assert "does not spike" in found.sentence


def _row(low, high, value=None):
    middle = Estimate((low + high) / 2 if value is None else value, low, high)
    return VerdictRow("q", "dB", middle, middle, middle)


@pytest.mark.parametrize(
    ("low", "high", "spare", "claim"),
    [
        (-0.9, 0.2, 0.0, SHOWN),
        (-1.1, -0.2, 0.0, NOT_SHOWN),  # the middle lies within 1 dB, the interval does not
        (-3.0, -1.1, 0.0, CONTRADICTED),
        (2.0, 3.0, 0.0, SHOWN),
        (2.0, 3.0, 5.0, CONTRADICTED),  # only because the reference had to waste events
    ],
)
def test_faithful_takes_the_whole_interval(low, high, spare, claim):
    assert claims.judge_faithful(_row(low, high), _row(0.4, 0.6), spare) == claim


def test_equal_to_a_reference_that_holds_only_the_word_is_not_faithful():
    assert claims.judge_faithful(_row(-0.1, 0.1), _row(-0.02, 0.02), 0.0) == NOT_SHOWN


@pytest.mark.parametrize(
    ("snr", "alike", "gain", "unequal", "claim"),
    [
        ((-4, -3), (-4, -3), (1, 3), False, SHOWN),
        ((-4, -3), (-4, -3), (1, 3), True, NOT_SHOWN),  # more events or channels could do it
        ((-4, -3), (-4, -3), (-0.1, 3), False, NOT_SHOWN),
        ((-4, -3), (-4, -3), (-3, -1), False, CONTRADICTED),
        ((-4, 0.1), (-4, 0.1), (1, 3), False, NOT_SHOWN),
        ((0, 0), (0, 0), (1, 3), False, CONTRADICTED),  # nothing was given up
        ((-4, -3), (5, 6), (1, 3), False, NOT_SHOWN),  # its own best decoder finds more in it
    ],
)
def test_task_aligned_takes_both_intervals_and_equal_means(snr, alike, gain, unequal, claim):
    assert claims.judge_task_aligned(_row(*snr), _row(*alike), _row(*gain), unequal) == claim


def test_conclusions_claim_no_more_than_was_shown():
    for faithful in (SHOWN, NOT_SHOWN, CONTRADICTED):
        for gain in (_row(-1, 1), _row(1, 2)):
            sentence = claims.conclude(faithful, NOT_SHOWN, gain).lower()
            assert "task-aligned" not in sentence or "not" in sentence or "neither" in sentence
        assert claims.conclude(faithful, SHOWN, _row(1, 2)).startswith("Task-aligned")
    assert "not shown" in claims.conclude(NOT_SHOWN, SHOWN, _row(1, 2))


def test_one_training_run_is_never_sold_as_more():
    recipe = {"encoder": {"name": "residual"}, "train": {"rate_weight": 0.1}}
    subject = SimpleNamespace(source="checkpoint", extra={"recipe": recipe}, synthetic=True, splits={})
    found = " ".join(claims.caveats(subject, *[_row(-3, -2)] * 3, _row(0.5, 1.5), 0.0))
    for words in (
        "not training seeds",
        "as much as this difference",
        "rate_weight = 0",
        "synthetic speech",
        "linear probe",
    ):
        assert words in found
