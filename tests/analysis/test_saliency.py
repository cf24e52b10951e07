"""Saliency: exact on a linear network, silent on noise, and confirmed by what blanking costs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis.attribution import attribute, blanked, logits, variance_between
from analysis.saliency import BETWEEN, LEAST, MORE_STEPS, MOST, NOTHING, RANDOM, SUM, SaliencyResult, saliency
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.training import train
from tests.analysis.toys import toy_checkpoint

SHAPE = (6, 5, 4)  # clips, frames, bands


class Linear:
    """A network whose logits are sums of its input's bins: the parts are known."""

    weight = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 20)).astype(np.float32))

    def encoder(self, x):
        return EncoderOutput(x, None)

    def classify(self, encoded):
        return SimpleNamespace(logits=encoded.spikes.flatten(1) @ self.weight.T + 1)


def test_the_parts_of_a_linear_network_are_weight_times_input_and_add_up():
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    targets = np.array([0, 1, 2, 0, 1, 2])
    found = attribute(Linear(), x, targets, n_steps=4)
    expected = x * Linear.weight.numpy()[targets].reshape(SHAPE)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.differences, expected.sum(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert logits(Linear(), np.zeros((1, 5, 4), np.float32)).tolist() == [[1, 1, 1]]


def test_a_gradient_that_is_identically_zero_is_refused():
    class Deaf(Linear):
        weight = torch.zeros(3, 20)

    with pytest.raises(SpikelensError, match="saliency: the gradient of the logit in the log-mel is"):
        attribute(Deaf(), np.ones(SHAPE, np.float32), np.zeros(6, int), n_steps=4)


def test_blanking_takes_the_highest_scores_of_every_clip():
    x = np.arange(1, 11, dtype=np.float32).reshape(1, 2, 5)
    kept = blanked(np.concatenate([x, x]), np.concatenate([x, -x]), 0.2)
    assert kept[0].ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 0, 0]
    assert kept[1].ravel().tolist() == [0, 0, 3, 4, 5, 6, 7, 8, 9, 10]


def test_variance_lies_between_words_where_it_was_planted_and_not_in_noise():
    rng = np.random.default_rng(0)
    labels, pattern = np.arange(90) % 3, rng.standard_normal((3, 50))
    pattern -= pattern.mean(axis=0)
    assert variance_between(pattern[labels], labels, 3) == pytest.approx(1.0)
    noise = rng.standard_normal((90, 50))
    noise -= noise.mean(axis=0)
    assert variance_between(noise, labels, 3) == pytest.approx(2 / 89, abs=0.01)


@pytest.fixture(scope="module")
def found(tones, private_folders):
    """Explain a network that has learned the chirps."""
    recipe = Recipe.from_dict(
        {
            "name": "chirps",
            "data": {"name": "tones"},
            "encoder": {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": [16]},
            "train": {"epochs": 16, "batch_size": 12},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        train(recipe, tones, user_checkpoints() / "saliency-chirps")
        seen = []
        result = saliency(
            load_checkpoint("saliency-chirps"),
            tones,
            n_steps=16,
            progress=lambda fraction, words: seen.append(fraction),
        )
    assert seen == sorted(seen) and seen[-1] == 1
    return result


def test_what_the_maps_point_at_is_what_the_network_uses(found):
    drop = {row.blanked: row.drop for row in found.deletions}
    assert drop[NOTHING].value == 0
    assert drop[MOST].value > drop[RANDOM].value + 10
    assert drop[LEAST].value < drop[MOST].value
    assert drop[MOST].low > 0
    assert found.deletions[0].accuracy.value > 0.8


def test_maps_are_averaged_by_word_and_stand_beside_the_twins(found):
    assert found.maps.shape == found.maps_untrained.shape == (3, 98, 40)
    assert found.n_per_word == [12, 12, 12]
    assert not np.allclose(found.maps, found.maps_untrained)
    rows = {(row.measure, row.condition): row for row in found.rows}
    assert rows[BETWEEN, "learned"].p < 0.05
    assert rows[BETWEEN, "learned"].value.value > rows[BETWEEN, "learned"].null.high
    assert {(SUM, "learned"), (SUM, "untrained"), (MORE_STEPS, "learned")} <= set(rows)


def test_the_result_survives_json(found):
    copied = SaliencyResult.from_json(found.to_json())
    assert copied.rows == found.rows and copied.deletions == found.deletions
    np.testing.assert_array_equal(copied.maps, found.maps)
    assert (found.to_table().measure == "drop in points, 10% blanked").sum() == 8


def test_an_encoder_that_passes_no_gradient_has_no_saliency(tones):
    result = saliency(toy_checkpoint(tones, "step-forward"), tones, n_clips=8)
    assert result.not_applicable == {"saliency": "no gradient passes the encoder"}
    assert result.maps.shape == (0, 98, 8) and not result.deletions
    assert "not applicable" in result.to_table().condition[0]


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"n_steps": 1}, "n_steps: 1 must be at least 2"),
        ({"share": 0.0}, "share: 0.0 must be above 0"),
        ({"n_clips": 400}, "n_clips: 400 must lie between 4 and the 36 clips"),
        ({"split": "dev"}, "split: 'dev'"),
    ],
)
def test_settings_out_of_range_are_refused(tones, setting, match):
    with pytest.raises(SpikelensError, match=match):
        saliency(toy_checkpoint(tones), tones, **setting)
