"""Charts of saliency: maps by word, and what blanking bins costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.saliency import NOTHING
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.saliency import SaliencyResult

_SHIFT = 0.2


def word_maps(result: SaliencyResult, word: str) -> go.Figure:
    """Draw which bins speak for a word (red) and against it (blue), beside the untrained twin."""
    index = result.words.index(word)
    titles = (f"learned, “{theme.text(word)}”", "untrained twin")
    figure = make_subplots(cols=2, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.14)
    for column, maps in enumerate((result.maps, result.maps_untrained), start=1):
        values = maps[index].T.astype(np.float32)  # (F, T)
        limit = float(np.abs(values).max()) or 1.0
        figure.add_heatmap(
            z=values,
            x=(np.arange(values.shape[1]) * result.dt_ms).astype(np.float32),
            y=np.arange(len(values), dtype=np.int16),
            zmin=-limit,
            zmax=limit,
            colorscale=theme.DIVERGING,
            colorbar={"title": "logit", "x": (0.43, 1.0)[column - 1], "thickness": 12},
            hovertemplate="%{x:.0f} ms, band %{y}: %{z:.3g}",
            row=1,
            col=column,
        )
        figure.update_xaxes(title="time (ms)", row=1, col=column)
    figure.update_yaxes(title="mel band", row=1, col=1)
    return theme.framed(figure, key="saliency", height=400)


def word_maps_alt(result: SaliencyResult, word: str) -> str:
    """Say in words what `word_maps` shows."""
    values = result.maps[result.words.index(word)]
    frame, band = np.unravel_index(int(values.argmax()), values.shape)
    return (
        f"Mean part of every bin of the log-mel in the logit of “{word}” over "
        f"{result.n_per_word[result.words.index(word)]} clips of {result.provenance.subject}: largest at "
        f"{frame * result.dt_ms:.0f} ms in band {band} ({values.max():.3g}); the bins add up to "
        f"{values.sum():.3g}. Beside it the untrained twin."
    )


def deletions(results: Sequence[SaliencyResult]) -> go.Figure:
    """Draw the accuracy that is lost when bins are blanked, most salient first."""
    figure = go.Figure()
    names = list(dict.fromkeys(row.blanked for r in results for row in r.deletions if row.blanked != NOTHING))
    for i, result in enumerate(results):
        rows = [row for row in result.deletions if row.blanked in names]
        figure.add_scatter(
            x=np.array([row.drop.value for row in rows], np.float32),
            y=np.array([names.index(row.blanked) + _SHIFT * i for row in rows], np.float32),
            error_x=marks.error_bars([row.drop for row in rows]),
            mode="markers",
            name=result.provenance.subject,
            marker={"color": marks.subject_colour(i), "symbol": marks.SYMBOLS[i], "size": 10},
            hovertemplate="%{x:.1f} points",
        )
    figure.add_vline(x=0.0, line={"color": theme.GREY, "width": 1})
    figure.update_xaxes(title=f"points of accuracy lost, {results[0].share:.0%} of the bins blanked")
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5])
    figure.update_layout(showlegend=True)
    return theme.framed(figure, key="deletions", height=380)


def deletions_alt(results: Sequence[SaliencyResult]) -> str:
    """Say in words what `deletions` shows."""
    parts = [
        f"{result.provenance.subject} {row.blanked} {row.drop.value:.1f}"
        for result in results
        for row in result.deletions
    ]
    return "Points of accuracy lost when bins of the log-mel are blanked: " + "; ".join(parts) + "."
