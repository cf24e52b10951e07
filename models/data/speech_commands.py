"""Google Speech Commands layout: a folder per word, two list files, speakers in the file names.

Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv:1804.03209 (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from models.data.base import AudioDataset
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
)
from models.data.splits import speech_commands_split
from models.data.store import build_dataset
from models.errors import SpikelensError

WORDS_8 = ("down", "go", "left", "no", "right", "stop", "up", "yes")
# fmt: off
WORDS_35 = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go",
    "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven",
    "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)
# fmt: on
_SPEAKER_MARK = "_nohash_"


def looks_like_speech_commands(path: Path) -> bool:
    """Tell whether some ``<word>/`` folder holds a file with ``_nohash_`` in its name."""
    return any(path.glob(f"[!._]*/*{_SPEAKER_MARK}*"))


def load_speech_commands(path: Path | str, words: Sequence[str] | None = None) -> AudioDataset:
    """Load a Speech Commands folder, wav or flac, all of its words or some.

    Parameters
    ----------
    path : Path or str
    words : sequence of str, optional
        Default: every word folder there is.

    Returns
    -------
    AudioDataset
        Splits as the list files say; for a list that is absent, as the data set's own speaker hash says.
        Silent clips are kept: a published test set is evaluated whole. Shorter clips get zeros at the end.

    Raises
    ------
    SpikelensError
        No such folder or word, fewer than two words, a word without training clips, an empty split.
    """
    root = data_folder(path)
    skipped = Skipped()
    files = {word: paths for word, paths in labelled_files(root, skipped).items() if paths}
    if words is not None:
        missing = [word for word in words if word not in files]
        if missing:
            raise SpikelensError(
                f"words: {', '.join(missing)} not in {root.name}; there are {', '.join(files)}"
            )
        files = {word: files[word] for word in sorted(set(words))}
    clips = unique_clips(assigned_clips(root, files), skipped)
    return build_dataset(
        dataset_name(root, files), clips, skipped=skipped, noise=noise_files(root), allow_silent=True
    )


def dataset_name(root: Path, words: Iterable[str]) -> str:
    """Return ``gsc8`` or ``gsc35`` for exactly those words, else the folder's name."""
    known = {WORDS_8: "gsc8", WORDS_35: "gsc35"}
    return known.get(tuple(sorted(words))) or slug(root.name)


def assigned_clips(root: Path, files: dict[str, list[Path]]) -> Iterator[tuple[str, ClipFile]]:
    """Yield each clip of the given word folders with its split, by list file or speaker hash."""
    lists = {split: read_list(root / name) for split, name in LIST_FILES.items()}
    for word, paths in files.items():
        for path in paths:
            clip_id = f"{word}/{path.stem}"
            speaker = path.stem.split(_SPEAKER_MARK)[0]
            yield _split_of(clip_id, speaker, lists), ClipFile(path, word, clip_id, speaker)


def _split_of(clip_id: str, speaker: str, lists: dict[str, set[str] | None]) -> str:
    for split, listed in lists.items():
        if listed is not None and clip_id in listed:
            return split
    hashed = speech_commands_split(speaker)
    return hashed if hashed in lists and lists[hashed] is None else "train"
