"""The word is decodable from when it was planted, and never from permuted labels."""

import numpy as np
import pytest

from analysis.controls import MATCHED
from analysis.linear_probe import N_NULLS
from analysis.time_probes import HALF_TIME, TimeResult, half_time, probe_over_time
from tests.analysis.builders import planted
from tests.analysis.smooth import written

ONSET = 20  # frames of 40


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """Return recordings whose encoder tells the word from frame 20 on; layer1 all along."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 240), ("validation", 120)):
        labels = np.arange(n) % 4
        own = np.arange(16) % 4 == labels[:, None]  # (n, 16)
        early = rng.random((n, 40, 16)) < 0.1 + 0.5 * own[:, None]
        spikes = rng.random((n, 40, 16)) < 0.1
        spikes[:, ONSET:] = early[:, ONSET:]
        arrays[split] = {
            "labels": labels,
            "encoder": spikes.astype(np.uint8),
            "layer1": early.astype(np.uint8),
        }
    return written(tmp_path_factory.mktemp("late") / "r", arrays, digest="late")


@pytest.fixture(scope="module")
def result(late):
    return probe_over_time(late, twin=late)


def test_the_word_appears_where_it_was_planted(result):
    rows = result.of("encoder")
    assert [row.time_ms for row in rows] == [40.0 * k for k in range(1, 11)]
    assert all(row.accuracy.value < 0.45 for row in rows if row.time_ms <= 200)
    assert rows[-1].accuracy.value > 0.95
    assert result.of("layer1")[1].accuracy.value > 0.9


def test_half_times_follow_and_their_intervals_hold_them(result):
    late, early = (next(h for h in result.half_times if h.code == code) for code in ("encoder", "layer1"))
    assert 200 < late.time_ms.value < 320 and early.time_ms.value < 60
    assert late.time_ms.low <= late.time_ms.value <= late.time_ms.high
    assert late.after_features_ms is None  # no log-mel was recorded


def test_permuted_labels_tell_nothing_at_any_time(result):
    nulls = [row.shuffled for row in result.rows]
    assert max(null.value for null in nulls) < 0.45
    assert {null.n for null in nulls} == {N_NULLS}  # the interval is over permutations
    assert abs(np.mean([null.value for null in nulls]) - 0.25) < 0.1


def test_a_half_time_by_hand():
    times_ms = np.array([100.0, 200.0, 300.0])
    assert half_time(np.array([0.25, 0.75, 0.75]), 0.25, times_ms) == 150.0
    assert half_time(np.array([0.75, 0.75, 0.75]), 0.25, times_ms) == 50.0  # from chance at 0
    assert np.isnan(half_time(np.array([0.5, 0.5, 0.2]), 0.25, times_ms))


def test_noise_has_no_half_time(tmp_path):
    result = probe_over_time(planted(tmp_path / "r"))
    halves = {half.code: half for half in result.half_times}
    assert halves["layer1"].time_ms is None
    assert halves["encoder"].time_ms is not None and halves["encoder"].after_features_ms is not None
    assert MATCHED in result.codes() or MATCHED in result.not_applicable
    assert "untrained" in result.not_applicable


def test_the_twin_stands_beside_hidden_layers_only(result):
    assert result.codes() == ["encoder", "layer1", "layer1, untrained"]
    assert MATCHED in result.not_applicable


def test_table_and_json(result):
    table = result.to_table()
    assert len(table) == 2 * len(result.rows) + len(result.half_times)
    assert (table["measure"] == HALF_TIME).sum() == 3
    again = TimeResult.from_json(result.to_json())
    assert again.rows == result.rows and again.half_times == result.half_times
