"""GR-3 through training as a paper figure: the pulls of task and reconstruction, and their cosine."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.save import ONE_COLUMN, PaperFigure
from analysis.gradient_path import PULLS, STEPS, GradientPath

_STYLES = dict(zip(STEPS, ("-", "--"), strict=True))
_COLOURS = dict(zip(PULLS, ("C1", "C0"), strict=True))


def gradient_path_figure(result: GradientPath) -> PaperFigure:
    """Return the figure of one training."""
    where = result.provenance
    synthetic = " Synthetic speech." if where.synthetic else ""
    return PaperFigure(
        "gradient-path",
        result.to_table(),
        draw,
        f"Slopes of the true cross-entropy and squared error in the logarithm of the coarse and the fine "
        f"step, and the cosine of both, through the training of {where.subject}; {where.config['n_clips']} "
        f"{where.split} clips of {where.dataset}, central differences of 5 %, 95 % intervals over batches. "
        f"Open: not resolved. Epoch 0: the untrained twin.{synthetic}",
        [where],
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw the slopes of each loss on a scale of its own, the cosine below."""
    figure = Figure(figsize=(ONE_COLUMN, 4.2), layout="constrained")
    *panels, below = figure.subplots(3, 1, sharex=True, height_ratios=(2, 2, 1))
    for loss, above in zip(PULLS, panels, strict=True):
        for step in STEPS:
            part = table[table["measure"] == f"d {loss} / d {step}"]
            bars = [part["value"] - part["low"], part["high"] - part["value"]]
            colour = _COLOURS[loss]
            above.errorbar(
                part["epoch"],
                part["value"],
                bars,
                color=colour,
                linestyle=_STYLES[step],
                label=f"{loss}, {step}",
            )
            open_ = part[part["note"] == "not resolved"]
            above.plot(open_["epoch"], open_["value"], "o", color=colour, markerfacecolor="white")
        above.axhline(0, color="0.5", linewidth=0.6)
        above.set_ylabel("slope")
        above.legend(ncols=2)
    cosine = table[(table["measure"] == "cosine") & table["value"].notna()]
    bars = [cosine["value"] - cosine["low"], cosine["high"] - cosine["value"]]
    below.errorbar(cosine["epoch"], cosine["value"], bars, marker="o", color="black")
    below.axhline(0, color="0.5", linewidth=0.6)
    below.set_ylim(-1.1, 1.1)
    below.set_ylabel("cosine")
    below.set_xlabel("epoch")
    return figure
