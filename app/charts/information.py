"""Chart of information: bits a clip and thousandths of a bit a spike, by point and encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.controls import SUBJECT
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.information import InformationResult, InformationRow
    from analysis.result import Estimate

_SHIFT = 0.22  # between subjects, in places on the axis


def bits(results: Sequence[InformationResult]) -> go.Figure:
    """Draw both bounds with intervals; purple is the null, the dotted line what there is to know."""
    places = list(dict.fromkeys(_place(row) for result in results for row in result.rows))
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=("about the word, a clip", "the same, a spike"),
    )
    for i, result in enumerate(results):
        name, at = result.provenance.subject, _SHIFT * i
        own = {"color": marks.subject_colour(i), "symbol": marks.SYMBOLS[i], "size": 9}
        null = {"color": theme.CONDITIONS["shuffled"], "symbol": "line-ns-open", "size": 9}
        clip = [(row.bits, places.index(_place(row)) + at) for row in result.rows]
        shuffled = [(row.shuffled, places.index(_place(row)) + at) for row in result.rows]
        spike = [
            (row.millibits_per_spike, places.index(_place(row)) + at)
            for row in result.rows
            if row.millibits_per_spike is not None
        ]
        figure.add_scatter(**_marks(clip, name, own, True), row=1, col=1)
        figure.add_scatter(**_marks(shuffled, "permuted labels", null, i == 0), row=1, col=1)
        figure.add_scatter(**_marks(spike, name, own, False), row=1, col=2)
    line = {"color": theme.GREY, "dash": "dot"}
    figure.add_vline(x=results[0].entropy_bits, line=line, row=1, col=1)
    marks.legend_line(figure, "entropy of the word", line)
    figure.update_xaxes(title="bits", row=1, col=1)
    figure.update_xaxes(title="thousandths of a bit", row=1, col=2)
    figure.update_yaxes(tickvals=list(range(len(places))), ticktext=places, range=[len(places) - 0.4, -0.6])
    figure = theme.framed(figure, key="information", height=180 + 36 * len(places))
    return marks.legend_above_titles(figure)


def _place(row: InformationRow) -> str:
    return row.point if row.encoder == SUBJECT else row.encoder


def _marks(found: list[tuple[Estimate, float]], name: str, marker: dict, legend: bool) -> dict:
    return {
        "x": np.array([estimate.value for estimate, _ in found], np.float32),
        "y": np.array([height for _, height in found], np.float32),
        "error_x": marks.error_bars([estimate for estimate, _ in found]),
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "marker": marker,
        "hovertemplate": "%{x:.3g}",
    }


def bits_alt(results: Sequence[InformationResult]) -> str:
    """Say in words what `bits` shows."""
    parts = []
    for result in results:
        for row in result.rows:
            spike = "" if row.millibits_per_spike is None else f", a spike {row.millibits_per_spike} / 1000"
            less = "" if row.difference is None else f", {result.provenance.subject} less it {row.difference}"
            parts.append(f"{result.provenance.subject} {_place(row)} {row.bits}{spike}{less}")
    limit = f"{results[0].entropy_bits:.3g} bits there are to know"
    return f"Bits about the word that a linear reader finds, of {limit}: " + "; ".join(parts) + "."
