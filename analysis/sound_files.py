"""One clip and what the decoders make of it, as wav files to listen to."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from analysis.decoders import Progress, within
from analysis.listening import ClipViewer, check_audible
from analysis.reconstruction_controls import why_not
from analysis.recordings import Recordings, SplitRecordings
from models.checkpoint import write_atomically
from models.errors import SpikelensError

_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
_MAX_STEM = 80  # characters


def write_sounds(
    recordings: Recordings,
    out: Path,
    *,
    clip: int | str,
    split: str = "validation",
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the original log-mel and every reconstruction of one clip through the same Griffin-Lim.

    Each file appears whole or not at all. Names are made of split, row, clip id and version, and hold
    nothing but letters, digits, hyphens and underscores.

    Parameters
    ----------
    recordings : Recordings
        Of a checkpoint, with a ``train`` split.
    out : Path
        Folder; made where it is missing.
    clip : int or str
        Row of the split, or a clip id.

    Returns
    -------
    list of Path
        The original, then own, ridge and non-linear decoder, and SF2-rec@r, as far as they apply.

    Raises
    ------
    SpikelensError
        No such clip, recordings that cannot be heard, or a folder that cannot be written.
    """
    check_audible(recordings)
    held = recordings.split(split)
    row = clip_row(held, clip)
    viewer = ClipViewer(
        recordings,
        split,
        ridge=True,
        nonlinear=True,
        reference=why_not(recordings.points.values()) is None,
        lags=lags,
        seed=seed,
        progress=within(progress, 0.0, 0.8),
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpikelensError(f"out: {out} cannot be made ({error.strerror or error})") from None
    versions = viewer.versions(row)
    stem = f"{split}-{row}-{_safe(held.clip_ids[row])[:_MAX_STEM]}"
    written = []
    for i, (name, values) in enumerate(versions.items()):
        within(progress, 0.8, 0.2)(i / len(versions), f"Griffin-Lim: {name}")
        path = out / f"{stem}-{_safe(name).lower()}.wav"
        write_atomically(path, wav(*viewer.sound(values)))
        written.append(path)
    return written


def clip_row(split: SplitRecordings, clip: int | str) -> int:
    """Return the row of a clip given by row or id; SpikelensError where there is none."""
    if isinstance(clip, str):
        if clip not in split.clip_ids:
            raise SpikelensError(f"clip: {clip!r} is not in the {split.name} split")
        return split.clip_ids.index(clip)
    if not 0 <= clip < len(split):
        raise SpikelensError(f"clip: {clip} is not between 0 and {len(split) - 1}")
    return clip


def wav(sound: np.ndarray, sample_rate: int) -> bytes:
    """Return samples in [-1, 1] as the content of a 16-bit wav file."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, sound, sample_rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


def _safe(words: str) -> str:
    return _UNSAFE.sub("-", words).strip("-") or "clip"
