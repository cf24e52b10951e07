"""Bits are those that were planted: all of the word, none of noise, and none for permuted labels."""

import numpy as np
import pytest

from analysis.controls import FAITHFUL, MATCHED, SUBJECT
from analysis.information import InformationResult, information
from analysis.planted import PLANTED
from models.errors import SpikelensError
from tests.analysis.builders import planted
from tests.analysis.smooth import plant, smooth_material


@pytest.fixture(scope="module")
def by_builder(tmp_path_factory):
    return information(planted(tmp_path_factory.mktemp("information") / "r"))


@pytest.fixture(scope="module")
def task_only(tmp_path_factory):
    folder = tmp_path_factory.mktemp("information-planted")
    return information(plant(PLANTED["task-only"](smooth_material(), 0), folder, "informed"))


def test_four_equal_words_hold_two_bits_and_a_planted_code_tells_nearly_all(by_builder):
    assert by_builder.entropy_bits == pytest.approx(2.0)
    encoder = by_builder.find(SUBJECT, "encoder")
    assert 1.7 < encoder.bits.value <= 2.0 and encoder.bits.high <= 2.0
    noise = by_builder.find(SUBJECT, "layer1")
    assert noise.bits.low <= 0.05


def test_permuted_labels_tell_nothing(by_builder):
    for row in by_builder.rows:
        assert row.shuffled.value < 0.05, row.point


def test_a_spike_is_worth_the_bound_over_the_spikes(by_builder):
    row = by_builder.find(SUBJECT, "encoder")
    assert row.millibits_per_spike.value == pytest.approx(1000 * row.bits.value / row.spikes)
    assert by_builder.find(SUBJECT, "features").millibits_per_spike is None


def test_the_word_code_holds_more_than_the_faithful_one(task_only):
    for name in (MATCHED, FAITHFUL):
        row = task_only.find(name, "encoder")
        assert row.difference.value > 0
        subject = task_only.find(SUBJECT, "encoder")
        assert row.difference.value == pytest.approx(subject.bits.value - row.bits.value)
    table = task_only.to_table()
    assert np.allclose(
        InformationResult.from_json(task_only.to_json()).to_table()["bits"], table["bits"], equal_nan=True
    )


def test_mistakes_are_named(tmp_path):
    recordings = planted(tmp_path / "r")
    with pytest.raises(SpikelensError, match="layer9"):
        information(recordings, points=["layer9"])
    with pytest.raises(SpikelensError, match="split: 'train'"):
        information(recordings, split="train")
