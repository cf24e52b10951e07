"""Choose one positive number of an encoder: for the smallest error, or for an event rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.errors import SpikelensError

TOLERANCE = 0.005
_ENDS = (-7.0, 5.0)  # of the logarithm
_BRACKETS = ((-3.0, -0.7), (-0.7, 1.0))  # the error has more than one valley
_HALVINGS = 40


def value_for_error(error: Callable[[float], float]) -> float:
    """Return the number with the smallest error, by bounded search on its logarithm."""
    from scipy.optimize import minimize_scalar

    fits = [
        minimize_scalar(lambda log: error(float(np.exp(log))), bounds=bounds, method="bounded")
        for bounds in _BRACKETS
    ]
    return float(np.exp(min(fits, key=lambda fit: fit.fun).x))


def value_at_rate(rate_of: Callable[[float], float], rate: float) -> float:
    """Return the number at which an encoder meets an event rate, by bisection on its logarithm.

    Parameters
    ----------
    rate_of : callable
        Events per channel and frame at a number; falls as the number grows.
    rate : float
        To be met within 0.5 %.

    Raises
    ------
    SpikelensError
        No number gives the rate.
    """
    low, high = _ENDS
    below, above = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = rate_of(float(np.exp(middle)))
        if abs(reached - rate) <= TOLERANCE * rate:
            return float(np.exp(middle))
        if reached > rate:
            low, above = middle, reached
        else:
            high, below = middle, reached
    raise SpikelensError(
        f"encoder.rate: {rate:.4f} events per channel and frame are out of reach, "
        f"there is nothing between {below:.4f} and {above:.4f}"
    )


def check_rate(rate: float | None, most: float = 1.0) -> None:
    """Raise ValueError where a configured rate is impossible; `most` is what the code can give at best."""
    if rate is not None and not 0 < rate < most:
        raise ValueError(f"encoder.rate: {rate} must lie between 0 and {most:g} events per channel and frame")


def check_positive(**values: float) -> None:
    """Raise ValueError naming the first key of the encoder's configuration that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"encoder.{name}: {value} must be above 0")
