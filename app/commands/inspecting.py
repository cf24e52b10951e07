"""What the inspection commands share: their options, and how an analysis is run and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from app.commands.output import print_result, progress_bar

if TYPE_CHECKING:
    from analysis.result import Result

NAME = typer.Argument(help="A checkpoint, or imported recordings.")
DATA = typer.Option(None, "--data", help="Name or folder of a data set; the checkpoint's own by default.")
SPLIT = typer.Option("validation", "--split", help="Split to measure on; fitting uses train.")
POINTS = typer.Option([], "--point", help="Recording point, repeatable; all by default.")
SEED = typer.Option(0, "--seed", help="Of bootstrap, permutations and samples.")
JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def run_and_print(
    analysis: str, name: str, data: str | None, split: str, as_json: bool, **settings: Any
) -> Result:
    """Run one analysis on one subject with a progress bar, print what it finds and return it."""
    from analysis.catalogue import run
    from analysis.subjects import open_subject

    with progress_bar(analysis) as progress:
        result = run(analysis, open_subject(name, data), split=split, progress=progress, **settings)
    print_result(result, as_json)
    return result
