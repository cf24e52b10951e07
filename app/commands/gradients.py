"""``spikelens gradients``, ``gradient-controls``, ``flow``, ``saliency``: what needs the network itself."""

from __future__ import annotations

import typer

from app.commands.inspecting import DATA, JSON, NAME, SEED, SPLIT, run_and_print

_CLIPS = typer.Option(None, "--n-clips", min=8, help="Use only this many clips.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("gradients")(gradients_command)
    cli.command("gradient-controls")(controls_command)
    cli.command("gradient-path")(path_command)
    cli.command("front")(front_command)
    cli.command("flow")(flow_command)
    cli.command("saliency")(saliency_command)


def gradients_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    clips: int | None = _CLIPS,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask whether the task pulls the spikes where reconstruction would (GR-1 to GR-4)."""
    run_and_print("gradients", name, data, split, as_json, n_clips=clips, seed=seed)


def controls_command(
    name: str = NAME,
    control: list[str] = typer.Option(
        [], "--control", help="A training of the same words, repeatable; by default those that fit."
    ),
    data: str | None = DATA,
    split: str = SPLIT,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Set GR-1 to GR-4 beside the untrained twin and trainings without a task or for reconstruction."""
    run_and_print("gradient-controls", name, data, split, as_json, controls=control or None, seed=seed)


def path_command(
    name: str = NAME,
    data: str | None = DATA,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Follow GR-3 through the epochs that a training kept (``--snapshots``), on training clips."""
    run_and_print("gradient-path", name, data, "train", as_json, seed=seed)


def front_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    as_json: bool = JSON,
) -> None:
    """Gather the trainings that were paid for reconstruction: accuracy against SNR (GR-5)."""
    run_and_print("front", name, data, split, as_json)


def flow_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    clips: int | None = _CLIPS,
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Follow the task gradient down to every layer and time step, beside the untrained twin."""
    run_and_print("flow", name, data, split, as_json, n_clips=clips, seed=seed)


def saliency_command(
    name: str = NAME,
    data: str | None = DATA,
    split: str = SPLIT,
    clips: int | None = _CLIPS,
    steps: int = typer.Option(32, "--n-steps", min=2, help="Points of the integral."),
    share: float = typer.Option(0.1, min=0.01, max=0.5, help="Of each clip's bins, to blank."),
    seed: int = SEED,
    as_json: bool = JSON,
) -> None:
    """Ask which bins of the log-mel speak for each word, and test it by blanking them."""
    run_and_print(
        "saliency", name, data, split, as_json, n_clips=clips, n_steps=steps, share=share, seed=seed
    )
