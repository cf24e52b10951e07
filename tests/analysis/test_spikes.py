"""Counts that can be checked with a pencil."""

import numpy as np
import pytest

from analysis.spikes import SpikeStatistics, sparsity, spike_statistics
from models.errors import SpikelensError

#        unit 0: steps 0, 2, 6; unit 1: all ten; unit 2: nine of ten; unit 3: never
TRAIN = np.zeros((10, 4), np.uint8)
TRAIN[[0, 2, 6], 0] = 1
TRAIN[:, 1] = 1
TRAIN[:9, 2] = 1


def test_one_clip_by_hand(record):
    found = spike_statistics(record([TRAIN]), point="encoder")
    # 10 steps of 10 ms: 0.1 s, so n spikes are 10 n Hz
    assert found.unit_rate_hz.tolist() == [30.0, 100.0, 90.0, 0.0]
    assert found.rate_hz.value == pytest.approx(22 / 4 * 10)
    assert found.n_silent == 1 and found.n_saturated == 2
    # unit 0 waits 20 and 40 ms; unit 1 nine times 10 ms; unit 2 eight times 10 ms
    assert dict(zip(found.isi_ms.tolist(), found.isi_count.tolist(), strict=True)) == {
        10.0: 17,
        20.0: 1,
        40.0: 1,
    } | {10.0 * k: 0 for k in (3, 5, 6, 7, 8, 9)}
    assert found.mean_isi_ms == pytest.approx((17 * 10 + 20 + 40) / 19)
    assert found.unit_isi_cv[:3] == pytest.approx([1 / 3, 0, 0])  # 20 and 40: mean 30, deviation 10
    assert np.isnan(found.unit_isi_cv[3])


def test_intervals_do_not_reach_into_the_next_clip_or_unit(record):
    spikes = np.zeros((2, 6, 2))
    spikes[0, 5, 0] = spikes[1, 0, 0] = spikes[1, 3, 1] = 1
    found = spike_statistics(record(spikes))
    assert found.isi_count.sum() == 0 and np.isnan(found.mean_isi_ms)


def test_blocks_add_up(record):
    spikes = np.random.default_rng(0).random((600, 8, 5)) < 0.3  # more than one block of 512
    found = spike_statistics(record(spikes))
    assert found.unit_rate_hz == pytest.approx(spikes.mean(axis=(0, 1)) * 100)
    expected = sum(len(np.diff(np.flatnonzero(clip[:, u]))) for clip in spikes for u in range(5))
    assert found.isi_count.sum() == expected


def test_a_coin_has_geometric_intervals(record):
    p = 0.2
    spikes = np.random.default_rng(1).random((40, 2000, 3)) < p
    found = spike_statistics(record(spikes))
    assert found.mean_isi_ms == pytest.approx(10 / p, rel=0.02)
    assert found.unit_isi_cv == pytest.approx(np.sqrt(1 - p), rel=0.03)


def test_sparsity_of_even_and_of_single_responses():
    assert sparsity(np.array([[2.0, 2, 2, 2], [0, 0, 7, 0]])) == pytest.approx([0, 1])
    # r = (1, 3): 1 - 2^2 / 5 = 0.2, over 1 - 1/2
    assert sparsity(np.array([[1.0, 3.0]])) == pytest.approx([0.4])
    assert np.isnan(sparsity(np.zeros((1, 3)))[0])


def test_sparsity_over_units_differs_from_sparsity_over_clips(record):
    spikes = np.zeros((4, 5, 4))
    for clip in range(4):
        spikes[clip, :, clip] = 1  # every clip has a unit of its own
    assert spike_statistics(record(spikes)).population_sparsity.value == pytest.approx(1)
    alone = np.zeros((4, 5, 4))
    alone[0] = 1  # one clip has everything: even over units, single over clips
    found = spike_statistics(record(alone, name="alone"))
    assert found.population_sparsity.value == pytest.approx(0) and found.population_sparsity.n == 1
    assert found.lifetime_sparsity == pytest.approx([1] * 4)


def test_streams_have_rates_and_are_points(record):
    recordings = record([TRAIN], streams={"on": (0, 2), "off": (2, 4)})
    whole = spike_statistics(recordings)
    assert {k: v.value for k, v in whole.stream_rates_hz.items()} == pytest.approx({"on": 65, "off": 45})
    assert spike_statistics(recordings, point="encoder/on").rate_hz.value == pytest.approx(65)


def test_the_interval_is_over_speakers(record):
    rng = np.random.default_rng(2)
    speaker = np.repeat(np.arange(10), 20)
    spikes = rng.random((200, 30, 4)) < rng.uniform(0.1, 0.6, 10)[speaker][:, None, None]
    over_speakers = spike_statistics(record(spikes, speakers=[f"s{i}" for i in speaker])).rate_hz
    over_clips = spike_statistics(record(spikes, name="unknown")).rate_hz
    assert over_speakers.high - over_speakers.low > 2 * (over_clips.high - over_clips.low)


def test_silence_is_a_result(record):
    found = spike_statistics(record(np.zeros((3, 5, 2))))
    assert found.rate_hz.value == 0 and found.n_silent == 2 and np.isnan(found.population_sparsity.value)
    again = SpikeStatistics.from_json(found.to_json())
    assert again.isi_count.tolist() == found.isi_count.tolist() and np.isnan(again.population_sparsity.value)


def test_the_table_says_what_the_fields_say(record):
    table = spike_statistics(record([TRAIN])).to_table().set_index("quantity")
    assert table.value["rate"] == pytest.approx(55) and table.value["silent units"] == 1


def test_points_without_spikes_are_refused(record):
    recordings = record([TRAIN], features=np.zeros((1, 10, 3)))
    with pytest.raises(SpikelensError, match="'features' does not spike; spiking are encoder"):
        spike_statistics(recordings, point="features")
    with pytest.raises(SpikelensError, match="'layer3'"):
        spike_statistics(recordings, point="layer3")
