"""The training loop: seeded, resumable to the bit, the epoch chosen on validation."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors

from models.batches import epoch_generator, n_batches, training_batches
from models.checkpoint import CONFIG, save_checkpoint, save_snapshot, write_atomically
from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe
from models.data.base import AudioDataset
from models.errors import SpikelensError
from models.evaluate import evaluate
from models.features.cache import band_statistics, split_features
from models.learning.agreement import agreement
from models.learning.averaging import average_weights
from models.learning.dfa import Feedback, draw_feedback
from models.learning.step import StepReport, make_optimiser, rule_of, training_step

RESUME = "resume.safetensors"
FEEDBACK = "feedback.safetensors"
_N_FOLLOWED = 128  # clips on which a learning rule is compared with backpropagation
_PACKAGES = ("spikelens", "torch", "numpy", "librosa")


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for a progress bar."""

    epoch: int
    n_epochs: int
    batch: int
    n_batches: int
    loss: float
    accuracy: float
    encoder_rate: float
    validation_accuracy: float | None
    seconds_left: float


@dataclass
class RunState:
    """Everything that changes from epoch to epoch; saved whole after each."""

    model: SpikingClassifier
    optimiser: torch.optim.AdamW
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_key: tuple[float, float] = (-1.0, -np.inf)
    feedback: Feedback | None = None
    average: SpikingClassifier | None = None

    @property
    def scored(self) -> SpikingClassifier:
        """Return the model that is judged and kept."""
        return self.model if self.average is None else self.average


@dataclass
class _EpochSums:
    loss: float = 0.0
    correct: int = 0
    clips: int = 0
    batches: int = 0
    encoder_rate: float = 0.0
    encoder_norm: float = 0.0
    backbone_norm: float = 0.0

    def add(self, report: StepReport) -> None:
        self.loss += report.loss_sum
        self.correct += report.n_correct
        self.clips += report.n_clips
        self.batches += 1
        self.encoder_rate += report.encoder_rate
        self.encoder_norm += report.encoder_gradient_norm
        self.backbone_norm += report.backbone_gradient_norm


