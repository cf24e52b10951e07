"""Intervals: exact by hand where possible, and the right width where not."""

import numpy as np
import pytest

from analysis.stats import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratio,
    label_orders,
    mcnemar,
    mean_over_draws,
    permutation_p,
)


def test_ratio_is_of_sums_not_a_mean_of_ratios():
    found = bootstrap_ratio(np.array([1.0, 0.0, 9.0]), np.array([1.0, 1.0, 98.0]), np.arange(3))
    assert found.value == pytest.approx(10 / 100)
    assert found.low <= found.value <= found.high and found.n == 3


def test_speakers_not_clips_set_the_width():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 50)
    values = rng.random(20)[speakers]  # all clips of a speaker alike: 20 independent numbers, not 1,000
    over_speakers = bootstrap_mean(values, speakers)
    over_clips = bootstrap_mean(values, np.arange(1000))
    assert (over_speakers.high - over_speakers.low) > 4 * (over_clips.high - over_clips.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        speakers = np.repeat(np.arange(30), 10)
        values = 0.3 + rng.standard_normal(30)[speakers] * 0.1 + rng.standard_normal(300) * 0.2
        found = bootstrap_mean(values, speakers, seed=trial)
        hits += found.low <= 0.3 <= found.high
    assert 0.86 <= hits / 200 <= 0.99


def test_same_seed_same_interval():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_mean(values, np.arange(50), seed=3) == bootstrap_mean(values, np.arange(50), seed=3)
    assert bootstrap_mean(values, np.arange(50), seed=3) != bootstrap_mean(values, np.arange(50), seed=4)


def test_mcnemar_by_hand():
    a = np.array([True] * 10 + [False] * 0 + [True] * 80)
    b = np.array([False] * 10 + [True] * 80)
    assert mcnemar(a, b) == pytest.approx(2 * 0.5**10)
    assert mcnemar(a, a) == 1.0


def test_a_single_speaker_gives_no_interval():
    found = bootstrap_mean(np.array([0.0, 1.0]), np.array([4, 4]))
    assert found.value == 0.5 and found.low is None and found.high is None and found.n == 2


def test_a_paired_difference_sees_what_two_intervals_hide():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(25), 8)
    first = rng.random(25)[speakers]  # speakers differ far more than the two systems do
    second = first - 0.05 + 0.01 * rng.standard_normal(200)
    assert bootstrap_mean(first, speakers).low < bootstrap_mean(second, speakers).high
    difference = bootstrap_difference(first, second, speakers)
    assert difference.value == pytest.approx(np.mean(first - second)) and difference.low > 0.04


def test_equal_classifiers_are_told_apart_about_as_rarely_as_promised():
    rng = np.random.default_rng(2)
    by_interval = by_mcnemar = 0
    for trial in range(200):
        first, second = rng.random((2, 300)) < 0.8
        found = bootstrap_difference(first, second, np.arange(300), seed=trial)
        by_interval += not found.low <= 0 <= found.high
        by_mcnemar += mcnemar(first, second) < 0.05
    assert 0.01 <= by_interval / 200 <= 0.11 and by_mcnemar / 200 <= 0.11


def test_permutation_p_counts_the_observed_value_itself():
    null = np.arange(19.0)
    assert permutation_p(100.0, null) == pytest.approx(1 / 20)
    assert permutation_p(18.0, null) == pytest.approx(2 / 20)  # ties count
    assert permutation_p(-1.0, null) == 1.0


def test_mcnemar_over_speakers_is_the_exact_one_where_each_has_one_clip():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 60)) < np.array([[0.8], [0.6]])
    exact = mcnemar(first, second)
    assert mcnemar(first, second, np.arange(60)) == pytest.approx(exact, abs=0.02)
    alike = np.zeros(60, int)  # one speaker: nothing can be said
    assert mcnemar(first, second, alike) == 1.0
    assert mcnemar(first, first, alike) == 1.0


def test_labels_change_places_freely_unless_speaker_and_word_go_together():
    rng = np.random.default_rng(0)
    groups, words = np.repeat(np.arange(12), 5), np.tile(np.arange(5), 12)
    free = label_orders(words, groups, 50, rng)
    assert (np.sort(free, axis=1) == np.arange(60)).all() and (groups[free] != groups).mean() > 0.8
    bound = label_orders(groups % 2, groups, 50, rng)
    assert (np.sort(bound, axis=1) == np.arange(60)).all() and (groups[bound] == groups).all()
    assert (bound != np.arange(60)).any()
    unknown = label_orders(words, np.arange(60), 5, rng)  # speakers unknown: every clip its own
    assert (unknown != np.arange(60)).mean() > 0.8


def test_mean_over_draws_by_hand():
    found = mean_over_draws(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0 and found.high - 2.0 == pytest.approx(4.303 / np.sqrt(3), rel=1e-3)
    assert mean_over_draws(np.array([1.0])).low is None
