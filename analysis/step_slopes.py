"""GR-3: how cross-entropy, squared error and rate change with the encoder's own steps and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.finite_differences import SIZES, Slope, central_differences, is_resolved, slope
from analysis.model_gradients import LOSSES, PARAMETERS, true_losses
from analysis.result import Estimate

if TYPE_CHECKING:
    from models.classifier import SpikingClassifier
    from models.encoders.residual import Steps

_LOWEST_THRESHOLD = 0.5  # the edge of the encoder's parametrisation
_AT_EDGE = 0.02


@dataclass(frozen=True)
class StepSlope:
    """How one loss changes with one of the encoder's parameters, per unit of its logarithm.

    Attributes
    ----------
    parameter, loss : str
    at : float
        The parameter itself, not its logarithm.
    surrogate : Slope
        By autograd through the surrogate.
    true : list of Slope
        Central differences of the true loss at the relative steps `SIZES`.
    resolved : bool
        The central differences agree in sign and stand clear of their standard errors.
    note : str
        A threshold at its lower edge and whether the slope pushes against it; a surrogate of the wrong sign.
    """

    parameter: str
    loss: str
    at: float
    surrogate: Slope
    true: list[Slope]
    resolved: bool
    note: str = ""


def step_slopes(
    model: SpikingClassifier,
    steps: Steps,
    log_mel: np.ndarray,
    labels: np.ndarray,
    batch_sizes: Sequence[int],
    surrogate: np.ndarray,
    seed: int,
) -> tuple[list[StepSlope], Estimate, Estimate | None]:
    """Set surrogate slopes beside central differences of the true losses on the same clips.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(n, T, F)]
    labels : np.ndarray [shape=(n,)]
    batch_sizes : sequence of int
        How the clips, in order, fall into the batches behind the standard errors.
    surrogate : np.ndarray [shape=(n_batches, 4, 3)]
        Sums over each batch of the slopes of `LOSSES` in `PARAMETERS`, by autograd.

    Returns
    -------
    slopes : list of StepSlope
    cosine_surrogate : Estimate
        Of the mean slopes of cross-entropy and squared error in (log dc, log df); interval over batches.
    cosine_true : Estimate or None
        The same from the larger differences, None unless all four slopes are resolved.
    """
    counts = np.asarray(batch_sizes)
    differences = central_differences(
        lambda change: true_losses(model, log_mel, labels, change), len(PARAMETERS)
    )
    sums = np.add.reduceat(differences, np.cumsum([0, *counts[:-1]]), axis=2)  # (sizes, 4, n_batches, 3)
    slopes = []
    for p, parameter in enumerate(PARAMETERS):
        at = float(steps[p].mean())
        for k, loss in enumerate(LOSSES):
            true = [slope(sums[h, p, :, k], counts) for h in range(len(SIZES))]
            smooth, resolved = slope(surrogate[:, p, k], counts), is_resolved(true)
            note = _note(parameter, at, smooth, true[-1] if resolved else None)
            slopes.append(StepSlope(parameter, loss, at, smooth, true, resolved, note))
    decisive = [s for s in slopes if s.loss in LOSSES[:2] and s.parameter in PARAMETERS[:2]]
    cosine = _cosine_of_means(surrogate[:, :2, :2], seed)
    if not all(s.resolved for s in decisive):
        return slopes, cosine, None
    return slopes, cosine, _cosine_of_means(sums[-1, :2, :, :2].swapaxes(0, 1), seed)


def _note(parameter: str, at: float, surrogate: Slope, true: Slope | None) -> str:
    """Say where a slope must be read with care: a threshold at its edge, a surrogate of the wrong sign."""
    notes = []
    if parameter in PARAMETERS[2:] and at - _LOWEST_THRESHOLD <= _AT_EDGE:
        way = ""
        if true is not None:
            way = (
                ", free: descent raises it" if true.mean < 0 else ", blocked: descent would lower it further"
            )
        notes.append(f"at the lower edge {_LOWEST_THRESHOLD} of the threshold{way}")
    if true is not None and true.mean * surrogate.mean < 0:
        notes.append("the surrogate has the wrong sign")
    return "; ".join(notes)


def _cosine_of_means(sums: np.ndarray, seed: int) -> Estimate:
    """Return the cosine of two losses' mean slopes from sums ``(n_batches, parameters, 2)``."""
    draws = np.random.default_rng(seed).integers(len(sums), size=(1000, len(sums)))
    a, b = np.moveaxis(np.concatenate([sums.sum(axis=0)[None], sums[draws].sum(axis=1)]), 2, 0)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.einsum("np,np->n", a, b) / np.where(length > 0, length, 1)
    low, high = np.percentile(cosines[1:], [2.5, 97.5])
    return Estimate(float(cosines[0]), float(low), float(high))
