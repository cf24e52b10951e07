"""What every loader returns: clips as 16-bit samples with label, speaker and id, in named splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.errors import SpikelensError

SAMPLE_RATE = 16_000
N_SAMPLES = 16_000
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """The clips of one split.

    Attributes
    ----------
    name : str
        One of `SPLITS`.
    waveforms : np.ndarray [shape=(n, n_samples), int16]
        May be memory-mapped.
    labels : np.ndarray [shape=(n,), int64]
        Index into the data set's `labels`.
    clip_ids : tuple of str
        Stable name of each clip, without the file extension: ``word/speaker_nohash_0``.
    speakers : tuple of str or None
        None where speakers are unknown.
    nuisance : mapping of str to np.ndarray [shape=(n,)]
        What else is known of each clip (embedded set: ``voice``, ``pitch``, ``rate``, ``snr_db``).
    """

    name: str
    waveforms: np.ndarray
    labels: np.ndarray
    clip_ids: tuple[str, ...]
    speakers: tuple[str, ...] | None = None
    nuisance: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def waveform(self, index: int) -> np.ndarray:
        """Return one clip as float32 in [-1, 1], shape ``(n_samples,)``."""
        return self.waveforms[index].astype(np.float32) / 32768.0

    def batches(self, size: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ``(rows, waveforms)`` in order, waveforms as float32 in [-1, 1] ``(b, n_samples)``."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.waveforms[rows].astype(np.float32) / 32768.0

    def select(self, rows: np.ndarray) -> Split:
        """Return the split with only these rows, in this order."""
        return replace(
            self,
            waveforms=self.waveforms[rows],
            labels=self.labels[rows],
            clip_ids=tuple(self.clip_ids[i] for i in rows),
            speakers=None if self.speakers is None else tuple(self.speakers[i] for i in rows),
            nuisance={key: value[rows] for key, value in self.nuisance.items()},
        )


@dataclass(frozen=True)
class LoadReport:
    """What a loader left out or changed: counts to show the user, and a few names as examples."""

    loaded: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)  # reason -> count
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # reason -> first names
    padded: int = 0
    cropped: int = 0
    resampled: int = 0
    mixed_down: int = 0

    def lines(self) -> list[str]:
        """Return the report as short sentences, empty where nothing happened."""
        out = [
            f"skipped {count} clips: {reason} ({', '.join(self.examples.get(reason, ())[:3])})"
            for reason, count in self.skipped.items()
        ]
        for word in ("padded", "cropped", "resampled"):
            if count := getattr(self, word):
                out.append(f"{word} {count} clips")
        if self.mixed_down:
            out.append(f"mixed {self.mixed_down} clips down to mono")
        return out


@dataclass(frozen=True)
class AudioDataset:
    """Labelled clips of one length at 16 kHz, split without sharing speakers where they are known.

    Attributes
    ----------
    name : str
        Short name used in recipes and tables: ``gsc8``, ``gsc35``, ``spoken35`` or the folder's name.
    labels : tuple of str
        Class names; `Split.labels` index into them.
    splits : mapping of str to Split
    synthetic : bool
        True for rendered speech; shown wherever the data set is shown.
    digest : str
        See `dataset_digest`: does not depend on the audio container.
    report : LoadReport
    noise : tuple of np.ndarray [shape=(n,), int16]
        Background recordings, may be empty.
    """

    name: str
    labels: tuple[str, ...]
    splits: Mapping[str, Split]
    digest: str
    synthetic: bool = False
    report: LoadReport = field(default_factory=LoadReport)
    noise: tuple[np.ndarray, ...] = ()

    @property
    def speakers_known(self) -> bool:
        """Tell whether every split names its speakers."""
        return all(split.speakers is not None for split in self.splits.values())

    def split(self, name: str) -> Split:
        """Return the split called `name`; SpikelensError names the allowed ones otherwise."""
        if name not in self.splits:
            raise SpikelensError(f"split: {name!r} is not one of {', '.join(self.splits)}")
        return self.splits[name]

    def restrict(self, labels: Sequence[str]) -> AudioDataset:
        """Return only the clips of these words, labels re-numbered in the order given."""
        missing = [word for word in labels if word not in self.labels]
        if missing:
            raise SpikelensError(f"labels: {', '.join(missing)} not in data set {self.name}")
        if tuple(labels) == self.labels:
            return self
        lookup = np.full(len(self.labels), -1, dtype=np.int64)
        for new, word in enumerate(labels):
            lookup[self.labels.index(word)] = new
        splits = {}
        for name, split in self.splits.items():
            rows = np.flatnonzero(lookup[split.labels] >= 0)
            splits[name] = replace(split.select(rows), labels=lookup[split.labels[rows]])
        return replace(
            self, labels=tuple(labels), splits=splits, digest=_digest_json([self.digest, list(labels)])
        )


def clip_hash(samples: np.ndarray) -> str:
    """Return the SHA-256 of a clip's 16-bit little-endian samples, as hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<i2").tobytes()).hexdigest()


def dataset_digest(clips: Mapping[str, Sequence[tuple[str, str]]], settings: Mapping[str, object]) -> str:
    """Return the identity of a data set.

    Parameters
    ----------
    clips : mapping of split name to sequence of (clip id, `clip_hash` of the samples as read)
    settings : mapping
        What was done to the samples: sampling rate, length, words.
    """
    body = {name: sorted(map(list, rows)) for name, rows in clips.items()}
    return _digest_json([body, dict(settings)])


def _digest_json(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
