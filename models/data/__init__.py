"""Data sets by name or folder: the embedded one, the user's own, and those fetched before."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from models.data.base import AudioDataset
from models.data.folder import has_tables, load_folder
from models.data.listing import Skipped, labelled_files, slug
from models.data.speech_commands import dataset_name, load_speech_commands, looks_like_speech_commands
from models.errors import SpikelensError
from models.paths import user_data_dir

EMBEDDED = "spoken35"
_log = logging.getLogger("spikelens")


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that can be opened by name; `path` is None for the embedded one."""

    name: str
    path: Path | None
    synthetic: bool


def fetched_data() -> Path:
    """Return the folder that holds one folder for each data set fetched or rebuilt here."""
    return user_data_dir() / "data"


def available_datasets() -> list[DatasetInfo]:
    """Return what can be opened by name: embedded, then ``SPIKELENS_DATA``, then fetched; first name wins."""
    named = os.environ.get("SPIKELENS_DATA", "").split(os.pathsep)
    folders = [Path(entry) for entry in named if entry]
    if fetched_data().is_dir():
        folders += sorted(p for p in fetched_data().iterdir() if p.is_dir() and p.name[0] != ".")
    found = {EMBEDDED: DatasetInfo(EMBEDDED, None, synthetic=True)}
    for folder in folders:
        if not folder.is_dir():
            _log.warning("SPIKELENS_DATA: %s is not a folder", folder)
            continue
        name = _folder_name(folder.resolve())
        found.setdefault(name, DatasetInfo(name, folder, synthetic=False))
    return list(found.values())


def open_dataset(name_or_path: str, speaker_pattern: str | None = None) -> AudioDataset:
    r"""Open a data set.

    Parameters
    ----------
    name_or_path : str
        ``spoken35``, a folder, or a name among `available_datasets`. A folder with ``_nohash_`` file names is
        read as Speech Commands, any other as `load_folder` does.
    speaker_pattern : str, optional
        Regular expression with one group that finds the speaker in a file name: ``r"^(\w+?)_"``.

    Raises
    ------
    SpikelensError
        No such name or folder, or what the loader finds wrong.
    """
    if name_or_path == EMBEDDED:
        from models.data.synthetic import load_spoken35

        return load_spoken35()
    folder = Path(name_or_path)
    if not name_or_path or not folder.is_dir():
        folders = {info.name: info.path for info in available_datasets()}
        folder = folders.get(name_or_path) or _unknown(name_or_path, list(folders))
    if speaker_pattern is None and _is_speech_commands(folder):
        return load_speech_commands(folder)
    return load_folder(folder, speaker_pattern)


def _is_speech_commands(folder: Path) -> bool:
    return not has_tables(folder) and looks_like_speech_commands(folder)


def _folder_name(folder: Path) -> str:
    """Return the name its loader will give a folder, without decoding anything."""
    if _is_speech_commands(folder):
        return dataset_name(folder, (w for w, files in labelled_files(folder, Skipped()).items() if files))
    return slug(folder.name)


def _unknown(name: str, names: list[str]) -> NoReturn:
    get_it = {
        "gsc8": f"spikelens data subset gsc8 --from V001 V002 --out {fetched_data() / 'gsc8'}",
        "gsc35": "spikelens data fetch speech-commands",
    }
    hint = f"; give its folder, or get it with: {get_it[name]}" if name in get_it else ""
    raise SpikelensError(f"data: {name!r} is neither a folder nor one of {', '.join(names)}{hint}")
