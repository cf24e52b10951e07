"""Any folder of labelled audio: split by tables, by list files, by a speaker pattern, or by file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from models.data.base import SPLITS, AudioDataset
from models.data.listing import (
    LIST_FILES,
    ClipFile,
    Skipped,
    data_folder,
    labelled_files,
    noise_files,
    read_list,
    slug,
    unique_clips,
    without_suffix,
)
from models.data.splits import ranked_split
from models.data.store import build_dataset
from models.errors import SpikelensError

_TABLES = {"train": ("train.csv",), "validation": ("validation.csv", "val.csv"), "test": ("test.csv",)}
_Assigned = Iterator[tuple[str, ClipFile]]


def has_tables(root: Path) -> bool:
    """Tell whether the folder says its splits in tables."""
    return any((root / name).is_file() for names in _TABLES.values() for name in names)


def load_folder(path: Path | str, speaker_pattern: str | None = None) -> AudioDataset:
    r"""Load any folder of labelled audio; other rates, stereo and other lengths are brought to 1 s at 16 kHz.

    The split comes from the first of these that is there:

    1. ``train.csv``, ``validation.csv`` or ``val.csv``, ``test.csv`` with columns ``file`` (below the folder)
       and ``label`` or ``class``, and perhaps ``speaker``;
    2. ``<label>/*`` with ``validation_list.txt`` and ``testing_list.txt``;
    3. ``<label>/*`` by a hash of the speaker;
    4. ``<label>/*`` by a hash of the file name, speakers unknown.

    Parameters
    ----------
    path : Path or str
    speaker_pattern : str, optional
        Regular expression with one group, searched in each file name: ``r"^(\w+?)_"``. A ``speaker`` column
        goes before it.

    Raises
    ------
    SpikelensError
        No such folder, a table that is incomplete or leads out of the folder, a pattern that does not fit,
        splits that share a file or a speaker, or what `build_dataset` finds wrong.
    """
    root = data_folder(path)
    speaker_of = _SpeakerPattern(speaker_pattern)
    skipped = Skipped()
    assigned = (
        _from_tables(root, speaker_of) if has_tables(root) else _from_folders(root, speaker_of, skipped)
    )
    clips = unique_clips(assigned, skipped)
    return build_dataset(slug(root.name), clips, skipped=skipped, noise=noise_files(root))


class _SpeakerPattern:
    def __init__(self, pattern: str | None):
        self._pattern = pattern
        try:
            self._compiled = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise SpikelensError(f"speaker_pattern: {pattern!r} is no regular expression: {error}") from None
        if self._compiled is not None and self._compiled.groups != 1:
            raise SpikelensError(f"speaker_pattern: {pattern!r} needs exactly one group, such as '^(.+?)_'")

    def __call__(self, file_name: str) -> str | None:
        """Return the speaker in a file name; None where there is no pattern."""
        if self._compiled is None:
            return None
        found = self._compiled.search(file_name)
        if found is None or not found[1]:
            raise SpikelensError(f"speaker_pattern: {self._pattern!r} finds no speaker in {file_name!r}")
        return found[1]


def _from_tables(root: Path, speaker_of: _SpeakerPattern) -> _Assigned:
    tables = {
        split: next((root / name for name in names if (root / name).is_file()), None)
        for split, names in _TABLES.items()
    }
    missing = [_TABLES[split][0] for split, table in tables.items() if table is None]
    if missing:
        raise SpikelensError(f"data: {root.name} has tables but no {', '.join(missing)}")
    rows = [row for split in SPLITS for row in _read_table(root, split, tables[split] or root)]
    if 0 < sum(speaker is None for *_, speaker in rows) < len(rows):
        raise SpikelensError(f"data: {root.name}: some tables have a column 'speaker' and some have not")
    home: dict[Path, str] = {}
    for split, file, label, speaker in rows:
        path = _inside(root, root / file)
        if home.setdefault(path, split) != split:
            raise SpikelensError(f"data: {root.name}: {file} is in both {home[path]} and {split}")
        yield split, ClipFile(path, label, without_suffix(file), speaker or speaker_of(path.name))


def _read_table(root: Path, split: str, table: Path) -> list[tuple[str, str, str, str | None]]:
    """Return ``(split, file, label, speaker or None)`` of each row."""
    out = []
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            label_column = columns.get("label", columns.get("class"))
            if "file" not in columns or label_column is None:
                raise SpikelensError(f"data: {table.name} needs columns 'file' and 'label' (or 'class')")
            for row in reader:
                where = f"data: {table.name} line {reader.line_num}"
                file, label = (row[columns["file"]] or "").strip(), (row[label_column] or "").strip()
                speaker = (row[columns["speaker"]] or "").strip() if "speaker" in columns else None
                if not file or not label or speaker == "":
                    raise SpikelensError(f"{where}: an empty file, label or speaker")
                entry = PureWindowsPath(file)  # takes both kinds of slash
                if entry.drive or entry.root or ".." in entry.parts or "\0" in file:
                    raise SpikelensError(f"{where}: file {file!r} must lie below the data folder")
                out.append((split, entry.as_posix(), label, speaker))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise SpikelensError(f"data: {table.name} cannot be read: {error}") from None
    return out


def _from_folders(root: Path, speaker_of: _SpeakerPattern, skipped: Skipped) -> _Assigned:
    clips = [
        ClipFile(_inside(root, path), label, f"{label}/{path.stem}", speaker_of(path.name))
        for label, paths in labelled_files(root, skipped).items()
        for path in paths
    ]
    if not clips:
        raise SpikelensError(f"data: {root.name} holds neither <label>/* audio nor train.csv")
    lists = {split: read_list(root / name) for split, name in LIST_FILES.items()}
    if any(ids is not None for ids in lists.values()):
        yield from _by_lists(root, clips, lists, skipped)
    elif any(clip.speaker is not None for clip in clips):
        home = ranked_split(str(clip.speaker) for clip in clips)
        yield from ((home[str(clip.speaker)], clip) for clip in clips)
    else:
        for label in dict.fromkeys(clip.label for clip in clips):
            home = ranked_split(clip.clip_id for clip in clips if clip.label == label)
            yield from ((home[clip.clip_id], clip) for clip in clips if clip.label == label)


def _by_lists(
    root: Path, clips: list[ClipFile], lists: dict[str, set[str] | None], skipped: Skipped
) -> _Assigned:
    listed: dict[str, str] = {}
    for split, ids in lists.items():
        if ids is None:
            raise SpikelensError(f"data: {root.name} has a list file but no {LIST_FILES[split]}")
        for clip_id in sorted(ids):
            if listed.setdefault(clip_id, split) != split:
                raise SpikelensError(f"data: {root.name}: {clip_id} is in both list files")
    for clip_id in sorted(listed.keys() - {clip.clip_id for clip in clips}):
        skipped.add("listed but not there", clip_id)
    yield from ((listed.get(clip.clip_id, "train"), clip) for clip in clips)


def _inside(root: Path, path: Path) -> Path:
    """Return `path`; SpikelensError where a symbolic link leads out of the data folder."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError):  # a symbolic link to itself
        return path
    if not resolved.is_relative_to(root):
        raise SpikelensError(f"data: {path.relative_to(root)} leads out of the data folder")
    return resolved
