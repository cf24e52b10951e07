"""Chart of reconstruction from an encoder beside its control encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.reconstruction_controls import ControlRow, ReconstructionControls

_PANELS = (("snr_db", "SNR (dB)"), ("difference_db", "SNR less that of SF2-rec@r, same decoder (dB)"))
_COLOURS = (theme.BLUE, theme.GREY, theme.GREEN, theme.VERMILLION)  # in the order of the decoders
_RANDOM = "random steps"


def controls(result: ReconstructionControls) -> go.Figure:
    """Draw SNR and its difference to SF2-rec@r by encoder and decoder; open markers: another event rate."""
    figure = make_subplots(cols=len(_PANELS), shared_yaxes=True, horizontal_spacing=0.03)
    decoders = list(dict.fromkeys(row.decoder for row in result.rows))
    places = list(dict.fromkeys(_place(row) for row in result.rows))
    for k, decoder in enumerate(decoders):
        rows = [row for row in result.rows if row.decoder == decoder]
        shift = 0.16 * (k - (len(decoders) - 1) / 2)
        for column, (metric, _) in enumerate(_PANELS, start=1):
            known = [row for row in rows if getattr(row, metric) is not None]
            figure.add_scatter(
                x=np.array([getattr(row, metric).value for row in known], np.float32),
                y=np.array([places.index(_place(row)) + shift for row in known], np.float32),
                error_x=marks.error_bars([getattr(row, metric) for row in known]),
                mode="markers",
                name=decoder,
                legendgroup=decoder,
                showlegend=column == 1,
                marker={
                    "color": _COLOURS[k % len(_COLOURS)],
                    "symbol": [_symbol(k, row) for row in known],
                    "size": 9,
                },
                customdata=[[row.encoder, round(row.events_per_frame, 2)] for row in known],
                hovertemplate="%{customdata[0]}, %{customdata[1]} events a frame: %{x:.2f} dB",
                row=1,
                col=column,
            )
    figure.add_vline(x=0, line={"color": theme.GREY, "dash": "dot"}, row=1, col=2)
    for column, (_, title) in enumerate(_PANELS, start=1):
        figure.update_xaxes(title=title, row=1, col=column)
    ticks = [_told(result, place) for place in places]
    figure.update_yaxes(tickvals=list(range(len(places))), ticktext=ticks, range=[len(places) - 0.5, -0.5])
    return theme.framed(figure, key="controls", height=170 + 60 * len(places))


def controls_alt(result: ReconstructionControls) -> str:
    """Say in words what `controls` shows."""
    parts = []
    for row in result.rows:
        less = "" if row.difference_db is None else f", {row.difference_db} dB against SF2-rec@r"
        rate = "the same" if row.rate_matched else "another"
        parts.append(f"{row.encoder} at {rate} event rate, {row.decoder} {row.snr_db} dB{less}")
    return "Signal-to-noise ratio of the log-mel rebuilt from control encoders: " + "; ".join(parts) + "."


def _symbol(decoder: int, row: ControlRow) -> str:
    return marks.SYMBOLS[decoder % len(marks.SYMBOLS)] + ("" if row.rate_matched else "-open")


def _place(row: ControlRow) -> str:
    """Return the row of the chart: all draws of random steps share one."""
    return _RANDOM if row.encoder.startswith(_RANDOM) else row.encoder


def _told(result: ReconstructionControls, place: str) -> str:
    rates = sorted({row.events_per_frame for row in result.rows if _place(row) == place})
    ends: Sequence[float] = rates if len(rates) == 1 else (rates[0], rates[-1])
    return f"{place}<br>{' to '.join(f'{rate:.1f}' for rate in ends)} events a frame"
