"""Charts of learning rules: accuracy and agreement with the gradient by epoch, and what layers hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import marks, theme

if TYPE_CHECKING:
    from analysis.learning_rules import LearningRules, RuleArm, RuleTraining
    from analysis.rule_result import RuleRepresentations

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_COLUMNS = 3
_CONTROLS = (theme.GREY, theme.SKY)  # other trainings by BPTT
_ORDER = ("encoder", "input", "recurrent", "leak", "gain", "offset")


def accuracy(result: LearningRules) -> go.Figure:
    """Draw validation accuracy by epoch: the mean of an arm as a line, its seeds faint behind it."""
    figure = go.Figure()
    for arm, style in _styles(result):
        trainings = result.of(arm)
        if len(trainings) > 1:
            for training in trainings:
                figure.add_scatter(
                    x=training.epochs.astype(np.int16),
                    y=training.accuracy.astype(np.float32),
                    mode="lines",
                    line=style | {"color": theme.faded(style["color"], 0.25), "width": 1},
                    showlegend=False,
                    hoverinfo="skip",
                )
        figure.add_trace(_mean_line(arm, trainings, style, lambda training: training.accuracy))
    figure.update_xaxes(title="epoch", zeroline=False)
    figure.update_yaxes(title="validation accuracy (%)", zeroline=False)
    return theme.framed(figure, key="rules-accuracy", height=420)


def accuracy_alt(result: LearningRules) -> str:
    """Say in words what `accuracy` shows."""
    parts = [
        f"{arm.label}: {arm.mean:.1f} % in the epoch kept, {len(arm.seeds)} seed{'s'[: len(arm.seeds) > 1]}"
        for arm in result.arms
    ]
    return "Validation accuracy by epoch: " + "; ".join(parts) + "."


def cosines(result: LearningRules) -> go.Figure | None:
    """Draw the cosine of update and gradient by epoch, one panel a tensor; None where no arm has any."""
    return _panels(
        result,
        "rules-cosines",
        sorted(_names(result, "cosines"), key=_place),
        lambda training, name: training.cosines.get(name),
        title="cosine",
        reference=0.0,
        span=[-1.05, 1.05],
    )


def cosines_alt(result: LearningRules) -> str:
    """Say in words what `cosines` shows."""
    return "Cosine with the BPTT gradient, first and last epoch: " + _ends(result, "cosines", ".2f") + "."


def angles(result: LearningRules) -> go.Figure | None:
    """Draw the angle of signal and gradient by epoch, 0 on top, one panel a point; None without any."""
    return _panels(
        result,
        "rules-angles",
        sorted(_names(result, "angles")),
        lambda training, name: training.angles.get(name),
        title="angle (degrees)",
        reference=90.0,
        span=[120, 0],
    )


def angles_alt(result: LearningRules) -> str:
    """Say in words what `angles` shows."""
    ends = _ends(result, "angles", ".0f")
    return f"Angle of teaching signal and gradient in degrees, first and last epoch: {ends}."


def _styles(result: LearningRules) -> Iterable[tuple[RuleArm, dict[str, Any]]]:
    """Yield arms with their line: the colour is the rule's, the dash tells its variants apart."""
    seen: dict[str, int] = {}
    for arm in result.arms:
        number = seen[arm.rule] = seen.get(arm.rule, -1) + 1
        yield arm, {"color": theme.RULES[arm.rule], "dash": _DASHES[number % len(_DASHES)], "width": 2}


def _mean_line(
    arm: RuleArm,
    trainings: list[RuleTraining],
    style: dict[str, Any],
    values: Callable[[RuleTraining], np.ndarray],
    **more: Any,
) -> go.Scatter:
    """Return the mean over the seeds of an arm, of those that got as far and have a value."""
    epochs = max((training.epochs for training in trainings), key=len)
    table = np.full((len(trainings), len(epochs)), np.nan)
    for row, training in zip(table, trainings, strict=True):
        row[: len(training.epochs)] = values(training)
    known = np.isfinite(table)
    sums = np.where(known, table, 0.0).sum(axis=0)
    mean = np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)
    name = arm.label if len(trainings) == 1 else f"{arm.label} (mean of {len(trainings)} seeds)"
    return go.Scatter(
        x=epochs.astype(np.int16),
        y=mean.astype(np.float32),
        mode="lines",
        name=theme.text(name),
        legendgroup=arm.label,
        line=style,
        hovertemplate="epoch %{x}: %{y:.3g}<extra>" + theme.text(arm.label) + "</extra>",
        **more,
    )


