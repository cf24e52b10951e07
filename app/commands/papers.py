"""``spikelens report`` and ``spikelens figures``: what goes into a paper or beside one."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from app.commands.output import progress_bar

_NAMES = typer.Argument(help="Checkpoints or imported recordings.")
_DATA = typer.Option(None, "--data", help="Name or folder of a data set; each checkpoint's own by default.")
_SPLIT = typer.Option("validation", "--split", help="Split to measure on; fitting uses train.")
_OUT = typer.Option(..., "--out", help="Folder to write to; made where it is missing.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("report")(report_command)


def report_command(
    names: list[str] = _NAMES,
    out: Path = _OUT,
    data: str | None = _DATA,
    split: str = _SPLIT,
    jobs: int = typer.Option(2, min=1, help="Sections measured side by side."),
) -> None:
    """Run every analysis and write one HTML page with the numbers behind it; a stopped report goes on."""
    from analysis.report.run import report

    with progress_bar("report") as progress:
        page = report(
            names, out, data=data, split=split, jobs=jobs, progress=progress, command=_command_line()
        )
    typer.echo(f"wrote {page}")


def _command_line() -> str:
    """Return the command as it was given, without the folder of the program."""
    return " ".join(["spikelens", *sys.argv[1:]])
