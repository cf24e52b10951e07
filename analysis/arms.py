"""Trainings that belong together: the same recipe with other seeds, or with one thing changed."""

from __future__ import annotations

import json
from typing import Any

from models.checkpoint import CheckpointInfo, list_arms, list_checkpoints
from models.config import Recipe


def same_training(recipe: Recipe) -> str:
    """Return what all trainings of one arm share: the recipe without name and seed, as stable JSON."""
    body = recipe.to_dict()
    del body["name"], body["seed"]
    return json.dumps(body, sort_keys=True)


def all_trainings() -> dict[str, CheckpointInfo]:
    """Return every checkpoint by name, those of arms too."""
    return {info.name: info for info in (*list_arms(), *list_checkpoints())}


def siblings(info: CheckpointInfo, **changes: Any) -> list[CheckpointInfo]:
    """Return the checkpoints trained like one on the same data but for the seed and some changes, by name.

    Parameters
    ----------
    info : CheckpointInfo
    **changes
        Dotted keys of the recipe, as for `Recipe.override`: ``**{"train.shuffle_labels": True}``. Without
        any, the checkpoint itself is among the result.
    """
    wanted = same_training(info.recipe.override(changes))
    known = all_trainings()
    return [
        other
        for _, other in sorted(known.items())
        if other.data["digest"] == info.data["digest"] and same_training(other.recipe) == wanted
    ]
