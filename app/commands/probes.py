"""``spikelens encoders``, ``time``, ``nuisance``: what else a linear probe can be asked."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, NAME, SEED, SPLIT, run_and_print


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("encoders")(encoders_command)
    cli.command("time")(time_command)
    cli.command("nuisance")(nuisance_command)


def encoders_command(
    name: str = NAME,
    against: str | None = typer.Option(None, "--against", help="A second subject on the same clips."),
    data: str | None = DATA,
    split: str = SPLIT,
    draws: int = typer.Option(5, "--n-draws", min=2, help="Of 10, 50 and 200 clips a word."),
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask which encoder's spikes tell the word best: control encoders on the same clips, paired."""
    run_and_print("encoders", name, data, split, as_json, against=against, n_draws=draws, seed=seed)


def time_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask when the word becomes decodable: one probe at the end of each tenth of the clip."""
    run_and_print("time", name, data, split, as_json, seed=seed)


def nuisance_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask what every stage keeps that the word does not need: speaker, level, noise and the like."""
    run_and_print("nuisance", name, data, split, as_json, seed=seed)
