"""Training batches: what an older recipe drew is drawn still, and cached log-mel serves where it can."""

import numpy as np
import pytest
import torch

from models.batches import epoch_generator, training_batches
from models.config import Recipe
from models.errors import SpikelensError
from models.features.augment import mask, shift
from models.features.mel import log_mel

BODY = {
    "name": "tiny",
    "encoder": {"name": "residual"},
    "backbone": {"name": "rlif"},
    "train": {"batch_size": 24},
}
OFF = {"shift_ms": 0.0, "frequency_mask": 0, "time_mask": 0.0}


def first(recipe, dataset):
    generator = epoch_generator(recipe, 0, purpose=0)
    return next(iter(training_batches(dataset, recipe, torch.full((40,), -9.0), generator)))


def test_defaults_shift_the_sound_and_mask_and_draw_nothing_else(tones):
    recipe, split = Recipe.from_dict(BODY), tones.split("train")
    generator = epoch_generator(recipe, 0, purpose=0)
    rows = torch.randperm(len(split), generator=generator).numpy()[:24]
    waveforms = torch.from_numpy(split.waveforms[rows].astype(np.float32) / 32768.0)
    moved = log_mel(shift(waveforms, recipe.augment, 16_000, generator), recipe.features)
    expected = mask(moved, torch.full((40,), -9.0), recipe.augment, generator)
    batch = first(recipe, tones)
    assert torch.equal(batch.log_mel, expected) and batch.labels.tolist() == split.labels[rows].tolist()


def test_without_anything_done_to_the_sound_the_log_mel_is_that_of_the_clips(tones):
    recipe, split = Recipe.from_dict(BODY | {"augment": OFF}), tones.split("train")
    rows = torch.randperm(len(split), generator=epoch_generator(recipe, 0, purpose=0)).numpy()[:24]
    waveforms = torch.from_numpy(split.waveforms[rows].astype(np.float32) / 32768.0)
    assert torch.allclose(first(recipe, tones).log_mel, log_mel(waveforms, recipe.features), atol=1e-5)


def test_a_warped_batch_is_another_and_the_same_each_time(tones):
    recipe = Recipe.from_dict(
        BODY | {"augment": OFF | {"frame_shift_ms": 100.0, "time_warp": 0.1, "band_warp": 0.1}}
    )
    plain, warped = first(Recipe.from_dict(BODY | {"augment": OFF}), tones), first(recipe, tones)
    assert torch.equal(plain.labels, warped.labels)
    assert not torch.allclose(plain.log_mel, warped.log_mel, atol=0.1)
    assert torch.equal(warped.log_mel, first(recipe, tones).log_mel)


@pytest.mark.parametrize(
    ("key", "value"), [("time_warp", 1.0), ("band_warp", -0.1), ("frame_shift_ms", -5.0)]
)
def test_bad_values_are_refused(key, value):
    with pytest.raises(SpikelensError, match=rf"augment.{key}: {value}"):
        Recipe.from_dict(BODY | {"augment": {key: value}})
