"""The plane of the verdict as a paper figure: sound kept against word gained, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.alignment import VerdictResult
from analysis.figures.save import ONE_COLUMN, PaperFigure
from analysis.reconstruction import FRAME_TEMPLATE, WORD_TEMPLATE
from models.errors import SpikelensError

_ENCODER, _REFERENCE = "encoder", "SF2-rec@r"
_MARKERS = "osD^vP*X"


def faithful_aligned(verdicts: Sequence[VerdictResult]) -> PaperFigure:
    """Return the plane of some verdicts on one data set.

    Raises
    ------
    SpikelensError
        None of them has coordinates.
    """
    placed = [verdict for verdict in verdicts if verdict.x is not None and verdict.y is not None]
    if not placed:
        raise SpikelensError("figures: no verdict has a place on the plane")
    where = placed[0].provenance
    synthetic = " Synthetic speech." if where.synthetic else ""
    return PaperFigure(
        "faithful-aligned",
        _table(placed),
        draw,
        f"Sound kept (SNR of the log-mel rebuilt by the best decoder) against word gained (accuracy of a "
        f"linear probe less that on SF2-rec at the same event rate), {where.dataset}/{where.split}. Bars: "
        f"95 % bootstrap over {where.interval_unit}s, one training each. Crosses: SF2-rec at equal rate. "
        f"Vertical lines: what the mean clip and the mean clip of the word give without a spike.{synthetic}",
        [verdict.provenance for verdict in placed],
    )


def _table(placed: Sequence[VerdictResult]) -> pd.DataFrame:
    rows = []
    for verdict in placed:
        assert verdict.x is not None and verdict.y is not None
        name = verdict.provenance.subject
        place = {"x_db": verdict.x.value, "x_low": verdict.x.low, "x_high": verdict.x.high}
        place |= {"y_points": verdict.y.value, "y_low": verdict.y.low, "y_high": verdict.y.high}
        rows.append({"kind": _ENCODER, "name": name} | place)
        rows.append({"kind": _REFERENCE, "name": name, "x_db": verdict.lines["SF2-rec"], "y_points": 0.0})
    for name in (FRAME_TEMPLATE, WORD_TEMPLATE):
        rows.append({"kind": "line", "name": name, "x_db": placed[0].lines[name]})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """Draw the plane from its table."""
    figure = Figure(figsize=(ONE_COLUMN, 2.8), layout="constrained")
    panel = figure.subplots()
    encoders = table[table["kind"] == _ENCODER]
    references = table[table["kind"] == _REFERENCE].set_index("name")
    for i, row in enumerate(encoders.itertuples()):
        reference = references.loc[row.name]
        (line,) = panel.plot([reference["x_db"], row.x_db], [0, row.y_points], linestyle=":")
        colour = line.get_color()
        panel.plot(reference["x_db"], 0, marker="x", color=colour, linestyle="none")
        panel.errorbar(
            row.x_db,
            row.y_points,
            xerr=_reach(row.x_low, row.x_db, row.x_high),
            yerr=_reach(row.y_low, row.y_points, row.y_high),
            marker=_MARKERS[i % len(_MARKERS)],
            color=colour,
            linestyle="none",
            label=row.name,
        )
    panel.axhline(0, color="0.5", linewidth=0.6)
    for row, style in zip(table[table["kind"] == "line"].itertuples(), (":", "--"), strict=True):
        panel.axvline(row.x_db, color="0.5", linewidth=0.6, linestyle=style, label=row.name)
    panel.set_xlabel("sound kept: SNR, best decoder (dB)")
    panel.set_ylabel("word gained over SF2-rec@r (points)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _reach(low: float, value: float, high: float) -> np.ndarray:
    return np.array([[value - low], [high - value]])
