"""``spikelens interventions``: change the code and measure again."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, NAME, SEED, SPLIT, run_and_print


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command("interventions")(interventions_command)


def interventions_command(
    name: str = NAME,
    swap: str | None = typer.Option(None, "--swap", help="A checkpoint whose encoder is put in its place."),
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Silence, shuffle, swap, jitter and drop spikes, add noise: accuracy of network and probe after each."""
    run_and_print("interventions", name, data, split, as_json, swap=swap, seed=seed)
