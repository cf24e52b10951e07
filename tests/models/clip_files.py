"""Writes small audio files for the tests of the loaders."""

from pathlib import Path

import numpy as np
import soundfile


def noise_clip(seed: int, n_samples: int = 16_000) -> np.ndarray:
    """Return loud 16-bit noise, different for each seed."""
    return np.random.default_rng(seed).integers(-8000, 8000, n_samples).astype(np.int16)


def write_clip(path: Path, samples: np.ndarray | int = 0, rate: int = 16_000, subtype: str | None = "PCM_16"):
    """Write samples, or noise of that seed, to a file whose suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise_clip(samples) if isinstance(samples, int) else samples, rate, subtype=subtype)
    return path


def write_speech_commands(root: Path, words=("no", "yes"), suffix=".wav") -> Path:
    """Write 4 training, 2 validation and 2 test clips per word, speakers 0 to 7, with list files."""
    named = {"validation_list.txt": [], "testing_list.txt": []}
    for w, word in enumerate(words):
        for i in range(8):
            name = f"{word}/{i:08x}_nohash_0"
            write_clip(root / f"{name}{suffix}", 100 * w + i)
            if i >= 4:
                named["validation_list.txt" if i < 6 else "testing_list.txt"].append(f"{name}.wav\n")
    for file, lines in named.items():
        (root / file).write_text("".join(lines))
    return root
