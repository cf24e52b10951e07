"""Reconstruction recovers what was planted, agrees with arithmetic, and finds nothing in shuffled pairs."""

import numpy as np
import pytest

from analysis import decoders
from analysis.decoders import ridge_weights
from analysis.fitting import fifth_of_groups
from analysis.listening import reconstruct_clip
from analysis.planted import planted_faithful, planted_noise, planted_task_only
from analysis.reconstruction import reconstruct
from analysis.reconstruction_result import (
    FRAME_TEMPLATE,
    OWN,
    PERMUTED,
    RIDGE,
    RUNNING_SUM,
    SPECTRAL_DISTANCE,
    UNTRAINED,
    WORD_TEMPLATE,
    ReconstructionResult,
)
from analysis.reconstruction_scores import snr_difference, to_decibel
from analysis.reference import faithful_reference
from analysis.result import Estimate
from analysis.ridge import predict, solve_ridge, squared_error, window_sums
from models.errors import SpikelensError
from tests.analysis.smooth import plant, smooth_material, written


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.fixture(scope="module")
def faithful(material, tmp_path_factory):
    return plant(planted_faithful(material), tmp_path_factory.mktemp("faithful"), "smooth-faithful")


@pytest.fixture
def result(faithful):
    return reconstruct(faithful)


def _design(activity, lags):
    """Return the whole window matrix, ``(n T, (2L + 1) N + 1)``."""
    n, n_steps, _ = activity.shape
    padded = np.pad(activity.astype(float), ((0, 0), (lags, lags), (0, 0)))
    columns = [padded[:, i : i + n_steps] for i in range(2 * lags + 1)]
    return np.concatenate([*columns, np.ones((n, n_steps, 1))], axis=-1).reshape(n * n_steps, -1)


@pytest.mark.parametrize(("n_steps", "lags"), [(12, 3), (5, 4), (3, 4), (9, 0)])
def test_window_sums_equal_those_of_the_whole_design(n_steps, lags):
    rng = np.random.default_rng(0)
    spikes = (rng.random((6, n_steps, 7)) < 0.3).astype(np.uint8)
    targets = rng.standard_normal((6, n_steps, 4))
    design, flat = _design(spikes, lags), targets.reshape(-1, 4)
    sums = window_sums(spikes[:4], targets[:4], lags) + window_sums(spikes[4:], targets[4:], lags)
    np.testing.assert_allclose(sums.gram, design.T @ design)
    np.testing.assert_allclose(sums.cross, design.T @ flat, rtol=1e-5, atol=1e-5)  # float32 sums
    weights = solve_ridge(sums, 0.1)
    np.testing.assert_allclose(predict(spikes, weights, lags).reshape(-1, 4), design @ weights)
    error = ((flat - design @ weights) ** 2).sum(axis=0)
    np.testing.assert_allclose(squared_error(sums, weights), error, rtol=1e-4)


def test_ridge_recovers_a_planted_map_with_lags():
    rng = np.random.default_rng(1)
    spikes = (rng.random((60, 20, 5)) < 0.3).astype(np.uint8)
    weights = rng.standard_normal((5 * 5 + 1, 3))
    targets = predict(spikes, weights, 2)
    np.testing.assert_allclose(solve_ridge(window_sums(spikes, targets, 2), 1e-12), weights, atol=1e-6)


def test_ridge_survives_silent_units():
    sums = window_sums(np.zeros((3, 6, 4), np.uint8), np.ones((3, 6, 2)), 1)
    np.testing.assert_allclose(predict(np.zeros((1, 6, 4), np.uint8), solve_ridge(sums, 1e-3), 1), 1.0)


def test_decibels_of_a_ratio_turn_the_interval_round():
    snr = to_decibel(Estimate(0.1, 0.01, 1.0, 7))
    assert (snr.value, snr.low, snr.high, snr.n) == pytest.approx((10.0, 0.0, 20.0, 7))


def test_metrics_agree_with_arithmetic(tmp_path):
    # Two words at +2 and -2 in both bands; the own decoder says +1 and -1; spikes say nothing.
    values = {}
    for split, count in (("train", 20), ("validation", 8)):
        labels = np.arange(count) % 2
        features = np.broadcast_to(np.where(labels, -2.0, 2.0)[:, None, None], (count, 6, 2)).astype(
            np.float32
        )
        spikes = np.zeros((count, 6, 3), np.uint8)
        values[split] = {"labels": labels, "features": features, "encoder": spikes, "decoded": features / 2}
    result = reconstruct(written(tmp_path / "r", values))
    own = result.rows[result.find("encoder", OWN)]
    assert own.snr_db.value == pytest.approx(10 * np.log10(4))  # signal 4, error 1
    assert own.r2.value == pytest.approx(0.75)
    row = result.find("encoder", OWN)
    np.testing.assert_allclose(result.pearson_per_band[row], 1.0)
    np.testing.assert_allclose(result.r2_per_band[row], 0.75)
    np.testing.assert_allclose(result.error_over_time[row], 1.0)
    frame = result.rows[result.find("features", FRAME_TEMPLATE)]  # the words cancel: the template is 0
    assert frame.snr_db.value == pytest.approx(0.0)
    assert frame.r2.value == pytest.approx(0.0)
    word = result.rows[result.find("features", WORD_TEMPLATE)]
    assert word.r2.value == pytest.approx(1.0)
    assert word.snr_db.value == pytest.approx(120.0)  # no error at all


