"""GSC-8 from the public archives: eight words of Speech Commands, every clip checked by its sample hash.

Training and validation clips come from v0.01, test clips from v0.02 (its complete official test set for these
words). ``gsc8_clips.csv`` names each clip and the SHA-256 of its 16-bit samples.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import soundfile

from models.data.audio import AudioError, decode_audio
from models.data.base import SAMPLE_RATE, SPLITS, clip_hash
from models.data.listing import LIST_FILES, Skipped, data_folder, labelled_files, noise_files
from models.data.speech_commands import assigned_clips
from models.errors import SpikelensError

CLIP_LIST = Path(__file__).with_name("gsc8_clips.csv")
_COLUMNS = ("split", "clip_id", "sha256")


def write_clip_list(folder: Path, clip_list: Path = CLIP_LIST) -> None:
    """Write split, clip id and sample hash of every clip of a Speech Commands folder as CSV."""
    root = data_folder(folder)
    rows = []
    for split, clip in assigned_clips(root, labelled_files(root, Skipped())):
        samples, _ = decode_audio(clip.path, allow_silent=True)
        rows.append((SPLITS.index(split), clip.clip_id, clip_hash(samples)))
    temporary = clip_list.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((SPLITS[split], clip_id, sha256) for split, clip_id, sha256 in sorted(rows))
    temporary.replace(clip_list)


def build_gsc8(v001: Path, v002: Path, out: Path, clip_list: Path = CLIP_LIST) -> None:
    """Write GSC-8 as FLAC with list files and background noise, or nothing.

    Parameters
    ----------
    v001, v002 : Path
        Folders of the unpacked archives.
    out : Path
        New or empty folder.
    clip_list : Path
        As `write_clip_list` writes it.

    Raises
    ------
    SpikelensError
        A source or `out` that is no such folder, or clips that are missing or whose samples differ.
    """
    sources = {"train": data_folder(v001), "validation": data_folder(v001), "test": data_folder(v002)}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SpikelensError(f"out: {out} exists and is not an empty folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.building")
    shutil.rmtree(building, ignore_errors=True)  # left by a call that was killed
    try:
        _write(sources, building, clip_list)
        building.replace(out)
    except OSError as error:
        raise SpikelensError(f"out: {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(sources: dict[str, Path], folder: Path, clip_list: Path) -> None:
    listed: dict[str, list[str]] = {split: [] for split in SPLITS}
    wrong: list[str] = []
    with clip_list.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            split, clip_id = row["split"], row["clip_id"]
            try:
                samples, _ = decode_audio(sources[split] / f"{clip_id}.wav", allow_silent=True)
            except AudioError as error:
                wrong.append(f"{clip_id} ({error.reason})")
                continue
            if clip_hash(samples) != row["sha256"]:
                wrong.append(f"{clip_id} (other samples)")
                continue
            target = folder / f"{clip_id}.flac"
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, samples, SAMPLE_RATE, subtype="PCM_16")
            listed[split].append(f"{clip_id}.flac\n")
    if wrong:
        raise SpikelensError(f"gsc8: {len(wrong)} clips cannot be rebuilt: {', '.join(wrong[:5])}")
    for split, name in LIST_FILES.items():
        (folder / name).write_text("".join(listed[split]), encoding="utf-8")
    noise = folder / "_background_noise_"
    noise.mkdir()
    for path in noise_files(sources["test"]):
        shutil.copyfile(path, noise / path.name)
