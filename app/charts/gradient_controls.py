"""Chart of gradient-residual inspection beside trainings whose answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis import gradient_controls as controls
from analysis.gradient_measures import COSINE, SPEARMAN
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.gradient_controls import ControlRow, GradientControls

_COLOURS = {
    controls.SUBJECT: theme.CONDITIONS["learned"],
    controls.TWIN: theme.CONDITIONS["untrained"],
    controls.SHUFFLED: theme.CONDITIONS["shuffled"],
    controls.REBUILDING: theme.CONDITIONS["SF2-rec"],
    controls.SEED: theme.CONDITIONS["learned"],
    controls.OTHER: theme.GREY,
}
_COLUMNS = 4
_MEASURES = {
    SPEARMAN: "GR-1 Spearman",
    COSINE: "GR-2 cosine",
    controls.GR3_SURROGATE: "GR-3 cosine, surrogate",
    controls.share_of("coarse"): "GR-4 share, coarse",
    controls.slope_of("cross-entropy", "log dc"): "GR-3 dCE / dlog Dc",
    controls.slope_of("cross-entropy", "log df"): "GR-3 dCE / dlog Df",
    controls.slope_of("squared error", "log dc"): "GR-3 dMSE / dlog Dc",
    controls.slope_of("squared error", "log df"): "GR-3 dMSE / dlog Df",
}


def comparison(result: GradientControls) -> go.Figure:
    """Draw every measure of the subject above those of its controls; permuted pairs in grey."""
    arms = list(dict.fromkeys((row.arm, row.kind) for row in result.rows))
    n_rows = -(-len(_MEASURES) // _COLUMNS)
    figure = make_subplots(
        rows=n_rows,
        cols=_COLUMNS,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.2,
    )
    named: set[str] = set()
    for index, (measure, label) in enumerate(_MEASURES.items()):
        place = {"row": 1 + index // _COLUMNS, "col": 1 + index % _COLUMNS}
        for arm, kind in arms:
            for row in result.of(measure):
                if row.arm == arm and row.value is not None:
                    height = [arms.index((arm, kind))]
                    _add(figure, row, height, kind, kind not in named, place)
                    named.add(kind)
        figure.add_vline(x=0.0, line={"color": theme.GREY, "width": 1}, **place)
        figure.update_xaxes(title=label, row=place["row"], col=place["col"])
    figure.update_yaxes(
        tickvals=list(range(len(arms))),
        ticktext=[theme.text(arm) for arm, _ in arms],
        range=[len(arms) - 0.5, -0.5],
    )
    height = n_rows * (140 + 26 * len(arms)) + 60
    return theme.framed(figure, key="gradient-controls", height=height)


def _add(
    figure: go.Figure, row: ControlRow, height: list[int], kind: str, legend: bool, place: dict[str, int]
) -> None:
    assert row.value is not None
    if row.permuted is not None:
        figure.add_scatter(
            x=np.array([row.permuted.value], np.float32),
            y=np.array(height, np.float32) + np.float32(0.25),
            error_x=marks.error_bars([row.permuted]),
            mode="markers",
            marker={"color": theme.CONDITIONS["chance"], "symbol": "line-ns-open", "size": 9},
            name="permuted pairs",
            showlegend=False,
            **place,
        )
    resolved = controls.NOT_RESOLVED not in row.note
    figure.add_scatter(
        x=np.array([row.value.value], np.float32),
        y=np.array(height, np.float32),
        error_x=marks.error_bars([row.value]),
        mode="markers",
        marker={"color": _COLOURS[kind], "symbol": "circle" if resolved else "circle-open", "size": 9},
        name=kind,
        legendgroup=kind,
        showlegend=legend,
        text=[row.note],
        hovertemplate="%{x:.3g} %{text}",
        **place,
    )


def comparison_alt(result: GradientControls) -> str:
    """Say in words what `comparison` shows."""
    parts = []
    for measure, label in _MEASURES.items():
        found = [
            f"{row.arm} {row.value.value:.3g}{' (not resolved)' if controls.NOT_RESOLVED in row.note else ''}"
            for row in result.of(measure)
            if row.value is not None
        ]
        if found:
            parts.append(f"{label}: {', '.join(found)}")
    return "Gradient measures of the subject and of its controls. " + "; ".join(parts) + "."
