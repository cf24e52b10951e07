"""Audio files -> `AudioDataset`: decoded once into memory-mapped 16-bit arrays in the cache.

A cache entry is a folder ``audio/<key>`` with one ``<split>.i16`` (n, 16000) per split, one ``noise-<i>.i16``
per background recording and ``index.json``. The key covers each file's name, size and time of change, so an
edited file is decoded again. A cache that cannot be written costs time, never the data.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.data.audio import AudioError, DecodeInfo, decode_audio, fit_length
from models.data.base import (
    N_SAMPLES,
    SAMPLE_RATE,
    SPLITS,
    AudioDataset,
    LoadReport,
    Split,
    clip_hash,
    dataset_digest,
)
from models.data.listing import ClipFile, Skipped
from models.data.splits import check_classes, check_speakers
from models.paths import cache_dir

_VERSION = 1
_THREADS = 2
_AT_ONCE = 256  # clips decoded ahead of the writer
_MAX_NOISE_SECONDS = 600.0
_log = logging.getLogger("spikelens")

Clips = Mapping[str, Sequence[ClipFile]]
_Index = dict[str, Any]
_Sink = Callable[[str], BinaryIO]


def build_dataset(
    name: str,
    clips: Clips,
    *,
    skipped: Skipped,
    noise: Sequence[Path] = (),
    allow_silent: bool = False,
) -> AudioDataset:
    """Decode every clip, or open what an earlier call decoded, and check the result.

    Parameters
    ----------
    name : str
    clips : mapping of split name to clips
    skipped : Skipped
        What was already left out while listing.
    noise : sequence of Path
        Background recordings; one that cannot be read is left out with a log line.
    allow_silent : bool
        Keep silent clips.

    Raises
    ------
    SpikelensError
        Splits that share a speaker, fewer than two classes, a class without training clips, an empty split.
    """
    clips = {split: clips.get(split, ()) for split in SPLITS}
    labels = tuple(sorted({clip.label for rows in clips.values() for clip in rows}))
    speakers_known = all(clip.speaker is not None for rows in clips.values() for clip in rows)
    if speakers_known:
        check_speakers(name, {split: [str(clip.speaker) for clip in rows] for split, rows in clips.items()})
    check_classes(name, labels, {split: [clip.label for clip in rows] for split, rows in clips.items()})

    key = _key(clips, noise, allow_silent)
    folder = cache_dir() / "audio" / key
    index, arrays = _read(folder) or _decode_into_cache(folder, labels, clips, noise, allow_silent)
    splits = {
        split: Split(
            name=split,
            waveforms=arrays[split].reshape(-1, N_SAMPLES),
            labels=np.asarray(rows["labels"], dtype=np.int64),
            clip_ids=tuple(rows["clip_ids"]),
            speakers=tuple(rows["speakers"]) if speakers_known else None,
        )
        for split, rows in index["splits"].items()
    }
    check_classes(name, labels, {s.name: [labels[i] for i in np.unique(s.labels)] for s in splits.values()})
    skipped = skipped.plus(Skipped(**index["skipped"]))
    return AudioDataset(
        name=name,
        labels=labels,
        splits=splits,
        digest=index["digest"],
        report=LoadReport(
            loaded=sum(map(len, splits.values())),
            skipped=skipped.counts,
            examples={reason: tuple(names) for reason, names in skipped.examples.items()},
            **index["changed"],
        ),
        noise=tuple(arrays[sound] for sound in index["noise"]),
    )


def _key(clips: Clips, noise: Sequence[Path], allow_silent: bool) -> str:
    def state(path: Path) -> tuple[str, int, int]:
        try:
            status = path.stat()
        except OSError:
            return str(path), -1, -1
        return str(path), status.st_size, status.st_mtime_ns

    rows = {
        split: [(*state(clip.path), clip.label, clip.clip_id, clip.speaker) for clip in listed]
        for split, listed in clips.items()
    }
    body = [_VERSION, rows, [state(path) for path in noise], SAMPLE_RATE, N_SAMPLES, allow_silent]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]


def _read(folder: Path) -> tuple[_Index, dict[str, np.ndarray]] | None:
    """Return a complete cache entry, or None where there is none or its files have the wrong size."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        arrays = {name: _map(folder / f"{name}.i16") for name in index["samples"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (index, arrays) if {n: len(a) for n, a in arrays.items()} == index["samples"] else None


