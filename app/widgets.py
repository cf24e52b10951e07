"""Pieces every page is made of: heading, error box, progress, and a chart with its numbers and its source."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.result import Provenance, Result, to_csv
from analysis.subjects import Subject
from app import session
from app.charts.theme import CONFIG
from models.errors import SpikelensError

_log = logging.getLogger("spikelens")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])")


@contextmanager
def page(title: str, question: str, control: str) -> Iterator[None]:
    """Head a page with what it answers and what would fool the reader; errors inside become one line.

    Parameters
    ----------
    title : str
    question : str
        One sentence: what the page answers.
    control : str
        One sentence: what would fool you, and what stands beside the numbers against it.
    """
    st.title(title)
    st.markdown(question)
    st.caption(control)
    with errors():
        yield


@contextmanager
def errors() -> Iterator[None]:
    """Show whatever goes wrong inside as one line; the rest of the page goes on."""
    try:
        yield
    except SpikelensError as error:
        error_box(str(error))
    except Exception as error:
        _log.exception("unexpected error in the app")
        error_box(f"unexpected {type(error).__name__}: see the terminal")


def error_box(message: str) -> None:
    """Show one line in a red box."""
    st.error(plain(" ".join(message.split())))


def plain(words: object) -> str:
    """Return words that came from a file so that Markdown shows them as they are."""
    return _MARKDOWN.sub(r"\\\1", str(words))


@contextmanager
def progress_bar(message: str) -> Iterator[Callable[[float, str], None]]:
    """Give a callback ``(fraction, words)`` that draws a bar, gone when the work is done."""
    bar = st.progress(0.0, message)
    try:
        yield lambda fraction, words: bar.progress(min(max(fraction, 0.0), 1.0), plain(words)) and None
    finally:
        bar.empty()


def measured(
    analysis: str, opened: Subject, split: str, *, label: str, key: str, **settings: Any
) -> Result | None:
    """Return a result: at once if it is known, else when its button has been pressed.

    Parameters
    ----------
    label : str
        What the button says.
    key : str
        Of the button; unique on the page.
    **settings
        Spelt out as ``app/commands`` spells them, defaults included, to share results.
    """
    found = session.stored(analysis, opened.digest, split, **settings)
    if found is not None:
        return found
    place = st.empty()
    if not place.button(label, key=key, type="primary"):
        return None
    with place.container(), progress_bar("starting") as progress:
        found = session.measure(analysis, opened, split, progress, **settings)
    place.empty()
    return found


def show(figure: go.Figure, result: Result, alt: str, key: str) -> None:
    """Draw a chart with everything that belongs to it: description, numbers, downloads, source and command.

    Parameters
    ----------
    figure : go.Figure
    result : Result
        What the chart shows; gives the table, both downloads and the provenance.
    alt : str
        The chart in words, for who cannot see it.
    key : str
        Unique on the page; zoom survives while it stays the same.
    """
    draw(figure, alt, key)
    numbers(result, key)


def draw(figure: go.Figure, alt: str, key: str) -> None:
    """Draw a chart alone; `show` and `numbers` say where what it shows comes from."""
    st.plotly_chart(figure, width="stretch", theme=None, config=CONFIG, alt=alt, key=key)


def numbers(result: Result, key: str) -> None:
    """Offer a result as a table, CSV and JSON, with its source and the command that makes it again."""
    where = result.provenance
    with st.expander("Numbers, downloads and the command that makes them"):
        table = result.to_table()
        st.dataframe(table, hide_index=True, key=f"{key}-table")
        stem = re.sub(r"[^a-z0-9]+", "-", f"{where.subject}-{key}".lower()).strip("-")
        left, right, _ = st.columns([1, 1, 4])
        left.download_button(
            "CSV", lambda: to_csv(table), f"{stem}.csv", "text/csv", key=f"{key}-csv", on_click="ignore"
        )
        right.download_button(
            "JSON", result.to_json, f"{stem}.json", "application/json", key=f"{key}-json", on_click="ignore"
        )
        if where.command:
            st.code(where.command, language="bash", wrap_lines=True)
    st.caption(source_line(where, table))


def source_line(where: Provenance, table: pd.DataFrame | None = None) -> str:
    """Return where a number comes from, in one line."""
    words = [f"{plain(where.subject)} on {plain(where.dataset)}/{plain(where.split)}"]
    if where.synthetic:
        words.append("**synthetic speech**")
    if table is not None and "n" in table and table["n"].notna().any():
        words.append(f"n = {int(table['n'].max())}")
    if table is not None and "low" in table and table["low"].notna().any():
        words.append(f"95 % intervals over {where.interval_unit}s")
    if not where.speakers_known:
        words.append("speakers unknown: splits are by file")
    if where.seed is not None:
        words.append(f"training seed {where.seed}")
    for name, digest in (("checkpoint", where.checkpoint_digest), ("data", where.data_digest)):
        if digest:
            words.append(f"{name} `{digest.rpartition('-')[2][:12]}`")
    return " · ".join(words)
