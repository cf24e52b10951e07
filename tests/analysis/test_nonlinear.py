"""The non-linear decoder finds what no line can read, and nothing where nothing is."""

import numpy as np
import pytest

from analysis import nonlinear
from analysis.nonlinear import NonlinearWeights, nonlinear_decoder
from analysis.nonlinear_fit import network_inputs
from analysis.planted import planted_faithful, planted_noise
from analysis.reconstruction import reconstruct
from analysis.reconstruction_result import FRAME_TEMPLATE, NONLINEAR, PERMUTED, RIDGE, RUNNING_SUM
from tests.analysis.smooth import plant, smooth_material, written


@pytest.fixture(scope="module")
def material():
    return smooth_material()


def _products(folder, n_train=1200):
    """Write features that are products of two signs, each sign told by a spike: nothing for a line."""
    rng, values = np.random.default_rng(0), {}
    for split, count in (("train", n_train), ("validation", 120)):
        signs = rng.choice([-1, 1], size=(2, count, 10, 2))
        values[split] = {
            "labels": np.arange(count) % 2,
            "features": (signs[0] * signs[1]).astype(np.float32),
            "encoder": (np.concatenate(signs, axis=-1) > 0).astype(np.uint8),
        }
    return written(folder / "products", values, digest="products")


def test_what_only_a_product_tells_is_not_gone(tmp_path):
    result = reconstruct(_products(tmp_path), points=["encoder"], nonlinear=["encoder"], lags=1)
    rows = {row.decoder: row for row in result.rows}
    for kind in (RIDGE, RUNNING_SUM):
        assert rows[kind].snr_db.high < 0.3
    assert rows[NONLINEAR].snr_db.low > 10
    assert rows[NONLINEAR + PERMUTED].snr_db.high < 0.3
    assert result.nonlinear_fit.startswith("960 training clips, stopped on 240 clips of a fifth")


def test_it_starts_from_the_better_ridge_decoder_and_noise_adds_nothing(material, tmp_path):
    result = reconstruct(
        plant(planted_noise(material), tmp_path, "nonlinear-noise"),
        points=["encoder"],
        nonlinear=["encoder"],
    )
    rows = {row.decoder: row for row in result.rows}
    assert rows[NONLINEAR].snr_db.value < rows[FRAME_TEMPLATE].snr_db.value + 0.3
    assert rows[NONLINEAR].r2_within_word.high < 0.05


def test_a_faithful_code_loses_nothing_to_the_network(material, tmp_path):
    subject = plant(planted_faithful(material), tmp_path, "nonlinear-faithful")
    result = reconstruct(subject, points=["encoder"], nonlinear=["encoder"])
    rows = {row.decoder: row for row in result.rows}
    best = max(rows[RIDGE].snr_db.value, rows[RUNNING_SUM].snr_db.value)
    assert rows[NONLINEAR].snr_db.value > best - 0.2
    weights = nonlinear_decoder(subject, "encoder", split="validation").weights
    assert weights.error <= weights.linear_error  # on the clips that stop it, the best epoch is kept


def test_weights_are_kept_survive_json_and_repeat(tmp_path, monkeypatch):
    recordings = _products(tmp_path, n_train=80)
    first = nonlinear_decoder(recordings, "encoder", split="validation", lags=1)
    activity = recordings.split("validation").load("encoder")
    copy = NonlinearWeights.from_json(first.weights.to_json())
    np.testing.assert_allclose(copy.hidden, first.weights.hidden)

    def refuse(*args):
        raise AssertionError("fitted twice")

    monkeypatch.setattr(nonlinear, "train_network", refuse)
    again = nonlinear_decoder(recordings, "encoder", split="validation", lags=1)
    np.testing.assert_allclose(again.read(activity), first.read(activity), atol=1e-6)
    with pytest.raises(AssertionError):
        nonlinear_decoder(recordings, "encoder", split="validation", lags=2)


def test_the_hidden_layer_sees_the_window_the_sums_and_the_ridge_estimate():
    activity = np.array([[[1], [0], [1]]], np.uint8)
    linear = np.array([[[0.5], [0.6], [0.7]]])
    inputs = network_inputs(activity, linear, 1, np.array([1.0]), np.array([2.0]))
    expected = [[0, 1, 0, 0.0, 0.5], [1, 0, 1, 0.0, 0.6], [0, 1, 0, 0.5, 0.7]]
    np.testing.assert_allclose(inputs, expected)
