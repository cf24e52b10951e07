"""``spikelens separability`` and ``information``: the geometry of a code, and its bits about the word."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, NAME, POINTS, SEED, SPLIT, run_and_print


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("separability")(separability_command)
    cli.command("information")(information_command)


def separability_command(
    name: str = NAME,
    point: list[str] = POINTS,
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask how the geometry of the code relates to words and to sound: Fisher, neighbours, silhouette, CKA."""
    run_and_print("separability", name, data, split, as_json, points=point or None, seed=seed)


def information_command(
    name: str = NAME,
    point: list[str] = POINTS,
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Bound the bits about the word from below, a clip and a spike, beside control encoders."""
    run_and_print("information", name, data, split, as_json, points=point or None, seed=seed)
