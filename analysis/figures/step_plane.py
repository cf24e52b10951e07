"""The step-size plane as a paper figure: SNR, probe accuracy and rate, and the way of the training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.save import TWO_COLUMNS, PaperFigure
from analysis.step_plane import MSE_OPTIMUM, PROBE_OPTIMUM, SUBJECT, StepPlaneResult

_PANELS = (
    ("snr_db", "SNR (dB)"),
    ("probe_accuracy", "probe accuracy (%)"),
    ("rate", "events per channel and frame"),
)
_MARKS = {SUBJECT: "o", MSE_OPTIMUM: "s", PROBE_OPTIMUM: "^"}
_PATH = "training path"


def step_plane_figure(result: StepPlaneResult) -> PaperFigure:
    """Return the figure of one checkpoint."""
    where = result.provenance
    synthetic = " Synthetic speech." if where.synthetic else ""
    path = pd.DataFrame(result.path, columns=["coarse_step", "fine_step"]) if len(result.path) else None
    parts = [result.to_table()]
    if path is not None:
        parts.append(
            path.assign(place=_PATH, metric="epoch", unit="1", value=np.arange(len(path), dtype=float))
        )
    return PaperFigure(
        "step-plane",
        pd.concat(parts, ignore_index=True),
        draw,
        f"SNR of the own decoder, linear probe accuracy and event rate over coarse and fine step (standard "
        f"deviations of a band; thresholds those of {where.subject}), {where.dataset}/{where.split}. Line: "
        f"the training of the learned encoder, from its start. Circle: the encoder; square: optimum of the "
        f"squared error on {result.n_fit:,} train clips; triangle: that of the probe on {result.chosen_on}. "
        f"Probes: fitted to the same training clips.{synthetic}",
        [where],
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw the three panels."""
    figure = Figure(figsize=(TWO_COLUMNS, 2.5), layout="constrained")
    grid = table[table["place"] == "grid"]
    for panel, (metric, label) in zip(figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True):
        cells = grid[grid["metric"] == metric].pivot(index="fine_step", columns="coarse_step", values="value")
        values = cells.to_numpy() * (100 if metric == "probe_accuracy" else 1)
        edges = [_edges(axis.to_numpy()) for axis in (cells.columns, cells.index)]
        image = panel.pcolormesh(*edges, values)
        figure.colorbar(image, ax=panel, label=label)
        path = table[table["place"] == _PATH]
        panel.plot(path["coarse_step"], path["fine_step"], color="white", linewidth=1.6)
        panel.plot(path["coarse_step"], path["fine_step"], color="C1")
        for place, marker in _MARKS.items():
            found = table[table["place"] == place].head(1)
            panel.plot(
                found["coarse_step"],
                found["fine_step"],
                marker,
                color="white",
                markeredgecolor="black",
                label=place,
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("coarse step (sd)")
        for axis, ends in ((panel.xaxis, edges[0]), (panel.yaxis, edges[1])):
            shown = [tick for tick in (0.1, 0.2, 0.5, 1, 2) if ends[0] < tick < ends[-1]]
            axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
            axis.set_ticks([], minor=True)
    figure.axes[0].set_ylabel("fine step (sd)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(_MARKS))
    return figure


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders of cells whose middles are evenly spaced on a logarithmic axis."""
    logs = np.log(centres)
    half = np.diff(logs).mean() / 2
    return np.exp(np.append(logs - half, logs[-1] + half))
