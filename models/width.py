"""The width of a network that has a given number of parameters."""

from __future__ import annotations

from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe
from models.errors import SpikelensError


def fit_hidden(recipe: Recipe, n_parameters: int, n_classes: int) -> int:
    """Return the width of one hidden layer at which the model's parameters come nearest to a number.

    Parameters
    ----------
    recipe : Recipe
        With a backbone of one layer.
    n_parameters : int
        Of the whole model, counted by building it.
    n_classes : int

    Raises
    ------
    SpikelensError
        The backbone has other than one layer, or even one unit is too many.
    """
    if len(getattr(recipe.backbone, "hidden", ())) != 1:
        raise SpikelensError("fit_hidden: the recipe's backbone must have exactly one hidden layer")

    def count(width: int) -> int:
        resized = recipe.override({"backbone.hidden": [width]})
        return count_parameters(SpikingClassifier.from_seed(resized, n_classes))

    low, high = 1, 2
    if count(low) > n_parameters:
        raise SpikelensError(f"fit_hidden: {n_parameters} parameters are too few for one hidden unit")
    while count(high) <= n_parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= n_parameters else (low, middle)
    return min(low, high, key=lambda width: abs(count(width) - n_parameters))
