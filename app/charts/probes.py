"""Chart of linear probes: what can be read out of every recording point, beside its controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.probing import ProbeResult

CONDITIONS = ("learned", "untrained", "shuffled")
_FEATURES = "features"
_SHIFT = 0.16  # between conditions, in places on the axis


def accuracy(results: Sequence[ProbeResult]) -> go.Figure:
    """Draw probe accuracy by recording point with intervals; raw log-mel and chance are lines across."""
    figure = go.Figure()
    points = _points(results)
    for i, result in enumerate(results):
        name = result.provenance.subject
        for k, condition in enumerate(CONDITIONS):
            rows = [r for r in result.rows if r.condition == condition and r.point in points]
            if not rows:
                continue
            place = [points.index(r.point) + _SHIFT * (k - 1) + 0.06 * i for r in rows]
            figure.add_scatter(
                x=np.array(place, np.float32),
                y=np.array([r.accuracy.value for r in rows], np.float32),
                error_y=marks.error_bars([r.accuracy for r in rows]),
                mode="markers",
                name=f"{condition}, {name}",
                marker={"color": _colour(condition, i), "symbol": marks.SYMBOLS[i], "size": 9},
                hovertemplate="%{y:.1%}",
            )
    _reference_lines(figure, results[0])
    figure.update_xaxes(
        title="recording point",
        tickvals=list(range(len(points))),
        ticktext=points,
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(title="probe accuracy", tickformat=".0%", range=[0, 1.02])
    return theme.framed(figure, key="probes", height=460)


def _colour(condition: str, subject: int) -> str:
    return marks.subject_colour(subject) if condition == "learned" else theme.CONDITIONS[condition]


def _reference_lines(figure: go.Figure, result: ProbeResult) -> None:
    """Draw chance and the probe on raw log-mel, which has its interval as a band."""
    chance = [r.accuracy.value for r in result.rows if r.condition == "chance"]
    raw = [r.accuracy for r in result.rows if r.point == _FEATURES and r.condition == "learned"]
    if chance:
        line = {"color": theme.CONDITIONS["chance"], "dash": "dot"}
        figure.add_hline(y=chance[0], line=line)
        marks.legend_line(figure, "chance (majority word)", line)
    if raw:
        colour = theme.CONDITIONS["raw log-mel"]
        figure.add_hline(y=raw[0].value, line={"color": colour, "dash": "dash"})
        marks.legend_line(figure, "raw log-mel", {"color": colour, "dash": "dash"})
        if raw[0].low is not None:
            figure.add_hrect(y0=raw[0].low, y1=raw[0].high, fillcolor=colour, opacity=0.12, line_width=0)


def accuracy_alt(results: Sequence[ProbeResult]) -> str:
    """Say in words what `accuracy` shows."""
    parts = [
        f"{result.provenance.subject} {row.point} {row.condition} {row.accuracy.value:.1%}"
        for result in results
        for row in result.rows
    ]
    return "Accuracy of a linear probe for the word: " + "; ".join(parts) + "."


def _points(results: Sequence[ProbeResult]) -> list[str]:
    """Return the points of all results in order, raw log-mel left to its line."""
    rows = [row for result in results for row in result.rows if row.condition in CONDITIONS]
    return list(dict.fromkeys(row.point for row in rows if row.point != _FEATURES))
