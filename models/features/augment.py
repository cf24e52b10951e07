"""Augmentation for training: shift, background noise, speed, band position, frequency and time masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from models.features.mel import FeatureConfig


@dataclass(frozen=True)
class AugmentConfig:
    """How training clips are varied.

    Attributes
    ----------
    shift_ms : float
        Largest shift to either side, uniform; zeros come in.
    noise_probability : float
        Share of clips that get background noise, where the data set has any.
    noise_snr_db : (float, float)
        Range of the signal-to-noise ratio, uniform.
    frequency_mask : int
        Widest mask, bands (Park et al. 2019); 0 for none.
    time_mask : float
        Longest mask as a fraction of T; 0 for none.
    frame_shift_ms : float
        Like `shift_ms`, but by whole frames of the log-mel, which then need not be computed anew.
    time_warp : float
        Largest relative change of speed, uniform to either side; the middle of the clip stays in place.
    band_warp : float
        Largest relative change of the band position (vocal-tract length), uniform to either side.
    """

    shift_ms: float = 100.0
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 20.0)
    frequency_mask: int = 4
    time_mask: float = 0.25
    frame_shift_ms: float = 0.0
    time_warp: float = 0.0
    band_warp: float = 0.0

    def __post_init__(self) -> None:
        for name in ("time_warp", "band_warp"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"augment.{name}: {getattr(self, name)} must be 0 or between 0 and 1")
        if self.frame_shift_ms < 0:
            raise ValueError(f"augment.frame_shift_ms: {self.frame_shift_ms} must not be negative")

    @property
    def on_waveforms(self) -> bool:
        """Tell whether anything is done before the log-mel, so that it cannot come from the cache."""
        return self.shift_ms > 0 or self.noise_probability > 0


def shift(
    waveforms: torch.Tensor, config: AugmentConfig, sample_rate: int, generator: torch.Generator
) -> torch.Tensor:
    """Move each clip by its own random time, shape ``(B, n_samples)`` in and out."""
    largest = round(config.shift_ms * sample_rate / 1000.0)
    if largest == 0:
        return waveforms
    n_clips, n_samples = waveforms.shape
    moved = torch.zeros_like(waveforms)
    offsets = torch.randint(-largest, largest + 1, (n_clips,), generator=generator).tolist()
    for row, offset in enumerate(offsets):
        source = waveforms[row, max(0, -offset) : n_samples - max(0, offset)]
        moved[row, max(0, offset) : max(0, offset) + len(source)] = source
    return moved


def add_noise(
    waveforms: torch.Tensor, noise: Sequence[np.ndarray], config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Add a random piece of background noise to some clips at a random signal-to-noise ratio.

    Only the first 70 % of each background recording is used: the rest is for noise tests.
    """
    if not noise or config.noise_probability == 0:
        return waveforms
    noisy = waveforms.clone()
    n_clips, n_samples = waveforms.shape
    chosen = torch.rand(n_clips, generator=generator) < config.noise_probability
    low, high = config.noise_snr_db
    for row in torch.nonzero(chosen).flatten().tolist():
        source = noise[int(torch.randint(len(noise), (1,), generator=generator))]
        room = int(0.7 * len(source)) - n_samples
        start = int(torch.randint(max(1, room), (1,), generator=generator))
        piece = torch.from_numpy(source[start : start + n_samples].astype(np.float32) / 32768.0)
        snr_db = low + (high - low) * float(torch.rand(1, generator=generator))
        signal_power, noise_power = waveforms[row].square().mean(), piece.square().mean()
        if noise_power > 0 and len(piece) == n_samples:
            noisy[row] += piece * torch.sqrt(signal_power / noise_power * 10 ** (-snr_db / 10))
    return noisy


def shift_frames(
    features: torch.Tensor, config: AugmentConfig, mel: FeatureConfig, generator: torch.Generator
) -> torch.Tensor:
    """Move each clip by its own number of frames, digital silence comes in; ``(B, T, F)`` in and out."""
    largest = round(config.frame_shift_ms / mel.dt_ms)
    if largest == 0:
        return features
    n_clips, n_steps, _ = features.shape
    offsets = torch.randint(-largest, largest + 1, (n_clips, 1), generator=generator)
    source = torch.arange(n_steps) - offsets  # (B, T)
    moved = features[torch.arange(n_clips)[:, None], source.clamp(0, n_steps - 1)]
    inside = (source >= 0) & (source < n_steps)
    return torch.where(inside[:, :, None], moved, math.log(mel.log_offset))


def warp(features: torch.Tensor, config: AugmentConfig, generator: torch.Generator) -> torch.Tensor:
    """Change the speed of each clip and the place of its bands; ``(B, T, F)`` in and out.

    Values between frames and bands are interpolated, beyond an edge the edge is held. Moving bands stands for
    another length of the vocal tract (Jaitly and Hinton 2013).
    """
    if config.time_warp == 0 and config.band_warp == 0:
        return features
    n_clips, n_steps, n_bands = features.shape
    largest = torch.tensor([config.time_warp, config.band_warp])
    factors = 1 + largest * (2 * torch.rand(n_clips, 2, generator=generator) - 1)
    time = torch.linspace(-1, 1, n_steps) * factors[:, :1]  # (B, T)
    band = (torch.linspace(-1, 1, n_bands) + 1) * factors[:, 1:] - 1  # (B, F)
    grid = torch.stack(
        (band[:, None].expand(-1, n_steps, -1), time[:, :, None].expand(-1, -1, n_bands)), -1
    )  # (B, T, F, 2)
    return F.grid_sample(features[:, None], grid, padding_mode="border", align_corners=True)[:, 0]


def mask(
    features: torch.Tensor, fill: torch.Tensor, config: AugmentConfig, generator: torch.Generator
) -> torch.Tensor:
    """Hide one block of bands and one stretch of time in each clip (SpecAugment, Park et al. 2019).

    Parameters
    ----------
    features : torch.Tensor [shape=(B, T, F)]
    fill : torch.Tensor [shape=(F,)]
        What hidden values become: the band means.
    """
    n_clips, n_steps, n_bands = features.shape
    hidden = torch.zeros(n_clips, n_steps, n_bands, dtype=torch.bool)
    for size, axis in ((config.frequency_mask, 2), (round(config.time_mask * n_steps), 1)):
        if size == 0:
            continue
        length = torch.randint(0, size + 1, (n_clips, 1), generator=generator)
        start = (
            torch.rand(n_clips, 1, generator=generator) * (features.shape[axis] - length + 1)
        ).long()  # (B, 1)
        index = torch.arange(features.shape[axis])  # (T,) or (F,)
        inside = (index >= start) & (index < start + length)  # (B, T) or (B, F)
        hidden |= inside[:, None, :] if axis == 2 else inside[:, :, None]
    return torch.where(hidden, fill, features)
