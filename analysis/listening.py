"""Clips as the decoders give them back: to look at as log-mel, and to hear."""

from __future__ import annotations

import numpy as np

from analysis.reconstruction import clip_decoder
from analysis.recordings import Recordings
from analysis.templates import train_templates
from models.errors import SpikelensError

ORIGINAL, OWN, RIDGE = "original", "own decoder", "ridge"
Versions = dict[str, np.ndarray]


class ClipViewer:
    """Rebuilds the clips of one split; made once, so that the next clip takes milliseconds.

    Parameters
    ----------
    recordings : Recordings
        With ``features``; the ridge decoder and imported recordings also need the training split.
    ridge : bool
        Include the ridge decoder, which is fitted first where it is not in the cache.

    Raises
    ------
    SpikelensError
        No features were recorded.
    """

    def __init__(
        self, recordings: Recordings, split: str, *, ridge: bool, lags: int = 5, seed: int = 0
    ) -> None:
        if "features" not in recordings.points:
            raise SpikelensError(f"recordings: {recordings.name} holds no features, so no clip can be shown")
        points = {ORIGINAL: "features"}
        if "decoded" in recordings.points:
            points[OWN] = "decoded"
        if ridge:
            points[RIDGE] = "encoder"
        self._recordings = recordings
        self._decoders = {
            name: clip_decoder(recordings, split, point, lags=lags, seed=seed)
            for name, point in points.items()
        }
        self._templates = train_templates(recordings) if recordings.source == "import" else None
        self.dt_ms = recordings.dt_ms

    def versions(self, clip: int) -> Versions:
        """Return one clip as log-mel and as each decoder of the encoder rebuilds it.

        Returns
        -------
        dict of str to np.ndarray [shape=(T, F)]
            `ORIGINAL`, then `OWN` where the encoder has a decoder and `RIDGE` where asked for, in the unit of
            the recorded features.
        """
        return {name: decode(clip) for name, decode in self._decoders.items()}

    def panels(self, versions: Versions) -> Versions:
        """Return the log-mels of `versions` in standard deviations of a band, each with its residual."""
        if self._templates is not None:  # of an import the unit is not known
            versions = {name: self._templates.normalise(values) for name, values in versions.items()}
        found = {}
        for name, values in versions.items():
            found[name] = values
            if name != ORIGINAL:
                found[f"{ORIGINAL} minus {name}"] = versions[ORIGINAL] - values
        return {name: values.astype(np.float32) for name, values in found.items()}

    def sound(self, values: np.ndarray) -> tuple[np.ndarray, int]:
        """Return sound with this log-mel ``(T, F)``, in the unit of the features, and its rate in Hz.

        Every version goes through the same Griffin-Lim, so that what differs is the code's doing.

        Raises
        ------
        SpikelensError
            Imported recordings: their unit and frames are unknown.
        """
        from models.features.inverse import mel_to_audio
        from models.features.mel import FeatureConfig

        extra = self._recordings.extra
        if self._recordings.source == "import":
            raise SpikelensError(
                f"{self._recordings.name}: sound needs the scale of the log-mel, which imports do not carry"
            )
        config = FeatureConfig(**extra["features"])
        mean, std = (np.asarray(extra[f"feature_{what}"]) for what in ("mean", "std"))
        return mel_to_audio(values * std + mean, config), config.sample_rate
