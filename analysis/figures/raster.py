"""A clip's raster as a paper figure: log-mel, spikes of every stage and the decision on one time axis."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.raster import RasterResult
from models.errors import SpikelensError

_STYLE: Any = {
    "font.size": 8,
    "text.parse_math": False,  # a dollar sign in a clip's name is a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 0.8,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # journals refuse matplotlib's default, Type 3
    "svg.fonttype": "none",
    "svg.hashsalt": "spikelens",
}
# Nothing that changes from run to run: the same result gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Date": None},
}
_WIDTH = 7.16  # inches: two columns
_HEIGHTS = {"features": 1.0, "spikes": 0.9, "words": 0.9}  # inches
_MAX_VECTOR_SPIKES = 5000  # a panel with more is drawn as a bitmap
_TOP_WORDS = 3
_WORD_STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":"))  # Okabe and Ito (2008)


def save_raster(result: RasterResult, path: Path) -> None:
    """Draw a raster to a file; equal results give equal bytes.

    Parameters
    ----------
    result : RasterResult
    path : Path
        Its suffix decides: ``.png``, ``.pdf`` or ``.svg``.

    Raises
    ------
    SpikelensError
        Another suffix, or the file cannot be written; then nothing is left behind.
    """
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise SpikelensError(f"out: {path.suffix or path.name!r} is not one of {', '.join(_METADATA)}")
    drawn = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        raster_figure(result).savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix])
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.tmp")
    try:
        temporary.write_bytes(drawn.getvalue())
        os.replace(temporary, path)  # noqa: PTH105
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SpikelensError(f"out: {path.name} cannot be written ({error.strerror or error})") from None


def raster_figure(result: RasterResult) -> Figure:
    """Return the figure: log-mel on top, one panel a stage or stream, likeliest words below."""
    spikes = _spike_panels(result)
    kinds = ["spikes"] * len(spikes)
    if result.features is not None:
        kinds.insert(0, "features")
    if result.probabilities is not None:
        kinds.append("words")
    if not kinds:
        raise SpikelensError(f"raster: {result.provenance.subject} has recorded nothing that can be drawn")
    heights = [_HEIGHTS[kind] for kind in kinds]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(kinds), sharex=True, squeeze=False, height_ratios=heights)[:, 0].tolist()
    figure.suptitle(_title(result))
    axes[-1].set_xlabel("time (ms)")
    if result.features is not None:
        _draw_features(axes.pop(0), result.features, result.dt_ms)
    if result.probabilities is not None:
        _draw_words(axes.pop(), result)
    for panel, (name, active) in zip(axes, spikes.items(), strict=True):
        _draw_spikes(panel, name, active, result)
    return figure


def _spike_panels(result: RasterResult) -> dict[str, np.ndarray]:
    """Return what each panel shows, ``(T, N)`` with units in the result's order: streams apart."""
    panels = {}
    for point, spikes in result.spikes.items():
        order = result.orders[point]
        streams = result.streams[point]
        for name, (start, stop) in streams.items():
            panels[f"{point}/{name}"] = spikes[:, order[(order >= start) & (order < stop)]]
        if not streams:
            panels[point] = spikes[:, order]
    return panels


def _title(result: RasterResult) -> str:
    known = [f"{result.provenance.subject}, clip {result.clip_id}: {result.label!r}"]
    if result.predicted is not None:
        known.append(f"taken for {result.predicted!r}")
    if result.provenance.synthetic:
        known.append("synthetic speech")
    return ", ".join(known)


def _draw_features(panel: Axes, features: np.ndarray, dt_ms: float) -> None:
    n_steps, n_bands = features.shape
    panel.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="cividis",
        extent=(0, n_steps * dt_ms, 0, n_bands),
    )
    panel.set_ylabel("mel band")


def _draw_spikes(panel: Axes, name: str, spikes: np.ndarray, result: RasterResult) -> None:
    n_steps, n_units = spikes.shape
    step, row = np.nonzero(spikes)
    panel.plot(
        (step + 0.5) * result.dt_ms,
        row,
        linestyle="none",
        marker="|" if n_units <= 64 else ".",
        markersize=1.5,
        markeredgewidth=0.6,
        color="black",
        rasterized=len(step) > _MAX_VECTOR_SPIKES,
    )
    panel.set_xlim(0, n_steps * result.dt_ms)
    panel.set_ylim(n_units - 0.5, -0.5)  # the order's first unit on top
    panel.set_ylabel("unit")
    title = f"{name}: {len(step)} spikes, units by {result.sort}"
    panel.set_title(title, loc="left", fontsize=7, pad=2)


def _draw_words(panel: Axes, result: RasterResult) -> None:
    assert result.probabilities is not None
    probabilities = result.probabilities
    time_ms = (np.arange(len(probabilities)) + 0.5) * result.dt_ms
    top = np.argsort(-probabilities[-1], kind="stable")[:_TOP_WORDS]
    for word, (colour, style) in zip(top, _WORD_STYLES, strict=False):
        # A label that begins with "_" would be left out of the legend.
        name = result.class_names[word].lstrip("_") or str(word)
        panel.plot(time_ms, probabilities[:, word], color=colour, linestyle=style, label=name)
    panel.set_ylim(0, 1)
    panel.set_ylabel("probability")
    panel.legend(loc="upper left", frameon=False, fontsize=7, ncols=len(top))
