"""Charts of GR-4: which streams and which bands the task gradient falls on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.gradient_result import GradientResult

_SHIFT = 0.2  # between subjects, in places on the axis


def shares(results: Sequence[GradientResult]) -> go.Figure:
    """Draw each stream's share of the task gradient's energy, and what the reconstruction's would be."""
    figure = go.Figure()
    streams = list(dict.fromkeys(row.stream for result in results for row in result.streams))
    for i, result in enumerate(results):
        name = result.provenance.subject
        place = np.array([streams.index(row.stream) + _SHIFT * i for row in result.streams], np.float32)
        for field, label, colour, open_marker in (
            ("share", name, marks.subject_colour(i), ""),
            ("reconstruction", f"reconstruction gradient, {name}", theme.CONDITIONS["SF2-rec"], "-open"),
        ):
            found = [getattr(row, field) for row in result.streams]
            figure.add_scatter(
                x=place,
                y=np.array([e.value for e in found], np.float32),
                error_y=marks.error_bars(found),
                mode="markers",
                name=label,
                marker={
                    "color": colour,
                    "symbol": marks.SYMBOLS[i] + open_marker,
                    "size": 11,
                    "line": {"color": colour, "width": 2},
                },
                hovertemplate="%{y:.1%}",
            )
    figure.update_xaxes(
        title="stream", tickvals=list(range(len(streams))), ticktext=streams, showgrid=False, zeroline=False
    )
    figure.update_yaxes(title="share of the energy", tickformat=".0%", range=[0, 1.02])
    return theme.framed(figure, key="gr4", height=400)


def shares_alt(results: Sequence[GradientResult]) -> str:
    """Say in words what `shares` shows."""
    parts = [
        f"{result.provenance.subject} {row.stream} {row.share.value:.1%} "
        f"(reconstruction {row.reconstruction.value:.1%})"
        for result in results
        for row in result.streams
    ]
    return "Share of the task gradient's energy by stream: " + "; ".join(parts) + "."


def bands(results: Sequence[GradientResult]) -> go.Figure:
    """Draw each band's share of the energy of the task gradient and of the residual, with intervals."""
    figure = go.Figure()
    for i, result in enumerate(results):
        name = result.provenance.subject
        for values, label, colour in (
            (result.band_task, f"task gradient, {name}", marks.subject_colour(i)),
            (result.band_residual, f"residual, {name}", theme.CONDITIONS["SF2-rec"]),
        ):
            mean, low, high = values.astype(np.float32)
            band = np.arange(len(mean), dtype=np.int16)
            if np.isfinite(low).all():
                figure.add_scatter(
                    x=np.concatenate([band, band[::-1]]),
                    y=np.concatenate([high, low[::-1]]),
                    fill="toself",
                    fillcolor=theme.faded(colour),
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                )
            line = {"color": colour, "dash": marks.DASHES[i]}
            figure.add_scatter(x=band, y=mean, mode="lines", name=label, line=line, hovertemplate="%{y:.2%}")
    figure.update_xaxes(title="mel band (0 = lowest)")
    figure.update_yaxes(title="share of the energy", tickformat=".1%", rangemode="tozero")
    return theme.framed(figure, key="gr4-bands", height=360)


def bands_alt(results: Sequence[GradientResult]) -> str:
    """Say in words what `bands` shows."""
    parts = [
        f"{r.provenance.subject}: task gradient largest in band {int(r.band_task[0].argmax())} "
        f"({r.band_task[0].max():.1%}), residual in band {int(r.band_residual[0].argmax())} "
        f"({r.band_residual[0].max():.1%})"
        for r in results
        if r.band_task.shape[1]
    ]
    return "Share of the energy by mel band. " + "; ".join(parts) + "."
