"""One clip on its way through the network: sound, log-mel, spikes and decision on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts.theme import BLACK, GREY, PALETTE, SEQUENTIAL, STREAMS, framed, text

if TYPE_CHECKING:
    from analysis.raster import RasterResult

_PIXELS = {"sound": 70, "features": 130, "encoder": 260, "layer": 160, "evidence": 150}
_GAP, _MARGINS = 26, 90  # pixels
_MAX_BINS = 500  # of the waveform's envelope: an SVG line stays quick up to about 2,000 points
_TOP_WORDS = 5
_COLOURS = [colour for colour in PALETTE if colour != BLACK]  # black is the spoken word


class _Panel(NamedTuple):
    kind: str  # key of `_PIXELS`
    title: str
    result: RasterResult
    point: str = ""


def raster_figure(
    results: Sequence[RasterResult],
    sound: np.ndarray | None = None,
    *,
    sample_rate: int = 16_000,
    first_frame_ms: float | None = None,
    window_ms: tuple[float, float] | None = None,
    key: str = "raster",
) -> go.Figure:
    """Draw one clip through one or two systems; a drag over any panel zooms all of them in time.

    Parameters
    ----------
    results : sequence of RasterResult
        Of the same clip.
    sound : np.ndarray [shape=(n_samples,)] in [-1, 1], optional
    sample_rate : int
        Hz.
    first_frame_ms : float, optional
        Middle of the first frame on the clip's clock; half a step by default.
    window_ms : (start, stop), optional
        What is shown at first; everything by default.
    key : str
        Zoom survives while it stays the same.
    """
    panels = _panels(results, sound is not None)
    heights = [_PIXELS[panel.kind] for panel in panels]
    height = sum(heights) + _GAP * (len(panels) - 1)
    figure = make_subplots(
        rows=len(panels),
        shared_xaxes=True,
        row_heights=heights,
        vertical_spacing=_GAP / height,
        subplot_titles=[panel.title for panel in panels],
    )
    colours: dict[str, str] = {}
    for row, panel in enumerate(panels, start=1):
        step = panel.result.dt_ms
        clock = {"x0": step / 2 if first_frame_ms is None else first_frame_ms, "dx": step}
        if panel.kind == "sound":
            assert sound is not None
            _add_sound(figure, row, sound, sample_rate)
        elif panel.kind == "features":
            _add_features(figure, row, np.asarray(panel.result.features, np.float32), clock)
        elif panel.kind == "evidence":
            _add_evidence(figure, row, panel.result, clock, colours)
        else:
            _add_spikes(figure, row, panel.result, panel.point, clock)
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    figure.update_xaxes(title_text="time (ms)", row=len(panels))
    figure.update_yaxes(title_font_size=12)
    if window_ms is not None:
        figure.update_xaxes(range=list(window_ms))
    framed(figure, height=height + _MARGINS, key=key)
    return figure.update_layout(dragmode="zoom", margin={"l": 90, "r": 120, "t": 40, "b": 50})


def _panels(results: Sequence[RasterResult], has_sound: bool) -> list[_Panel]:
    first = results[0]
    panels = [_Panel("sound", "sound", first)] if has_sound else []
    if first.features is not None:
        panels.append(_Panel("features", "normalised log-mel", first))
    for result in results:
        whose = f"{text(result.provenance.subject)}: " if len(results) > 1 else ""
        for point in result.spikes:
            kind = "encoder" if point == "encoder" else "layer"
            panels.append(_Panel(kind, f"{whose}{text(point)}", result, point))
        if result.probabilities is not None:
            panels.append(_Panel("evidence", f"{whose}evidence for each word so far", result))
    return panels


def _add_sound(figure: go.Figure, row: int, sound: np.ndarray, sample_rate: int) -> None:
    """Draw the extremes of the waveform in short bins."""
    size = -(-len(sound) // _MAX_BINS)
    bins = np.pad(sound.astype(np.float32), (0, -len(sound) % size)).reshape(-1, size)
    time = (np.arange(len(bins), dtype=np.float32) + 0.5) * size * 1000 / sample_rate
    style = {"mode": "lines", "line": {"color": GREY, "width": 1}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=time, y=bins.min(axis=1), **style, row=row, col=1)
    figure.add_scatter(x=time, y=bins.max(axis=1), **style, fill="tonexty", row=row, col=1)
    figure.update_yaxes(title_text="amplitude", fixedrange=True, nticks=3, row=row)


def _add_features(figure: go.Figure, row: int, features: np.ndarray, clock: dict[str, float]) -> None:
    low, high = figure.layout[f"yaxis{row if row > 1 else ''}"].domain
    figure.add_heatmap(
        z=features.T,
        **clock,
        colorscale=SEQUENTIAL,
        colorbar={
            "title": "SD",
            "thickness": 10,
            "x": 1.01,
            "y": (low + high) / 2,
            "len": 1.2 * (high - low),
        },
        hovertemplate="%{x:.0f} ms, band %{y}: %{z:.2f} SD<extra></extra>",
        row=row,
        col=1,
    )
    figure.update_yaxes(title_text="mel band", row=row)


def _add_spikes(
    figure: go.Figure, row: int, result: RasterResult, point: str, clock: dict[str, float]
) -> None:
    """Draw spikes as an image, one row a unit in the result's order, each stream in its colour."""
    spikes, order = np.asarray(result.spikes[point], np.uint8), np.asarray(result.orders[point], np.int16)
    streams = result.streams[point] or {"unit": (0, spikes.shape[1])}
    for stream, (start, stop) in streams.items():
        units = order[start:stop]
        number = units - start if result.streams[point] else units
        figure.add_heatmap(
            z=spikes[:, units].T,
            **clock,
            y0=start,
            dy=1,
            zmin=0,
            zmax=1,
            colorscale=[[0, "white"], [1, STREAMS.get(stream, BLACK)]],
            showscale=False,
            customdata=np.repeat(number[:, None], len(spikes), axis=1),
            hovertemplate=f"%{{x:.0f}} ms, {text(_spoken(stream))} %{{customdata}}: %{{z}}<extra></extra>",
            row=row,
            col=1,
        )
    if result.streams[point]:
        middles = [(start + stop - 1) / 2 for start, stop in streams.values()]
        names = [text(_spoken(stream)) for stream in streams]
        figure.update_yaxes(tickvals=middles, ticktext=names, row=row)
    else:
        order = "unit" if result.sort == "index" else f"unit by {result.sort}"
        figure.update_yaxes(title_text=order, row=row)
    figure.update_yaxes(range=[spikes.shape[1] - 0.5, -0.5], row=row)


