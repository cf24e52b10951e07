"""Step sizes and thresholds that reconstruct best, by search on the true (not surrogate) error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numba
import numpy as np

from models.errors import SpikelensError

MAX_CLIPS = 2000  # the error of the four scalars is settled long before
_MIN_THRESHOLD = 0.5
_SEED = 0


class StepValues(NamedTuple):
    """Coarse and fine step and their thresholds, as numbers."""

    dc: float
    df: float
    tc: float
    tf: float


class StepStatistics(NamedTuple):
    """Mean squared error, events per channel and frame, and SNR in dB of a set of steps."""

    mse: float
    rate: float
    snr_db: float


@numba.njit(cache=True, nogil=True)
def _two_phase(x: np.ndarray, dc: float, df: float, tc: float, tf: float) -> tuple[float, int]:
    """Return squared error and number of events over ``(n, T, F)``."""
    error, events = 0.0, 0
    n_clips, n_steps, n_bands = x.shape
    baseline = np.empty(n_bands, np.float32)
    coarse, fine = np.float32(dc), np.float32(df)
    coarse_gap, fine_gap = np.float32(dc * tc), np.float32(df * tf)
    for clip in range(n_clips):
        baseline[:] = 0
        for step in range(n_steps):
            for band in range(n_bands):
                value, base = x[clip, step, band], baseline[band]
                if value - base > coarse_gap:
                    base += coarse
                    events += 1
                elif base - value > coarse_gap:
                    base -= coarse
                    events += 1
                if value - base > fine_gap:
                    base += fine
                    events += 1
                elif base - value > fine_gap:
                    base -= fine
                    events += 1
                baseline[band] = base
                error += (value - base) * (value - base)
    return error, events


_STARTS = (StepValues(0.85, 0.25, 0.53, 0.53), StepValues(1.2, 0.5, 0.8, 0.8))


def residual_statistics(x: np.ndarray, values: StepValues) -> StepStatistics:
    """Measure steps on normalised features ``(n, T, F)``; the rate counts all four channels of a band."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    error, events = _two_phase(x, *values)
    power = float(np.square(x, dtype=np.float64).sum())
    return StepStatistics(error / x.size, events / (4 * x.size), 10 * np.log10(power / max(error, 1e-12)))


def sample_clips(x: np.ndarray) -> np.ndarray:
    """Return at most `MAX_CLIPS` clips of ``(n, T, F)``, drawn with a fixed seed, contiguous float32."""
    if x.ndim != 3 or len(x) == 0:
        raise SpikelensError(f"x: shape {x.shape} must be (n, T, F) with at least one clip")
    if len(x) > MAX_CLIPS:
        rows = np.sort(np.random.default_rng(_SEED).choice(len(x), MAX_CLIPS, replace=False))
        x = x[rows]
    return np.ascontiguousarray(x, dtype=np.float32)


def fit_steps(x: np.ndarray, nu: float = 0.0) -> StepValues:
    """Return the steps that minimise ``MSE + nu * rate`` (SF2-rec for nu = 0).

    Parameters
    ----------
    x : np.ndarray [shape=(n, T, F)]
        Normalised training features; at most 2,000 clips, drawn with a fixed seed, are used.
    nu : float
        Price of one event per channel and frame.
    """
    x = sample_clips(x)
    return _search(x, lambda mse, rate: mse + nu * rate, _STARTS)


def fit_steps_at_rate(x: np.ndarray, rate: float, tolerance: float = 0.02) -> StepValues:
    """Return the most faithful steps at a given event rate (SF2-rec@r).

    Minimises MSE subject to a rate within `tolerance` of the target, by a penalty that grows from round to
    round. Where the trade-off of MSE against rate is convex this is the minimum of ``MSE + nu * rate`` for
    the price nu that gives the rate; unlike a bisection on nu it does not fail where the trade-off jumps.

    Parameters
    ----------
    x : np.ndarray [shape=(n, T, F)]
    rate : float in (0, 1)
        Events per channel and frame, all four channels of a band counted.

    Raises
    ------
    SpikelensError
        No steps reach the rate.
    """
    x = sample_clips(x)
    power = float(np.square(x, dtype=np.float64).mean())
    starts: Sequence[StepValues] = _STARTS
    for weight in (1.0, 30.0, 1000.0):

        def cost(mse: float, reached: float, weight: float = weight) -> float:
            excess = max(0.0, abs(reached / rate - 1) - tolerance / 2)
            return mse / power + weight * excess**2

        best = _search(x, cost, starts)
        starts = (best,)
    reached = residual_statistics(x, best).rate
    if abs(reached - rate) > tolerance * rate:
        raise SpikelensError(
            f"rate: {rate:.4f} per channel and frame is out of reach (nearest {reached:.4f})"
        )
    return best


def _search(x: np.ndarray, cost: Callable[[float, float], float], starts: Sequence[StepValues]) -> StepValues:
    """Minimise ``cost(mse, rate)`` by Nelder-Mead over (log dc, logit df/dc, log threshold excesses)."""
    from scipy.optimize import minimize

    def values(point: np.ndarray) -> StepValues:
        dc = float(np.exp(np.clip(point[0], -4, 3)))
        df = dc / (1 + float(np.exp(-np.clip(point[1], -6, 6))))
        tc, tf = _MIN_THRESHOLD + np.exp(np.clip(point[2:], -7, 1.5))
        return StepValues(dc, df, float(tc), float(tf))

    def objective(point: np.ndarray) -> float:
        error, events = _two_phase(x, *values(point))
        return cost(error / x.size, events / (4 * x.size))

    options = {"xatol": 2e-3, "fatol": 1e-7, "maxiter": 300}
    fits = [minimize(objective, _point(s), method="Nelder-Mead", options=options) for s in starts]
    return values(min(fits, key=lambda fit: fit.fun).x)


def _point(steps: StepValues) -> np.ndarray:
    ratio = steps.df / steps.dc
    excess = [max(tau - _MIN_THRESHOLD, 1e-3) for tau in (steps.tc, steps.tf)]
    return np.array([np.log(steps.dc), np.log(ratio / (1 - ratio)), *np.log(excess)])
