"""Which clips a decoder is fitted to, which others decide its settings, and the pairs of its null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.recordings import Recordings, SplitRecordings
from models.errors import SpikelensError


@dataclass(frozen=True)
class FittingClips:
    """Which clips a decoder is fitted to and which others decide its settings.

    Attributes
    ----------
    fit, choose : np.ndarray of int
        Rows of the training split, and of `choose_split`.
    choose_split : str
    chosen_on : str
        The clips of `choose` in words.
    """

    fit: np.ndarray
    choose: np.ndarray
    choose_split: str
    chosen_on: str


def fitting_clips(
    recordings: Recordings, split: str, seed: int, max_clips: int | None = None
) -> FittingClips:
    """Choose the clips for a decoder that is evaluated on `split`.

    Settings are decided on the validation split for an evaluation on test, else on a speaker-disjoint fifth
    of train, to which the decoder is then not fitted. `max_clips` bounds both parts, drawn by `seed`.

    Raises
    ------
    SpikelensError
        Too few clips or speakers.
    """
    train = recordings.split("train")
    if chosen_on_validation(recordings, split):
        fit, choose = np.arange(len(train)), np.arange(len(recordings.split("validation")))
        choose_split, chosen_on = "validation", "the validation split"
    else:
        aside = fifth_of_groups(train, seed)
        fit, choose = np.flatnonzero(~aside), np.flatnonzero(aside)
        unit = "speaker-disjoint fifth" if train.speakers is not None else "fifth"
        choose_split, chosen_on = "train", f"a {unit} of the training split"
    if not len(fit) or not len(choose):
        raise SpikelensError("split: 'train' has too few clips or speakers to choose a decoder's settings")
    if max_clips is not None:
        rng = np.random.default_rng(seed)
        fit, choose = (np.sort(rng.permutation(rows)[:max_clips]) for rows in (fit, choose))
    return FittingClips(fit, choose, choose_split, chosen_on)


def chosen_on_validation(recordings: Recordings, split: str) -> bool:
    """Return whether settings for an evaluation on `split` are chosen on the validation split."""
    return split == "test" and "validation" in recordings.splits


def fifth_of_groups(split: SplitRecordings, seed: int) -> np.ndarray:
    """Return True for the clips of a random fifth of the speakers (of all clips if there is but one)."""
    groups = split.groups if split.groups.max(initial=0) > 0 else np.arange(len(split))
    names = np.random.default_rng(seed).permutation(groups.max(initial=0) + 1)
    return np.isin(groups, names[: max(1, len(names) // 5)])


def derangement(n: int, seed: int) -> np.ndarray:
    """Return a random permutation of ``n`` clips that leaves none in its place (for n > 1)."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, dtype=np.int64)
    partner[order] = np.roll(order, 1)
    return partner


def null_partner(n: int, seed: int) -> np.ndarray:
    """Return whose features each clip stands in for where clip i is read from ``derangement(n, seed)[i]``."""
    return np.argsort(derangement(n, seed))