def test_word_template_is_the_zero_of_the_within_word_scale(result):
    word = result.rows[result.find("features", WORD_TEMPLATE)]
    assert word.r2_within_word.value == 0.0
    assert 0.1 < word.r2.value < 0.9  # by construction about a third of the variance
    frame = result.rows[result.find("features", FRAME_TEMPLATE)]
    assert frame.r2_within_word.value < 0 < word.snr_db.value - frame.snr_db.value


def test_faithful_code_is_rebuilt_and_shuffled_pairs_are_not(result):
    rows = {row.decoder: row for row in result.rows if row.point == "encoder"}
    assert rows[OWN].snr_db.value > 15
    assert rows[RUNNING_SUM].snr_db.value > rows[OWN].snr_db.value - 0.3  # the own decoder is one of these
    assert rows[RIDGE].r2_within_word.low > 0.1
    frame = result.rows[result.find("features", FRAME_TEMPLATE)]
    for kind in (RIDGE, RUNNING_SUM):
        null = rows[kind + PERMUTED]
        assert null.snr_db.value < frame.snr_db.value + 0.3
        assert null.r2_within_word.high < 0.05
    assert result.penalty_chosen_on == "a speaker-disjoint fifth of the training split"


def test_noise_gives_no_more_than_the_frame_template(material, tmp_path):
    result = reconstruct(plant(planted_noise(material), tmp_path, "smooth-noise"))
    ridge, frame = (
        result.rows[result.find(*key)] for key in (("encoder", RIDGE), ("features", FRAME_TEMPLATE))
    )
    assert ridge.snr_db.low < frame.snr_db.value + 0.2
    assert ridge.r2_within_word.high < 0.05


def test_what_has_no_decoder_is_not_applicable(material, tmp_path):
    result = reconstruct(plant(planted_task_only(material), tmp_path, "smooth-task"))
    assert result.find("encoder", OWN) is None
    assert "no decoder" in result.not_applicable[OWN]
    assert "scale" in result.not_applicable[SPECTRAL_DISTANCE]  # an import
    table = result.to_table()
    assert table.metric.str.contains("not applicable").sum() == 2
    assert not (table.metric == "log_spectral_distance_db").any()
    ridge = result.rows[result.find("encoder", RIDGE)]
    word = result.rows[result.find("features", WORD_TEMPLATE)]
    assert ridge.snr_db.value == pytest.approx(word.snr_db.value, abs=0.3)  # the word, and nothing else


def test_unit_and_offset_of_imported_features_do_not_matter(material, result, tmp_path):
    arrays = planted_faithful(material)
    arrays |= {key: 5 * arrays[key] - 40 for key in ("features", "decoded")}
    moved = reconstruct(plant(arrays, tmp_path, "smooth-moved"))
    for before, after in zip(result.rows, moved.rows, strict=True):
        assert after.snr_db.value == pytest.approx(before.snr_db.value, abs=0.02)


def test_one_clip_comes_back_in_its_own_unit(material, tmp_path):
    arrays = planted_faithful(material)
    arrays |= {key: 5 * arrays[key] - 40 for key in ("features", "decoded")}
    moved = plant(arrays, tmp_path, "smooth-clip")
    original = moved.split("validation").load("features")[3]
    for point in ("decoded", "encoder"):
        rebuilt = reconstruct_clip(moved, "validation", 3, point)
        assert rebuilt.shape == original.shape
        assert np.abs(rebuilt - original).mean() < 0.25 * original.std()
    np.testing.assert_array_equal(reconstruct_clip(moved, "validation", 3, "features"), original)
    with pytest.raises(SpikelensError, match="clip: 60 is not between 0 and 59"):
        reconstruct_clip(moved, "validation", 60, "encoder")


def test_fitted_decoders_are_kept(faithful, result, monkeypatch):
    def refuse(*args):
        raise AssertionError("fitted twice")

    monkeypatch.setattr(decoders, "window_sums", refuse)
    again = reconstruct(faithful)
    np.testing.assert_allclose(again.clip_error, result.clip_error)
    with pytest.raises(AssertionError):
        ridge_weights(faithful, "encoder", split="validation", lags=4)


def test_penalty_for_test_is_chosen_on_validation(faithful):
    result = reconstruct(faithful, split="test")
    assert result.penalty_chosen_on == "the validation split"
    assert result.provenance.split == "test"


def test_clips_that_choose_the_penalty_share_no_speaker_with_the_fit(faithful):
    train = faithful.split("train")
    aside = fifth_of_groups(train, seed=0)
    speakers = np.array(train.speakers)
    assert 0 < aside.sum() < len(train) / 2
    assert not set(speakers[aside]) & set(speakers[~aside])


