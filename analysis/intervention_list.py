"""Every intervention on an encoder's code, as something that reads changed activity clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis import spike_changes as change
from analysis.fitting import derangement
from analysis.noisy_clips import NoiseSource
from analysis.recordings import Recordings
from analysis.reference import STREAMS, faithful_reference

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

CLEAN = "clean"
STREAM_ZEROED, STREAM_SHUFFLED, TIME_SHUFFLED = "stream zeroed", "stream of other clips", "shuffled in time"
RANDOM, SELECTIVE = "random channels zeroed", "selective channels zeroed"
SWAPPED, NOISE, JITTER, DROPPED = "other encoder", "noise added", "jittered", "spikes dropped"
ALL_STREAMS = "all"
RANDOM_SHARES, SELECTIVE_SHARES, DROPPED_SHARES = (0.1, 0.25, 0.5), (0.1, 0.25, 0.5), (0.1, 0.25, 0.5)
SNRS_DB, JITTERS = (20, 10, 5, 0), (1, 2, 5)
N_DRAWS = 3
POINT = "encoder"
_NO_SPIKES = "the encoder does not spike"
Read = Callable[[np.ndarray], np.ndarray]  # rows of the split -> activity (n, T, N)


class Setting(NamedTuple):
    """What every change starts from: a model, the sound, and its recorded code."""

    checkpoint: Checkpoint
    dataset: AudioDataset
    recordings: Recordings
    split: str
    seed: int

    @property
    def spiking(self) -> bool:
        """Tell whether the code is spikes."""
        return self.recordings.points[POINT].spiking

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return unchanged activity, ``(n, T, N)``."""
        return self.recordings.split(self.split).load(POINT, rows)

    def drawing(self, change_of: Callable[..., np.ndarray], *key: int) -> Read:
        """Return a random change whose draws depend on the seed, the change and the clips alone."""

        def read(rows: np.ndarray) -> np.ndarray:
            return change_of(self.read(rows), rng=np.random.default_rng([self.seed, *key, int(rows[0])]))

        return read


class Change(NamedTuple):
    """One intervention; where chance chooses channels, one reading a draw."""

    kind: str
    what: str
    reads: list[Read]


def every_change(
    setting: Setting, swap: Checkpoint | None, noise: NoiseSource
) -> tuple[list[Change], dict[str, str]]:
    """Return every intervention that can be made here, and why others cannot.

    Parameters
    ----------
    swap : Checkpoint or None
        Whose encoder stands in.

    Returns
    -------
    changes : list of Change
        The first changes nothing.
    not_applicable : dict of str to str
        Intervention -> why there is none.
    """
    found: list[Change] = [Change(CLEAN, "", [setting.read])]
    missing: dict[str, str] = {}
    found += _stream_changes(setting)
    if not setting.recordings.points[POINT].streams:
        missing[STREAM_ZEROED] = "the encoder has no streams"
        missing[STREAM_SHUFFLED] = "the encoder has no streams; only the whole code can be exchanged"
    if setting.spiking:
        found += _time_changes(setting)
    found += _channel_changes(setting)
    swapped, why = _swaps(setting, swap)
    found += swapped
    for snr_db in SNRS_DB:
        found.append(Change(NOISE, f"{snr_db} dB", [_noisy(setting, noise, snr_db)]))
    if setting.spiking:
        found += _spike_changes(setting)
    else:
        missing |= dict.fromkeys((TIME_SHUFFLED, JITTER, DROPPED), _NO_SPIKES)
    return found, missing | why


def _streams(setting: Setting) -> dict[str, slice]:
    """Return the columns of every stream."""
    return {name: slice(*columns) for name, columns in setting.recordings.points[POINT].streams.items()}


def _stream_changes(setting: Setting) -> list[Change]:
    partner = derangement(len(setting.recordings.split(setting.split)), setting.seed)

    def zero(columns: slice) -> Read:
        return lambda rows: change.zeroed(setting.read(rows), columns)

    def exchange(columns: slice) -> Read:
        return lambda rows: change.exchanged(setting.read(rows), setting.read(partner[rows]), columns)

    streams = _streams(setting)
    zeroed = [Change(STREAM_ZEROED, name, [zero(columns)]) for name, columns in streams.items()]
    everything = {ALL_STREAMS: slice(None)}
    moved = [
        Change(STREAM_SHUFFLED, name, [exchange(columns)]) for name, columns in (streams | everything).items()
    ]
    return zeroed + moved


