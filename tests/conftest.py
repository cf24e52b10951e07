"""Shared fixtures: private folders, a small synthetic task, and the GSC-8 recordings where they exist."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the command line does, before numpy and torch are imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from models.data.base import AudioDataset, Split, clip_hash, dataset_digest

_WORDS = ("go", "no", "yes")


@pytest.fixture(scope="session")
def private_folders(tmp_path_factory):
    """Give one empty home, cache and checkpoint folder to the whole session."""
    return {
        "SPIKELENS_HOME": tmp_path_factory.mktemp("home"),
        "SPIKELENS_CACHE": tmp_path_factory.mktemp("cache"),
        "SPIKELENS_CHECKPOINTS": tmp_path_factory.mktemp("checkpoints"),
    }


@pytest.fixture(autouse=True)
def _isolated(private_folders, monkeypatch):
    """Keep tests away from the user's own runs and caches."""
    for variable, folder in private_folders.items():
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.delenv("SPIKELENS_DATA", raising=False)


def make_tones(n_per_class: dict[str, int], words=_WORDS, n_speakers: int = 6, seed: int = 0) -> AudioDataset:
    """Return a tiny data set in which each word is a chirp of its own: learnable in seconds.

    Parameters
    ----------
    n_per_class : dict of split name to clips per word
    """
    rng = np.random.default_rng(seed)
    time = np.arange(16_000) / 16_000
    splits, hashes = {}, {}
    for name, count in n_per_class.items():
        waves, labels, ids, speakers = [], [], [], []
        for label, word in enumerate(words):
            for i in range(count):
                speaker = f"{name}{i % n_speakers}"
                pitch = 200.0 * (label + 1) * (1 + 0.03 * (i % n_speakers))
                onset = rng.uniform(0.1, 0.5)
                envelope = np.clip((time - onset) * 20, 0, 1) * np.clip((onset + 0.35 - time) * 20, 0, 1)
                sound = envelope * np.sin(2 * np.pi * pitch * time * (1 + 0.5 * label * time))
                sound = 0.4 * sound + 0.02 * rng.standard_normal(len(time))
                waves.append((sound * 32767 * 0.9).clip(-32768, 32767).astype(np.int16))
                labels.append(label)
                ids.append(f"{word}/{speaker}_nohash_{i}")
                speakers.append(speaker)
        splits[name] = Split(name, np.stack(waves), np.array(labels), tuple(ids), tuple(speakers))
        hashes[name] = [(clip, clip_hash(wave)) for clip, wave in zip(ids, waves, strict=True)]
    return AudioDataset("tones", tuple(words), splits, dataset_digest(hashes, {}), synthetic=True)


TONES_RECIPE = """
[data]
name = "tones"
[encoder]
name = "residual"
[backbone]
name = "rlif"
hidden = [8]
[train]
epochs = {epochs}
batch_size = 24
"""


@pytest.fixture(scope="session")
def tones() -> AudioDataset:
    """Return 24 training, 12 validation and 12 test clips of each of three chirps."""
    return make_tones({"train": 24, "validation": 12, "test": 12})


@pytest.fixture(scope="session")
def gsc8_path() -> Path:
    """Return the folder of the GSC-8 recordings, or skip."""
    default = Path(__file__).resolve().parents[2] / "shared" / "speech_commands_8"
    path = Path(os.environ.get("SPIKELENS_GSC8", default))
    if not (path / "testing_list.txt").exists():
        pytest.skip("the GSC-8 recordings are not on this machine (set SPIKELENS_GSC8)")
    return path


def write_speech_commands(dataset: AudioDataset, folder: Path) -> Path:
    """Write a data set as a Speech Commands folder of wav files with list files."""
    import soundfile

    lists = {"validation": "validation_list.txt", "test": "testing_list.txt"}
    for split in dataset.splits.values():
        for clip, wave in zip(split.clip_ids, split.waveforms, strict=True):
            path = folder / f"{clip}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, 16_000, subtype="PCM_16")
        if split.name in lists:
            (folder / lists[split.name]).write_text("".join(f"{clip}.wav\n" for clip in split.clip_ids))
    return folder


@pytest.fixture(scope="session")
def tones_folder(tones, tmp_path_factory) -> str:
    """Write the chirps as a Speech Commands folder: another process opens them by its path."""
    return str(write_speech_commands(tones, tmp_path_factory.mktemp("data") / "tones"))
