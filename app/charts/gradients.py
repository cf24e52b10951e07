"""Charts of gradient-residual inspection: GR-1 by bin, GR-2 by clip, GR-3 in the encoder's own steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.gradient_result import GradientResult
    from analysis.step_slopes import StepSlope

_SE95 = 1.96  # standard errors behind a 95 % interval
_LOSSES = ("cross-entropy", "squared error", "rate")
_PATH = (
    ("dc", "coarse step Dc"),
    ("df", "fine step Df"),
    ("tc", "coarse threshold"),
    ("tf", "fine threshold"),
)


def bin_association(results: Sequence[GradientResult]) -> go.Figure:
    """Draw GR-1: the task gradient in each tenth of the bins by size of the residual, with its null."""
    figure = go.Figure()
    tenth = np.arange(1, 11, dtype=np.int16)
    for i, result in enumerate(results):
        name = result.provenance.subject
        null = f"{name}, residual of another clip"
        for values, label, colour in (
            (result.quantile_curve, name, marks.subject_colour(i)),
            (result.quantile_curve_permuted, null, theme.CONDITIONS["shuffled"]),
        ):
            figure.add_scatter(
                x=tenth,
                y=values.astype(np.float32),
                mode="lines+markers",
                name=label,
                line={"color": colour, "dash": marks.DASHES[i]},
                marker={"symbol": marks.SYMBOLS[i]},
            )
    figure.add_hline(y=1.0, line={"color": theme.GREY, "width": 1})
    figure.update_xaxes(title="tenth of the bins by |residual| (10 = largest)", dtick=1)
    figure.update_yaxes(title="task gradient / clip mean (1)")
    return theme.framed(figure, key="gr1", height=420)


def bin_association_alt(results: Sequence[GradientResult]) -> str:
    """Say in words what `bin_association` shows."""
    parts = [
        f"{r.provenance.subject} goes from {r.quantile_curve[0]:.2f} in the lowest tenth to "
        f"{r.quantile_curve[-1]:.2f} in the highest, with another clip's residual from "
        f"{r.quantile_curve_permuted[0]:.2f} to {r.quantile_curve_permuted[-1]:.2f}"
        for r in results
    ]
    return (
        "Task gradient against size of the residual, relative to the clip's mean: " + "; ".join(parts) + "."
    )


def cosines(results: Sequence[GradientResult]) -> go.Figure:
    """Draw GR-2: how the cosine of task and reconstruction gradient spreads over clips, and its null."""
    figure = go.Figure()
    widest = max([0.05, *(np.abs(r.cosine).max(initial=0.0) for r in results)])
    n_bins = int(np.clip(2 * np.sqrt(max(len(r.cosine) for r in results)), 10, 60))
    edges = np.linspace(-widest, widest, n_bins + 1)
    centres = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    for i, result in enumerate(results):
        name = result.provenance.subject
        null = f"{name}, another clip's residual"
        for values, label, colour in (
            (result.cosine, name, marks.subject_colour(i)),
            (result.cosine_permuted, null, theme.CONDITIONS["shuffled"]),
        ):
            share = np.histogram(values, edges)[0] / max(len(values), 1)
            figure.add_scatter(
                x=centres,
                y=share.astype(np.float32),
                name=label,
                line={"shape": "hvh", "color": colour, "dash": marks.DASHES[i]},
                fill="tozeroy" if i == 0 else None,
            )
    figure.add_vline(x=0.0, line={"color": theme.GREY, "width": 1})
    figure.update_xaxes(title="cosine of task and reconstruction gradient, one clip")
    figure.update_yaxes(title="share of clips", tickformat=".0%")
    return theme.framed(figure, key="gr2", height=420)


def cosines_alt(results: Sequence[GradientResult]) -> str:
    """Say in words what `cosines` shows."""
    parts = [
        f"{r.provenance.subject} has mean {np.mean(r.cosine):+.3f} over {len(r.cosine)} clips, "
        f"permuted pairs {np.mean(r.cosine_permuted):+.3f}"
        for r in results
        if len(r.cosine)
    ]
    return "Distribution of the cosine between task and reconstruction gradient: " + "; ".join(parts) + "."


def step_slopes(result: GradientResult) -> go.Figure:
    """Draw GR-3: the slope of three losses in the encoder's steps, by surrogate and by true differences.

    Open markers: the central differences do not resolve the slope.
    """
    figure = make_subplots(
        cols=len(_LOSSES), shared_yaxes=True, subplot_titles=_LOSSES, horizontal_spacing=0.03
    )
    methods = ("surrogate", "true, 2 % steps", "true, 5 % steps")
    parameters = list(dict.fromkeys(s.parameter for s in result.slopes))
    for column, loss in enumerate(_LOSSES, start=1):
        slopes = [s for s in result.slopes if s.loss == loss]
        for k, method in enumerate(methods):
            found = [_method(s, k) for s in slopes]
            colour = theme.PALETTE[k]
            closed = [k == 0 or s.resolved for s in slopes]
            figure.add_scatter(
                x=np.array([f[0] for f in found], np.float32),
                y=np.array([parameters.index(s.parameter) + 0.2 * (k - 1) for s in slopes], np.float32),
                error_x={"type": "data", "array": np.array([_SE95 * f[1] for f in found], np.float32)},
                mode="markers",
                name=method,
                legendgroup=method,
                showlegend=column == 1,
                marker={
                    "color": colour,
                    "size": 9,
                    "line": {"color": colour, "width": 1.5},
                    "symbol": [marks.SYMBOLS[k] + ("" if c else "-open") for c in closed],
                },
                text=["" if c else "not resolved" for c in closed],
                hovertemplate="%{x:.3g} ± %{error_x.array:.2g} %{text}",
                row=1,
                col=column,
            )
        figure.add_vline(x=0, line={"color": theme.GREY, "width": 1}, row=1, col=column)
        figure.update_xaxes(title="slope per unit of log", row=1, col=column)
    figure.update_yaxes(tickvals=list(range(len(parameters))), ticktext=parameters)
    figure.update_yaxes(autorange="reversed", row=1, col=1)
    return marks.legend_above_titles(theme.framed(figure, key="gr3", height=420))


def _method(slope: StepSlope, index: int) -> tuple[float, float]:
    found = slope.surrogate if index == 0 else slope.true[index - 1]
    return found.mean, found.se


def step_slopes_alt(result: GradientResult) -> str:
    """Say in words what `step_slopes` shows."""
    parts = []
    for slope in result.slopes:
        if slope.parameter in ("log dc", "log df"):
            size = f"{slope.true[-1].mean:+.3g}" if slope.resolved else "not resolved"
            parts.append(f"{slope.loss} in {slope.parameter} {size}")
    return "Slopes of the true losses in the encoder's steps, 5 % differences: " + "; ".join(parts) + "."


def training_path(histories: dict[str, list[dict[str, float]]]) -> go.Figure:
    """Draw the encoder's steps and thresholds by epoch, one line style a checkpoint."""
    figure = make_subplots(cols=2, subplot_titles=("steps Dc, Df", "thresholds"), horizontal_spacing=0.1)
    for i, (name, history) in enumerate(histories.items()):
        epochs = np.array([row["epoch"] for row in history], np.int16)
        for k, (key, label) in enumerate(_PATH):
            figure.add_scatter(
                x=epochs,
                y=np.array([row[f"encoder_{key}"] for row in history], np.float32),
                mode="lines",
                name=f"{label.split()[0]}, {name}",
                legendgroup=f"{k % 2} {name}",
                showlegend=k < 2,
                line={"color": theme.STREAMS[("coarse_on", "fine_on")[k % 2]], "dash": marks.DASHES[i]},
                row=1,
                col=1 + k // 2,
            )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="standard deviations of log-mel", row=1, col=1)
    figure.update_yaxes(title="threshold (1)", row=1, col=2)
    return marks.legend_above_titles(theme.framed(figure, key="path", height=420))


def training_path_alt(histories: dict[str, list[dict[str, float]]]) -> str:
    """Say in words what `training_path` shows."""
    parts = []
    for name, history in histories.items():
        moves = [
            f"{label} {history[0][f'encoder_{key}']:.3f} to {history[-1][f'encoder_{key}']:.3f}"
            for key, label in _PATH
        ]
        parts.append(f"{name} over {len(history)} epochs: {', '.join(moves)}")
    return "The encoder's own parameters during training. " + "; ".join(parts) + "."


def has_path(history: Sequence[dict[str, float]]) -> bool:
    """Tell whether a history records the steps of the encoder."""
    return bool(history) and all(f"encoder_{key}" in history[0] for key, _ in _PATH)
