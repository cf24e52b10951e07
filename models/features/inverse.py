"""From log-mel back to sound, to hear what a code kept."""

from __future__ import annotations

import numpy as np

from models.features.mel import FeatureConfig, mel_filters


def mel_to_audio(log_mel: np.ndarray, config: FeatureConfig, n_iter: int = 60, seed: int = 0) -> np.ndarray:
    """Return sound whose log-mel is close to `log_mel` (Griffin and Lim 1984, mel pseudo-inverse).

    Parameters
    ----------
    log_mel : np.ndarray [shape=(T, F)]
        As `models.features.mel.log_mel` gives it, not normalised.
    n_iter : int
        Griffin-Lim iterations.
    seed : int
        Of the initial phase.

    Returns
    -------
    np.ndarray [shape=(n_samples,), float32 in [-1, 1]]
        Peak at most 0.95: the level is not part of the comparison.
    """
    import librosa

    mel = np.maximum(np.exp(np.asarray(log_mel, dtype=np.float64)) - config.log_offset, 0.0).T  # (F, T)
    power = librosa.util.nnls(mel_filters(config).astype(np.float64), mel)  # (bins, T)
    audio = librosa.griffinlim(
        np.sqrt(power).astype(np.float32),
        n_iter=n_iter,
        hop_length=config.hop_length,
        win_length=config.win_length,
        n_fft=config.n_fft,
        center=True,
        random_state=seed,
    )
    audio = np.pad(audio, config.win_length // 2)  # frame t is centred on t * hop + win / 2
    peak = float(np.abs(audio).max(initial=0.0))
    return (audio * min(1.0, 0.95 / peak) if peak > 0 else audio).astype(np.float32)