def _panels(
    result: LearningRules,
    key: str,
    names: list[str],
    values: Callable[[RuleTraining, str], np.ndarray | None],
    *,
    title: str,
    reference: float,
    span: list[float],
) -> go.Figure | None:
    if not names:
        return None
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    titles = [theme.text(_spelt(name)) for name in names]
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=titles,
        shared_xaxes="all",
        shared_yaxes="all",
        vertical_spacing=0.16 / rows,
    )
    named: set[str] = set()
    for i, name in enumerate(names):
        place = {"row": 1 + i // columns, "col": 1 + i % columns}
        for arm, style in _styles(result):
            having = [training for training in result.of(arm) if values(training, name) is not None]
            if not having:
                continue
            line = _mean_line(
                arm,
                having,
                style,
                lambda each, name=name: values(each, name),
                showlegend=arm.label not in named,
            )
            named.add(arm.label)
            figure.add_trace(line, **place)
        figure.add_hline(y=reference, line={"color": theme.GREY, "width": 1, "dash": "dot"}, **place)
    figure.update_yaxes(range=span, zeroline=False)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(title=title, col=1)
    figure.update_xaxes(title="epoch", row=rows)
    return marks.legend_above_titles(theme.framed(figure, key=key, height=150 + 210 * rows))


def _names(result: LearningRules, kind: str) -> list[str]:
    return list(dict.fromkeys(name for training in result.trainings for name in getattr(training, kind)))


def _place(name: str) -> tuple[str, int]:
    """Order tensors: the encoder, then layer by layer."""
    part, _, kind = name.partition("_")
    return ("" if part == "encoder" else part, _ORDER.index(kind) if kind in _ORDER else 0)


def _spelt(name: str) -> str:
    part, _, kind = name.partition("_")
    words = {"input": "input weights", "recurrent": "recurrent weights", "gain": "norm gain"}
    words["offset"] = "norm offset"
    return f"{part}: {words.get(kind, kind)}" if kind else part


def _ends(result: LearningRules, kind: str, form: str) -> str:
    """Return the first and last value of every arm and name, means over seeds."""
    parts = []
    for arm in result.arms:
        for name in _names(result, kind):
            rows = [getattr(training, kind).get(name) for training in result.of(arm)]
            known = [row[np.isfinite(row)] for row in rows if row is not None and np.isfinite(row).any()]
            if known:
                ends = (np.mean([row[i] for row in known]) for i in (0, -1))
                first, last = (format(end, form) for end in ends)
                parts.append(f"{arm.label}, {_spelt(name)} {first} to {last}")
    return "; ".join(parts)


def probes(result: RuleRepresentations) -> go.Figure:
    """Draw probe accuracy at every point, one colour a system, with the permuted-label null as crosses."""
    figure = go.Figure()
    for i, system in enumerate(result.systems):
        rows = [row for row in result.readings if row.system == system.label]
        figure.add_scatter(
            x=[row.point for row in rows],
            y=np.array([row.accuracy.value for row in rows], np.float32),
            error_y=marks.error_bars([row.accuracy for row in rows]),
            mode="markers",
            name=theme.text(system.label),
            offsetgroup=str(i),
            marker={"color": _system_colour(system.label, i), "symbol": marks.SYMBOLS[i % 5], "size": 10},
        )
        nulls = {row.point: row.null.value for row in rows if row.null is not None}
        if nulls:
            figure.add_scatter(
                x=list(nulls),
                y=np.array(list(nulls.values()), np.float32),
                mode="markers",
                name="permuted labels",
                showlegend=i == 0,
                legendrank=2000,
                offsetgroup=str(i),
                marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": theme.PURPLE}},
            )
    figure.update_layout(scattermode="group", scattergap=0.4)
    figure.update_yaxes(title="probe accuracy (%)", zeroline=False, rangemode="tozero")
    return theme.framed(figure, key="rules-probes", height=400)


def _system_colour(label: str, index: int) -> str:
    """Return the colour of the rule for the two that are compared, others for the controls."""
    if index < 2:
        return theme.RULES[label.partition(",")[0]]
    return theme.CONDITIONS.get(label, _CONTROLS[index % 2])


def probes_alt(result: RuleRepresentations) -> str:
    """Say in words what `probes` shows."""
    parts = [f"{row.system} at {row.point}: {row.accuracy} %" for row in result.readings]
    return "Linear probe accuracy: " + "; ".join(parts) + "."


def likeness(result: RuleRepresentations) -> go.Figure:
    """Draw debiased CKA of every pair at every point, with what words alone and what chance would give."""
    points = list(dict.fromkeys(pair.point for pair in result.likenesses))
    figure = make_subplots(1, len(points), subplot_titles=points, shared_yaxes=True, horizontal_spacing=0.03)
    for i, point in enumerate(points, 1):
        pairs = [pair for pair in result.likenesses if pair.point == point][::-1]  # first on top
        names = [theme.text(f"{pair.first} ~ {pair.second}") for pair in pairs]
        kinds = (
            ("clips permuted", theme.PURPLE, "x-thin", [pair.permuted for pair in pairs], None),
            ("permuted within words", theme.ORANGE, "diamond-open", [p.within_words for p in pairs], None),
            ("CKA", theme.SKY, "circle", [p.cka.value for p in pairs], [p.cka for p in pairs]),
        )
        for name, colour, symbol, values, bars in kinds:
            figure.add_scatter(
                x=np.array(values, np.float32),
                y=names,
                error_x=None if bars is None else marks.error_bars(bars),
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=i == 1,
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
                row=1,
                col=i,
            )
    figure.update_xaxes(title="debiased CKA", range=[-0.05, 1.05], zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    height = 170 + 34 * len(result.likenesses) // max(1, len(points))
    return marks.legend_above_titles(theme.framed(figure, key="rules-likeness", height=height))


def likeness_alt(result: RuleRepresentations) -> str:
    """Say in words what `likeness` shows."""
    parts = [
        f"{pair.point}, {pair.first} and {pair.second}: {pair.cka}, "
        f"permuted within words {pair.within_words:.2f}"
        for pair in result.likenesses
    ]
    return "Debiased CKA: " + "; ".join(parts) + "."