def _map(path: Path) -> np.ndarray:
    if path.stat().st_size == 0:  # cannot be mapped
        return np.zeros(0, dtype="<i2")
    return np.memmap(path, dtype="<i2", mode="r")


def _decode_into_cache(
    folder: Path, labels: Sequence[str], clips: Clips, noise: Sequence[Path], allow_silent: bool
) -> tuple[_Index, dict[str, np.ndarray]]:
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        into = temporary
        with contextlib.ExitStack() as stack:
            index = _decode(
                labels,
                clips,
                noise,
                allow_silent,
                lambda name: stack.enter_context((into / f"{name}.i16").open("wb")),
            )
        (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged entry, or the same one by another process
        temporary.replace(folder)
        if found := _read(folder):
            return found
        raise OSError("what was written reads back differently")
    except OSError as error:
        _log.warning("decoded audio is not cached (%s); going on in memory", error)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    buffers: dict[str, io.BytesIO] = {}
    index = _decode(labels, clips, noise, allow_silent, lambda name: buffers.setdefault(name, io.BytesIO()))
    return index, {name: np.frombuffer(b.getbuffer(), dtype="<i2") for name, b in buffers.items()}


def _decode(
    labels: Sequence[str], clips: Clips, noise: Sequence[Path], allow_silent: bool, sink: _Sink
) -> _Index:
    """Write every usable clip of every split to a sink of that name; return the index of what was written."""
    skipped = Skipped()
    changed: Counter[str] = Counter(padded=0, cropped=0, resampled=0, mixed_down=0)
    hashes: dict[str, list[tuple[str, str]]] = {}
    splits: dict[str, dict[str, list]] = {}
    samples_written: dict[str, int] = {}
    for split, rows in clips.items():
        stream = sink(split)
        kept: list[ClipFile] = []
        hashes[split] = []
        for clip, result in _decoded(rows, allow_silent):
            if isinstance(result, AudioError):
                skipped.add(result.reason, clip.clip_id)
                continue
            samples, info = result
            stream.write(fit_length(samples).astype("<i2").tobytes())
            kept.append(clip)
            hashes[split].append((clip.clip_id, clip_hash(samples)))
            changed["padded"] += len(samples) < N_SAMPLES
            changed["cropped"] += len(samples) > N_SAMPLES
            changed["resampled"] += info.resampled
            changed["mixed_down"] += info.mixed_down
        splits[split] = {
            "labels": [labels.index(clip.label) for clip in kept],
            "clip_ids": [clip.clip_id for clip in kept],
            "speakers": [clip.speaker for clip in kept],
        }
        samples_written[split] = len(kept) * N_SAMPLES
    sounds: list[str] = []
    for path in noise:
        try:
            samples, _ = decode_audio(path, _MAX_NOISE_SECONDS, allow_silent=True)
        except AudioError as error:
            _log.warning("background noise left out: %s", error)
            continue
        sounds.append(f"noise-{len(sounds)}")
        sink(sounds[-1]).write(samples.astype("<i2").tobytes())
        samples_written[sounds[-1]] = len(samples)
    return {
        "digest": dataset_digest(
            hashes, {"sample_rate": SAMPLE_RATE, "n_samples": N_SAMPLES, "labels": list(labels)}
        ),
        "splits": splits,
        "noise": sounds,
        "samples": samples_written,
        "changed": dict(changed),
        "skipped": {"counts": skipped.counts, "examples": skipped.examples},
    }


def _decoded(
    clips: Sequence[ClipFile], allow_silent: bool
) -> Iterator[tuple[ClipFile, tuple[np.ndarray, DecodeInfo] | AudioError]]:
    def attempt(clip: ClipFile) -> tuple[np.ndarray, DecodeInfo] | AudioError:
        try:
            return decode_audio(clip.path, allow_silent=allow_silent)
        except AudioError as error:
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(clips), _AT_ONCE):
            block = clips[start : start + _AT_ONCE]
            yield from zip(block, pool.map(attempt, block), strict=True)
