"""Chart of probes over time: when the word becomes decodable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analysis.controls import MATCHED
from analysis.time_probes import UNTRAINED
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.time_probes import TimeResult

_FIXED = {
    "features": theme.CONDITIONS["raw log-mel"],
    "encoder": theme.CONDITIONS["learned"],
    MATCHED: theme.CONDITIONS["SF2-rec@r"],
}
_LAYERS = (theme.VERMILLION, theme.PURPLE, theme.SKY)


def by_time(result: TimeResult) -> go.Figure:
    """Draw accuracy against what has been heard, dashed for what was not trained; stars are half-times."""
    figure = go.Figure()
    for code in result.codes():
        rows, colour = result.of(code), _colour(result, code)
        figure.add_scatter(
            x=np.array([row.time_ms for row in rows], np.float32),
            y=np.array([row.accuracy.value for row in rows], np.float32),
            error_y=marks.error_bars([row.accuracy for row in rows]),
            mode="lines+markers",
            name=theme.text(code),
            line={"color": colour, "dash": "dash" if code.endswith(UNTRAINED) else "solid"},
            marker={"size": 6},
            hovertemplate="%{x:.0f} ms: %{y:.1%}",
        )
        half = next(found for found in result.half_times if found.code == code)
        if half.time_ms is not None:
            figure.add_scatter(
                x=np.array([half.time_ms.value], np.float32),
                y=np.array([(result.chance + rows[-1].accuracy.value) / 2], np.float32),
                error_x=marks.error_bars([half.time_ms]),
                mode="markers",
                name=f"half-time, {theme.text(code)}",
                showlegend=False,
                marker={"color": colour, "symbol": "star", "size": 12},
                hovertemplate="half at %{x:.0f} ms",
            )
    for row in _null(result):
        figure.add_scatter(
            x=np.array(row[0], np.float32),
            y=np.array(row[1], np.float32),
            mode="lines",
            name="shuffled labels",
            legendgroup="shuffled",
            showlegend=row[2],
            line={"color": theme.CONDITIONS["shuffled"], "width": 1},
        )
    line = {"color": theme.CONDITIONS["chance"], "dash": "dot"}
    figure.add_hline(y=result.chance, line=line)
    marks.legend_line(figure, "chance (majority word)", line)
    figure.update_xaxes(title="heard so far (ms)")
    figure.update_yaxes(title="probe accuracy", tickformat=".0%", range=[0, 1.02])
    return theme.framed(figure, key="time-probes", height=460)


def _null(result: TimeResult) -> list[tuple[list[float], list[float], bool]]:
    return [
        (
            [row.time_ms for row in result.of(code)],
            [row.shuffled.value for row in result.of(code)],
            i == 0,
        )
        for i, code in enumerate(result.codes())
    ]


def _colour(result: TimeResult, code: str) -> str:
    if code in _FIXED:
        return _FIXED[code]
    layers = [name for name in result.codes() if name not in _FIXED and not name.endswith(UNTRAINED)]
    return _LAYERS[layers.index(code.removesuffix(f", {UNTRAINED}")) % len(_LAYERS)]


def by_time_alt(result: TimeResult) -> str:
    """Say in words what `by_time` shows."""
    parts = []
    for half in result.half_times:
        last = result.of(half.code)[-1].accuracy.value
        when = "never above chance" if half.time_ms is None else f"half of it at {half.time_ms} ms"
        parts.append(f"{half.code} ends at {last:.1%}, {when}")
    return f"Probe accuracy of {result.provenance.subject} over time: {'; '.join(parts)}."
