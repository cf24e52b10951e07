"""Charts over trainings: what the sound costs the task, and how the pulls on the encoder grow apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.fidelity_front import FrontResult
    from analysis.gradient_path import GradientPath

_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def front(result: FrontResult) -> go.Figure:
    """Draw accuracy against SNR, one mark a training, one colour a price of reconstruction."""
    figure = go.Figure()
    for i, (price, rows) in enumerate(result.groups().items()):
        figure.add_scatter(
            x=np.array([row.snr_db for row in rows], np.float32),
            y=np.array([row.accuracy.value for row in rows], np.float32),
            error_y=marks.error_bars([row.accuracy for row in rows]),
            mode="markers",
            name=theme.text(price),
            text=[theme.text(row.name) for row in rows],
            marker={"color": theme.PALETTE[i % 8], "symbol": _SYMBOLS[i % len(_SYMBOLS)], "size": 10},
            hovertemplate="%{text}<br>%{x:.1f} dB, %{y:.1f} %<extra></extra>",
        )
    figure.update_xaxes(title="sound kept: SNR of the own decoder (dB)", zeroline=False)
    figure.update_yaxes(title="accuracy of the network (%)", zeroline=False)
    return theme.framed(figure, key="front", height=400)


def front_alt(result: FrontResult) -> str:
    """Say in words what `front` shows."""
    parts = [
        f"{price}, {row.name}: {row.snr_db:.1f} dB, {row.accuracy} %"
        for price, rows in result.groups().items()
        for row in rows
    ]
    return "Accuracy against SNR by price of reconstruction: " + "; ".join(parts) + "."


def path(result: GradientPath) -> go.Figure:
    """Draw the slopes of each loss in both steps on a scale of its own, and their cosine below."""
    figure = make_subplots(3, 1, shared_xaxes=True, row_heights=[0.4, 0.4, 0.2], vertical_spacing=0.06)
    pulls = dict.fromkeys((row.loss, row.parameter) for row in result.rows)
    losses = list(dict.fromkeys(loss for loss, _ in pulls))
    parameters = list(dict.fromkeys(parameter for _, parameter in pulls))
    for loss, parameter in pulls:
        rows = [row for row in result.rows if (row.loss, row.parameter) == (loss, parameter)]
        figure.add_scatter(
            x=[row.epoch for row in rows],
            y=np.array([row.slope.value for row in rows], np.float32),
            error_y=marks.error_bars([row.slope for row in rows]),
            mode="lines+markers",
            name=f"{loss}, {parameter}",
            line={
                "color": (theme.VERMILLION, theme.BLUE)[losses.index(loss)],
                "dash": marks.DASHES[parameters.index(parameter)],
            },
            marker={"symbol": ["circle" if row.resolved else "circle-open" for row in rows], "size": 8},
            row=1 + losses.index(loss),
            col=1,
        )
    known = {epoch: cosine for epoch, cosine in result.cosines.items() if cosine is not None}
    figure.add_scatter(
        x=list(known),
        y=np.array([cosine.value for cosine in known.values()], np.float32),
        error_y=marks.error_bars(list(known.values())),
        mode="lines+markers",
        name="cosine",
        line={"color": theme.BLACK},
        row=3,
        col=1,
    )
    for row in (1, 2, 3):
        figure.add_hline(y=0, line={"color": theme.GREY, "width": 1}, row=row, col=1)
    for row in (1, 2):
        figure.update_yaxes(title="slope", zeroline=False, row=row, col=1)
    figure.update_yaxes(title="cosine", range=[-1.1, 1.1], zeroline=False, row=3, col=1)
    figure.update_xaxes(title="epoch (0: untrained)", zeroline=False, row=3, col=1)
    return theme.framed(figure, key="gradient-path", height=640)


def path_alt(result: GradientPath) -> str:
    """Say in words what `path` shows."""
    parts = [
        f"epoch {epoch}: cosine {'not resolved' if cosine is None else cosine}"
        for epoch, cosine in result.cosines.items()
    ]
    return "Slopes of cross-entropy and squared error in the encoder's steps by epoch; " + "; ".join(parts)
