"""Charts of encoders read by one probe: against their event rate, and with few labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from analysis import controls
from analysis.encoder_comparison import FEW_LABELS, LINEAR, LOG_MEL, RANDOM_MEAN, SMALL
from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.encoder_comparison import EncoderRow, EncodersResult

_COLOURS = {
    controls.SUBJECT: theme.CONDITIONS["learned"],
    controls.MATCHED: theme.CONDITIONS["SF2-rec@r"],
    controls.FAITHFUL: theme.CONDITIONS["SF2-rec"],
    controls.START: theme.CONDITIONS["untrained"],
    LOG_MEL: theme.CONDITIONS["raw log-mel"],
}


def by_encoder(result: EncodersResult) -> go.Figure:
    """Draw accuracy of each encoder, filled where the event rate is the subject's."""
    figure = go.Figure()
    names = list(dict.fromkeys(row.encoder for row in result.rows))
    for shift, reading in ((-0.15, LINEAR), (0.15, SMALL)):
        rows = [row for row in result.rows if row.reading == reading]
        figure.add_scatter(
            x=np.array([row.accuracy.value for row in rows], np.float32),
            y=np.array([names.index(row.encoder) + shift for row in rows], np.float32),
            error_x=marks.error_bars([row.accuracy for row in rows]),
            mode="markers",
            name=reading,
            marker={
                "color": [_colour(row.encoder) for row in rows],
                "symbol": [_symbol(row, reading) for row in rows],
                "size": 9,
            },
            text=[_words(row) for row in rows],
            hovertemplate="%{x:.1%}<br>%{text}",
        )
    figure.update_xaxes(title="probe accuracy", tickformat=".0%")
    figure.update_yaxes(
        title="encoder",
        automargin=True,
        tickvals=list(range(len(names))),
        ticktext=[theme.text(name) for name in names],
        range=[len(names) - 0.5, -0.5],
        zeroline=False,
    )
    return theme.framed(figure, key="encoders", height=160 + 30 * len(names))


def by_encoder_alt(result: EncodersResult) -> str:
    """Say in words what `by_encoder` shows."""
    parts = [
        f"{row.encoder} ({row.reading}) {row.accuracy.value:.1%}, {_words(row)}"
        for row in result.rows
        if row.reading in (LINEAR, SMALL)
    ]
    return f"Accuracy of one probe on each encoder beside {result.provenance.subject}: {'; '.join(parts)}."


def few_labels(result: EncodersResult) -> go.Figure:
    """Draw accuracy against the number of labelled clips a word; random steps as their mean."""
    figure = go.Figure()
    for name in dict.fromkeys(row.encoder for row in result.rows):
        rows = [(n, result.find(name, f"{n} clips a word")) for n in FEW_LABELS]
        known = [(n, row) for n, row in rows if row is not None]
        if not known or (name.startswith(controls.RANDOM) and name != RANDOM_MEAN):
            continue
        figure.add_scatter(
            x=np.array([n for n, _ in known], np.float32),
            y=np.array([row.accuracy.value for _, row in known], np.float32),
            error_y=marks.error_bars([row.accuracy for _, row in known]),
            mode="lines+markers",
            name=theme.text(name),
            line={"color": _colour(name)},
        )
    figure.update_xaxes(title="labelled clips a word", type="log", tickvals=list(FEW_LABELS))
    figure.update_yaxes(title="probe accuracy", tickformat=".0%")
    return theme.framed(figure, key="few-labels", height=400)


def few_labels_alt(result: EncodersResult) -> str:
    """Say in words what `few_labels` shows."""
    parts = [
        f"{row.encoder} {row.accuracy.value:.1%} with {row.reading}"
        for row in result.rows
        if row.reading not in (LINEAR, SMALL)
        and (row.encoder == RANDOM_MEAN or not row.encoder.startswith(controls.RANDOM))
    ]
    return "Accuracy of a probe fitted to few clips: " + ("; ".join(parts) or "too few clips to draw") + "."


def _colour(name: str) -> str:
    if name.startswith(controls.RANDOM):
        return theme.GREY
    return _COLOURS.get(name, theme.CONDITIONS["compared"])


def _symbol(row: EncoderRow, reading: str) -> str:
    shape = "circle" if reading == LINEAR else "diamond"
    return shape if row.rate_matched else f"{shape}-open"


def _words(row: EncoderRow) -> str:
    parts = [] if row.events_per_frame is None else [f"{row.events_per_frame:.3g} events a frame"]
    parts += [] if row.subject_minus is None else [f"subject less this {row.subject_minus}"]
    parts += [] if row.sd is None else [f"sd over draws {row.sd:.2g}"]
    return ", ".join(parts)
