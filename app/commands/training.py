"""``spikelens train``, ``evaluate`` and ``list``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.commands.output import print_json, print_table

if TYPE_CHECKING:
    from models.training import Progress

_JSON = typer.Option(False, "--json", help="One JSON object on standard output.")


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("train")(train_command)
    cli.command("evaluate")(evaluate_command)
    cli.command("list")(list_command)


def train_command(
    recipe: str = typer.Argument(help="A shipped recipe by name, or the path of a .toml file."),
    data: str | None = typer.Option(None, help="Name or folder of the data set; the recipe's by default."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Change a recipe value."),
    seed: int | None = typer.Option(None, help="Seed of weights, data order and augmentation."),
    name: str | None = typer.Option(None, help="Name of the checkpoint; the recipe's by default."),
    resume: bool = typer.Option(False, help="Continue an unfinished run of this name."),
    snapshots: int = typer.Option(
        0, "--snapshots", min=0, help="Keep the weights of every so many epochs, to follow the training."
    ),
    score_test: bool = typer.Option(
        False, "--score-test", help="Score the test split once at the end; not while choosing settings."
    ),
    out: Path | None = typer.Option(None, help="Folder for checkpoints; the user data folder by default."),
    threads: int = typer.Option(1, min=1, help="Torch threads; 1 is fastest up to 256 hidden units."),
    as_json: bool = _JSON,
) -> None:
    """Train a recipe; the epoch is chosen on the validation split."""
    import torch

    from models.checkpoint import check_name
    from models.config import Recipe, parse_assignment
    from models.data import open_dataset
    from models.model_card import write_card
    from models.paths import user_checkpoints
    from models.training import train

    torch.set_num_threads(threads)
    changes = dict(parse_assignment(text) for text in set_)
    if seed is not None:
        changes["seed"] = seed
    opened = Recipe.open(recipe).override(changes)
    folder = (out or user_checkpoints()) / check_name(name or opened.name)
    dataset = open_dataset(data or opened.data.name)
    for line in dataset.report.lines():
        typer.echo(line, err=True)
    with _training_bar(folder.name) as progress:
        metrics = train(
            opened,
            dataset,
            folder,
            resume=resume,
            score_test=score_test,
            snapshot_every=snapshots,
            progress=progress,
        )
    write_card(folder, recipe, [f"--set {text}" for text in set_], seed)
    if as_json:
        print_json({"checkpoint": folder.name, **metrics})
        return
    typer.echo(f"{folder.name}: {_accuracy(metrics['validation'])} on {dataset.name}/validation")
    if "test" in metrics:
        typer.echo(f"{folder.name}: {_accuracy(metrics['test'])} on {dataset.name}/test")


@contextmanager
def _training_bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """Give a callback that draws a bar on a terminal and writes a line an epoch elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(TextColumn("{task.description}"), BarColumn(), console=console, transient=True) as drawn:
        task = drawn.add_task(name)

        def show(p: Progress) -> None:
            validation = "" if p.validation_accuracy is None else f" validation {p.validation_accuracy:.3f}"
            text = (
                f"{name} epoch {p.epoch}/{p.n_epochs} loss {p.loss:.3f} accuracy {p.accuracy:.3f}{validation}"
                f" rate {p.encoder_rate:.3f} left {p.seconds_left / 60:.1f} min"
            )
            if console.is_terminal:
                done = (p.epoch - 1) * p.n_batches + p.batch
                drawn.update(task, total=p.n_epochs * p.n_batches, completed=done, description=text)
            elif p.batch == p.n_batches:
                typer.echo(text, err=True)

        yield show


def _accuracy(scores: dict) -> str:
    return f"{scores['accuracy']:.2%} [{scores['low']:.2%}, {scores['high']:.2%}], n = {scores['n']},"


def evaluate_command(
    name: str = typer.Argument(help="A checkpoint."),
    data: str | None = typer.Option(None, help="Name or folder of the data set."),
    split: str = typer.Option("validation", help="train, validation or test."),
    as_json: bool = _JSON,
) -> None:
    """Score a checkpoint: accuracy with interval, rates, SNR, synaptic operations."""
    import pandas as pd

    from analysis.subjects import open_subject
    from models.evaluate import evaluate
    from models.features.cache import split_features

    checkpoint, dataset = open_subject(name, data).model("evaluation")
    clips = dataset.split(split)
    features = split_features(clips, checkpoint.recipe.features, dataset.digest)
    scores = evaluate(checkpoint.model, clips, features).to_dict()
    body = {**scores, "split": split, "dataset": dataset.name, "checkpoint": name}
    if as_json:
        print_json(body)
        return
    rows = [{"quantity": k, "value": v} for k, v in body.items() if not isinstance(v, dict)]
    rows += [{"quantity": f"rate {k}", "value": v} for k, v in scores["rates"].items()]
    print_table(pd.DataFrame(rows))


def list_command(
    seeds: bool = typer.Option(False, "--seeds", help="Also the trainings of every arm, one a seed."),
    as_json: bool = _JSON,
) -> None:
    """List checkpoints and imported recordings."""
    import pandas as pd

    from analysis.importing import list_recordings
    from models.checkpoint import list_arms, list_checkpoints

    rows = [
        {
            "name": info.name,
            "kind": "checkpoint",
            "shipped": info.shipped,
            "data": info.data["name"],
            "synthetic": info.data["synthetic"],
            "parameters": info.metrics.get("parameters"),
            "validation": info.metrics.get("validation", {}).get("accuracy"),
            "test": info.metrics.get("test", {}).get("accuracy"),
        }
        for info in [*list_checkpoints(), *(list_arms() if seeds else [])]
    ]
    rows += [{"name": name, "kind": "recordings"} for name in list_recordings()]
    if as_json:
        print_json({"subjects": rows})
    elif rows:
        print_table(pd.DataFrame(rows))
    else:
        typer.echo("no checkpoints: train one with  spikelens train spoken35-residual-35k")
