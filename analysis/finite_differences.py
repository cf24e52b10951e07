"""Slopes of the true loss, without a surrogate: central differences with a standard error over batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

SIZES = (0.02, 0.05)  # relative steps: 2 % and 5 %
RESOLVED = 1.96  # standard errors


@dataclass(frozen=True)
class Slope:
    """A derivative with its standard error over batches of clips."""

    mean: float
    se: float

    @property
    def z(self) -> float:
        """Return mean / se; grows with the number of batches, so it says resolved or not and nothing else."""
        return self.mean / self.se if self.se > 0 else float(np.sign(self.mean)) * np.inf


def slope(sums: np.ndarray, counts: np.ndarray) -> Slope:
    """Return the mean per clip and its standard error over batches.

    Parameters
    ----------
    sums : np.ndarray [shape=(n_batches,)]
        Of a quantity over the clips of each batch.
    counts : np.ndarray [shape=(n_batches,)]
        Clips of each batch.
    """
    mean = sums.sum() / counts.sum()
    spread = np.sum((sums - mean * counts) ** 2) * len(sums) / max(len(sums) - 1, 1)
    return Slope(float(mean), float(np.sqrt(spread) / counts.sum()))


def central_differences(
    losses: Callable[[np.ndarray], np.ndarray], n_parameters: int, sizes: Sequence[float] = SIZES
) -> np.ndarray:
    """Return ``(loss(+h) - loss(-h)) / 2h`` of every clip, one parameter at a time.

    Parameters
    ----------
    losses : callable
        Takes changes of the parameters ``(n_parameters,)``, all zero at the point of interest, and returns
        ``(n_clips, n_losses)``: the same clips at every call.
    n_parameters : int
    sizes : sequence of float
        Values of h.

    Returns
    -------
    np.ndarray [shape=(n_sizes, n_parameters, n_clips, n_losses)]
    """

    def difference(size: float, parameter: int) -> np.ndarray:
        change = np.zeros(n_parameters)
        change[parameter] = size
        return (losses(change) - losses(-change)) / (2 * size)

    return np.array([[difference(size, p) for p in range(n_parameters)] for size in sizes])


def is_resolved(slopes: Sequence[Slope]) -> bool:
    """Tell whether all step sizes agree in sign and each stands clear of its standard error."""
    return len({np.sign(s.mean) for s in slopes}) == 1 and all(abs(s.z) > RESOLVED for s in slopes)
