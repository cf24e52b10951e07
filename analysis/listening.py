"""One clip as the decoders give it back: to look at as log-mel, and to hear."""

from __future__ import annotations

import numpy as np

from analysis.reconstruction import reconstruct_clip
from analysis.recordings import Recordings
from analysis.templates import train_templates
from models.errors import SpikelensError

ORIGINAL, OWN, RIDGE = "original", "own decoder", "ridge"


def clip_versions(
    recordings: Recordings, split: str, clip: int, *, ridge: bool, lags: int = 5, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return one clip as log-mel and as each decoder of the encoder rebuilds it.

    Parameters
    ----------
    recordings : Recordings
        With ``features``; the ridge decoder and imported recordings also need the training split.
    clip : int
        Row of the split.
    ridge : bool
        Include the ridge decoder, which is fitted first where it is not in the cache.

    Returns
    -------
    dict of str to np.ndarray [shape=(T, F)]
        `ORIGINAL`, then `OWN` where the encoder has a decoder and `RIDGE` where asked for, in the unit of the
        recorded features.

    Raises
    ------
    SpikelensError
        No features were recorded, or no such clip.
    """
    if "features" not in recordings.points:
        raise SpikelensError(f"recordings: {recordings.name} holds no features, so no clip can be shown")
    points = {ORIGINAL: "features"}
    if "decoded" in recordings.points:
        points[OWN] = "decoded"
    if ridge:
        points[RIDGE] = "encoder"
    return {
        name: reconstruct_clip(recordings, split, clip, point, lags=lags, seed=seed)
        for name, point in points.items()
    }


def panels(recordings: Recordings, versions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the log-mels of `clip_versions` in standard deviations of a band, each with its residual."""
    if recordings.source == "import":  # unit unknown
        versions = {name: train_templates(recordings).normalise(values) for name, values in versions.items()}
    found = {}
    for name, values in versions.items():
        found[name] = values
        if name != ORIGINAL:
            found[f"{ORIGINAL} minus {name}"] = versions[ORIGINAL] - values
    return {name: values.astype(np.float32) for name, values in found.items()}


def to_sound(recordings: Recordings, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return sound with this log-mel, and its sampling rate in Hz.

    Every version goes through the same Griffin-Lim, so that what is heard between them is the code's doing.

    Parameters
    ----------
    values : np.ndarray [shape=(T, F)]
        In the unit of the recorded features.

    Raises
    ------
    SpikelensError
        Imported recordings: their unit and frames are unknown.
    """
    from models.features.inverse import mel_to_audio
    from models.features.mel import FeatureConfig

    if recordings.source == "import":
        raise SpikelensError(
            f"{recordings.name}: sound needs the scale of the log-mel, which imported recordings do not carry"
        )
    config = FeatureConfig(**recordings.extra["features"])
    mean, std = (np.asarray(recordings.extra[f"feature_{what}"]) for what in ("mean", "std"))
    return mel_to_audio(values * std + mean, config), config.sample_rate
