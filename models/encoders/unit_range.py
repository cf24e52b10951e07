"""What an unipolar code needs: each band between 0 and 1."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.neurons.engine import as_array

QUANTILES = (0.01, 0.99)


class UnitRange(nn.Module):
    """Scales each band so that its 1st and 99th percentile in the training set become 0 and 1, and clips."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, n_bands: int):
        super().__init__()
        self.register_buffer("low", torch.full((n_bands,), -2.0))
        self.register_buffer("high", torch.full((n_bands,), 2.0))

    def fit(self, x: np.ndarray) -> None:
        """Find the percentiles of training features ``(n, T, F)``."""
        low, high = np.quantile(x.reshape(-1, x.shape[-1]), QUANTILES, axis=0).astype(np.float32)
        self.low.copy_(torch.from_numpy(low))
        self.high.copy_(torch.from_numpy(np.maximum(high, low + 1e-6)))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what becomes 0 and 1 as arrays ``(F,)``."""
        return as_array(self.low).copy(), as_array(self.high).copy()


def to_unit(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Scale ``(..., F)`` to [0, 1] and clip."""
    return np.clip((x - low) / (high - low), 0, 1)
