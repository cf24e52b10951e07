"""Chart of nuisance probes: what each stage keeps that the word does not need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.controls import MATCHED
from analysis.nuisance_clips import UNTRAINED
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.nuisance import NuisanceResult

_COLUMNS = 3


def by_target(result: NuisanceResult) -> go.Figure:
    """Draw every property in a panel: what each code tells of it, and what permuted values give."""
    targets = result.targets()
    codes = list(dict.fromkeys(row.code for row in result.rows))
    n_rows = -(-len(targets) // _COLUMNS)
    measures = {row.target: row.measure for row in result.rows}
    figure = make_subplots(
        rows=n_rows,
        cols=_COLUMNS,
        shared_yaxes=True,
        subplot_titles=[f"{theme.text(target)}, {measures[target]}" for target in targets],
        horizontal_spacing=0.04,
        vertical_spacing=0.3 / n_rows,
    )
    for i, target in enumerate(targets):
        place = {"row": 1 + i // _COLUMNS, "col": 1 + i % _COLUMNS}
        rows = [row for row in result.rows if row.target == target]
        height = np.array([codes.index(row.code) for row in rows], np.float32)
        figure.add_scatter(
            x=np.array([row.null.value for row in rows], np.float32),
            y=height,
            error_x=marks.error_bars([row.null for row in rows]),
            mode="markers",
            marker={"color": theme.CONDITIONS["shuffled"], "symbol": "line-ns-open", "size": 9},
            name="permuted values",
            legendgroup="null",
            showlegend=i == 0,
            **place,
        )
        figure.add_scatter(
            x=np.array([row.value.value for row in rows], np.float32),
            y=height,
            error_x=marks.error_bars([row.value for row in rows]),
            mode="markers",
            marker={"color": [_colour(row.code) for row in rows], "size": 9},
            name="probe",
            legendgroup="probe",
            showlegend=i == 0,
            text=[
                "" if row.difference is None else f"less {row.reference}: {row.difference}" for row in rows
            ],
            hovertemplate="%{x:.3f}<br>%{text}",
            **place,
        )
        figure.add_vline(x=rows[0].chance, line={"color": theme.CONDITIONS["chance"], "dash": "dot"}, **place)
        figure.update_xaxes(title=measures[target], row=place["row"], col=place["col"])
    figure.update_yaxes(
        tickvals=list(range(len(codes))),
        ticktext=[theme.text(code) for code in codes],
        range=[len(codes) - 0.5, -0.5],
        automargin=True,
    )
    marks.legend_line(figure, "chance", {"color": theme.CONDITIONS["chance"], "dash": "dot"})
    height = n_rows * (130 + 28 * len(codes)) + 60
    return marks.legend_above_titles(theme.framed(figure, key="nuisance", height=height))


def by_target_alt(result: NuisanceResult) -> str:
    """Say in words what `by_target` shows."""
    parts = [
        f"{row.target} from {row.code}: {row.measure} {row.value}, permuted {row.null.value:.3g}"
        for row in result.rows
    ]
    return f"What the stages of {result.provenance.subject} tell of a clip: {'; '.join(parts)}."


def _colour(code: str) -> str:
    if code.endswith(UNTRAINED):
        return theme.CONDITIONS["untrained"]
    if code == MATCHED:
        return theme.CONDITIONS["SF2-rec@r"]
    return theme.CONDITIONS["raw log-mel" if code == "features" else "learned"]
