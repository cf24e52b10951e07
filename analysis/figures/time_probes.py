"""When the word becomes decodable, as a paper figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.save import ONE_COLUMN, PaperFigure
from analysis.time_probes import TimeResult

_MARKERS = "osD^vP*X"


def time_figure(result: TimeResult) -> PaperFigure:
    """Return the figure of one subject."""
    where = result.provenance
    synthetic = " Synthetic speech." if where.synthetic else ""
    rows = [
        {
            "code": row.code,
            "time_ms": row.time_ms,
            "accuracy": row.accuracy.value,
            "low": row.accuracy.low,
            "high": row.accuracy.high,
            "shuffled": row.shuffled.value,
            "chance": result.chance,
        }
        for row in result.rows
    ]
    return PaperFigure(
        "time-probes",
        pd.DataFrame(rows),
        draw,
        f"Accuracy of a linear probe on what has been counted up to each time, {where.subject} on "
        f"{where.dataset}/{where.split}; bands: 95 % bootstrap over {where.interval_unit}s. Dotted: the "
        f"commonest training word; grey: probes fitted to permuted labels.{synthetic}",
        [where],
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw one line a code."""
    figure = Figure(figsize=(ONE_COLUMN, 2.8), layout="constrained")
    panel = figure.subplots()
    for i, (code, part) in enumerate(table.groupby("code", sort=False)):
        marker = _MARKERS[i % len(_MARKERS)]
        panel.plot(part["time_ms"], 100 * part["accuracy"], marker=marker, markersize=3, label=str(code))
        panel.fill_between(part["time_ms"], 100 * part["low"], 100 * part["high"], alpha=0.15, linewidth=0)
        panel.plot(part["time_ms"], 100 * part["shuffled"], color="0.7", linewidth=0.6)
    panel.axhline(100 * table["chance"].iloc[0], color="black", linestyle=":", linewidth=0.6)
    panel.set_ylim(0, 100)
    panel.set_xlabel("time (ms)")
    panel.set_ylabel("probe accuracy (%)")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
