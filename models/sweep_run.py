"""One run of a sweep: whether it is done, and what it takes to get it done."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from models.checkpoint import CONFIG, METRICS, read_checkpoint, read_info, write_json
from models.config import Recipe
from models.data import open_dataset
from models.data.base import AudioDataset
from models.errors import SpikelensError
from models.paths import arms_folder, checkpoint_roots
from models.sweep import Run

LOGS = "_logs"  # beside the checkpoints: no checkpoint can have this name
_PATIENCE_S = 3.0  # a process that was killed takes a moment to let go of its lock
_one_at_a_time = threading.Lock()  # a model's first weights come from the process's generator


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    Attributes
    ----------
    run : Run
    status : {"done", "elsewhere", "failed"}
        ``elsewhere``: another process trains it.
    minutes : float
    accuracy : float or None
        On validation.
    reason : str
        Of a failure.
    """

    run: Run
    status: Literal["done", "elsewhere", "failed"]
    minutes: float = 0.0
    accuracy: float | None = None
    reason: str = ""


def places(out: Path) -> tuple[Path, ...]:
    """Return where a run may be found done: the sweep's folder, for one of ours all that ships as well."""
    ours = (*checkpoint_roots(), arms_folder())
    return (out, *ours) if out.resolve() in {place.resolve() for place in ours} else (out,)


def find_done(run: Run, out: Path, data_digest: str | None) -> Path | None:
    """Return the folder of a run that is done; None where it is still to do.

    Parameters
    ----------
    run : Run
    out : Path
        The sweep's folder.
    data_digest : str or None
        Of the data the run is for; None compares recipes alone.

    Raises
    ------
    SpikelensError
        A checkpoint of that name has another recipe or was trained on other data.
    """
    for place in places(out):
        folder = place / run.checkpoint
        if not (folder / CONFIG).exists():
            continue
        info = read_info(folder)
        if found := difference(info.recipe, run.recipe):
            raise SpikelensError(f"{run.checkpoint} exists with another recipe: {found}")
        if data_digest is not None and info.data["digest"] != data_digest:
            raise SpikelensError(f"{run.checkpoint} exists, trained on other data ({info.data['name']})")
        return folder
    return None


def difference(found: Recipe, planned: Recipe) -> str:
    """Say in which settings two recipes differ, names aside; empty where they are equal."""
    before, after = _flat(found.to_dict()), _flat(planned.to_dict())
    parts = [
        f"{key} is {before.get(key, 'absent')}, the sweep has {after.get(key, 'none')}"
        for key in sorted(before.keys() | after.keys())
        if key != "name" and before.get(key) != after.get(key)
    ]
    return "; ".join(parts[:3]) + ("; ..." if len(parts) > 3 else "")


def _flat(body: dict[str, Any], head: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in body.items():
        flat |= _flat(value, f"{head}{key}.") if isinstance(value, dict) else {head + key: value}
    return flat


def restricted(dataset: AudioDataset, recipe: Recipe) -> AudioDataset:
    """Return the data set with the recipe's words only, where it names any."""
    return dataset.restrict(recipe.data.words) if recipe.data.words else dataset


def left_over(folder: Path, score_test: bool) -> bool:
    """Tell whether something remains to be done for a trained run: a kill may come between two files."""
    from models.training import RESUME

    if score_test and "test" not in read_info(folder).metrics:
        return True
    return (folder / RESUME).exists() or not (folder / "README.md").exists()


@lru_cache(maxsize=1)
def _opened(data: str) -> AudioDataset:
    return open_dataset(data)  # once a worker


def carry_out(run: Run, folder: Path, data: str, score_test: bool = False) -> Outcome:
    """Train, score and describe one run in this process; whatever goes wrong becomes its outcome.

    The run is locked while it lasts: a second sweep on the same folder leaves it alone. The lock goes with
    its process, so a killed run is free at once.
    """
    import torch
    from filelock import FileLock, Timeout

    began = time.monotonic()
    torch.set_num_threads(1)
    logs = folder.parent / LOGS
    try:
        logs.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(logs / f"{run.checkpoint}.lock", timeout=_PATIENCE_S),
            (logs / f"{run.checkpoint}.log").open("a", encoding="utf-8", buffering=1) as log,
            _one_at_a_time,
        ):
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, process {os.getpid()} on {platform.node()}\n")
            try:
                accuracy = _carry_out(run, folder, data, score_test, log.write)
            except Exception as error:
                log.write(f"failed: {error}\n")
                raise
    except Timeout:
        return Outcome(run, "elsewhere")
    except Exception as error:
        kind = "" if isinstance(error, SpikelensError) else f"{type(error).__name__}: "
        return Outcome(run, "failed", _minutes(began), reason=kind + " ".join(str(error).split()))
    return Outcome(run, "done", _minutes(began), accuracy)


def _minutes(began: float) -> float:
    return (time.monotonic() - began) / 60


def _carry_out(run: Run, folder: Path, data: str, score_test: bool, write: Callable[[str], object]) -> float:
    from models.model_card import write_card
    from models.training import RESUME, Progress, train

    def progress(at: Progress) -> None:
        if at.batch == at.n_batches:
            known = at.validation_accuracy
            before = "" if known is None else f", validation of the epoch before {known:.4f}"
            write(
                f"epoch {at.epoch}/{at.n_epochs}: loss {at.loss:.4f}, rate {at.encoder_rate:.4f}{before}, "
                f"{at.seconds_left / 60:.1f} min left\n"
            )

    dataset = restricted(_opened(data), run.recipe)
    if not (folder / CONFIG).exists():  # another sweep may have finished it since ours was planned
        train(run.recipe, dataset, folder, resume=(folder / RESUME).exists(), progress=progress)
    (folder / RESUME).unlink(missing_ok=True)
    if score_test:
        score_test_split(folder, dataset)
    write_card(folder, run.base, run.options(), run.seed)
    return float(read_info(folder).metrics["validation"]["accuracy"])


def score_test_split(folder: Path, dataset: AudioDataset) -> None:
    """Score the test split of a finished checkpoint, once: ``metrics.json`` keeps the value.

    Parameters
    ----------
    folder : Path
    dataset : AudioDataset
        The one it was trained on.
    """
    from models.evaluate import evaluate
    from models.features.cache import split_features

    checkpoint = read_checkpoint(folder)
    if "test" in checkpoint.metrics:
        return
    if checkpoint.data["digest"] != dataset.digest:
        raise SpikelensError(f"{folder.name} was trained on other data; its test split is not scored")
    split = dataset.split("test")
    features = split_features(split, checkpoint.recipe.features, dataset.digest)
    scores = evaluate(checkpoint.model, split, features)
    write_json(folder / METRICS, {**checkpoint.metrics, "test": scores.interval()})
