"""Who goes into which split: the published speaker hash, a ranked hash for other data, and the checks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from models.data.base import SPLITS
from models.errors import SpikelensError

_MAX_CLIPS_PER_CLASS = 2**27 - 1


def speech_commands_split(speaker: str) -> str:
    """Return the split of a Speech Commands speaker: about 80 / 10 / 10 % (Warden, 2018, arXiv:1804.03209).

    Parameters
    ----------
    speaker : str
        The part of the file name before ``_nohash_``.
    """
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_MAX_CLIPS_PER_CLASS + 1)
    percent = number * (100.0 / _MAX_CLIPS_PER_CLASS)
    return "validation" if percent < 10 else "test" if percent < 20 else "train"


def ranked_split(keys: Iterable[str]) -> dict[str, str]:
    """Return the split of each key: 10 % validation and 10 % test, at least one of each from three keys on.

    The keys are ranked by their SHA-256, so that the result depends on nothing but the keys; unlike a
    threshold on the hash it leaves no split empty when there are few of them.
    """
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    held = max(1, round(0.1 * len(ranked))) if len(ranked) >= 3 else 0
    names = ["validation"] * held + ["test"] * held + ["train"] * (len(ranked) - 2 * held)
    return dict(zip(ranked, names, strict=True))


def check_speakers(data: str, speakers: Mapping[str, Iterable[str]]) -> None:
    """Raise SpikelensError naming a speaker that occurs in two splits."""
    home: dict[str, str] = {}
    for split, names in speakers.items():
        for speaker in sorted(set(names)):
            if speaker in home:
                raise SpikelensError(
                    f"data: {data}: speaker {speaker!r} is in both {home[speaker]} and {split}; "
                    "splits must not share speakers"
                )
            home[speaker] = split


def check_classes(data: str, labels: Iterable[str], by_split: Mapping[str, Iterable[str]]) -> None:
    """Raise SpikelensError for fewer than two classes, an empty split, or a class without training clips.

    Parameters
    ----------
    data : str
        Name of the data set, for the message.
    labels : iterable of str
        Every class there should be.
    by_split : mapping of split name to the labels of its clips
    """
    wanted = list(labels)
    if len(wanted) < 2:
        raise SpikelensError(
            f"data: {data}: needs clips of at least two classes, found {', '.join(wanted) or 'none'}"
        )
    present = {name: set(found) for name, found in by_split.items()}
    untrained = [label for label in wanted if label not in present["train"]]
    if untrained:
        raise SpikelensError(f"data: {data}: no usable training clip of class {', '.join(untrained)}")
    empty = [name for name in SPLITS if not present[name]]
    if empty:
        raise SpikelensError(f"data: {data}: no usable clip in split {', '.join(empty)}")
