"""Encoders beside each other: what was planted leads, what is equal does not, pairs are the same clips."""

from dataclasses import replace

import numpy as np
import pytest

from analysis import controls
from analysis.encoder_comparison import (
    LINEAR,
    LOG_MEL,
    RANDOM_MEAN,
    SMALL,
    EncodersResult,
    compare_encoders,
)
from analysis.planted import PLANTED
from models.errors import SpikelensError
from tests.analysis.builders import planted
from tests.analysis.smooth import plant, smooth_material


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.fixture(scope="module")
def faithful(material, tmp_path_factory):
    return plant(PLANTED["faithful"](material, 0), tmp_path_factory.mktemp("faithful"), "kept")


@pytest.fixture(scope="module")
def task_only(material, tmp_path_factory):
    return plant(PLANTED["task-only"](material, 0), tmp_path_factory.mktemp("task"), "told")


@pytest.fixture(scope="module")
def result(task_only, faithful):
    return compare_encoders(task_only, against=faithful)


def test_the_word_code_leads_every_control_and_the_lead_is_the_difference(result):
    subject = result.find(controls.SUBJECT)
    assert subject.accuracy.value > 0.95 and subject.subject_minus is None
    for name in (controls.MATCHED, controls.FAITHFUL, controls.START, RANDOM_MEAN, "kept"):
        row = result.find(name)
        assert row.subject_minus.low > 0, name
        assert row.subject_minus.value == pytest.approx(subject.accuracy.value - row.accuracy.value)


def test_rows_say_whether_the_event_rate_is_the_subjects(result):
    assert result.find(controls.SUBJECT).rate_matched
    assert result.find(controls.MATCHED).rate_matched
    assert result.find(LOG_MEL).rate_matched is None and result.find(LOG_MEL).events_per_frame is None
    draws = [result.find(f"{controls.RANDOM} {i + 1}") for i in range(controls.N_RANDOM)]
    assert not all(row.rate_matched for row in draws)
    mean = result.find(RANDOM_MEAN)
    assert mean.accuracy.value == pytest.approx(np.mean([row.accuracy.value for row in draws]))
    assert mean.sd == pytest.approx(np.std([row.accuracy.value for row in draws], ddof=1))


def test_few_labels_are_drawn_where_there_are_enough_and_refused_where_not(result):
    assert result.find(controls.SUBJECT, "10 clips a word").sd is not None
    assert "200 clips a word" in result.not_applicable
    few, all_of_them = (result.find("kept", reading).accuracy.value for reading in ("10 clips a word", SMALL))
    assert few <= all_of_them + 0.1


def test_the_faithful_encoder_does_not_lead_the_faithful_control(faithful):
    row = compare_encoders(faithful).find(controls.FAITHFUL)
    assert row.subject_minus.low <= 0 <= row.subject_minus.high and row.mcnemar_p > 0.05


def test_an_encoder_against_its_double_differs_by_nothing(task_only, material, tmp_path):
    double = plant(PLANTED["task-only"](material, 0), tmp_path, "double")
    row = compare_encoders(task_only, against=double, n_draws=2).find("double")
    assert row.subject_minus.value == row.subject_minus.low == row.subject_minus.high == 0
    assert row.mcnemar_p == 1.0


def test_other_clips_cannot_be_paired(task_only, tmp_path):
    other = smooth_material(n=300)
    elsewhere = plant(PLANTED["task-only"](other, 0), tmp_path, "elsewhere")
    with pytest.raises(SpikelensError, match="against: elsewhere"):
        compare_encoders(task_only, against=elsewhere)
    with pytest.raises(SpikelensError, match="against: told is the subject"):
        compare_encoders(task_only, against=task_only)


def test_recordings_without_sound_have_no_controls_and_say_so(material, tmp_path):
    arrays = PLANTED["task-only"](material, 0)
    silent = plant({k: v for k, v in arrays.items() if k != "features"}, tmp_path, "silent")
    result = compare_encoders(silent)
    assert {row.encoder for row in result.rows} == {controls.SUBJECT}
    assert "log-mel" in result.not_applicable["control encoders"]


def test_table_and_json_hold_every_row(result):
    table = result.to_table()
    assert len(table) == len(result.rows) == len(result.correct)
    assert np.allclose(result.correct.mean(axis=1), table["accuracy"])
    again = EncodersResult.from_json(result.to_json())
    assert again.rows == result.rows
    assert replace(again, correct=result.correct).find("kept", LINEAR) == result.find("kept", LINEAR)


def test_progress_and_the_split_that_is_fitted_on(tmp_path):
    recordings = planted(tmp_path / "r")
    seen = []
    compare_encoders(recordings, n_draws=2, progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen) and seen[0] >= 0 and seen[-1] <= 1
    with pytest.raises(SpikelensError, match="split: 'train'"):
        compare_encoders(recordings, split="train")
