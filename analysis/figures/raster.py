"""A clip's raster as a paper figure: log-mel, spikes of every stage and the decision on one time axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.save import MAX_VECTOR_MARKS, TWO_COLUMNS, PaperFigure, rendered, write
from analysis.raster import RasterResult
from models.errors import SpikelensError

_HEIGHTS = {"features": 1.0, "spikes": 0.9, "words": 0.9}  # inches
_TOP_WORDS = 3
_WORD_STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":"))  # Okabe and Ito (2008)


def raster_paper_figure(result: RasterResult) -> PaperFigure:
    """Return the figure of one clip."""
    where = result.provenance
    taken = "" if result.predicted is None else f", which it takes for {result.predicted!r}"
    synthetic = " Synthetic speech." if where.synthetic else ""
    return PaperFigure(
        "raster",
        raster_table(result),
        draw_raster,
        f"Clip {result.clip_id} ({result.label!r}) of {where.dataset}/{where.split} on its way through "
        f"{where.subject}{taken}: normalised log-mel, spikes by stream and layer (units by {result.sort}), "
        f"and the probabilities of the likeliest words given the sound so far.{synthetic}",
        [where],
    )


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
    content = rendered(lambda: draw_raster(raster_table(result)), path.suffix.lower())
    if not path.parent.is_dir():
        raise SpikelensError(f"out: {path.name} cannot be written (no folder {path.parent.name!r})")
    write(path, content)


def raster_table(result: RasterResult) -> pd.DataFrame:
    """Return everything that is drawn, one row a bin, a spike or a probability.

    Columns: ``panel`` and its ``kind`` (features, spikes, words), ``title``, ``size`` (rows of the panel),
    ``time_ms`` (start of the frame), ``row`` (from 0; the word in a words panel), ``value``; ``dt_ms``,
    ``duration_ms`` and ``figure_title`` are the same throughout.
    """
    parts = []
    if result.features is not None:
        parts.append(_bins("features", "log-mel", result.features, result.dt_ms))
    for name, active in _spike_panels(result).items():
        step, row = np.nonzero(active)
        title = f"{name}: {len(step)} spikes, units by {result.sort}"
        spikes = {"time_ms": step * result.dt_ms, "row": row, "value": 1.0}
        if len(step) == 0:
            spikes = {
                "time_ms": [np.nan],
                "row": [np.nan],
                "value": [np.nan],
            }  # an empty panel stays
        parts.append(
            pd.DataFrame({"panel": name, "kind": "spikes", "title": title, "size": active.shape[1]} | spikes)
        )
    if result.probabilities is not None:
        top = np.argsort(-result.probabilities[-1], kind="stable")[:_TOP_WORDS]
        words = _bins("words", "", result.probabilities[:, top], result.dt_ms)
        words["title"] = np.tile([result.class_names[word] for word in top], len(result.probabilities))
        parts.append(words)
    if not parts:
        raise SpikelensError(f"raster: {result.provenance.subject} has recorded nothing that can be drawn")
    return pd.concat(parts, ignore_index=True).assign(
        dt_ms=result.dt_ms, duration_ms=_n_steps(result) * result.dt_ms, figure_title=_title(result)
    )


def draw_raster(table: pd.DataFrame) -> Figure:
    """Return the figure: log-mel on top, one panel a stage or stream, likeliest words below."""
    panels = [(name, part) for name, part in table.groupby("panel", sort=False)]
    heights = [_HEIGHTS[part["kind"].iloc[0]] for _, part in panels]
    figure = Figure(figsize=(TWO_COLUMNS, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    figure.suptitle(table["figure_title"].iloc[0])
    axes[-1].set_xlabel("time (ms)")
    draw = {"features": _draw_features, "spikes": _draw_spikes, "words": _draw_words}
    for panel, (_, part) in zip(axes, panels, strict=True):
        draw[part["kind"].iloc[0]](panel, part)
        panel.set_xlim(0, table["duration_ms"].iloc[0])
    return figure


def _n_steps(result: RasterResult) -> int:
    known = [result.features, *result.spikes.values(), result.probabilities]
    return next(len(values) for values in known if values is not None)


def _bins(panel: str, title: str, values: np.ndarray, dt_ms: float) -> pd.DataFrame:
    step, row = np.indices(values.shape)
    return pd.DataFrame(
        {
            "panel": panel,
            "kind": panel,
            "title": title,
            "size": values.shape[1],
            "time_ms": step.ravel() * dt_ms,
            "row": row.ravel(),
            "value": values.astype(np.float64).ravel(),
        }
    )


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


def _draw_features(panel: Axes, part: pd.DataFrame) -> None:
    n_bands = int(part["size"].iloc[0])
    panel.imshow(
        part["value"].to_numpy().reshape(-1, n_bands).T,
        origin="lower",
        aspect="auto",
        extent=(0, part["duration_ms"].iloc[0], 0, n_bands),
    )
    panel.set_ylabel("mel band")


def _draw_spikes(panel: Axes, part: pd.DataFrame) -> None:
    fired = part.dropna(subset=["row"])
    n_units = part["size"].iloc[0]
    panel.plot(
        fired["time_ms"] + part["dt_ms"].iloc[0] / 2,
        fired["row"],
        linestyle="none",
        marker="|" if n_units <= 64 else ".",
        markersize=1.5,
        markeredgewidth=0.6,
        color="black",
        rasterized=len(fired) > MAX_VECTOR_MARKS,
    )
    panel.set_ylim(n_units - 0.5, -0.5)  # the order's first unit on top
    panel.set_ylabel("unit")
    panel.set_title(part["title"].iloc[0], fontsize=7, pad=2)


def _draw_words(panel: Axes, part: pd.DataFrame) -> None:
    half = part["dt_ms"].iloc[0] / 2
    for (row, word), (colour, style) in zip(part.groupby(["row"], sort=True), _WORD_STYLES, strict=False):
        # A label that begins with "_" would be left out of the legend.
        name = str(word["title"].iloc[0]).lstrip("_") or str(int(row[0]))
        panel.plot(word["time_ms"] + half, word["value"], color=colour, linestyle=style, label=name)
    panel.set_ylim(0, 1)
    panel.set_ylabel("probability")
    panel.legend(loc="upper left", ncols=part["row"].nunique())
