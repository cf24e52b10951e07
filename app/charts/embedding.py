"""Chart of an embedding: one marker a clip, coloured by what is known of the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from app.charts import marks, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.embedding import EmbeddingResult

_MAX_GROUPS = 36  # groups in the legend; more are drawn in one colour each cycle without a legend


def scatter(result: EmbeddingResult, colour_by: str, values: Sequence[str] | np.ndarray) -> go.Figure:
    """Draw the clips.

    Parameters
    ----------
    colour_by : str
        Name of what `values` holds, for legend and colour bar.
    values : sequence of str, or np.ndarray of float
        One a clip: names give one colour each, numbers a colour scale.
    """
    xy = result.coordinates.astype(np.float32)
    hover = np.array([theme.text(clip) for clip in result.clip_ids])  # hover text is markup
    figure = go.Figure()
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        marker = {
            "color": values.astype(np.float32),
            "colorscale": theme.SEQUENTIAL,
            "colorbar": {"title": {"text": theme.text(colour_by)}},
        }
        _add(figure, xy, hover, marker, "clips")
    else:
        names = np.array([str(value) for value in values])
        groups = sorted(set(names))
        for k, group in enumerate(groups):
            rows = names == group
            marker = {
                "color": theme.PALETTE[k % len(theme.PALETTE)],
                "symbol": marks.SYMBOLS[k // len(theme.PALETTE) % len(marks.SYMBOLS)],
            }
            _add(figure, xy[rows], hover[rows], marker, theme.text(group))
        figure.update_layout(
            showlegend=len(groups) <= _MAX_GROUPS, legend={"title": {"text": theme.text(colour_by)}}
        )
    figure.update_xaxes(title=result.axes["x"], zeroline=False)
    figure.update_yaxes(title=result.axes["y"], zeroline=False, scaleanchor="x")
    return theme.framed(figure, key=f"{result.provenance.subject}-{result.method}", height=560)


def _add(figure: go.Figure, xy: np.ndarray, hover: np.ndarray, marker: dict, name: str) -> None:
    figure.add_scattergl(
        x=np.ascontiguousarray(xy[:, 0]),
        y=np.ascontiguousarray(xy[:, 1]),
        mode="markers",
        name=name,
        text=hover,
        hovertemplate="%{text}<extra>" + name + "</extra>",
        marker={"size": 6, "opacity": 0.8} | marker,
    )


def scatter_alt(result: EmbeddingResult, colour_by: str) -> str:
    """Say in words what `scatter` shows."""
    return (
        f"{result.method.upper()} map of {len(result.coordinates)} clips of {result.provenance.subject} at "
        f"{result.point}, coloured by {colour_by}; trustworthiness {result.trustworthiness:.2f}."
    )
