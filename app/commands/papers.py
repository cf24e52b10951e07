"""``spikelens report`` and ``spikelens figures``: what goes into a paper or beside one."""

from __future__ import annotations

from pathlib import Path

import typer

from app.commands.output import command_line, print_table, progress_bar

_NAMES = typer.Argument(help="Checkpoints or imported recordings.")
_DATA = typer.Option(None, "--data", help="Name or folder of a data set; each checkpoint's own by default.")
_SPLIT = typer.Option("validation", "--split", help="Split to measure on; fitting uses train.")
_OUT = typer.Option(..., "--out", help="Folder to write to; made where it is missing.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("report")(report_command)
    cli.command("figures")(figures_command)
    cli.command("arms")(arms_command)


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
            names, out, data=data, split=split, jobs=jobs, progress=progress, command=command_line()
        )
    typer.echo(f"wrote {page}")


def figures_command(
    names: list[str] = _NAMES,
    out: Path = _OUT,
    data: str | None = _DATA,
    split: str = _SPLIT,
    clip: int = typer.Option(0, min=0, help="Row of the split that the raster shows."),
    only: list[str] = typer.Option([], "--only", help="Figure, repeatable; all by default."),
) -> None:
    """Draw the paper figures: PDF, SVG and PNG, with their numbers (CSV) and origin (JSON) beside them."""
    from analysis.figures.build import paper_figures

    with progress_bar("figures") as progress:
        left_out = paper_figures(
            names,
            out,
            data=data,
            split=split,
            clip=clip,
            only=only,
            progress=progress,
            command=command_line(),
        )
    for figure, why in left_out.items():
        typer.echo(f"left out: {figure}: {why}", err=True)
    typer.echo(f"wrote {out}")


def arms_command(
    arms: list[str] = typer.Argument(help="Names of trainings without the ending -sK."),
    data: str | None = _DATA,
    split: str = _SPLIT,
    keep: bool = typer.Option(False, "--keep", help="Keep each verdict beside its checkpoint."),
    out: Path | None = typer.Option(None, "--out", help="Also write the table to a .csv, the rest to .json."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Gather the verdict over training seeds: what holds of an arm, not of one run."""
    from analysis.alignment import VerdictResult
    from analysis.arm_table import compare_arms, encoder_key, seeds_of
    from analysis.catalogue import run
    from analysis.figures.save import write
    from analysis.result import to_csv
    from analysis.shipped import keep_verdict, kept_verdict
    from analysis.subjects import open_subject
    from models.checkpoint import CheckpointInfo

    total, done = sum(len(seeds_of(arm)) for arm in arms), 0

    shared: dict[str, VerdictResult] = {}

    def verdict_of(info: CheckpointInfo) -> VerdictResult:
        nonlocal done
        key = encoder_key(info)
        found = shared.get(key) or kept_verdict(info, split)
        if found is None:
            progress(done / total, info.name)
            result = run("verdict", open_subject(info.name, data), split=split, seed=0)
            assert isinstance(result, VerdictResult)
            found = result
            if keep:
                keep_verdict(found)
        done += 1
        shared[key] = found
        return found

    with progress_bar("arms") as progress:
        result = compare_arms(arms, verdict_of, split=split, command=command_line())
    if out is not None:
        write(out.with_suffix(".csv"), to_csv(result.to_table()).encode())
        write(out.with_suffix(".json"), result.to_json().encode())
    if as_json:
        typer.echo(result.to_json())
    else:
        print_table(result.summary(), f"{result.provenance.dataset}/{split}, mean ± sd over training seeds")
