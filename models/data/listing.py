"""Which audio files a data folder holds, before any is decoded, and a count of those left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from models.data.audio import SUFFIXES
from models.errors import SpikelensError

LIST_FILES = {"validation": "validation_list.txt", "test": "testing_list.txt"}
_EXAMPLES = 5


@dataclass(frozen=True)
class ClipFile:
    """One audio file and what its place or its table says about it."""

    path: Path
    label: str
    clip_id: str
    speaker: str | None


@dataclass
class Skipped:
    """Running count of the files left out, by reason, with the first few names."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Count one file."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        names = self.examples.setdefault(reason, [])
        if len(names) < _EXAMPLES:
            names.append(name)

    def plus(self, other: Skipped) -> Skipped:
        """Return both counts together."""
        reasons = [*self.counts, *(reason for reason in other.counts if reason not in self.counts)]
        return Skipped(
            {r: self.counts.get(r, 0) + other.counts.get(r, 0) for r in reasons},
            {r: (self.examples.get(r, []) + other.examples.get(r, []))[:_EXAMPLES] for r in reasons},
        )


def data_folder(path: Path | str) -> Path:
    """Return the resolved folder; SpikelensError where there is none."""
    root = Path(path)
    if not root.is_dir():
        raise SpikelensError(f"data: {str(path)!r} is not a folder")
    return root.resolve()


def labelled_files(root: Path, skipped: Skipped) -> dict[str, list[Path]]:
    """Return the audio files of each ``<label>`` folder, both in order of their names.

    Folders that start with ``_`` or ``.`` are no classes; files that are not audio are counted.
    """
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
    return {folder.name: _audio_files(folder, skipped) for folder in folders}


def noise_files(root: Path) -> list[Path]:
    """Return the recordings in ``_background_noise_``, if there are any."""
    folder = root / "_background_noise_"
    return _audio_files(folder, Skipped()) if folder.is_dir() else []


def read_list(path: Path) -> set[str] | None:
    """Return the clip ids in a list file (extensions dropped), or None where there is no such file."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise SpikelensError(f"data: {path.name} is not a text file in UTF-8") from None
    return {without_suffix(PureWindowsPath(line.strip()).as_posix()) for line in lines if line.strip()}


def without_suffix(name: str) -> str:
    """Return a relative file name without its audio extension, as used for clip ids."""
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in SUFFIXES else name


def slug(name: str) -> str:
    """Return a folder's name as a data set name: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "data"


def unique_clips(clips: Iterable[tuple[str, ClipFile]], skipped: Skipped) -> Mapping[str, list[ClipFile]]:
    """Return ``(split, clip)`` pairs grouped by split; a clip id that came before is left out and counted."""
    grouped: dict[str, list[ClipFile]] = {}
    seen = set()
    for split, clip in clips:
        if clip.clip_id in seen:
            skipped.add("same name as another clip", clip.clip_id)
            continue
        seen.add(clip.clip_id)
        grouped.setdefault(split, []).append(clip)
    return grouped


def _audio_files(folder: Path, skipped: Skipped) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix.lower() in SUFFIXES:
            found.append(path)
        else:
            skipped.add("not an audio file", f"{folder.name}/{path.name}")
    return found
