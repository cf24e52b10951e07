"""``spikelens rules``: how learning rules fare, and what two of them made of the same network."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, SEED, SPLIT, run_and_print
from app.commands.output import command_line, print_table


def add_to(cli: typer.Typer) -> None:
    """Register the command."""
    cli.command("rules")(rules_command)


def rules_command(
    names: list[str] = typer.Argument(
        metavar="NAME...", help="Checkpoints; NAME stands for its seeds NAME-s1, NAME-s2... too."
    ),
    against: str | None = typer.Option(
        None, "--against", help="A BPTT checkpoint: compare what the layers hold, at equal accuracy."
    ),
    control: str | None = typer.Option(
        None, "--control", help="With --against, another seed of BPTT; by default one of the same recipe."
    ),
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Set learning rules side by side: accuracy, agreement with the gradient; or representations."""
    if against is not None:
        _representations(names, against, control, data, split, seed, as_json)
        return
    from analysis.learning_rules import learning_rules

    result = learning_rules(names, command=command_line())
    if as_json:
        typer.echo(result.to_json())
        return
    print_table(result.summary(), f"{result.provenance.dataset}/validation; mean ± sd over training seeds")
    for caveat in result.caveats:
        typer.echo(f"- {caveat}")


def _representations(
    names: list[str],
    against: str,
    control: str | None,
    data: str | None,
    split: str,
    seed: int,
    as_json: bool,
) -> None:
    from analysis.matched_weights import another_seed
    from analysis.rule_result import RuleRepresentations
    from models.errors import SpikelensError

    if len(names) > 1:
        raise SpikelensError(f"--against compares one training with another, not {len(names)}; give one NAME")
    control = control or another_seed(against)
    result = run_and_print(
        "rules", names[0], data, split, as_json, against=against, control=control, seed=seed
    )
    if isinstance(result, RuleRepresentations) and not as_json:
        for caveat in result.caveats:
            typer.echo(f"- {caveat}")
