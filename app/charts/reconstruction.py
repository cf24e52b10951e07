"""Charts of reconstruction: decoders against templates, by band, over time, and one clip to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.reconstruction_result import ReconstructionResult, ReconstructionRow

_METRICS = (
    ("snr_db", "SNR (dB)"),
    ("log_spectral_distance_db", "log-spectral distance (dB)"),
    ("r2_within_word", "R2 within word (1)"),
)
_LIMIT = 3.0  # standard deviations shown by the colour scale
TEMPLATES = ("frame template", "word template")
_CONTROLS = {"permuted clips": "shuffled", "untrained twin": "untrained"}  # end of a name -> its colour
_TOLD = {"permuted clips": "spikes of another clip", "untrained twin": "untrained twin"}


def decoders(results: Sequence[ReconstructionResult]) -> go.Figure:
    """Draw every decoder with intervals, its null and its untrained twin beside it; templates are lines."""
    metrics = [m for m in _METRICS if any(getattr(row, m[0]) is not None for r in results for row in r.rows)]
    figure = make_subplots(cols=len(metrics), shared_yaxes=True, horizontal_spacing=0.03)
    names = list(dict.fromkeys(_row_name(row, control=False) for r in results for row in _decoded_rows(r)))
    for i, result in enumerate(results):
        for control in ("", *_CONTROLS):
            rows = [row for row in _decoded_rows(result) if _control(row) == control]
            for column, (metric, _) in enumerate(metrics, start=1):
                known = [row for row in rows if getattr(row, metric) is not None]
                if rows and (known or column == 1):
                    figure.add_trace(_markers(known, metric, names, i, result, control), row=1, col=column)
    for column, (_, title) in enumerate(metrics, start=1):
        figure.update_xaxes(title=title, row=1, col=column)
    for row in (r for r in results[0].rows if r.decoder in TEMPLATES):
        marks.legend_line(figure, row.decoder, _template_line(row))
        for column, (metric, _) in enumerate(metrics, start=1):
            if (found := getattr(row, metric)) is not None:
                figure.add_vline(x=found.value, line=_template_line(row), row=1, col=column)
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6])
    return theme.framed(figure, key="decoders", height=190 + 48 * len(names))


def _markers(
    rows: Sequence[ReconstructionRow],
    metric: str,
    names: Sequence[str],
    subject: int,
    result: ReconstructionResult,
    control: str,
) -> go.Scatter:
    """Return the markers of one subject and condition in one panel."""
    found = [getattr(row, metric) for row in rows]
    name = theme.text(result.provenance.subject)
    colour = theme.CONDITIONS[_CONTROLS[control]] if control else marks.subject_colour(subject)
    return go.Scatter(
        x=np.array([e.value for e in found], np.float32),
        y=np.array([names.index(_row_name(r, control=False)) + 0.25 * subject for r in rows], np.float32),
        error_x=marks.error_bars(found),
        mode="markers",
        name=f"{name}, {_TOLD[control]}" if control else name,
        legendgroup=f"{name} {control}",
        showlegend=metric == _METRICS[0][0],
        marker={"color": colour, "symbol": marks.SYMBOLS[subject], "size": 9},
        hovertemplate="%{x:.3g}",
    )


def decoders_alt(results: Sequence[ReconstructionResult]) -> str:
    """Say in words what `decoders` shows."""
    parts = [
        f"{result.provenance.subject} {_row_name(row)} {row.snr_db} dB{_distance(row)}, "
        f"within word {row.r2_within_word}"
        for result in results
        for row in _decoded_rows(result)
    ]
    lines = [f"{r.decoder} {r.snr_db} dB" for r in results[0].rows if r.decoder in TEMPLATES]
    return "Signal-to-noise ratio of the rebuilt log-mel by decoder: " + "; ".join(parts + lines) + "."


def _distance(row: ReconstructionRow) -> str:
    found = row.log_spectral_distance_db
    return "" if found is None else f", {found.value:.2f} dB log-spectral distance"


def by_band(result: ReconstructionResult, metric: str) -> go.Figure:
    """Draw ``r2`` or ``pearson`` of each decoder in every mel band."""
    values = result.r2_per_band if metric == "r2" else result.pearson_per_band
    figure = _curves(result, values, np.arange(values.shape[1], dtype=np.int16))
    figure.update_xaxes(title="mel band (0 = lowest)")
    figure.update_yaxes(title="R2 (1)" if metric == "r2" else "Pearson correlation (1)")
    return _beside(theme.framed(figure, key=f"band-{metric}", height=420))


def over_time(result: ReconstructionResult) -> go.Figure:
    """Draw the mean squared error of each decoder in every frame."""
    time = np.arange(result.error_over_time.shape[1], dtype=np.float32) * np.float32(result.dt_ms)
    figure = _curves(result, result.error_over_time, time)
    figure.update_xaxes(title="time (ms)")
    figure.update_yaxes(title="mean squared error (variances of a band)", rangemode="tozero")
    return _beside(theme.framed(figure, key="time", height=420))


def curves_alt(result: ReconstructionResult, values: np.ndarray, what: str) -> str:
    """Say in words what `by_band` or `over_time` shows."""
    parts = [
        f"{_row_name(row)} from {line.min():.2f} to {line.max():.2f}"
        for row, line in zip(result.rows, values, strict=True)
    ]
    return f"{what}, lowest and highest value of each decoder: " + "; ".join(parts) + "."


def _curves(result: ReconstructionResult, values: np.ndarray, x: np.ndarray) -> go.Figure:
    """Draw one line a decoder; the nulls and controls wait in the legend for a click."""
    figure = go.Figure()
    colours = iter(theme.PALETTE * len(values))
    for row, line in zip(result.rows, values, strict=True):
        control = _control(row)
        if row.decoder in TEMPLATES:
            style = _template_line(row)
        else:
            style = {"color": theme.CONDITIONS[_CONTROLS[control]] if control else next(colours)}
        figure.add_scatter(
            x=x,
            y=line.astype(np.float32),
            mode="lines",
            name=_row_name(row),
            line=style,
            visible="legendonly" if control else True,
        )
    return figure


def _beside(figure: go.Figure) -> go.Figure:
    """Put a long legend to the right of the chart."""
    return figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"})


def _template_line(row: ReconstructionRow) -> dict[str, str]:
    return {"color": theme.GREY, "dash": "dash" if row.decoder == TEMPLATES[1] else "dot"}


def clip(panels: dict[str, np.ndarray], dt_ms: float) -> go.Figure:
    """Draw log-mels of one clip ``(T, F)``, one below the other on one time axis.

    All panels share the unit (standard deviations of a band) and the colour scale, so that a small residual
    looks small.
    """
    figure = make_subplots(
        rows=len(panels),
        shared_xaxes=True,
        shared_yaxes="all",
        subplot_titles=list(panels),
        vertical_spacing=0.06,
    )
    for row, (name, values) in enumerate(panels.items(), start=1):
        figure.add_heatmap(
            z=np.ascontiguousarray(values.T, dtype=np.float32),  # (F, T)
            x0=0,
            dx=dt_ms,
            coloraxis="coloraxis",
            name=name,
            hovertemplate="%{x:.0f} ms, band %{y}: %{z:.2f}<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_layout(
        coloraxis={
            "colorscale": theme.DIVERGING,
            "cmin": -_LIMIT,
            "cmax": _LIMIT,
            "colorbar": {"title": {"text": "SD of band"}},
        }
    )
    figure.update_yaxes(title="mel band")
    figure.update_xaxes(title="time (ms)", row=len(panels), col=1)
    return theme.framed(figure, key="clip", height=80 + 150 * len(panels))


def clip_alt(panels: dict[str, np.ndarray], word: str) -> str:
    """Say in words what `clip` shows."""
    parts = [f"{name}, root mean square {np.sqrt(np.mean(np.square(v))):.2f}" for name, v in panels.items()]
    return f"One clip of the word {word} as normalised log-mel: " + "; ".join(parts) + " standard deviations."


def _decoded_rows(result: ReconstructionResult) -> list[ReconstructionRow]:
    return [row for row in result.rows if row.decoder not in TEMPLATES]


def _control(row: ReconstructionRow) -> str:
    """Return which null or control a decoder is, the empty string for one of the subject itself."""
    end = row.decoder.rpartition(", ")[2]
    return end if end in _CONTROLS else ""


def _row_name(row: ReconstructionRow, control: bool = True) -> str:
    """Return what a decoder is called; without `control`, its null and its twin are called as it is."""
    decoder = row.decoder if control else row.decoder.removesuffix(f", {_control(row)}")
    return decoder if row.decoder in TEMPLATES else f"{row.point}, {decoder}"
