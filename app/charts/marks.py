"""Marks the analysis charts share: error bars, and a colour, symbol and dash for each subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from app.charts import theme

if TYPE_CHECKING:
    from analysis.result import Estimate

SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
DASHES = ("solid", "dash")  # first subject, second subject


def error_bars(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Return plotly's asymmetric error bars for 95 % intervals; none where an interval was not estimated."""
    above = [0.0 if e.high is None else e.high - e.value for e in estimates]
    below = [0.0 if e.low is None else e.value - e.low for e in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": np.array(above, np.float32),
        "arrayminus": np.array(below, np.float32),
        "thickness": 1.5,
    }


def legend_line(figure: go.Figure, name: str, line: dict[str, Any]) -> None:
    """Name a reference line in the legend; shapes have no entry of their own."""
    figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)


def legend_above_titles(figure: go.Figure) -> go.Figure:
    """Make room for a legend above the titles of panels."""
    figure.update_layout(legend={"yref": "container", "y": 0.99, "yanchor": "top"}, margin={"t": 90})
    return figure


def subject_colour(index: int) -> str:
    """Return the colour of the first or the second subject."""
    return theme.CONDITIONS[("learned", "compared")[index]]
