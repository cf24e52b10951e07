"""``spikelens reconstruct``, ``reconstruct-controls``, ``plane``, ``listen``: what is left of the sound."""

from __future__ import annotations

from pathlib import Path

import typer

from app.commands.inspecting import DATA, JSON, NAME, POINTS, SEED, SPLIT, run_and_print
from app.commands.output import print_json, progress_bar

_LAGS = typer.Option(5, min=0, help="Frames to either side that the fitted decoders see.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("reconstruct")(reconstruct_command)
    cli.command("reconstruct-controls")(controls_command)
    cli.command("plane")(plane_command)
    cli.command("listen")(listen_command)


def reconstruct_command(
    name: str = NAME,
    point: list[str] = POINTS,
    data: str | None = DATA,
    split: str = SPLIT,
    lags: int = _LAGS,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask how much of the sound can be read back, by a line and by a network, beside templates and twin."""
    run_and_print("reconstruct", name, data, split, as_json, points=point or None, lags=lags, seed=seed)


def controls_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    lags: int = _LAGS,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Set what decoders recover beside SF2-rec at the same event rate, SF2-init and random steps."""
    run_and_print("reconstruct-controls", name, data, split, as_json, lags=lags, seed=seed)


def plane_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    clips: int = typer.Option(2000, "--n-fit", min=20, help="Training clips that fit each cell's probe."),
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Map sound, word and event rate over coarse and fine step, with the path of the training."""
    run_and_print("plane", name, data, split, as_json, n_fit=clips, seed=seed)


def listen_command(
    name: str = NAME,
    clip: str = typer.Option("0", help="Number or id of the clip."),
    out: Path = typer.Option(..., "--out", help="Folder for the wav files; made where it is missing."),
    data: str | None = DATA,
    split: str = SPLIT,
    lags: int = _LAGS,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Write one clip and what each decoder makes of it as wav files, all through Griffin-Lim."""
    from analysis.loaders import fitting_splits
    from analysis.sound_files import write_sounds
    from analysis.subjects import open_subject

    with progress_bar("listen") as progress:
        paths = write_sounds(
            open_subject(name, data).recordings(fitting_splits(split), progress),
            out,
            clip=int(clip) if clip.isdecimal() else clip,
            split=split,
            lags=lags,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json({"name": name, "split": split, "files": [str(path) for path in paths]})
    else:
        for path in paths:
            typer.echo(str(path))
