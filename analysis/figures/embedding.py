"""Clips in two dimensions as a paper figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.embedding import EmbeddingResult
from analysis.figures.save import MAX_VECTOR_MARKS, ONE_COLUMN, PaperFigure

_MAX_COLOURS = 8  # more words than colours: told apart by the label at their middle alone
_MARKERS = "osD^vP*X"


def embedding_figure(result: EmbeddingResult) -> PaperFigure:
    """Return the picture of one point of one subject."""
    where, config = result.provenance, result.provenance.config
    known = f"n = {len(result.rows)} clips, seed {config['seed']}"
    if result.method == "umap":
        known += f", {config['n_neighbors']} neighbours, min_dist {config['min_dist']}"
        known += "; distances between clusters are not interpretable"
    synthetic = " Synthetic speech." if where.synthetic else ""
    table = result.to_table()[["clip_id", "x", "y", "label"]]
    x, y = result.axes["x"], result.axes["y"]
    return PaperFigure(
        result.method,
        table.assign(x_label=x, y_label=y, title=f"{where.subject}, {result.point}"),
        draw,
        f"{result.method.upper()} of activity in 10 windows at {result.point} of {where.subject} on "
        f"{where.dataset}/{where.split}; {known}. Trustworthiness {result.trustworthiness:.3f} (1: no false "
        f"neighbours).{synthetic}",
        [where],
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw the clips, coloured and labelled by word."""
    figure = Figure(figsize=(ONE_COLUMN, 3.0), layout="constrained")
    panel = figure.subplots()
    words = sorted(table["label"].unique())
    few = len(words) <= _MAX_COLOURS
    for i, word in enumerate(words):
        part = table[table["label"] == word]
        panel.plot(
            part["x"],
            part["y"],
            _MARKERS[i] if few else ".",
            markersize=1.8,
            markeredgewidth=0,
            color=f"C{i}" if few else "0.6",
            label=f"{word}",
            rasterized=len(table) > MAX_VECTOR_MARKS,
        )
        if few:
            continue
        panel.annotate(
            word,
            (part["x"].median(), part["y"].median()),
            ha="center",
            va="center",
            fontsize=7,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
        )
    panel.set_xlabel(table["x_label"].iloc[0])
    panel.set_ylabel(table["y_label"].iloc[0])
    panel.set_title(table["title"].iloc[0])
    if few:
        figure.legend(loc="outside lower center", ncols=4, markerscale=2)
    return figure