def _time_changes(setting: Setting) -> list[Change]:
    return [
        Change(TIME_SHUFFLED, name, [setting.drawing(partial(change.shuffled_in_time, units=columns), 1)])
        for name, columns in (_streams(setting) | {ALL_STREAMS: slice(None)}).items()
    ]


def _channel_changes(setting: Setting) -> list[Change]:
    n_units = setting.recordings.points[POINT].units
    selectivity = change.word_selectivity(setting.recordings.split("train"), POINT)

    def zero(units: np.ndarray) -> Read:
        return lambda rows: change.zeroed(setting.read(rows), units)

    found: list[Change] = []
    for share in RANDOM_SHARES:
        draws = [np.random.default_rng([setting.seed, 2, draw]) for draw in range(N_DRAWS)]
        units = [change.random_units(n_units, share, rng) for rng in draws]
        found.append(Change(RANDOM, f"{share:.0%}", [zero(chosen) for chosen in units]))
    for share in SELECTIVE_SHARES:
        found.append(Change(SELECTIVE, f"{share:.0%}", [zero(change.most_selective(selectivity, share))]))
    return found


def _spike_changes(setting: Setting) -> list[Change]:
    found: list[Change] = []
    for frames in JITTERS:
        moved = setting.drawing(partial(change.jittered, largest=frames), 3, frames)
        unit = "frame" if frames == 1 else "frames"
        found.append(Change(JITTER, f"±{frames} {unit}", [moved]))
    for share in DROPPED_SHARES:
        kept = setting.drawing(partial(change.dropped, share=share), 4)
        found.append(Change(DROPPED, f"{share:.0%}", [kept]))
    return found


def _noisy(setting: Setting, noise: NoiseSource, snr_db: float) -> Read:
    clips = setting.dataset.split(setting.split)
    return lambda rows: _encoded(setting.checkpoint, noise.added(clips, rows, snr_db), setting.spiking)


def _encoded(checkpoint: Checkpoint, waveforms: np.ndarray, spiking: bool) -> np.ndarray:
    """Return what a checkpoint's encoder makes of sound, ``(n, n_samples)`` -> ``(n, T, N)``."""
    import torch

    from models.features.mel import log_mel

    model = checkpoint.model
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(waveforms), checkpoint.recipe.features)
        activity = model.encoder(model.normalise(mel)).spikes.numpy()
    return activity.astype(np.uint8) if spiking else activity


def _swaps(setting: Setting, swap: Checkpoint | None) -> tuple[list[Change], dict[str, str]]:
    found: list[Change] = []
    missing: dict[str, str] = {}
    own = setting.recordings.points[POINT]
    if not setting.spiking:
        missing["SF2-rec@r"] = f"{_NO_SPIKES}, so it has no rate to match"
    elif tuple(own.streams) != STREAMS:
        missing["SF2-rec@r"] = "this encoder's channels are not those of a residual encoder"
    else:
        faithful = faithful_reference(setting.recordings)
        if faithful.extra["rate_matched"]:
            clips = faithful.split(setting.split)
            found.append(Change(SWAPPED, "SF2-rec@r", [lambda rows: clips.load(POINT, rows)]))
        else:
            missing["SF2-rec@r"] = "no steps reach this encoder's rate"
    if swap is not None:
        if reason := _unlike(setting, swap):
            missing[f"encoder of {swap.name}"] = reason
        else:
            found.append(Change(SWAPPED, swap.name, [_through(setting, swap)]))
    return found, missing


def _unlike(setting: Setting, swap: Checkpoint) -> str:
    """Return why another encoder cannot stand in, or nothing where it can."""
    own, other = setting.recordings.points[POINT], swap.model.encoder
    if other.spiking != own.spiking:
        return "one of the two encoders spikes, the other does not"
    if dict(other.streams) != dict(own.streams) or other.n_units != own.units:
        return f"its {other.n_units} channels are not the {own.units} this backbone reads"
    clips = setting.dataset.split(setting.split)
    frames = swap.recipe.features.n_frames(clips.waveforms.shape[1])
    if frames != setting.recordings.split(setting.split).n_steps:
        return f"it cuts a clip into {frames} frames"
    return ""


def _through(setting: Setting, swap: Checkpoint) -> Read:
    clips = setting.dataset.split(setting.split)
    return lambda rows: _encoded(swap, clips.waveforms[rows].astype(np.float32) / 32768.0, setting.spiking)
