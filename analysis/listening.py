"""Clips as the decoders give them back: to look at as log-mel, and to hear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.decoders import Progress, best_ridge, within
from analysis.nonlinear import nonlinear_decoder
from analysis.recordings import Recordings
from analysis.reference import faithful_reference
from analysis.templates import train_templates
from models.errors import SpikelensError

ORIGINAL, OWN, RIDGE, NONLINEAR = "original", "own decoder", "ridge", "non-linear"
REFERENCE, UNMATCHED = "SF2-rec@r", "SF2-rec"  # the faithful encoder's own decoder
Versions = dict[str, np.ndarray]


class ClipViewer:
    """Rebuilds the clips of one split; made once, so that the next clip takes milliseconds.

    Parameters
    ----------
    recordings : Recordings
        With ``features``; the ridge decoder and imported recordings also need the training split.
    ridge, nonlinear : bool
        Include the better ridge decoder and the non-linear one, fitted first where they are not in the cache.
    reference : bool
        Include what the faithful encoder at the same event rate gives, fitted first where it is not in the
        cache.

    Raises
    ------
    SpikelensError
        No features were recorded.
    """

    def __init__(
        self,
        recordings: Recordings,
        split: str,
        *,
        ridge: bool,
        nonlinear: bool = False,
        reference: bool = False,
        lags: int = 5,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        if "features" not in recordings.points:
            raise SpikelensError(f"recordings: {recordings.name} holds no features, so no clip can be shown")
        points = {ORIGINAL: "features"}
        if "decoded" in recordings.points:
            points[OWN] = "decoded"
        points |= {RIDGE: "encoder"} if ridge else {}
        points |= {NONLINEAR: "encoder"} if nonlinear else {}
        self._recordings = recordings
        self._decoders = {
            name: clip_decoder(
                recordings,
                split,
                point,
                nonlinear=name == NONLINEAR,
                lags=lags,
                seed=seed,
                progress=within(progress, 0.8 * i / len(points), 0.8 / len(points)),
            )
            for i, (name, point) in enumerate(points.items())
        }
        if reference:
            name, decode = _reference_decoder(recordings, split, within(progress, 0.8, 0.2))
            self._decoders[name] = decode
        self._templates = train_templates(recordings) if recordings.source == "import" else None
        self.dt_ms = recordings.dt_ms

    def versions(self, clip: int) -> Versions:
        """Return one clip as log-mel and as each decoder of the encoder rebuilds it.

        Returns
        -------
        dict of str to np.ndarray [shape=(T, F)]
            `ORIGINAL`, then `OWN` where the encoder has a decoder, and what was asked for, in the unit of the
            recorded features.
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

        check_audible(self._recordings)
        extra = self._recordings.extra
        config = FeatureConfig(**extra["features"])
        mean, std = (np.asarray(extra[f"feature_{what}"]) for what in ("mean", "std"))
        return mel_to_audio(values * std + mean, config), config.sample_rate


def check_audible(recordings: Recordings) -> None:
    """Raise SpikelensError where recordings cannot be turned into sound."""
    if "feature_std" not in recordings.extra:
        raise SpikelensError(
            f"{recordings.name}: sound needs the scale of the log-mel, which imports do not carry"
        )


def reconstruct_clip(
    recordings: Recordings, split: str, clip: int, point: str, *, lags: int = 5, seed: int = 0
) -> np.ndarray:
    """Return one clip rebuilt, ``(T, F)`` float32 in the unit of the features; see `clip_decoder`."""
    return clip_decoder(recordings, split, point, lags=lags, seed=seed)(clip)


def clip_decoder(
    recordings: Recordings,
    split: str,
    point: str,
    *,
    nonlinear: bool = False,
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Callable[[int], np.ndarray]:
    """Return a function that rebuilds a clip of `split`, ``(T, F)`` float32 in the unit of the features.

    `point` ``decoded`` gives the encoder's own decoder and ``features`` the original; any other point is read
    by the better of its two ridge decoders, or by the non-linear one; these are fitted once and then come
    from the cache. What is slow is done here; each clip then takes milliseconds.
    """
    held = recordings.split(split)

    def row(clip: int) -> slice:
        if not 0 <= clip < len(held):
            raise SpikelensError(f"clip: {clip} is not between 0 and {len(held) - 1}")
        return slice(clip, clip + 1)

    if point in ("decoded", "features"):
        return lambda clip: held.load(point, row(clip))[0]
    templates = train_templates(recordings)
    evaluated = "validation" if split == "train" else split
    fit = nonlinear_decoder if nonlinear else best_ridge
    decoder = fit(recordings, point, split=evaluated, lags=lags, seed=seed, progress=progress)

    def rebuild(clip: int) -> np.ndarray:
        estimate = decoder.read(held.load(point, row(clip)))[0]
        return (estimate * templates.std + templates.mean).astype(np.float32)

    return rebuild


def _reference_decoder(
    recordings: Recordings, split: str, progress: Progress
) -> tuple[str, Callable[[int], np.ndarray]]:
    """Return name and decoder of the faithful encoder, in the unit of the recorded features."""
    reference = faithful_reference(recordings, progress=progress)
    templates = train_templates(recordings)
    decode = clip_decoder(reference, split, "decoded")
    name = REFERENCE if reference.extra["rate_matched"] else UNMATCHED
    return name, lambda clip: (decode(clip) * templates.std + templates.mean).astype(np.float32)