def train(
    recipe: Recipe,
    dataset: AudioDataset,
    folder: Path,
    *,
    resume: bool = False,
    score_test: bool = False,
    snapshot_every: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train a model and write its checkpoint into `folder`.

    Every epoch draws its order, augmentation and dropout from generators seeded by (seed, epoch), so a run
    killed at any moment continues from its last whole epoch to the same final weights, bit for bit, on the
    same machine and thread count.

    Parameters
    ----------
    recipe : Recipe
    dataset : AudioDataset
        Restricted to the recipe's words, if it names any.
    folder : Path
        Named like the checkpoint.
    resume : bool
        Continue what was begun there.
    score_test : bool
        Score the test split, once, with the chosen weights. Leave it off while settings are still chosen.
    snapshot_every : int
        Keep the weights of every so many epochs, for the analyses that follow a training; 0 keeps none.
    progress : callable, optional

    Returns
    -------
    dict
        The content of ``metrics.json``.

    Raises
    ------
    SpikelensError
        The folder is taken, there is nothing to resume, or recipe or data differ from those of the run.
    """
    if recipe.data.words:
        dataset = dataset.restrict(recipe.data.words)
    if (folder / CONFIG).exists():
        raise SpikelensError(f"name: checkpoint {folder.name!r} exists; choose another with --name")
    if not resume and (folder / RESUME).exists():
        raise SpikelensError(f"name: {folder.name!r} is unfinished; continue it with --resume")
    features = {
        name: split_features(dataset.split(name), recipe.features, dataset.digest)
        for name in ("train", "validation")
    }
    identity = {"recipe": recipe.to_dict(), "data_digest": dataset.digest}
    state = (
        _load(folder / RESUME, recipe, len(dataset.labels), identity)
        if resume
        else _start(recipe, len(dataset.labels), features["train"])
    )
    folder.mkdir(parents=True, exist_ok=True)
    while state.epoch < recipe.train.epochs:
        row = _run_epoch(state, recipe, dataset, progress)
        if state.feedback is not None:
            row |= agreement(state.model, *_fixed_batch(dataset, features["train"]), recipe, state.feedback)
        scores = evaluate(state.scored, dataset.split("validation"), features["validation"])
        row |= {"validation_accuracy": scores.accuracy, "validation_loss": scores.cross_entropy}
        row |= {f"rate_{name}": rate for name, rate in scores.rates.items()}
        if scores.snr_db is not None:
            row["snr_db"] = scores.snr_db
        state.history.append(row | {f"encoder_{k}": v for k, v in state.scored.encoder.describe().items()})
        key = (scores.accuracy, -scores.cross_entropy)
        if key > state.best_key or recipe.train.shuffle_labels:  # a null is not chosen by the truth
            state.best_key = key
            state.best = {k: v.clone() for k, v in state.scored.state_dict().items()}
            state.best["epoch"] = torch.tensor(state.epoch)
        if snapshot_every and state.epoch % snapshot_every == 0:
            save_snapshot(folder, state.scored, state.epoch)
        _save(folder / RESUME, state, identity)
    metrics = _finish(state, recipe, dataset, folder, features["validation"], score_test)
    (folder / RESUME).unlink(missing_ok=True)
    return metrics


def _start(recipe: Recipe, n_classes: int, train_features: np.ndarray) -> RunState:
    model = SpikingClassifier.from_seed(recipe, n_classes)
    mean, std = band_statistics(train_features)
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_std.copy_(torch.from_numpy(std))
    model.encoder.set_scale(mean, std)
    model.encoder.fit((train_features - mean) / std)
    feedback = None if recipe.learning.rule == "bptt" else draw_feedback(recipe, n_classes)
    average = copy.deepcopy(model) if recipe.train.average else None
    return RunState(model, make_optimiser(model, recipe.train)[0], feedback=feedback, average=average)


def _fixed_batch(dataset: AudioDataset, train_features: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return training clips as they are, the same in every epoch and run."""
    labels = dataset.split("train").labels
    rows = np.sort(np.random.default_rng(0).permutation(len(labels))[:_N_FOLLOWED])
    return torch.from_numpy(np.array(train_features[rows])), torch.from_numpy(labels[rows])


def _run_epoch(
    state: RunState, recipe: Recipe, dataset: AudioDataset, progress: Callable[[Progress], None] | None
) -> dict[str, float]:
    """Train one epoch and return its row of the history."""
    config = recipe.train
    model, groups = state.model.train(), make_optimiser(state.model, config)[1]
    count = n_batches(dataset, recipe)
    dropout = epoch_generator(recipe, state.epoch, purpose=1)
    batches = training_batches(
        dataset, recipe, model.feature_mean, epoch_generator(recipe, state.epoch, purpose=0)
    )
    rule = rule_of(recipe, state.feedback)
    sums, began = _EpochSums(), time.monotonic()
    for number, batch in enumerate(batches):
        step = state.epoch * count + number
        report = training_step(
            model, state.optimiser, groups, *batch, config, step, config.epochs * count, dropout, rule
        )
        if state.average is not None:
            average_weights(state.average, model, config.average, step)
        sums.add(report)
        if not np.isfinite(report.loss_sum):
            raise SpikelensError(f"training diverged in epoch {state.epoch + 1}; lower train.lr")
        if progress is not None:
            done = state.epoch + (number + 1) / count
            pace = (time.monotonic() - began) / (number + 1) * count
            last = state.history[-1]["validation_accuracy"] if state.history else None
            progress(
                Progress(
                    state.epoch + 1,
                    config.epochs,
                    number + 1,
                    count,
                    sums.loss / sums.clips,
                    sums.correct / sums.clips,
                    report.encoder_rate,
                    last,
                    pace * (config.epochs - done),
                )
            )
    state.epoch += 1
    return {
        "epoch": float(state.epoch),
        "lr": state.optimiser.param_groups[0]["lr"],
        "train_loss": sums.loss / sums.clips,
        "train_accuracy": sums.correct / sums.clips,
        "train_encoder_rate": sums.encoder_rate / sums.batches,
        "gradient_norm_encoder": sums.encoder_norm / sums.batches,
        "gradient_norm_backbone": sums.backbone_norm / sums.batches,
    }


def _finish(
    state: RunState,
    recipe: Recipe,
    dataset: AudioDataset,
    folder: Path,
    validation_features: np.ndarray,
    score_test: bool,
) -> dict[str, Any]:
    epoch = int(state.best.pop("epoch"))
    state.model.load_state_dict(state.best)
    validation = evaluate(state.model, dataset.split("validation"), validation_features)
    metrics: dict[str, Any] = {
        "schema": 1,
        "parameters": count_parameters(state.model),
        "validation": validation.interval(),
        "rates": validation.rates,
        "snr_db": validation.snr_db,
        "synops": validation.synops,
        "epoch": epoch,
        "seed": recipe.seed,
        "data_digest": dataset.digest,
    }
    if score_test:
        split = dataset.split("test")
        features = split_features(split, recipe.features, dataset.digest)
        metrics["test"] = evaluate(state.model, split, features).interval()
    data = {
        "name": dataset.name,
        "digest": dataset.digest,
        "synthetic": dataset.synthetic,
        "speakers_known": dataset.speakers_known,
        "clips": {name: len(split) for name, split in dataset.splits.items()},
    }
    if state.feedback is not None:
        metrics["feedback_sha256"] = _checked(state.feedback, recipe, len(dataset.labels))
        write_atomically(folder / FEEDBACK, save_tensors(state.feedback.matrices))
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    save_checkpoint(folder, state.model, recipe, dataset.labels, data, metrics, state.history, versions)
    return metrics


def _checked(feedback: Feedback, recipe: Recipe, n_classes: int) -> str:
    """Return the digest of the feedback after training; SpikelensError where it is not what was drawn."""
    if feedback.sha256 != draw_feedback(recipe, n_classes).sha256:
        raise SpikelensError("feedback: the fixed matrices changed during the training")
    return feedback.sha256


def _save(path: Path, state: RunState, identity: Mapping[str, Any]) -> None:
    """Write the run's state as one file: two files could be torn apart by a kill between them."""
    tensors = {f"model/{k}": v for k, v in state.model.state_dict().items()}
    if state.average is not None:
        tensors |= {f"average/{k}": v for k, v in state.average.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in state.best.items()}
    if state.feedback is not None:
        tensors |= {f"feedback/{k}": v for k, v in state.feedback.matrices.items()}
    for index, slots in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{key}": value for key, value in slots.items()}
    facts = {"identity": identity, "epoch": state.epoch, "history": state.history, "best_key": state.best_key}
    content = save_tensors(
        {k: v.contiguous() for k, v in tensors.items()}, metadata={"run": json.dumps(facts)}
    )
    write_atomically(path, content)


def _load(path: Path, recipe: Recipe, n_classes: int, identity: Mapping[str, Any]) -> RunState:
    if not path.exists():
        raise SpikelensError(f"--resume: there is no unfinished run {path.parent.name!r}")
    try:
        with safe_open(str(path), framework="pt") as stored:
            facts = json.loads(stored.metadata()["run"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SpikelensError(f"--resume: {path.parent.name}/{path.name} cannot be read: {error}") from None
    held = facts["identity"]
    if "recipe" in held:  # keys that came since have their defaults
        held["recipe"] = Recipe.from_dict(held["recipe"]).to_dict()
    for part in identity:
        if held.get(part) != identity[part]:
            raise SpikelensError(
                f"--resume: the {part.replace('_', ' ')} differs from that of the unfinished run"
            )
    parts: dict[str, dict[str, torch.Tensor]] = {
        name: {} for name in ("model", "best", "average", "optimiser", "feedback")
    }
    for key, value in tensors.items():
        head, _, tail = key.partition("/")
        parts[head][tail] = value
    model = SpikingClassifier.from_seed(recipe, n_classes)
    model.load_state_dict(parts["model"])
    average = None
    if recipe.train.average:
        average = copy.deepcopy(model)
        average.load_state_dict(parts["average"])
    optimiser = make_optimiser(model, recipe.train)[0]
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in parts["optimiser"].items():
        index, _, slot = key.partition("/")
        slots.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    best_key = (float(facts["best_key"][0]), float(facts["best_key"][1]))
    feedback = Feedback(parts["feedback"]) if parts["feedback"] else None
    history, best = facts["history"], parts["best"]
    return RunState(model, optimiser, facts["epoch"], history, best, best_key, feedback, average)
