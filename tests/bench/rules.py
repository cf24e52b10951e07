"""One optimiser step of each learning rule: no rule may cost more than backpropagation through time."""

from __future__ import annotations

import torch

from models.classifier import SpikingClassifier
from models.config import Recipe
from models.learning.dfa import draw_feedback
from models.learning.step import make_optimiser, rule_of, training_step
from tests.bench.measure import Step, in_turns
from tests.bench.problem import Shape

RULES = ("bptt", "dfa-d0", "dfa-d1", "dfa-d2")
_N_CLASSES, _N_STEPS = 8, 98


def rule_rows(budget_s: float) -> list[tuple[str, Shape, float, int, float, dict[str, float]]]:
    """Time the rules on the networks of two shipped recipes, on noise."""
    lines = []
    for name in ("gsc8-residual-35k", "gsc8-residual-256x2"):
        recipe = Recipe.open(name)
        shape = Shape(recipe.train.batch_size, _N_STEPS, recipe.backbone.hidden[0])
        timed = in_turns({rule: _step(recipe, rule) for rule in RULES}, budget_s)
        for rule, (ms, ratio) in timed.items():
            lines.append((f"step {name} {rule}", shape, 0.0, 1, ms, {"bptt_over_rule": ratio}))
    return lines


def _step(recipe: Recipe, rule: str) -> Step:
    recipe = recipe.override({"learning.rule": rule})
    model = SpikingClassifier.from_seed(recipe, _N_CLASSES).train()
    optimiser, groups = make_optimiser(model, recipe.train)
    feedback = None if rule == "bptt" else draw_feedback(recipe, _N_CLASSES)
    generator = torch.Generator().manual_seed(0)
    size = recipe.train.batch_size, _N_STEPS, recipe.features.n_mels
    x = torch.randn(size, generator=generator)
    labels = torch.randint(_N_CLASSES, size[:1], generator=generator)
    learn = rule_of(recipe, feedback)

    def step() -> None:
        # A step of 0 in the schedule: the network stays near its start, and so do its rates.
        training_step(model, optimiser, groups, x, labels, recipe.train, 0, 10_000, generator, learn)

    return step
