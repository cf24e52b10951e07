"""The embedded data set: the 35 Google Speech Commands words spoken by eSpeak NG, in noise."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.base import (
    N_SAMPLES,
    SPLITS,
    AudioDataset,
    LoadReport,
    Split,
    dataset_digest,
)
from models.data.espeak import ACCENTS, Utterance, library_version, render, voices
from models.data.scene import LEVEL_DB, NOISES, SNR_DB, Scene, compose, draw_scene
from models.errors import SpikelensError
from models.paths import cache_dir

_WORDS = """
backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no off on
one right seven sheila six stop three tree two up visual wow yes zero
"""
WORDS = tuple(_WORDS.split())
PITCH = (25, 75)
RATE = (120, 220)  # words per minute

_NAME = "spoken35"
_VERSION = 2  # raise it with any change, here or in espeak.py, that alters a sample
_AT_ONCE = 1050  # clips for one run of the library
_OF_UTTERANCE, _OF_SCENE = ("voice", "accent", "pitch", "rate"), ("noise", "snr_db")  # nuisance labels
_log = logging.getLogger("spikelens")

Progress = Callable[[float, str], None]  # fraction in [0, 1], what is going on


@dataclass(frozen=True)
class _Clip:
    clip_id: str
    label: int
    utterance: Utterance
    scene: Scene


def load_spoken35(progress: Progress | None = None, clips_per_word: int = 300, seed: int = 0) -> AudioDataset:
    """Return the embedded data set: rendered on the first call, read from the cache afterwards.

    Parameters
    ----------
    progress : callable, optional
        Called with the fraction done and a word about it.
    clips_per_word : int
        70 % of them for training, 10 % for validation, 20 % for the test. No voice is in two splits.
    seed : int
        Decides which voice is in which split and everything about each clip.

    Returns
    -------
    AudioDataset
        Synthetic. ``nuisance`` holds ``voice``, ``accent``, ``pitch`` (0 to 99), ``rate`` (words per minute),
        ``noise`` and ``snr_db``. The digest is that of the settings and the library's version: samples may
        differ between platforms in their last bits.

    Raises
    ------
    SpikelensError
        No usable speech library, or an argument out of range.
    """
    if clips_per_word < 3:
        raise SpikelensError(f"clips_per_word: {clips_per_word} is not at least 3")
    if seed < 0:
        raise SpikelensError(f"seed: {seed} is not at least 0")
    settings = {
        "generator": _VERSION,
        "library": library_version(),
        "clips_per_word": clips_per_word,
        "seed": seed,
        "words": WORDS,
        "accents": ACCENTS,
        "noises": NOISES,
        "pitch": PITCH,
        "rate": RATE,
        "snr_db": SNR_DB,
        "level_db": LEVEL_DB,
    }
    digest = dataset_digest({}, settings)
    folder = cache_dir() / _NAME / digest
    splits = _read(folder)
    if splits is None:
        splits = _generate(clips_per_word, seed, progress or (lambda fraction, words: None))
        splits = _store(folder, splits, settings) or splits
    loaded = sum(map(len, splits.values()))
    return AudioDataset(_NAME, WORDS, splits, digest, synthetic=True, report=LoadReport(loaded=loaded))


def speak(
    word: str, *, voice: str = "f1", accent: str = "en", pitch: int = 50, rate: int = 170, seed: int = 0
) -> np.ndarray:
    """Return one clip as the data set would hold it: onset, level and noise drawn from the seed.

    Parameters
    ----------
    word : str
        Any English text of less than a second.
    voice, accent, pitch, rate
        See `models.data.espeak.Utterance`.
    seed : int

    Returns
    -------
    np.ndarray [shape=(N_SAMPLES,), int16]
    """
    (sound,) = render([Utterance(word, voice, accent, pitch, rate)])
    return compose(sound, draw_scene(np.random.default_rng(seed), (seed,)))


def _generate(clips_per_word: int, seed: int, progress: Progress) -> dict[str, Split]:
    plans = _plan(clips_per_word, seed)
    total = clips_per_word * len(WORDS)
    done = 0
    splits = {}
    for name, clips in plans.items():
        waveforms = np.empty((len(clips), N_SAMPLES), np.int16)
        for start in range(0, len(clips), _AT_ONCE):
            progress(done / total, f"speaking {total} words")
            block = clips[start : start + _AT_ONCE]
            for row, (clip, sound) in enumerate(
                zip(block, render([clip.utterance for clip in block]), strict=True), start
            ):
                waveforms[row] = compose(sound, clip.scene)
            done += len(block)
        splits[name] = _split(name, waveforms, _describe(clips))
    progress(1.0, f"spoke {total} words")
    return splits


def _plan(clips_per_word: int, seed: int) -> dict[str, list[_Clip]]:
    """Return every clip of every split; within a split, voices take turns."""
    speakers = _split_voices(voices(), np.random.default_rng(seed))
    plans: dict[str, list[_Clip]] = {}
    first = 0
    for name, count in zip(SPLITS, _shares(clips_per_word), strict=True):
        mine = speakers[name]
        plans[name] = [
            _draw_clip(label, first + i, mine[(label * count + i) % len(mine)], seed)
            for label in range(len(WORDS))
            for i in range(count)
        ]
        first += count
    return plans


def _split_voices(names: Sequence[str], rng: np.random.Generator) -> dict[str, list[str]]:
    """Deal the voices out; variants of one voice (klatt, klatt2, ...) stay together."""
    families: dict[str, list[str]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        families.setdefault(stem if len(stem) > 1 else name, []).append(name)  # m1 and m2 are two people
    shares = dict(zip(SPLITS, _shares(len(names)), strict=True))
    dealt: dict[str, list[str]] = {name: [] for name in SPLITS}
    for family in rng.permutation(sorted(families)):
        emptiest = max(SPLITS, key=lambda name: 1 - len(dealt[name]) / shares[name])
        dealt[emptiest] += families[family]
    return dealt


def _shares(total: int) -> tuple[int, int, int]:
    validation, test = max(1, round(0.1 * total)), max(1, round(0.2 * total))
    return total - validation - test, validation, test


def _draw_clip(label: int, number: int, voice: str, seed: int) -> _Clip:
    key = (seed, label, number)
    rng = np.random.default_rng(key)
    utterance = Utterance(
        text=WORDS[label],
        voice=voice,
        accent=str(rng.choice(ACCENTS)),
        pitch=int(rng.integers(*PITCH, endpoint=True)),
        rate=int(rng.integers(*RATE, endpoint=True)),
    )
    clip_id = f"{WORDS[label]}/{voice.replace(' ', '-')}_{number:04d}"
    return _Clip(clip_id, label, utterance, draw_scene(rng, key))


def _describe(clips: Sequence[_Clip]) -> dict:
    return {
        "labels": [clip.label for clip in clips],
        "clip_ids": [clip.clip_id for clip in clips],
        "speakers": [clip.utterance.voice for clip in clips],
        "nuisance": {
            **{key: [getattr(clip.utterance, key) for clip in clips] for key in _OF_UTTERANCE},
            **{key: [getattr(clip.scene, key) for clip in clips] for key in _OF_SCENE},
        },
    }


def _split(name: str, waveforms: np.ndarray, rows: dict) -> Split:
    return Split(
        name=name,
        waveforms=waveforms,
        labels=np.asarray(rows["labels"], dtype=np.int64),
        clip_ids=tuple(rows["clip_ids"]),
        speakers=tuple(rows["speakers"]),
        nuisance={key: np.asarray(values) for key, values in rows["nuisance"].items()},
    )


def _read(folder: Path) -> dict[str, Split] | None:
    """Return a complete cache entry, or None."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        splits = {
            name: _split(
                name,
                np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False),
                index["splits"][name],
            )
            for name in SPLITS
        }
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    whole = all(s.waveforms.shape == (len(s), N_SAMPLES) for s in splits.values())
    return splits if whole else None


def _store(
    folder: Path, splits: Mapping[str, Split], settings: Mapping[str, object]
) -> dict[str, Split] | None:
    """Write a cache entry and return it memory-mapped; None, with a warning, where that cannot be done."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:16]}-", dir=folder.parent))
        for name, split in splits.items():
            np.save(temporary / f"{name}.npy", split.waveforms)
        index = {
            "settings": settings,
            "audio_sha256": {
                name: hashlib.sha256(split.waveforms.tobytes()).hexdigest() for name, split in splits.items()
            },
            "splits": {
                name: {
                    "labels": split.labels.tolist(),
                    "clip_ids": split.clip_ids,
                    "speakers": split.speakers,
                    "nuisance": {key: values.tolist() for key, values in split.nuisance.items()},
                }
                for name, split in splits.items()
            },
        }
        (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged entry, or the same one by another process
        temporary.replace(folder)
    except OSError as error:
        _log.warning("spoken35 is not cached (%s); going on in memory", error)
        return None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return _read(folder)
