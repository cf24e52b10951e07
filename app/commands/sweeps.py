"""``spikelens sweep``: trains a grid of recipes and seeds, and writes the table it is run for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.commands.inspecting import JSON
from app.commands.output import command_line, fail, print_table, progress_bar

if TYPE_CHECKING:
    from analysis.sweep_table import SweepTable
    from models.sweep import Run
    from models.sweep_run import Outcome


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command("sweep")(sweep_command)


def sweep_command(
    sweep: str = typer.Argument(help="A shipped sweep by name, or the path of a .toml file."),
    data: str | None = typer.Option(None, help="Name or folder of the data set; the recipes' by default."),
    out: Path | None = typer.Option(None, help="Folder for checkpoints; the user data folder by default."),
    table: Path | None = typer.Option(None, help="Table to write, .csv and .json; by default _tables/SWEEP."),
    workers: int = typer.Option(2, min=1, help="Trainings side by side, one core each."),
    backend: str = typer.Option("loky", help="loky: local processes. dask: a Dask cluster."),
    dask_address: str | None = typer.Option(
        None, "--dask-address", metavar="ADDR", help="Scheduler of a running cluster; a local one by default."
    ),
    rows: str = typer.Option("", metavar="NAME,...", help="Only these rows; all by default."),
    dry_run: bool = typer.Option(False, "--dry-run", help="List what would be trained, and train nothing."),
    no_train: bool = typer.Option(False, "--no-train", help="Only write the table of what is done."),
    score_test: bool = typer.Option(
        False, "--score-test", help="Score the test split, once, of finished runs; not while choosing."
    ),
    as_json: bool = JSON,
) -> None:
    """Train a grid of recipes and seeds; skips what is done and goes on after a kill."""
    from models.data import open_dataset
    from models.paths import user_checkpoints
    from models.sweep import Sweep, plan
    from models.sweep_pool import run_sweep

    opened = Sweep.open(sweep)
    folder = out or user_checkpoints()
    source = data or opened.dataset()
    dataset = open_dataset(source)
    runs = plan(opened, len(dataset.labels), [name.strip() for name in rows.split(",") if name.strip()])
    if dry_run:
        _list(runs, folder, source)
        return
    outcomes: list[Outcome] = []
    if not no_train:
        outcomes = run_sweep(
            runs,
            folder,
            source,
            workers=workers,
            backend=backend,
            dask_address=dask_address,
            score_test=score_test,
            tell=lambda line: typer.echo(line, err=True),
        )
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if sum(outcome.status != "done" for outcome in outcomes) < len(runs):
        result = _table(runs, folder, source, opened.heading.name)
        _write(result, table or _tables(folder) / opened.heading.name)
        _show(result, opened.heading.title or opened.heading.name, as_json)
    if failed:
        reasons = "; ".join(f"{outcome.run.checkpoint}: {outcome.reason}" for outcome in failed)
        fail(f"{len(failed)} of {len(runs)} runs failed: {reasons}", code=1)


def _show(result: SweepTable, title: str, as_json: bool) -> None:
    if as_json:
        typer.echo(result.to_json())
        return
    print_table(result.printed(), f"{title}; {result.provenance.dataset}, mean ± sd over training seeds")
    if result.missing:
        typer.echo(f"not done yet: {', '.join(result.missing)}", err=True)


def _list(runs: Sequence[Run], folder: Path, data: str) -> None:
    import pandas as pd

    from models.data import open_dataset
    from models.sweep_run import find_done, restricted
    from models.training import RESUME

    dataset = open_dataset(data)
    lines = []
    for run in runs:
        done = find_done(run, folder, restricted(dataset, run.recipe).digest)
        begun = (folder / run.checkpoint / RESUME).exists()
        lines.append(
            {
                "checkpoint": run.checkpoint,
                "row": run.label,
                "epochs": run.recipe.train.epochs,
                "state": "done" if done else "begun" if begun else "to do",
                "options": " ".join([run.base, *run.options(), f"--seed {run.seed}"]),
            }
        )
    print_table(pd.DataFrame(lines))


def _table(runs: Sequence[Run], folder: Path, data: str, name: str) -> SweepTable:
    from analysis.sweep_table import sweep_table

    with progress_bar("table") as progress:
        return sweep_table(runs, folder, data, name=name, progress=progress, command=command_line())


def _tables(folder: Path) -> Path:
    """Return where tables go: beside what ships for our own folders, beside the runs otherwise."""
    from models.paths import arms_folder, shipped_checkpoints

    ours = folder.resolve() in {arms_folder().resolve(), shipped_checkpoints().resolve()}
    return (shipped_checkpoints() if ours else folder) / "_tables"


def _write(result: SweepTable, path: Path) -> None:
    from analysis.result import to_csv
    from models.checkpoint import write_atomically

    path = path.with_suffix("") if path.suffix in (".csv", ".json") else path
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix, text in {
        ".csv": to_csv(result.to_table()),
        "-summary.csv": to_csv(result.summary()),
        ".json": result.to_json() + "\n",
    }.items():
        write_atomically(path.with_name(path.name + suffix), text.encode())
    typer.echo(f"wrote {path}.csv, -summary.csv and .json", err=True)
