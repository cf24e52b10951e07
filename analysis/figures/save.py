"""Paper figures on disk: PDF, SVG and PNG with the numbers (CSV) and their origin (JSON) beside them.

A figure is a table and a function that draws it; the CSV is that table, so every figure can be drawn again
from its CSV alone. Equal tables give equal bytes in every format.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from analysis.result import Provenance
from models.checkpoint import write_atomically
from models.errors import SpikelensError

SUFFIXES = (".pdf", ".svg", ".png")
ONE_COLUMN, TWO_COLUMNS = 3.5, 7.16  # inches, as IEEE has them
MAX_VECTOR_MARKS = 5000  # a panel with more is drawn as a bitmap
_STYLE = Path(__file__).with_name("paper.mplstyle")
# Nothing that changes from run to run: the same result gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Date": None},
}


@dataclass(frozen=True)
class PaperFigure:
    """A figure ready to be drawn and saved.

    Attributes
    ----------
    name : str
        Stem of its files.
    table : pd.DataFrame
        Everything that is drawn.
    draw : callable
        From such a table to a figure.
    caption : str
        A draft: what is shown, the sample, the intervals.
    sources : sequence of Provenance
    """

    name: str
    table: pd.DataFrame
    draw: Callable[[pd.DataFrame], Figure]
    caption: str
    sources: Sequence[Provenance]


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw what is inside in the style of the paper figures, on matplotlib's own defaults."""
    with matplotlib.rc_context(), style.context(["default", str(_STYLE)]):
        yield


def rendered(draw: Callable[[], Figure], suffix: str) -> bytes:
    """Return a figure as the bytes of a ``.pdf``, ``.svg`` or ``.png`` file.

    Raises
    ------
    SpikelensError
        Another suffix.
    """
    if suffix not in SUFFIXES:
        raise SpikelensError(f"out: {suffix!r} is not one of {', '.join(SUFFIXES)}")
    drawn = io.BytesIO()
    with paper_style():
        draw().savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix])
    return drawn.getvalue()


def save_figure(
    figure: PaperFigure, folder: Path, command: str = "", suffixes: Sequence[str] = SUFFIXES
) -> list[Path]:
    """Write a figure with its two sidecars and return the files.

    The figure is drawn from the CSV as it will be read, not from the table in memory. The JSON holds the
    caption, the sources with digests, seeds, settings and package versions, the command and the time.
    """
    text = figure.table.to_csv(index=False)
    table = read_table(text)
    contents = {suffix: rendered(lambda: figure.draw(table), suffix) for suffix in suffixes}
    contents[".csv"] = text.encode()
    facts = {
        "figure": figure.name,
        "caption": figure.caption,
        "sources": [dataclasses.asdict(source) for source in figure.sources],
        "command": command,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    contents[".json"] = json.dumps(facts, indent=1, default=str).encode()
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{figure.name}{suffix}"
        write(path, content)
        paths.append(path)
    return paths


def read_table(text: str) -> pd.DataFrame:
    """Read the CSV of a figure; a word such as "null" stays a word."""
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, its folder made where it is missing.

    Raises
    ------
    SpikelensError
        It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpikelensError(f"{path.name} cannot be written: {error.strerror or error}") from None
    write_atomically(path, content)
