"""Charts of separability: each measure by point or by encoder, its null, and the raw log-mel as a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.controls import SUBJECT
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.separability import SeparabilityResult, SeparabilityRow

_FEATURES, _ENCODER = "features", "encoder"
_COLUMNS = 3
_SHIFT = 0.22  # between subjects, in places on the axis


def measures(results: Sequence[SeparabilityResult]) -> go.Figure:
    """Draw every measure in a panel of its own; purple bars are what permuted labels or clips give."""
    return _panels(results, lambda row: row.point if row.encoder == SUBJECT else _FEATURES, "separability")


def encoders(results: Sequence[SeparabilityResult]) -> go.Figure:
    """Draw the same measures of the encoder beside those of the control encoders."""
    return _panels(results, lambda row: row.encoder if row.point == _ENCODER else _FEATURES, "encoders")


def _panels(
    results: Sequence[SeparabilityResult], place: Callable[[SeparabilityRow], str], key: str
) -> go.Figure:
    """Draw the rows by place on the axis; those whose place is the log-mel are left to its line."""
    names = list(dict.fromkeys(row.measure for result in results for row in result.rows))
    points = [p for p in dict.fromkeys(place(r) for result in results for r in result.rows) if p != _FEATURES]
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
        where = {"row": 1 + panel // _COLUMNS, "col": 1 + panel % _COLUMNS}
        for i, result in enumerate(results):
            rows = [r for r in result.rows if r.measure == measure and place(r) in points]
            height = np.array([points.index(place(r)) + _SHIFT * i for r in rows], np.float32)
            figure.add_scatter(**_marks(rows, height, i, result.provenance.subject, panel == 0), **where)
            if nulls := [(r.null, y) for r, y in zip(rows, height, strict=True) if r.null is not None]:
                figure.add_scatter(**_null_marks(nulls, i, panel == 0), **where)
        if (raw := _raw(results[0], measure)) is not None:
            line = {"color": theme.CONDITIONS["raw log-mel"], "dash": "dash"}
            figure.add_vline(x=raw, line=line, **where)
        figure.update_xaxes(title="no unit", **where)
    for unused in range(len(names), n_rows * _COLUMNS):
        figure.update_yaxes(visible=False, row=n_rows, col=1 + unused % _COLUMNS)
        figure.update_xaxes(visible=False, row=n_rows, col=1 + unused % _COLUMNS)
    marks.legend_line(figure, "raw log-mel", {"color": theme.CONDITIONS["raw log-mel"], "dash": "dash"})
    figure.update_yaxes(tickvals=list(range(len(points))), ticktext=points, range=[len(points) - 0.4, -0.6])
    height = 120 + n_rows * (110 + 36 * len(points))
    return marks.legend_above_titles(theme.framed(figure, key=key, height=height))


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
        for row in (r for r in result.rows if np.isfinite(r.value.value) and r.encoder == SUBJECT):
            null = "" if row.null is None else f", permuted {row.null.value:.3g}"
            parts.append(f"{result.provenance.subject} {row.point} {row.measure} {row.value}{null}")
    return "Separability by recording point: " + "; ".join(parts) + "."


def encoders_alt(results: Sequence[SeparabilityResult]) -> str:
    """Say in words what `encoders` shows."""
    parts = []
    for result in results:
        for row in (r for r in result.rows if np.isfinite(r.value.value) and r.point == _ENCODER):
            less = "" if row.difference is None else f", {result.provenance.subject} less it {row.difference}"
            parts.append(f"{row.encoder} {row.measure} {row.value}{less}")
    return "Separability by encoder: " + "; ".join(parts) + "."
