"""Charts of linear probes: what can be read out of every recording point, beside its controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analysis import probing
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.probing import ProbeResult

CONDITIONS = ("learned", "untrained", "shuffled")
_BESIDE = {  # condition -> name, colour, symbol
    probing.LEARNED: ("linear probe", theme.CONDITIONS["learned"], "circle"),
    probing.REDUCED: ("linear, 256 dimensions", theme.CONDITIONS["learned"], "circle-open"),
    probing.NEIGHBORS: ("20 nearest neighbours", theme.CONDITIONS["learned"], "diamond-open"),
    probing.CONTROL_TASK: ("linear probe, control task", theme.GREY, "square"),
    probing.UNTRAINED: ("linear probe, untrained", theme.CONDITIONS["untrained"], "circle"),
    probing.UNTRAINED_CONTROL: ("control task, untrained", theme.CONDITIONS["untrained"], "square-open"),
}
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


def controls(result: ProbeResult) -> go.Figure:
    """Draw the probe of each whole code beside another reader, the same size, and a task of sound alone."""
    figure, points = go.Figure(), _whole(result)
    for k, (condition, (name, colour, symbol)) in enumerate(_BESIDE.items()):
        rows = [row for row in result.rows if row.condition == condition and row.point in points]
        if not rows:
            continue
        place = [points.index(row.point) + 0.1 * (k - (len(_BESIDE) - 1) / 2) for row in rows]
        figure.add_scatter(
            x=np.array(place, np.float32),
            y=np.array([row.accuracy.value for row in rows], np.float32),
            error_y=marks.error_bars([row.accuracy for row in rows]),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9},
            text=["" if row.selectivity is None else f"selectivity {row.selectivity}" for row in rows],
            hovertemplate="%{y:.1%} %{text}",
        )
    for condition, dash in ((probing.CHANCE, "dot"), (probing.CONTROL_CHANCE, "dashdot")):
        if (found := result.find("", condition)) is not None:
            line = {"color": theme.CONDITIONS["chance"], "dash": dash}
            figure.add_hline(y=result.rows[found].accuracy.value, line=line)
            marks.legend_line(figure, condition, line)
    figure.update_xaxes(
        title="recording point", tickvals=list(range(len(points))), ticktext=points, showgrid=False
    )
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.02])
    return theme.framed(figure, key="probe-controls", height=420)


def controls_alt(result: ProbeResult) -> str:
    """Say in words what `controls` shows."""
    parts = []
    for row in result.rows:
        if row.point in _whole(result) and row.condition in _BESIDE:
            selectivity = "" if row.selectivity is None else f" (selectivity {row.selectivity})"
            parts.append(f"{row.point} {_BESIDE[row.condition][0]} {row.accuracy.value:.1%}{selectivity}")
    return f"Readers and tasks beside the linear probe of {result.provenance.subject}: {'; '.join(parts)}."


def _whole(result: ProbeResult) -> list[str]:
    """Return the points that have every control."""
    return [row.point for row in result.rows if row.condition == probing.REDUCED]


def confusion(result: ProbeResult, point: str) -> go.Figure:
    """Draw which words the probe of a point takes for which; each row adds up to 1."""
    counts = result.confusion[point]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    words = [theme.text(word) for word in result.words]
    figure = go.Figure(
        go.Heatmap(
            z=share.astype(np.float32),
            customdata=counts.astype(np.int16),
            zmin=0,
            zmax=1,
            colorscale=theme.SEQUENTIAL,
            colorbar={"title": "share", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{customdata} clips, %{z:.0%}",
        )
    )
    ticks = {"tickvals": list(range(len(words))), "ticktext": words}
    figure.update_xaxes(title="word read", **ticks)
    figure.update_yaxes(title="true word", autorange="reversed", automargin=True, **ticks)
    return theme.framed(figure, key="confusion", height=220 + 24 * len(words))


def confusion_alt(result: ProbeResult, point: str) -> str:
    """Say in words what `confusion` shows."""
    counts = np.array(result.confusion[point], float)
    right = counts.trace() / max(counts.sum(), 1)
    np.fill_diagonal(counts, 0)
    true, read = np.unravel_index(int(counts.argmax()), counts.shape)
    return (
        f"Words that the probe at {point} of {result.provenance.subject} takes for others: {right:.1%} are "
        f"right; the commonest mistake is {result.words[true]} for {result.words[read]} "
        f"({counts[true, read]:.0f} clips)."
    )


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
