"""GR-4: which streams and which bands the task gradient at the encoder's output falls on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.curve_intervals import curve_interval
from analysis.result import Estimate
from analysis.stats import bootstrap_mean, bootstrap_ratio

Streams = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class StreamRow:
    """How much of the task gradient's energy ``||gT||^2`` falls on one stream or group of streams.

    Attributes
    ----------
    stream : str
        Of the encoder, or what several share in front of their underscore: ``coarse`` for ``coarse_on`` and
        ``coarse_off``.
    share : Estimate
        Mean over clips of each clip's own share: a clip's energy grows with how wrong the network is.
    pooled : Estimate
        Share of the energy of all clips together, which few of them dominate.
    per_event, per_channel : Estimate
        `share` over the stream's share of the spikes and of the channels; 1 is in proportion.
    reconstruction : Estimate
        `share` for the gradient of the reconstruction error.
    """

    stream: str
    share: Estimate
    pooled: Estimate
    per_event: Estimate
    per_channel: Estimate
    reconstruction: Estimate


def grouped(streams: Streams) -> dict[str, list[tuple[int, int]]]:
    """Return the column ranges of every group of streams and of every stream, groups first."""
    heads: dict[str, list[tuple[int, int]]] = {}
    for name, columns in streams.items():
        heads.setdefault(name.partition("_")[0], []).append(columns)
    groups = {head: parts for head, parts in heads.items() if len(parts) > 1}
    return groups | {name: [columns] for name, columns in streams.items()}


def stream_rows(
    task: np.ndarray,
    reconstruction: np.ndarray,
    events: np.ndarray,
    streams: Streams,
    groups: np.ndarray,
    seed: int,
) -> list[StreamRow]:
    """Share out energy and spikes among the streams.

    Parameters
    ----------
    task, reconstruction : np.ndarray [shape=(n, N)]
        Energy of either gradient in each channel; clips without a task gradient are
        left out beforehand.
    events : np.ndarray [shape=(n, N)]
        Spikes of each channel.
    groups : np.ndarray [shape=(n,)]
        What the bootstrap resamples.
    """

    def row(name: str, parts: list[tuple[int, int]]) -> StreamRow:
        columns = np.concatenate([np.arange(*part) for part in parts])
        ours, rebuilt, fired = (_share(v, columns) for v in (task, reconstruction, events))
        share = bootstrap_mean(ours, groups, seed=seed)
        whole = task.sum(axis=1)
        return StreamRow(
            name,
            share,
            pooled=bootstrap_ratio(task[:, columns].sum(axis=1), whole, groups, seed=seed),
            per_event=bootstrap_ratio(ours, fired, groups, seed=seed)
            if fired.any()
            else Estimate(np.nan, n=len(ours)),
            per_channel=_times(share, task.shape[1] / len(columns)),
            reconstruction=bootstrap_mean(rebuilt, groups, seed=seed),
        )

    return [row(name, parts) for name, parts in grouped(streams).items()]


def band_shares(energy: np.ndarray, n_bands: int, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return each band's share of a clip's energy, ``(n, N)`` -> ``(3, F)``: mean over clips, low, high."""
    by_band = energy.reshape(len(energy), -1, n_bands).sum(axis=1)
    total = by_band.sum(axis=1, keepdims=True)
    shares = np.divide(by_band, total, out=np.zeros_like(by_band), where=total > 0)
    return curve_interval(shares, groups, seed)


def _share(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return what each clip has in some columns, over all of it; 0 where it has nothing."""
    total = values.sum(axis=1)
    return np.divide(values[:, columns].sum(axis=1), total, out=np.zeros(len(values)), where=total > 0)


def _times(estimate: Estimate, factor: float) -> Estimate:
    low, high = (None if bound is None else bound * factor for bound in (estimate.low, estimate.high))
    return Estimate(estimate.value * factor, low, high, estimate.n)
