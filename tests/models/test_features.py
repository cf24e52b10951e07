"""Log-mel equals librosa, augmentation does what it says, the cache is keyed by its settings."""

import dataclasses

import librosa
import numpy as np
import pytest
import torch

from models.features.augment import AugmentConfig, add_noise, mask, shift, shift_frames, warp
from models.features.cache import band_statistics, split_features
from models.features.inverse import mel_to_audio
from models.features.mel import FeatureConfig, log_mel

CONFIG = FeatureConfig()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_log_mel_equals_librosa(tones):
    waveform = tones.split("train").waveform(3)
    ours = log_mel(torch.from_numpy(waveform)[None], CONFIG)[0].numpy()
    assert ours.shape == (98, 40)
    theirs = librosa.feature.melspectrogram(
        y=np.pad(waveform, 56),  # puts librosa's 512-sample frames over our 400-sample windows
        sr=16_000,
        n_fft=512,
        hop_length=160,
        win_length=400,
        center=False,
        power=2.0,
        n_mels=40,
        fmin=20,
        fmax=7600,
        htk=False,
        norm="slaney",
    )
    assert np.abs(ours - np.log(theirs + 1e-6).T).max() < 1e-4


def test_frame_count_and_step():
    assert CONFIG.n_frames(16_000) == 98
    assert CONFIG.dt_ms == 10.0


def test_shift_moves_each_clip_and_brings_in_zeros():
    waves = torch.arange(1.0, 1001.0).repeat(50, 1)
    config = AugmentConfig(shift_ms=100)
    moved = shift(waves, config, 1000, generator())
    offsets = set()
    for row in moved:
        kept = row[row > 0]
        first = int(torch.nonzero(row)[0])
        offset = first if first > 0 else -int(kept[0] - 1)
        offsets.add(offset)
        assert torch.equal(kept, torch.arange(kept[0], kept[0] + len(kept)))
        assert -100 <= offset <= 100
    assert len(offsets) > 20 and min(offsets) < 0 < max(offsets)
    assert torch.equal(shift(waves, config, 1000, generator()), moved)


def test_noise_has_the_stated_level_and_comes_from_the_first_seventy_percent():
    recording = np.concatenate([np.full(70_000, 1000), np.full(30_000, 30_000)]).astype(np.int16)
    waves = torch.sin(torch.arange(16_000) * 0.1).repeat(20, 1) * 0.3
    config = AugmentConfig(noise_probability=1.0, noise_snr_db=(10.0, 10.0))
    added = add_noise(waves, (recording,), config, generator()) - waves
    for row, wave in zip(added, waves, strict=True):
        assert 10 * torch.log10(wave.square().mean() / row.square().mean()) == pytest.approx(10.0, abs=0.01)
        assert row.std() < 1e-6  # constant: never touches the last part
    assert torch.equal(add_noise(waves, (), config, generator()), waves)


def test_shifting_frames_is_shifting_the_sound_by_whole_frames():
    waves = torch.randn(40, 16_000, generator=generator()) * 0.1
    sound = torch.nn.functional.pad(waves[:, 4000:12_000], (4000, 4000))
    moved = shift_frames(log_mel(sound, CONFIG), AugmentConfig(frame_shift_ms=100.0), CONFIG, generator())
    offsets = torch.randint(-10, 11, (40, 1), generator=generator()).flatten().tolist()
    expected = log_mel(
        torch.stack([wave.roll(160 * k) for wave, k in zip(sound, offsets, strict=True)]), CONFIG
    )
    assert set(offsets) > {-8, 8} and torch.allclose(moved, expected, atol=1e-3)
    features = log_mel(sound, CONFIG)
    assert shift_frames(features, AugmentConfig(), CONFIG, generator()) is features


def test_masks_hide_one_block_in_each_direction():
    features = torch.zeros(40, 98, 40)
    fill = torch.ones(40)
    hidden = mask(features, fill, AugmentConfig(), generator()).bool()
    for clip in hidden:
        bands, times = clip.all(dim=0).sum(), clip.all(dim=1).sum()
        assert bands <= 4 and times <= 0.25 * 98 + 1
        assert clip.sum() == bands * 98 + times * 40 - bands * times
    assert hidden.any()
    nothing = AugmentConfig(frequency_mask=0, time_mask=0.0)
    assert torch.equal(mask(features, fill, nothing, generator()), features)


def test_warp_moves_a_peak_by_the_drawn_factors_and_leaves_the_middle():
    features = torch.zeros(200, 99, 40)
    features[:, 49, 20] = 1.0  # the middle frame
    moved = warp(features, AugmentConfig(band_warp=0.1), generator())
    assert torch.equal(moved.amax(dim=(0, 2)).nonzero().flatten(), torch.tensor([49]))
    bands = moved[:, 49] @ torch.arange(40.0) / moved[:, 49].sum(1)
    assert 20 / 1.1 - 1 <= bands.min() < 19 and 21 < bands.max() <= 20 / 0.9 + 1
    features = torch.zeros(200, 99, 40)
    features[:, 89] = 1.0
    moved = warp(features, AugmentConfig(time_warp=0.2), generator())
    times = moved[:, :, 0] @ torch.arange(99.0) / moved[:, :, 0].sum(1)
    assert 49 + 40 / 1.2 - 1 <= times[times > 0].min() < 86 and times.max() > 92
    assert warp(features, AugmentConfig(), generator()) is features


def test_cache_returns_the_same_and_is_keyed_by_settings(tones, private_folders):
    split = tones.split("validation")
    first = split_features(split, CONFIG, tones.digest)
    assert np.array_equal(first, split_features(split, CONFIG, tones.digest))
    fewer = split_features(split, dataclasses.replace(CONFIG, n_mels=20), tones.digest)
    assert fewer.shape == (36, 98, 20)
    other = split_features(tones.split("test"), CONFIG, tones.digest)
    assert not np.array_equal(other, first)


def test_a_full_disk_costs_only_the_cache(tones, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    values = split_features(tones.split("validation"), CONFIG, tones.digest)
    assert values.shape == (36, 98, 40)
    assert "No space left" in caplog.text
    assert list((tmp_path / "features").iterdir()) == []


def test_band_statistics_by_hand():
    features = np.array([[[1.0, 10.0], [3.0, 10.0]]], np.float32)
    mean, std = band_statistics(features)
    assert mean.tolist() == [2, 10] and std[0] == 1 and std[1] > 0


def test_inverse_gives_sound_with_the_same_log_mel():
    rng, time = np.random.default_rng(0), np.arange(16_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30)) * np.hanning(16_000)
    waveform = (0.1 * voice + 0.02 * rng.standard_normal(16_000)).astype(np.float32)
    values = log_mel(torch.from_numpy(waveform)[None], CONFIG)[0].numpy()
    audio = mel_to_audio(values, CONFIG, n_iter=30)
    assert audio.dtype == np.float32 and 0 < np.abs(audio).max() <= 1
    again = log_mel(torch.from_numpy(audio)[None], CONFIG)[0].numpy()
    assert again.shape == values.shape
    assert np.corrcoef(again.ravel(), values.ravel())[0, 1] > 0.97
    assert np.array_equal(audio, mel_to_audio(values, CONFIG, n_iter=30))
