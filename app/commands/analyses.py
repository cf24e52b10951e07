"""``spikelens probe``, ``verdict`` and the other inspections, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from app.commands.inspecting import DATA, JSON, NAME, POINTS, SEED, SPLIT, run_and_print
from app.commands.output import print_json, print_result, progress_bar


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("capture")(capture_command)
    cli.command("import")(import_command)
    cli.command("raster")(raster_command)
    cli.command("spikes")(spikes_command)
    cli.command("probe")(probe_command)
    cli.command("embed")(embed_command)
    cli.command("verdict")(verdict_command)


def capture_command(
    name: str = NAME,
    data: str | None = DATA,
    split: list[str] = typer.Option([], "--split", help="Split, repeatable; all by default."),
    as_json: bool = JSON,
) -> None:
    """Record every point of a model on disk, once; the other commands do it when they need it."""
    from analysis.subjects import open_subject
    from models.data.base import SPLITS

    with progress_bar("capture") as progress:
        recordings = open_subject(name, data).recordings(tuple(split) or SPLITS, progress)
    body = {
        "name": recordings.name,
        "digest": recordings.digest,
        "dataset": recordings.dataset,
        "splits": {s.name: len(s) for s in recordings.splits.values()},
        "points": {p.name: p.units for p in recordings.points.values()},
    }
    if as_json:
        print_json(body)
    else:
        for key, value in body.items():
            typer.echo(f"{key}: {value}")


def import_command(
    file: Path = typer.Argument(help="An .npz with spikes, label, split and optional arrays."),
    name: str = typer.Option(..., "--name", help="Name to list it under."),
    as_json: bool = JSON,
) -> None:
    """Bring in recordings of any encoder; every analysis that needs only recordings runs on them."""
    from analysis.importing import import_recordings

    recordings = import_recordings(file, name)
    body = {
        "name": recordings.name,
        "digest": recordings.digest,
        "splits": {s.name: len(s) for s in recordings.splits.values()},
        "points": {p.name: p.units for p in recordings.points.values()},
    }
    if as_json:
        print_json(body)
    else:
        typer.echo(f"imported {name}: {body['splits']} clips, points {body['points']}")


def raster_command(
    name: str = NAME,
    clip: str = typer.Option("0", help="Number or id of the clip."),
    data: str | None = DATA,
    split: str = SPLIT,
    sort: str = typer.Option("index", help="index, rate, latency or selectivity."),
    out: Path | None = typer.Option(None, help="Draw it to a .png, .pdf or .svg file."),
    as_json: bool = JSON,
) -> None:
    """Show one clip on its way through the network."""
    from analysis.catalogue import command_line
    from analysis.raster import raster
    from analysis.subjects import open_subject

    subject = open_subject(name, data)
    chosen = int(clip) if clip.isdecimal() else clip
    result = raster(
        subject.recordings((split,)),
        split=split,
        clip=chosen,
        sort=sort,
        command=command_line("raster", subject, split, {"clip": clip, "sort": sort}),
    )
    if out is not None:
        from analysis.figures.raster import save_raster

        save_raster(result, out)
    print_result(result, as_json)


def spikes_command(
    name: str = NAME,
    point: str = typer.Option("encoder", "--point", help="Spiking recording point."),
    data: str | None = DATA,
    split: str = SPLIT,
    as_json: bool = JSON,
) -> None:
    """Count: rates, silent and saturated units, sparsity, inter-spike intervals."""
    run_and_print("spikes", name, data, split, as_json, point=point)


def probe_command(
    name: str = NAME,
    point: list[str] = POINTS,
    data: str | None = DATA,
    split: str = SPLIT,
    pooling: str = typer.Option("windows", help="counts, windows, trace or full."),
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask whether the word can be read off linearly, beside chance, shuffled labels, twin and log-mel."""
    run_and_print("probe", name, data, split, as_json, points=point or None, pooling=pooling, seed=seed)


def embed_command(
    name: str = NAME,
    point: str = typer.Option("encoder", "--point", help="Recording point."),
    method: str = typer.Option("pca", help="pca or umap."),
    data: str | None = DATA,
    split: str = SPLIT,
    n_max: int = typer.Option(3000, min=10, help="Largest number of clips, drawn by word."),
    n_neighbors: int = typer.Option(15, min=2),
    min_dist: float = typer.Option(0.1, min=0.0, max=1.0),
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Lay the clips out in two dimensions, with trustworthiness."""
    settings: dict[str, Any] = {"point": point, "method": method, "n_max": n_max, "seed": seed}
    if method == "umap":
        settings |= {"n_neighbors": n_neighbors, "min_dist": min_dist}
    run_and_print("embed", name, data, split, as_json, **settings)


def verdict_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    keep: bool = typer.Option(False, "--keep", help="Keep it beside the checkpoint, to ship with it."),
    as_json: bool = JSON,
) -> None:
    """Say whether the encoder is faithful, task-aligned, or not shown to be either, and on what evidence."""
    result = run_and_print("verdict", name, data, split, as_json, seed=seed)
    if keep:
        from analysis.alignment import VerdictResult
        from analysis.shipped import keep_verdict

        assert isinstance(result, VerdictResult)
        keep_verdict(result)