def _add_evidence(
    figure: go.Figure, row: int, result: RasterResult, clock: dict[str, float], colours: dict[str, str]
) -> None:
    """Draw the probability of the words that lead at the end and of the true one; `colours` grows by word."""
    probabilities = np.asarray(result.probabilities, np.float32)
    shown = list(np.argsort(-probabilities[-1])[:_TOP_WORDS])
    if result.label in result.class_names and (true := result.class_names.index(result.label)) not in shown:
        shown.append(true)
    legend = f"legend{row}"
    for word in shown:
        name = result.class_names[word]
        is_true = name == result.label
        colour = BLACK if is_true else colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
        figure.add_scatter(
            y=probabilities[:, word],
            **clock,
            mode="lines",
            line={"color": colour, "width": 3 if is_true else 1.5, "dash": "solid" if is_true else "dot"},
            name=text(name) + (" (spoken)" if is_true else ""),
            legend=legend,
            row=row,
            col=1,
        )
    top = figure.layout[f"yaxis{row if row > 1 else ''}"].domain[1]
    figure.update_layout({legend: {"x": 1.01, "y": top, "yanchor": "top", "font": {"size": 12}}})
    figure.update_yaxes(title_text="probability", range=[0, 1.02], fixedrange=True, row=row)


def _spoken(stream: str) -> str:
    """``coarse_on`` -> ``coarse ON``."""
    return " ".join(part.upper() if part in ("on", "off") else part for part in stream.split("_"))


def duration_ms(result: RasterResult, sound: np.ndarray | None, sample_rate: int = 16_000) -> int:
    """Return how long the panels last."""
    n_steps = len(next(iter(result.spikes.values())))
    sounding = 0.0 if sound is None else 1000 * len(sound) / sample_rate
    return int(np.ceil(max(n_steps * result.dt_ms, sounding)))


def spike_count(results: Sequence[RasterResult]) -> int:
    """Return how many spikes the panels hold; every one of them is drawn."""
    return sum(int(np.asarray(spikes).sum()) for result in results for spikes in result.spikes.values())


def raster_alt(results: Sequence[RasterResult]) -> str:
    """Return the panels in words."""
    first = results[0]
    parts = [f"Clip {first.clip_id}" + (f", spoken word {first.label}" if first.label else "")]
    for result in results:
        counts = [
            f"{int(np.asarray(spikes).sum())} spikes of {spikes.shape[1]} units at {point}"
            for point, spikes in result.spikes.items()
        ]
        heard = f"; heard as {result.predicted}" if result.predicted else ""
        parts.append(f"{result.provenance.subject}: {', '.join(counts)}{heard}")
    return ". ".join(parts) + ". Panels share one time axis in milliseconds."
