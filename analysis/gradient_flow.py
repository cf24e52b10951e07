"""Gradient flow: how much of the task gradient reaches every layer at every time step, and what stops it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.curve_intervals import curve_interval
from analysis.model_clips import model_clips, twin_of
from analysis.model_gradients import check_gradients
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_mean
from analysis.surrogate_windows import encoder_window, hidden_window
from models.errors import SpikelensError

if TYPE_CHECKING:
    import torch

    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

LEARNED, UNTRAINED = "learned", "untrained"
_BATCH = 64
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class FlowRow:
    """One spiking point of the network, over all time steps.

    Attributes
    ----------
    point : str
    condition : {"learned", "untrained"}
    norm : Estimate
        Mean over clips and frames of the norm over units of dCE/d(spikes).
    window : Estimate or None
        Share of units, over clips and frames, within the support of the surrogate derivative; None where it
        does not apply, see `note`.
    note : str
    """

    point: str
    condition: str
    norm: Estimate
    window: Estimate | None
    note: str = ""


@dataclass(frozen=True)
class FlowResult(Result):
    """Gradient flow of a network and of its untrained twin.

    Attributes
    ----------
    rows : list of FlowRow
    norm, window : np.ndarray [shape=(n_rows, 3, T)]
        By time step, in the order of `rows`: mean over clips, low, high; `window` is not-a-number where it
        does not apply.
    dt_ms : float
        Of one time step.
    n_clips : int
    not_applicable : mapping of str to str
    axes : mapping of str to str
    """

    rows: list[FlowRow]
    norm: Array
    window: Array
    dt_ms: float
    n_clips: int
    not_applicable: Mapping[str, str]
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a point, condition and quantity; what is missing is spelt out."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            for quantity, found in (("norm", row.norm), ("share in the window", row.window)):
                line: dict[str, Any] = {"point": row.point, "condition": row.condition, "quantity": quantity}
                if found is None:
                    line["note"] = f"not applicable: {row.note}"
                else:
                    line |= {"value": found.value, "low": found.low, "high": found.high, "n": self.n_clips}
                lines.append(line)
        lines += [
            {"point": point, "note": f"not applicable: {why}"} for point, why in self.not_applicable.items()
        ]
        return pd.DataFrame(lines)


def gradient_flow(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    split: str = "validation",
    n_clips: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> FlowResult:
    """Follow the gradient of each clip's own cross-entropy down to every layer's spikes, frame by frame.

    The spikes of a layer are taken as its output: the gradient is what comes down from the layer above, not
    what comes back through the layer's own recurrence. Beside it stands the untrained twin. A gradient grows
    with how wrong the network is, so compare shapes over time and steps between layers, not heights.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : AudioDataset
        With a training split, for the twin.
    n_clips : int, optional
        Clips drawn at random; the whole split by default.

    Raises
    ------
    SpikelensError
        Fewer than four clips, or the self-check fails: spikes change with gradients, or no gradient arrives.
    """
    report = progress or (lambda fraction, message: None)
    clips = model_clips(checkpoint, dataset, split, n_clips, seed, command)
    rows: list[FlowRow] = []
    curves: list[tuple[np.ndarray, np.ndarray]] = []
    for i, condition in enumerate((LEARNED, UNTRAINED)):
        model = checkpoint.model if condition == LEARNED else twin_of(checkpoint, dataset)

        def within(fraction: float, i: int = i, condition: str = condition) -> None:
            report((i + fraction) / 2, condition)

        found = flow(model, clips.log_mel, clips.labels, within)
        for point, (norm, window) in found.items():
            rows.append(_row(point, condition, norm, window, clips.groups, seed))
            missing = np.full((3, norm.shape[1]), np.nan)
            inside = missing if window is None else curve_interval(window, clips.groups, seed)
            curves.append((curve_interval(norm, clips.groups, seed), inside))
    missing_points = {}
    if not checkpoint.model.encoder.spiking:
        missing_points["encoder"] = "the encoder does not spike"
    return FlowResult(
        clips.provenance,
        rows,
        norm=np.stack([curve[0] for curve in curves]),
        window=np.stack([curve[1] for curve in curves]),
        dt_ms=checkpoint.recipe.features.dt_ms,
        n_clips=len(clips.labels),
        not_applicable=missing_points,
        axes={
            "time": "ms",
            "norm": "norm over units of the gradient of a clip's cross-entropy in the spikes | nats",
            "window": "share of units within the surrogate's support | 1",
        },
    )


def _row(
    point: str, condition: str, norm: np.ndarray, window: np.ndarray | None, groups: np.ndarray, seed: int
) -> FlowRow:
    mean = bootstrap_mean(norm.mean(axis=1), groups, seed=seed)
    if window is not None:
        return FlowRow(point, condition, mean, bootstrap_mean(window.mean(axis=1), groups, seed=seed))
    why = "its surrogate derivative is nowhere zero, or it has none"
    return FlowRow(point, condition, mean, None, why)


def flow(
    model: SpikingClassifier,
    log_mel: np.ndarray,
    labels: np.ndarray,
    report: Callable[[float], None] = lambda fraction: None,
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Return norm and share in the window of every clip and frame, ``(n, T)`` each, by spiking point.

    Parameters
    ----------
    model : SpikingClassifier
        Left as it is: a private copy is evaluated.
    log_mel : np.ndarray [shape=(n, T, F)]
    labels : np.ndarray [shape=(n,)]
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    check_gradients(model, log_mel[:_BATCH])
    found: dict[str, list[tuple[np.ndarray, np.ndarray | None]]] = {}
    for start in range(0, len(labels), _BATCH):
        rows = slice(start, start + _BATCH)
        for point, values in _batch(model, log_mel[rows], labels[rows]).items():
            found.setdefault(point, []).append(values)
        report(min(1.0, (start + _BATCH) / len(labels)))
    joined: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for point, parts in found.items():
        norms = np.concatenate([norm for norm, _ in parts])
        if not norms.any():
            raise SpikelensError(f"flow: the gradient of cross-entropy in the spikes of {point} is zero")
        windows = [window for _, window in parts if window is not None]
        joined[point] = norms, np.concatenate(windows) if windows else None
    return joined


def _batch(
    model: SpikingClassifier, log_mel: np.ndarray, labels: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    import torch
    import torch.nn.functional as F

    hidden = [point for point, (_, spiking) in model.backbone.points().items() if spiking]
    x = model.normalise(torch.from_numpy(np.ascontiguousarray(log_mel)))
    with torch.no_grad():
        encoded = model.encoder(x)
    leaf = encoded.spikes.clone().requires_grad_()
    record = [*hidden, *(f"{point}/membrane" for point in hidden)]
    output = model.classify(encoded._replace(spikes=leaf), record=record)
    entropy = F.cross_entropy(output.logits.double(), torch.from_numpy(labels), reduction="sum")
    spikes = ({"encoder": leaf} if model.encoder.spiking else {}) | {p: output.recordings[p] for p in hidden}
    gradients = torch.autograd.grad(entropy, list(spikes.values()))
    windows = {point: _hidden(model, output.recordings.get(f"{point}/membrane")) for point in hidden}
    windows["encoder"] = encoder_window(model.encoder, x, encoded)
    return {
        point: (gradient.double().norm(dim=2).numpy(), _numpy(windows[point]))
        for point, gradient in zip(spikes, gradients, strict=True)
    }


def _hidden(model: SpikingClassifier, membrane: torch.Tensor | None) -> torch.Tensor | None:
    from models.backbones.rlif import THETA

    name = getattr(getattr(model.backbone, "config", None), "surrogate", None)
    if membrane is None or name is None:
        return None
    return hidden_window(membrane.detach(), THETA, name)


def _numpy(values: torch.Tensor | None) -> np.ndarray | None:
    return None if values is None else values.numpy()
