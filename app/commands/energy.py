"""``spikelens energy``: operations of an inference and the energy proxy made of them."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, SEED, SPLIT
from app.commands.output import print_json, print_result, progress_bar


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command("energy")(energy_command)


def energy_command(
    names: list[str] = typer.Argument(help="Checkpoints."),
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Count SynOps, multiply-accumulates and neuron updates by layer, and the energy proxy made of them."""
    import json

    from analysis.catalogue import run
    from analysis.subjects import open_subject

    results = []
    with progress_bar("energy") as progress:
        for name in names:
            subject = open_subject(name, data)
            results.append(run("energy", subject, split=split, progress=progress, seed=seed))
    if as_json and len(results) > 1:
        print_json({"results": [json.loads(result.to_json()) for result in results]})
        return
    for result in results:
        print_result(result, as_json)