def test_result_survives_json(result):
    copy = ReconstructionResult.from_json(result.to_json())
    assert copy.rows == result.rows
    np.testing.assert_allclose(copy.r2_per_band, result.r2_per_band)


def test_bad_requests_are_refused_in_one_line(faithful, tmp_path):
    with pytest.raises(SpikelensError, match="split: 'train' is what the decoders are fitted on"):
        reconstruct(faithful, split="train")
    with pytest.raises(SpikelensError, match="point: 'layer9' was not recorded"):
        reconstruct(faithful, points=["layer9"])
    spikes = {
        s: {"labels": np.zeros(4, int), "encoder": np.zeros((4, 5, 2), np.uint8)}
        for s in ("train", "validation")
    }
    with pytest.raises(SpikelensError, match="no features"):
        reconstruct(written(tmp_path / "bare", spikes))


def test_reference_spends_the_same_events_and_keeps_the_clips(material, faithful, tmp_path):
    rng = np.random.default_rng(0)
    arrays = planted_noise(material)
    arrays["spikes"] = (rng.random(arrays["spikes"].shape) < 0.05).astype(np.uint8)
    sparse = plant(arrays, tmp_path, "smooth-sparse")
    reference = faithful_reference(sparse)
    assert reference.extra["rate_matched"]
    assert reference.split("train").load("encoder").mean() == pytest.approx(0.05, rel=0.03)
    assert reference.split("test").speakers == sparse.split("test").speakers
    np.testing.assert_array_equal(reference.split("test").labels, sparse.split("test").labels)
    own = reconstruct(reference, points=["encoder"])
    assert own.rows[0].decoder == OWN
    free = reconstruct(faithful_reference(sparse, matched=False), points=["encoder"])
    assert free.rows[0].snr_db.value > own.rows[0].snr_db.value + 1  # events buy faithfulness


def test_a_rate_out_of_reach_is_said(material, tmp_path):
    arrays = planted_noise(material)
    arrays["spikes"] = np.ones_like(arrays["spikes"])
    reference = faithful_reference(plant(arrays, tmp_path, "smooth-busy"))
    assert not reference.extra["rate_matched"]
    assert reference.extra["target_rate"] == pytest.approx(1.0)
    assert reference.extra["rate"] < 0.5


def _two_levels(folder):
    """Write two words at +2 and -2 in both of two bands, decoded as +1 and -1."""
    values = {}
    for split, count in (("train", 20), ("validation", 8)):
        labels = np.arange(count) % 2
        level = np.where(labels, -2.0, 2.0)[:, None, None]
        features = np.broadcast_to(level, (count, 6, 2)).astype(np.float32)
        spikes = np.zeros((count, 6, 3), np.uint8)
        values[split] = {"labels": labels, "features": features, "encoder": spikes, "decoded": features / 2}
    return written(folder / "levels", values)


def test_log_spectral_distance_undoes_the_normalisation(tmp_path):
    recordings = _two_levels(tmp_path)
    recordings.extra["feature_std"] = [1.0, 3.0]  # as a capture records it
    result = reconstruct(recordings)
    own = result.rows[result.find("encoder", OWN)]
    db = 10 / np.log(10)  # an error of one standard deviation, which is 1 and 3 nepers of power
    assert own.log_spectral_distance_db.value == pytest.approx(np.sqrt((db**2 + (3 * db) ** 2) / 2))
    word = result.rows[result.find("features", WORD_TEMPLATE)]
    assert word.log_spectral_distance_db.value == pytest.approx(0.0)
    assert SPECTRAL_DISTANCE not in result.not_applicable


def test_a_difference_of_snr_is_the_ratio_of_the_errors():
    error = np.array([1.0, 2.0, 3.0])
    difference = snr_difference(error, 2 * error, np.arange(3), seed=0)
    assert difference.value == difference.low == difference.high == pytest.approx(10 * np.log10(2))


def test_the_untrained_twin_stands_beside_hidden_layers_only(material, tmp_path):
    def layered(name, hidden):
        arrays = planted_faithful(material) | {"layers/layer1": hidden["spikes"]}
        return plant(arrays, tmp_path, name)

    subject = layered("layered", planted_faithful(material))
    twin = layered("layered-twin", planted_noise(material))
    result = reconstruct(subject, twin=twin)
    assert result.find("encoder", RIDGE + UNTRAINED) is None
    learned, untrained, null = (
        result.rows[result.find("layer1", RUNNING_SUM + end)] for end in ("", UNTRAINED, PERMUTED)
    )
    assert learned.snr_db.low > 15
    assert untrained.snr_db.value == pytest.approx(null.snr_db.value, abs=0.5)  # the twin holds nothing


def test_progress_goes_forward_and_stays_between_nought_and_one(material, tmp_path):
    told = []
    subject = plant(planted_faithful(material), tmp_path, "smooth-told")
    reconstruct(subject, nonlinear=["encoder"], progress=lambda fraction, words: told.append(fraction))
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1 and len(told) > 5
