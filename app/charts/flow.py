"""Chart of gradient flow: what reaches every layer at every time step, and how many units let it through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.gradient_flow import UNTRAINED
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.gradient_flow import FlowResult


def by_time(result: FlowResult) -> go.Figure:
    """Draw the gradient's norm (log scale) above the share of units in the window; untrained twin dashed."""
    titles = ("norm of dCE / d(spikes)", "share of units in the surrogate's window")
    figure = make_subplots(rows=2, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.1)
    points = list(dict.fromkeys(row.point for row in result.rows))
    time = (np.arange(result.norm.shape[2]) * result.dt_ms).astype(np.float32)
    for i, row in enumerate(result.rows):
        colour = theme.PALETTE[points.index(row.point) % len(theme.PALETTE)]
        twin = row.condition == UNTRAINED
        for panel, curve in enumerate((result.norm[i], result.window[i]), start=1):
            if np.isnan(curve[0]).all():
                continue
            if np.isfinite(curve[1]).all():
                _band(figure, time, curve, colour, panel)
            figure.add_scatter(
                x=time,
                y=curve[0].astype(np.float32),
                mode="lines",
                name=f"{row.point}, {row.condition}",
                legendgroup=f"{row.point} {row.condition}",
                showlegend=panel == 1,
                line={"color": colour, "dash": marks.DASHES[twin]},
                row=panel,
                col=1,
            )
    figure.update_xaxes(title="time (ms)", row=2, col=1)
    figure.update_xaxes(showticklabels=False, row=1, col=1)
    figure.update_yaxes(title="norm (nats)", type="log", row=1, col=1)
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero", row=2, col=1)
    return marks.legend_above_titles(theme.framed(figure, key="flow", height=560))


def _band(figure: go.Figure, time: np.ndarray, curve: np.ndarray, colour: str, panel: int) -> None:
    low, high = curve[1:].astype(np.float32)
    figure.add_scatter(
        x=np.concatenate([time, time[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=theme.faded(colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        row=panel,
        col=1,
    )


def by_time_alt(result: FlowResult) -> str:
    """Say in words what `by_time` shows."""
    parts = []
    for row, curve in zip(result.rows, result.norm, strict=True):
        third = max(1, curve.shape[1] // 3)
        inside = "" if row.window is None else f", {row.window.value:.0%} of units in the window"
        parts.append(
            f"{row.point} {row.condition}: mean norm {curve[0, :third].mean():.3g} in the first third, "
            f"{curve[0, -third:].mean():.3g} in the last{inside}"
        )
    return "Norm of the task gradient in the spikes over time. " + "; ".join(parts) + "."
