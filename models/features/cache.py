"""Log-mel features of a whole split, cached on disk under a digest of data and settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from models.data.base import Split
from models.features.mel import FeatureConfig, log_mel
from models.paths import cache_dir

_VERSION = 1
_BATCH = 128  # stays in the processor's cache
_log = logging.getLogger("spikelens")


def split_features(split: Split, config: FeatureConfig, data_digest: str) -> np.ndarray:
    """Return the log-mel of every clip, shape ``(n, T, F)`` float32, memory-mapped where a cache can be kept.

    Parameters
    ----------
    split : Split
    config : FeatureConfig
    data_digest : str
        `AudioDataset.digest` of the data set the split belongs to.
    """
    key = json.dumps([_VERSION, data_digest, split.name, dataclasses.asdict(config)], sort_keys=True)
    path = cache_dir() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    if path.exists():
        return np.load(path, mmap_mode="r", allow_pickle=False)
    values = np.empty((len(split), config.n_frames(split.waveforms.shape[1]), config.n_mels), np.float32)
    for rows, waveforms in split.batches(_BATCH):
        values[rows] = log_mel(torch.from_numpy(waveforms), config).numpy()
    _store(path, values)
    return values


def _store(path: Path, values: np.ndarray) -> None:
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, values)
        Path(temporary).replace(path)
    except OSError as error:
        _log.warning("features are not cached (%s); going on without", error)
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def band_statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each band over clips and frames, both ``(F,)`` float32."""
    total = np.zeros(features.shape[-1])
    squares = np.zeros(features.shape[-1])
    for start in range(0, len(features), 512):
        block = features[start : start + 512].astype(np.float64)
        total += block.sum(axis=(0, 1))
        squares += np.square(block).sum(axis=(0, 1))
    count = features.shape[0] * features.shape[1]
    mean = total / count
    return mean.astype(np.float32), np.sqrt(np.maximum(squares / count - mean**2, 1e-12)).astype(np.float32)
