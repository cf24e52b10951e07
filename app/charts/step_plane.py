"""Chart of the step-size plane: maps over coarse and fine step, with the path of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import theme

if TYPE_CHECKING:
    from analysis.step_plane import StepPlaneResult

_PANELS = (
    ("snr_db", "SNR, own decoder (dB)", ".1f"),
    ("probe_accuracy", "linear probe", ".0%"),
    ("rate", "events per channel and frame", ".3f"),
    ("backbone_accuracy", "the trained network, unchanged", ".0%"),
)
_STYLES = {
    "subject": ("the encoder", theme.BLACK, "circle"),
    "MSE optimum": ("MSE optimum of the grid", theme.SKY, "square"),
    "probe optimum": ("probe optimum of the grid", theme.VERMILLION, "diamond"),
}
_COLUMNS = 2


def plane(result: StepPlaneResult) -> go.Figure:
    """Draw four maps on shared logarithmic axes; path of the training and marked places lie on each."""
    figure = make_subplots(
        rows=2,
        cols=_COLUMNS,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[title for _, title, _ in _PANELS],
        horizontal_spacing=0.14,
        vertical_spacing=0.12,
    )
    for k, (metric, title, form) in enumerate(_PANELS):
        row, column = divmod(k, _COLUMNS)
        place = {"row": row + 1, "col": column + 1}
        _add_map(figure, result, metric, title, form, place)
        _add_path(figure, result, place, first=k == 0)
    figure.update_xaxes(type="log", tickvals=_ticks(result.dc), ticktext=_told(result.dc))
    figure.update_yaxes(type="log", tickvals=_ticks(result.df), ticktext=_told(result.df))
    figure.update_xaxes(title="coarse step (SD of a band)", row=2, showticklabels=True)
    figure.update_yaxes(title="fine step (SD of a band)", col=1, showticklabels=True)
    figure.update_annotations(font={"size": 14})
    theme.framed(figure, key="plane", height=760)
    return figure.update_layout(legend={"yref": "container", "y": 0.99, "yanchor": "top"}, margin={"t": 90})


def _add_map(
    figure: go.Figure, result: StepPlaneResult, metric: str, title: str, form: str, place: dict[str, int]
) -> None:
    suffix = "" if place == {"row": 1, "col": 1} else str((place["row"] - 1) * _COLUMNS + place["col"])
    horizontal, vertical = (figure.layout[f"{axis}axis{suffix}"].domain for axis in "xy")
    figure.add_heatmap(
        x=_edges(result.dc),
        y=_edges(result.df),
        z=np.ascontiguousarray(getattr(result, metric).T, dtype=np.float32),  # (fine, coarse)
        colorscale=theme.SEQUENTIAL,
        colorbar={
            "x": horizontal[1] + 0.01,
            "y": (vertical[0] + vertical[1]) / 2,
            "len": vertical[1] - vertical[0],
            "thickness": 12,
            "tickformat": form,
        },
        name=title,
        hovertemplate=f"coarse %{{x:.2f}}, fine %{{y:.2f}}: %{{z:{form}}}<extra></extra>",
        **place,
    )


def _add_path(figure: go.Figure, result: StepPlaneResult, place: dict[str, int], first: bool) -> None:
    if len(result.path):
        figure.add_scatter(
            x=result.path[:, 0].astype(np.float32),
            y=result.path[:, 1].astype(np.float32),
            mode="lines+markers",
            line={"color": theme.BLACK, "width": 2},
            marker={"color": "white", "size": 4, "line": {"color": theme.BLACK, "width": 1}},
            name="training, epoch by epoch",
            legendgroup="path",
            showlegend=first,
            hovertemplate="coarse %{x:.3f}, fine %{y:.3f}",
            **place,
        )
    for mark in result.marks:
        name, colour, symbol = _STYLES[mark.name]
        figure.add_scatter(
            x=np.array([mark.dc], np.float32),
            y=np.array([mark.df], np.float32),
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 13,
                "line": {"color": "white", "width": 2},
            },
            name=name,
            legendgroup=name,
            showlegend=first,
            hovertemplate="coarse %{x:.3f}, fine %{y:.3f}",
            **place,
        )


def plane_alt(result: StepPlaneResult) -> str:
    """Say in words what `plane` shows."""
    places = [
        f"{_STYLES[mark.name][0]} at coarse {mark.dc:.2f} and fine {mark.df:.2f}: SNR {mark.snr_db} dB, "
        f"probe {mark.probe_accuracy}, network {mark.backbone_accuracy}, rate {mark.rate:.3f}"
        for mark in result.marks
    ]
    spans = [
        f"{title} from {np.nanmin(getattr(result, metric)):.3g} to {np.nanmax(getattr(result, metric)):.3g}"
        for metric, title, _ in _PANELS
    ]
    path = ""
    if len(result.path):
        (a, b), (c, d) = result.path[0], result.path[-1]
        path = f" The training went from coarse {a:.2f}, fine {b:.2f} to coarse {c:.2f}, fine {d:.2f}."
    return (
        f"Maps over coarse step {result.dc[0]:.2f} to {result.dc[-1]:.2f} and fine step {result.df[0]:.2f} "
        f"to {result.df[-1]:.2f}: " + "; ".join(spans) + ". " + "; ".join(places) + "." + path
    )


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the ends of the cells of a geometric grid: plotly places edges, not centres, on a log axis."""
    half = np.sqrt(centres[1] / centres[0])
    return np.append(centres / half, centres[-1] * half).astype(np.float32)


def _ticks(centres: np.ndarray) -> list[float]:
    return [float(value) for value in centres]


def _told(centres: np.ndarray) -> list[str]:
    return [f"{value:.2f}" for value in centres]
