"""Chart of separability: each measure by recording point, its null, and the raw log-mel as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.separability import SeparabilityResult, SeparabilityRow

_FEATURES = "features"
_COLUMNS = 3
_SHIFT = 0.22  # between subjects, in places on the axis


def measures(results: Sequence[SeparabilityResult]) -> go.Figure:
    """Draw every measure in a panel of its own; purple bars are what permuted labels or clips give."""
    names = list(dict.fromkeys(row.measure for result in results for row in result.rows))
    points = [p for p in dict.fromkeys(r.point for result in results for r in result.rows) if p != _FEATURES]
    n_rows = -(-len(names) // _COLUMNS)
    figure = make_subplots(
        n_rows,
        _COLUMNS,
        shared_yaxes="all",
        subplot_titles=names,
        horizontal_spacing=0.04,
        vertical_spacing=0.24 / n_rows,
    )
    for panel, measure in enumerate(names):
        place = {"row": 1 + panel // _COLUMNS, "col": 1 + panel % _COLUMNS}
        for i, result in enumerate(results):
            rows = [r for r in result.rows if r.measure == measure and r.point in points]
            height = np.array([points.index(r.point) + _SHIFT * i for r in rows], np.float32)
            figure.add_scatter(**_marks(rows, height, i, result.provenance.subject, panel == 0), **place)
            if nulls := [(r.null, y) for r, y in zip(rows, height, strict=True) if r.null is not None]:
                figure.add_scatter(**_null_marks(nulls, i, panel == 0), **place)
        if (raw := _raw(results[0], measure)) is not None:
            line = {"color": theme.CONDITIONS["raw log-mel"], "dash": "dash"}
            figure.add_vline(x=raw, line=line, **place)
        figure.update_xaxes(title="no unit", **place)
    for unused in range(len(names), n_rows * _COLUMNS):
        figure.update_yaxes(visible=False, row=n_rows, col=1 + unused % _COLUMNS)
        figure.update_xaxes(visible=False, row=n_rows, col=1 + unused % _COLUMNS)
    marks.legend_line(figure, "raw log-mel", {"color": theme.CONDITIONS["raw log-mel"], "dash": "dash"})
    figure.update_yaxes(tickvals=list(range(len(points))), ticktext=points, range=[len(points) - 0.4, -0.6])
    height = 120 + n_rows * (110 + 36 * len(points))
    return marks.legend_above_titles(theme.framed(figure, key="separability", height=height))


def _marks(rows: list[SeparabilityRow], height: np.ndarray, subject: int, name: str, legend: bool) -> dict:
    return {
        "x": np.array([r.value.value for r in rows], np.float32),
        "y": height,
        "error_x": marks.error_bars([r.value for r in rows]),
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "marker": {"color": marks.subject_colour(subject), "symbol": marks.SYMBOLS[subject], "size": 9},
        "hovertemplate": "%{x:.3g}",
    }


def _null_marks(nulls: list, subject: int, legend: bool) -> dict:
    return {
        "x": np.array([null.value for null, _ in nulls], np.float32),
        "y": np.array([y for _, y in nulls], np.float32),
        "error_x": marks.error_bars([null for null, _ in nulls]),
        "mode": "markers",
        "name": "permuted",
        "legendgroup": "permuted",
        "showlegend": legend and subject == 0,
        "marker": {"color": theme.CONDITIONS["shuffled"], "symbol": "line-ns-open", "size": 9},
        "hovertemplate": "%{x:.3g}",
    }


def _raw(result: SeparabilityResult, measure: str) -> float | None:
    found = [r.value.value for r in result.rows if (r.point, r.measure) == (_FEATURES, measure)]
    return found[0] if found else None


def measures_alt(results: Sequence[SeparabilityResult]) -> str:
    """Say in words what `measures` shows."""
    parts = []
    for result in results:
        for row in (r for r in result.rows if np.isfinite(r.value.value)):
            null = "" if row.null is None else f", permuted {row.null.value:.3g}"
            parts.append(f"{result.provenance.subject} {row.point} {row.measure} {row.value}{null}")
    return "Separability by recording point: " + "; ".join(parts) + "."
