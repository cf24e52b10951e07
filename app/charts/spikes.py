"""Chart of spike statistics: how often units fire, at what intervals, and which stream carries the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.spikes import SpikeStatistics


def statistics(result: SpikeStatistics) -> go.Figure:
    """Draw sorted unit rates, the intervals between spikes, and the rate of every stream."""
    n_units = len(result.unit_rate_hz)
    titles = (
        f"{n_units} units: {result.n_silent} silent, {result.n_saturated} saturated",
        "inter-spike intervals",
        "mean rate",
    )
    figure = make_subplots(cols=3, subplot_titles=titles, horizontal_spacing=0.11)
    figure.add_scatter(
        x=np.arange(n_units, dtype=np.int16),
        y=np.sort(result.unit_rate_hz)[::-1].astype(np.float32),
        mode="lines",
        line={"color": theme.BLUE, "shape": "hv"},
        hovertemplate="unit %{x}: %{y:.3g} Hz<extra></extra>",
        row=1,
        col=1,
    )
    saturated = 900 / result.dt_ms  # a spike in 90 % of the frames
    if result.unit_rate_hz.max(initial=0.0) > 0.5 * saturated:
        line = {"color": theme.GREY, "dash": "dot"}
        figure.add_hline(y=saturated, line=line, annotation={"text": "saturated"}, row=1, col=1)
    share = result.isi_count / max(int(result.isi_count.sum()), 1)
    shown = 1 + int(np.searchsorted(share.cumsum(), 0.999))  # the long tail would hide the rest
    figure.add_bar(
        x=result.isi_ms[:shown].astype(np.float32),
        y=share[:shown].astype(np.float32),
        marker={"color": theme.BLUE},
        hovertemplate="%{x:g} ms: %{y:.2%}<extra></extra>",
        row=1,
        col=2,
    )
    rates = {"all": result.rate_hz} | dict(result.stream_rates_hz)
    figure.add_bar(
        x=[theme.text(name) for name in rates],
        y=np.array([rate.value for rate in rates.values()], np.float32),
        error_y=marks.error_bars(list(rates.values())),
        marker={"color": [theme.STREAMS.get(name.rpartition("/")[2], theme.GREY) for name in rates]},
        hovertemplate="%{x}: %{y:.3g} Hz<extra></extra>",
        row=1,
        col=3,
    )
    for column, (x, y) in enumerate(
        (
            ("unit, most active first", "rate (Hz)"),
            ("interval (ms)", "share of intervals"),
            ("", "rate (Hz)"),
        ),
        start=1,
    ):
        figure.update_xaxes(title=x, row=1, col=column)
        figure.update_yaxes(title=y, rangemode="tozero", row=1, col=column)
    figure.update_layout(showlegend=False)
    return theme.framed(figure, key=f"spikes-{result.point}", height=360)


def statistics_alt(result: SpikeStatistics) -> str:
    """Say in words what `statistics` shows."""
    streams = "".join(f", {name} {rate} Hz" for name, rate in result.stream_rates_hz.items())
    return (
        f"Spikes of {result.provenance.subject} at {result.point}: {len(result.unit_rate_hz)} units at "
        f"{result.rate_hz} Hz each, {result.n_silent} silent, {result.n_saturated} saturated, "
        f"mean interval {result.mean_isi_ms:.0f} ms{streams}."
    )
