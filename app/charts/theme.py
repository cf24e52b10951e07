"""Colours with a fixed meaning, and the frame every chart shares."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

# Okabe and Ito (2008): told apart with every common colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#7F7F7F"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK, YELLOW)

CONDITIONS = {
    "learned": BLUE,
    "compared": VERMILLION,  # the second checkpoint
    "untrained": ORANGE,
    "shuffled": PURPLE,
    "chance": GREY,
    "raw log-mel": GREEN,
    "SF2-rec": SKY,
    "SF2-rec@r": BLACK,
}
STREAMS = {"coarse_on": BLUE, "coarse_off": SKY, "fine_on": VERMILLION, "fine_off": ORANGE}
RULES = {"BPTT": BLACK, "D0": BLUE, "D1": VERMILLION, "D2": GREEN}
SEQUENTIAL, DIVERGING = "Cividis", "RdBu_r"

# The second switches off a button that would send the figure to somebody else's server.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "toImageButtonOptions": {"format": "svg"},
}


def framed(figure: go.Figure, *, height: int, key: str) -> go.Figure:
    """Give a figure the common look; zoom survives a rerun while `key` stays the same."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        uirevision=key,
        colorway=list(PALETTE),
        font={"family": "Source Sans, Source Sans Pro, sans-serif", "size": 14, "color": "#31333F"},
        margin={"l": 70, "r": 20, "t": 40, "b": 50},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"font": {"size": 13}},
    )
    return figure


def text(value: object) -> str:
    """Return words that came from a file, safe in a label or hover box, which take some HTML."""
    return html.escape(str(value), quote=False)


def faded(colour: str, alpha: float = 0.2) -> str:
    """Return a palette colour as translucent rgba, for bands around lines."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
