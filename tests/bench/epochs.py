"""A whole training epoch of the shipped recipes, compiled and plain, in turns."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from models.batches import epoch_generator, n_batches, training_batches
from models.classifier import SpikingClassifier
from models.config import Recipe
from models.data import available_datasets, open_dataset
from models.features.cache import band_statistics, split_features
from models.learning.step import make_optimiser, training_step
from models.neurons.engine import kernels
from tests.bench.problem import Shape

Line = tuple[tuple[str, Shape, float, int, float, float], dict[str, float]]


def epoch_rows() -> list[Line]:
    """Time one epoch of each recipe on GSC-8 where it is, on the embedded set elsewhere."""
    here = {info.name for info in available_datasets()}
    recipes = ("gsc8-residual-35k", "gsc8-residual-256x2") if "gsc8" in here else ("spoken35-residual-35k",)
    return [line for name in recipes for line in _recipe_rows(Recipe.open(name))]


def _recipe_rows(recipe: Recipe) -> list[Line]:
    dataset = open_dataset(recipe.data.name)
    features = split_features(dataset.split("train"), recipe.features, dataset.digest)
    mean, std = band_statistics(features)
    seconds: dict[str, list[float]] = {"plain": [], "compiled": []}
    rates = 0.0
    for choice in ("compiled", "plain", "compiled", "plain", "compiled"):
        model = SpikingClassifier.from_seed(recipe, len(dataset.labels))
        model.feature_mean.copy_(torch.from_numpy(mean))
        model.feature_std.copy_(torch.from_numpy(std))
        optimiser, groups = make_optimiser(model.train(), recipe.train)
        start, count = time.perf_counter(), n_batches(dataset, recipe)
        batches = training_batches(dataset, recipe, model.feature_mean, epoch_generator(recipe, 0, 0))
        dropout = epoch_generator(recipe, 0, 1)
        with kernels(choice):
            for step, batch in enumerate(batches):
                total = recipe.train.epochs * count
                report = training_step(model, optimiser, groups, *batch, recipe.train, step, total, dropout)
        seconds[choice].append(time.perf_counter() - start)
        rates = sum(report.layer_rates) / len(report.layer_rates)
    middle = {choice: statistics.median(found) for choice, found in seconds.items()}
    shape = Shape(recipe.train.batch_size, features.shape[1], recipe.backbone.hidden[0])
    lines: list[Line] = []
    for choice, value in middle.items():
        given: Any = (f"epoch {recipe.name} {choice}", shape, rates, 1, 1000 * value, middle["plain"] / value)
        lines.append((given, {"minutes_per_run": value * recipe.train.epochs / 60}))
    return lines
