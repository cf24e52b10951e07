"""The plane of the verdict: how much of the sound is kept against how easily the word is read."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.alignment import VerdictResult
from analysis.reconstruction import FRAME_TEMPLATE, OWN, WORD_TEMPLATE
from analysis.result import Estimate
from app.charts.theme import CONDITIONS, GREY, PALETTE, framed, text

_CORNERS = {
    "task-aligned": {"x": 0.01, "xanchor": "left", "y": 0.99, "yanchor": "top"},
    "both": {"x": 0.99, "xanchor": "right", "y": 0.99, "yanchor": "top"},
    "neither": {"x": 0.01, "xanchor": "left", "y": 0.01, "yanchor": "bottom"},
    "faithful": {"x": 0.99, "xanchor": "right", "y": 0.01, "yanchor": "bottom"},
}
_LEAST_REACH = 3.0  # points, so that a difference of nothing looks like nothing


def plane(verdicts: Sequence[VerdictResult]) -> go.Figure:
    """Draw every encoder as a point with both intervals, tied to the faithful encoder at its own event rate.

    Parameters
    ----------
    verdicts : sequence of VerdictResult
        Those without coordinates are left out. The templates drawn are those of the first one's data.
    """
    placed = [v for v in verdicts if v.x is not None and v.y is not None]
    figure = go.Figure()
    for i, verdict in enumerate(placed):
        _add_encoder(figure, verdict, PALETTE[i % len(PALETTE)])
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    reach = 1.15 * max([_LEAST_REACH, *(abs(end) for v in placed for end in _ends(v.y))])
    if placed:
        _add_templates(figure, placed[0], reach)
    for corner, place in _CORNERS.items():
        words = {"text": f"<b>{corner}</b>", "showarrow": False, "font": {"color": GREY}}
        figure.add_annotation(xref="paper", yref="paper", bgcolor="white", **words, **place)
    figure.update_xaxes(title="sound kept: SNR of the decoded log-mel (dB)", zeroline=False)
    figure.update_yaxes(
        title="word gained: probe accuracy less that of<br>SF2-rec at the same rate (points)",
        zeroline=False,
        range=[-reach, reach],
    )
    return framed(figure, height=520, key="plane")


def _add_templates(figure: go.Figure, verdict: VerdictResult, reach: float) -> None:
    """Mark what the average clip, and the average clip of the true word, give without any spike."""
    for name, dash in ((FRAME_TEMPLATE, "dot"), (WORD_TEMPLATE, "dash")):
        if (value := verdict.lines.get(name)) is not None:
            figure.add_scatter(
                x=[value, value],
                y=[-reach, reach],
                mode="lines",
                line={"color": GREY, "width": 1.5, "dash": dash},
                name=f"{name} of {text(verdict.provenance.dataset)}: {value:.1f} dB",
                hoverinfo="name",
            )


def _add_encoder(figure: go.Figure, verdict: VerdictResult, colour: str) -> None:
    assert verdict.x is not None and verdict.y is not None
    x, y, where = verdict.x, verdict.y, verdict.provenance
    name = text(where.subject)
    data = f"{text(where.dataset)}/{text(where.split)}" + (", synthetic speech" if where.synthetic else "")
    own = _own_snr(verdict)
    if (reference := verdict.lines.get("SF2-rec")) is not None:
        figure.add_scatter(
            x=[reference, x.value],
            y=[0.0, y.value],
            mode="lines+markers",
            line={"color": colour, "width": 1, "dash": "dot"},
            marker={
                "symbol": ["x-thin", "circle"],
                "size": [10, 1],
                "line": {"width": 2, "color": CONDITIONS["SF2-rec@r"]},
            },
            hovertemplate=f"SF2-rec at the rate of {name}<br>%{{x:.1f}} dB<extra></extra>",
            showlegend=False,
        )
    if own is not None and own.value != x.value:
        figure.add_scatter(
            x=[own.value],
            y=[y.value],
            error_x=_bar(own, colour),
            mode="markers",
            marker={"symbol": "circle-open", "size": 12, "color": colour, "line": {"width": 2}},
            hovertemplate=f"{name}, own decoder<br>%{{x:.1f}} dB<extra></extra>",
            showlegend=False,
        )
    figure.add_scatter(
        x=[x.value],
        y=[y.value],
        error_x=_bar(x, colour),
        error_y=_bar(y, colour),
        mode="markers",
        marker={"size": 13, "color": colour},
        name=f"{name} ({data})",
        hovertemplate=f"{name}, {text(verdict.decoder)} decoder<br>%{{x:.1f}} dB, %{{y:+.1f}} points"
        f"<extra>{data}</extra>",
    )


def _own_snr(verdict: VerdictResult) -> Estimate | None:
    rows = [row for row in verdict.rows if row.quantity == f"SNR, {OWN} decoder"]
    return rows[0].subject if rows else None


def _ends(estimate: Estimate | None) -> list[float]:
    if estimate is None:
        return []
    return [end for end in (estimate.low, estimate.value, estimate.high) if end is not None]


def _bar(estimate: Estimate, colour: str) -> dict[str, object]:
    if estimate.low is None or estimate.high is None:
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [estimate.high - estimate.value],
        "arrayminus": [estimate.value - estimate.low],
        "color": colour,
        "thickness": 1.5,
    }


def plane_alt(verdicts: Sequence[VerdictResult]) -> str:
    """Return the plane in words."""
    points = [
        f"{v.provenance.subject}: {v.x} dB, {v.y} points"
        for v in verdicts
        if v.x is not None and v.y is not None
    ]
    return (
        "Plane of encoders; to the right more of the sound is kept, upwards the word is easier to read than "
        "from a faithful encoder at the same event rate. "
        + ("; ".join(points) or "No encoder is placed yet")
        + "."
    )
