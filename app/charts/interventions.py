"""Chart of interventions: what network and probe still read after each change of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analysis.intervention_list import CLEAN
from analysis.interventions import NETWORK, PROBE
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.interventions import InterventionResult, InterventionRow

_SYMBOLS = {NETWORK: "circle", PROBE: "diamond-open"}
_DASHES = {NETWORK: "solid", PROBE: "dash"}
_ROW_PIXELS = 24


def accuracy(result: InterventionResult, subject: int = 0) -> go.Figure:
    """Draw accuracy after each intervention, one line down an intervention and one mark a reader.

    Parameters
    ----------
    subject : int
        0 for the chosen subject, 1 for the one it is compared with; decides the colour.
    """
    figure = go.Figure()
    colour = marks.subject_colour(subject)
    places = list(dict.fromkeys(_label(row) for row in result.rows))
    for reader, symbol in _SYMBOLS.items():
        rows = [row for row in result.rows if row.reader == reader]
        figure.add_scatter(
            x=np.array([row.accuracy.value for row in rows], np.float32),
            y=[places.index(_label(row)) for row in rows],
            error_x=marks.error_bars([row.accuracy for row in rows]),
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 9},
            name=reader,
            text=[f"difference {row.difference}; activity {row.activity:.3g}" for row in rows],
            hovertemplate="%{x:.1%}<br>%{text}",
        )
        (unchanged,) = result.of(CLEAN, reader)
        line = {"color": theme.faded(colour, 0.6), "dash": _DASHES[reader], "width": 1}
        figure.add_vline(x=unchanged.accuracy.value, line=line)
        marks.legend_line(figure, f"{reader}, unchanged", line)
    chance = {"color": theme.CONDITIONS["chance"], "dash": "dot"}
    figure.add_vline(x=result.chance, line=chance)
    marks.legend_line(figure, "chance (majority word)", chance)
    figure.update_xaxes(title="accuracy", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(
        title={"text": "intervention", "standoff": 8},
        automargin=True,
        tickvals=list(range(len(places))),
        ticktext=[theme.text(place) for place in places],
        range=[len(places) - 0.5, -0.5],
        zeroline=False,
    )
    return theme.framed(figure, key="interventions", height=140 + _ROW_PIXELS * len(places))


def accuracy_alt(result: InterventionResult) -> str:
    """Say in words what `accuracy` shows."""
    parts = [
        f"{_label(row)}, {row.reader} {row.accuracy.value:.1%} (difference {row.difference})"
        for row in result.rows
    ]
    return (
        f"Accuracy of {result.provenance.subject} after each intervention, chance {result.chance:.1%}: "
        + "; ".join(parts)
        + "."
    )


def _label(row: InterventionRow) -> str:
    return f"{row.kind}: {row.what}" if row.what else row.kind
