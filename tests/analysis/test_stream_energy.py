"""GR-4 by hand: shares of energy by stream and band, and intervals of whole curves."""

import numpy as np
import pytest

from analysis.curve_intervals import curve_interval
from analysis.stats import bootstrap_mean
from analysis.stream_energy import band_shares, grouped, stream_rows

STREAMS = {"coarse_on": (0, 2), "coarse_off": (2, 4), "fine_on": (4, 6), "fine_off": (6, 8)}


def test_streams_are_grouped_by_what_stands_before_the_underscore():
    assert grouped(STREAMS)["coarse"] == [(0, 2), (2, 4)]
    assert list(grouped(STREAMS))[:2] == ["coarse", "fine"]
    assert list(grouped({"on": (0, 2), "off": (2, 4)})) == ["on", "off"]


def test_every_clip_counts_alike_and_the_pooled_share_follows_the_loud_one():
    task = np.array([[1.0, 0, 1, 0, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0, 90, 6]])  # two channels a stream
    events = np.array([[1.0, 0, 0, 0, 3, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 3, 0]])  # coarse_off is silent
    rows = {r.stream: r for r in stream_rows(task, task, events, STREAMS, np.zeros(2), seed=0)}
    assert rows["coarse"].share.value == pytest.approx((0.5 + 0) / 2)
    assert rows["coarse"].pooled.value == pytest.approx(2 / 100)
    assert rows["coarse"].per_event.value == pytest.approx(0.25 / 0.25)
    assert rows["coarse"].per_channel.value == pytest.approx(0.25 / 0.5)
    assert rows["fine_off"].share.value == pytest.approx(0.5)
    assert np.isnan(rows["coarse_off"].per_event.value)


def test_bands_are_summed_over_streams():
    energy = np.array([[1.0, 0, 1, 0, 2, 0, 0, 4]])  # band 0, band 1, by turns
    shares = band_shares(np.repeat(energy, 3, axis=0), 2, np.arange(3), seed=0)
    np.testing.assert_allclose(shares, [[0.5, 0.5]] * 3)


def test_a_curve_has_the_interval_of_each_of_its_places():
    rng = np.random.default_rng(0)
    values, groups = rng.standard_normal((120, 2, 3)), np.arange(120) // 4
    mean, low, high = curve_interval(values, groups)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    alone = bootstrap_mean(values[:, 1, 2], groups)
    assert (low[1, 2], high[1, 2]) == pytest.approx((alone.low, alone.high), abs=0.03)
    assert np.isnan(curve_interval(values, np.zeros(120))[1:]).all()
