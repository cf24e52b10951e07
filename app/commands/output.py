"""How commands speak: tables and progress for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pandas as pd

    from analysis.result import Result


_PIPED_WIDTH = 200
_SILENCE_S = 10.0  # after which a pipe or a log hears that work goes on


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line on standard error and leave with `code`."""
    print("spikelens: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)


def command_line() -> str:
    """Return the command as it was given, without the folder of the program."""
    return " ".join(["spikelens", *sys.argv[1:]])


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object and nothing else."""
    print(json.dumps(value, allow_nan=False))


def print_table(table: pd.DataFrame, title: str = "") -> None:
    """Print a data frame for reading; long tables in full."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from analysis.result import shown

    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH  # a pipe has no width: do not fold cells to 80 columns
    drawn = Table(title=escape(title) or None, title_justify="left")
    for column in table.columns:
        numeric = table[column].dtype.kind in "fiu"
        drawn.add_column(escape(str(column)), justify="right" if numeric else "left")
    for row in table.itertuples(index=False):
        drawn.add_row(*(escape(shown(value)) for value in row))
    console.print(drawn)


def print_result(result: Result, as_json: bool) -> None:
    """Print a result as its table with provenance, or as JSON."""
    if as_json:
        print(result.to_json())
        return
    where = result.provenance
    notes = [f"{where.subject} on {where.dataset}/{where.split}"]
    if where.synthetic:
        notes.append("synthetic speech")
    notes.append(f"95 % intervals over {where.interval_unit}s")
    if not where.speakers_known:
        notes.append("speakers unknown")
    print_table(result.to_table(), "; ".join(notes))
    if sentence := getattr(result, "sentence", ""):
        print(sentence)


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[float, str], None]]:
    """Give a callback ``(fraction, words)``: a bar on standard error, or a line now and then in a log."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=1.0)
        told = time.monotonic()

        def report(fraction: float, words: str) -> None:
            nonlocal told
            bar.update(task, completed=fraction, description=words)
            if not console.is_terminal and time.monotonic() - told > _SILENCE_S:
                told = time.monotonic()
                print(f"{text} {fraction:.0%}: {words}", file=sys.stderr, flush=True)

        yield report
