"""A spoken word in its second of sound: onset, level and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.base import N_SAMPLES, SAMPLE_RATE
from models.data.espeak import RATE_HZ
from models.errors import SpikelensError

NOISES = ("white", "pink", "babble")
SNR_DB = (5.0, 30.0)
LEVEL_DB = (-35.0, -20.0)  # of the word, over its own extent, relative to full scale
_LARGEST_PEAK = 0.6


@dataclass(frozen=True)
class Scene:
    """Where a word lies in its second, how loud, and in what noise.

    Attributes
    ----------
    onset : float
        0 puts the word at the start of the clip, 1 at its end.
    level_db : float [unit=dB re full scale]
        RMS of the word over its own extent; lowered where the peak would exceed 0.6.
    snr_db : float
        Power of the word over its own extent to power of the noise over the clip.
    noise : str
        One of `NOISES`.
    noise_seed : sequence of int
    """

    onset: float
    level_db: float
    snr_db: float
    noise: str
    noise_seed: tuple[int, ...]


def draw_scene(rng: np.random.Generator, key: tuple[int, ...]) -> Scene:
    """Draw a scene; `key` seeds its noise."""
    return Scene(
        onset=rng.uniform(),
        level_db=rng.uniform(*LEVEL_DB),
        snr_db=round(rng.uniform(*SNR_DB), 2),
        noise=str(rng.choice(NOISES)),
        noise_seed=(*key, 1),
    )


def compose(sound: np.ndarray, scene: Scene) -> np.ndarray:
    """Place a spoken word in a clip of one second and add noise.

    Parameters
    ----------
    sound : np.ndarray [shape=(n,), int16, rate=RATE_HZ]
    scene : Scene

    Returns
    -------
    np.ndarray [shape=(N_SAMPLES,), int16]
    """
    import soxr

    word = _trim(soxr.resample(sound / 32768.0, RATE_HZ, SAMPLE_RATE))[:N_SAMPLES]
    gain = 10 ** (scene.level_db / 20) / _rms(word)
    word = word * min(gain, _LARGEST_PEAK / np.abs(word).max())
    clip = coloured_noise(scene.noise, np.random.default_rng(scene.noise_seed))
    clip *= _rms(word) * 10 ** (-scene.snr_db / 20)
    start = round(scene.onset * (N_SAMPLES - len(word)))
    clip[start : start + len(word)] += word
    return (clip * 32767).round().clip(-32768, 32767).astype(np.int16)


def coloured_noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return one second of noise with an RMS of 1, shape ``(N_SAMPLES,)``.

    ``white`` is flat, ``pink`` falls by 3 dB per octave, ``babble`` has the long-term spectrum of speech
    (flat to 500 Hz, then 12 dB per octave down) and swells at the rate of syllables (1 to 8 Hz).
    """
    noise = rng.standard_normal(N_SAMPLES)
    if kind != "white":
        frequency_hz = np.fft.rfftfreq(N_SAMPLES, 1 / SAMPLE_RATE)
        frequency_hz[0] = frequency_hz[1]
        gain = frequency_hz**-0.5 if kind == "pink" else 1 / (1 + (frequency_hz / 500) ** 2)
        noise = np.fft.irfft(np.fft.rfft(noise) * gain, N_SAMPLES)
    if kind == "babble":
        swell = np.fft.irfft([0, *(rng.standard_normal(8) + 1j * rng.standard_normal(8))], N_SAMPLES)
        noise *= np.exp(0.7 * swell / _rms(swell))
    return noise / _rms(noise)


def _trim(word: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(word) > 0.01 * np.abs(word).max(initial=0.0))
    if not len(loud):
        raise SpikelensError("spoken35: the speech library returned silence")
    return word[loud[0] : loud[-1] + 1]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
