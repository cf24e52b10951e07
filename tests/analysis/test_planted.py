"""Planted encoders are what they claim to be, and come in through the import door."""

import numpy as np
import pytest

from analysis.planted import PLANTED, RATE, Material, planted_faithful, planted_task_only
from analysis.reconstruction import OWN, reconstruct
from tests.analysis.smooth import plant, smooth_material


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.mark.parametrize("kind", PLANTED)
def test_every_kind_imports_and_is_reproducible(kind, material, tmp_path):
    arrays = PLANTED[kind](material, 3)
    again = PLANTED[kind](material, 3)
    assert all(np.array_equal(arrays[key], again[key]) for key in arrays)
    recordings = plant(arrays, tmp_path, kind)
    assert recordings.source == "import"
    assert set(recordings.splits) == {"train", "validation", "test"}
    np.testing.assert_array_equal(
        recordings.split("test").load("encoder"), arrays["spikes"][material.split == "test"]
    )


def test_faithful_reaches_the_snr_of_its_best_steps(material, tmp_path):
    arrays = planted_faithful(material)
    own = reconstruct(plant(arrays, tmp_path, "snr"), points=[]).rows[0]
    assert own.decoder == OWN
    assert own.snr_db.value > 15
    # A small step is overloaded by slopes and would not do.
    from analysis.reference import encode_residual
    from models.encoders.fit import StepValues

    _, slow = encode_residual(material.features, StepValues(0.1, 0.03, 0.55, 0.55))
    error = np.square(material.features - slow).sum() / np.square(material.features).sum()
    assert -10 * np.log10(error) < own.snr_db.value - 8


def test_task_only_is_one_pattern_a_word_and_nothing_of_the_clip(material):
    spikes = planted_task_only(material)["spikes"]
    for word in range(6):
        clips = spikes[material.label == word]
        assert (clips == clips[0]).all()
    assert not np.array_equal(spikes[0], spikes[1])
    assert "decoded" not in planted_task_only(material)


@pytest.mark.parametrize("kind", ["task-only", "random", "noise"])
def test_rates_are_near_that_of_the_faithful_encoder(kind, material):
    arrays = PLANTED[kind](material, 0)
    assert arrays["spikes"].mean() == pytest.approx(RATE, abs=0.03)
    assert arrays["spikes"].shape == planted_faithful(material)["spikes"].shape


def test_random_depends_on_the_frame_alone_and_noise_on_nothing(material):
    moved = Material(np.roll(material.features, 1, axis=1), material.label, material.split, material.speaker)
    random = [PLANTED["random"](m, 0)["spikes"] for m in (material, moved)]
    agree = np.mean(random[0][:, :-1] == random[1][:, 1:])
    assert agree > 0.99  # thresholds move a little with the sample
    noise = [PLANTED["noise"](m, 0)["spikes"] for m in (material, moved)]
    np.testing.assert_array_equal(*noise)


def test_both_lies_side_by_side(material):
    both = PLANTED["both"](material, 0)
    half = both["spikes"].shape[2] // 2
    np.testing.assert_array_equal(both["spikes"][..., :half], planted_faithful(material)["spikes"])
    np.testing.assert_array_equal(both["spikes"][..., half:], planted_task_only(material)["spikes"])
    assert "decoded" in both


def test_material_is_taken_from_recordings_in_normalised_units(material, tmp_path):
    arrays = planted_task_only(material)
    arrays["features"] = 3 * arrays["features"] + 7
    taken = Material.of(plant(arrays, tmp_path, "taken"))
    order = np.argsort([("train", "validation", "test").index(s) for s in material.split], kind="stable")
    np.testing.assert_allclose(taken.features, material.features[order], atol=1e-4)
    np.testing.assert_array_equal(taken.label, material.label[order])
    np.testing.assert_array_equal(taken.speaker, material.speaker[order])
