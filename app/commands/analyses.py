"""``spikelens probe``, ``reconstruct``, ``gradients`` and the other inspections, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.commands.output import print_json, print_result, progress_bar

if TYPE_CHECKING:
    from analysis.result import Result

_NAME = typer.Argument(help="A checkpoint, or imported recordings.")
_DATA = typer.Option(None, "--data", help="Name or folder of a data set; the checkpoint's own by default.")
_SPLIT = typer.Option("validation", "--split", help="Split to measure on; fitting uses train.")
_POINTS = typer.Option([], "--point", help="Recording point, repeatable; all by default.")
_SEED = typer.Option(0, "--seed", help="Of bootstrap, permutations and samples.")
_JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("capture")(capture_command)
    cli.command("import")(import_command)
    cli.command("raster")(raster_command)
    cli.command("spikes")(spikes_command)
    cli.command("probe")(probe_command)
    cli.command("gradients")(gradients_command)
    cli.command("reconstruct")(reconstruct_command)
    cli.command("separability")(separability_command)
    cli.command("embed")(embed_command)
    cli.command("verdict")(verdict_command)


def _run(analysis: str, name: str, data: str | None, split: str, as_json: bool, **settings: Any) -> Result:
    from analysis.catalogue import run
    from analysis.subjects import open_subject

    with progress_bar(analysis) as progress:
        result = run(analysis, open_subject(name, data), split=split, progress=progress, **settings)
    print_result(result, as_json)
    return result


def capture_command(
    name: str = _NAME,
    data: str | None = _DATA,
    split: list[str] = typer.Option([], "--split", help="Split, repeatable; all by default."),
    as_json: bool = _JSON,
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
    as_json: bool = _JSON,
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
    name: str = _NAME,
    clip: str = typer.Option("0", help="Number or id of the clip."),
    data: str | None = _DATA,
    split: str = _SPLIT,
    sort: str = typer.Option("index", help="index, rate, latency or selectivity."),
    out: Path | None = typer.Option(None, help="Draw it to a .png, .pdf or .svg file."),
    as_json: bool = _JSON,
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
    name: str = _NAME,
    point: str = typer.Option("encoder", "--point", help="Spiking recording point."),
    data: str | None = _DATA,
    split: str = _SPLIT,
    as_json: bool = _JSON,
) -> None:
    """Count: rates, silent and saturated units, sparsity, inter-spike intervals."""
    _run("spikes", name, data, split, as_json, point=point)


def probe_command(
    name: str = _NAME,
    point: list[str] = _POINTS,
    data: str | None = _DATA,
    split: str = _SPLIT,
    pooling: str = typer.Option("windows", help="counts, windows, trace or full."),
    seed: int = _SEED,
    as_json: bool = _JSON,
) -> None:
    """Ask whether the word can be read off linearly, beside chance, shuffled labels, twin and log-mel."""
    _run("probe", name, data, split, as_json, points=point or None, pooling=pooling, seed=seed)


def gradients_command(
    name: str = _NAME,
    data: str | None = _DATA,
    split: str = _SPLIT,
    clips: int | None = typer.Option(None, "--n-clips", min=8, help="Use only this many clips."),
    seed: int = _SEED,
    as_json: bool = _JSON,
) -> None:
    """Ask whether the task pulls the spikes where reconstruction would (GR-1 to GR-3)."""
    _run("gradients", name, data, split, as_json, n_clips=clips, seed=seed)


def reconstruct_command(
    name: str = _NAME,
    point: list[str] = _POINTS,
    data: str | None = _DATA,
    split: str = _SPLIT,
    lags: int = typer.Option(5, min=0, help="Frames to either side that the ridge decoder sees."),
    seed: int = _SEED,
    as_json: bool = _JSON,
) -> None:
    """Ask how much of the sound can be read back, beside frame and word templates."""
    _run("reconstruct", name, data, split, as_json, points=point or None, lags=lags, seed=seed)


def separability_command(
    name: str = _NAME,
    point: list[str] = _POINTS,
    data: str | None = _DATA,
    split: str = _SPLIT,
    seed: int = _SEED,
    as_json: bool = _JSON,
) -> None:
    """Ask how the geometry of the code relates to words and to sound: Fisher, silhouette, CKA."""
    _run("separability", name, data, split, as_json, points=point or None, seed=seed)


def embed_command(
    name: str = _NAME,
    point: str = typer.Option("encoder", "--point", help="Recording point."),
    method: str = typer.Option("pca", help="pca or umap."),
    data: str | None = _DATA,
    split: str = _SPLIT,
    n_max: int = typer.Option(3000, min=10, help="Largest number of clips, drawn by word."),
    n_neighbors: int = typer.Option(15, min=2),
    min_dist: float = typer.Option(0.1, min=0.0, max=1.0),
    seed: int = _SEED,
    as_json: bool = _JSON,
) -> None:
    """Lay the clips out in two dimensions, with trustworthiness."""
    settings: dict[str, Any] = {"point": point, "method": method, "n_max": n_max, "seed": seed}
    if method == "umap":
        settings |= {"n_neighbors": n_neighbors, "min_dist": min_dist}
    _run("embed", name, data, split, as_json, **settings)


def verdict_command(
    name: str = _NAME,
    data: str | None = _DATA,
    split: str = _SPLIT,
    seed: int = _SEED,
    keep: bool = typer.Option(False, "--keep", help="Keep it beside the checkpoint, to ship with it."),
    as_json: bool = _JSON,
) -> None:
    """Say whether the encoder is faithful, task-aligned, or not shown to be either, and on what evidence."""
    result = _run("verdict", name, data, split, as_json, seed=seed)
    if keep:
        from analysis.alignment import VerdictResult
        from analysis.shipped import keep_verdict

        assert isinstance(result, VerdictResult)
        keep_verdict(result)
