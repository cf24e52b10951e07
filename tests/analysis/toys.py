"""Networks small enough to differentiate in a test."""

from types import SimpleNamespace

import torch

from models.classifier import SpikingClassifier
from models.config import Recipe
from models.features.cache import band_statistics, split_features
from models.twin import untrained_twin

N_BANDS = 8


def toy_recipe(encoder="residual", hidden=(12,), **settings) -> Recipe:
    return Recipe.from_dict(
        {
            "name": "toy",
            "encoder": {"name": encoder, **settings},
            "backbone": {"name": "rlif", "hidden": list(hidden)},
            "features": {"n_mels": N_BANDS},
        }
    )


def toy_model(encoder="residual", *, n_classes=6, **settings) -> SpikingClassifier:
    """Return an untrained network on eight bands, in evaluation mode."""
    return SpikingClassifier.from_seed(toy_recipe(encoder, **settings), n_classes).eval()


def toy_checkpoint(dataset, encoder="residual", **settings) -> SimpleNamespace:
    """Return what an untrained network would be as a checkpoint, normalised to the data."""
    recipe = toy_recipe(encoder, **settings)
    model = SpikingClassifier.from_seed(recipe, len(dataset.labels))
    train = split_features(dataset.split("train"), recipe.features, dataset.digest)
    model.feature_mean[:], model.feature_std[:] = map(torch.from_numpy, band_statistics(train))
    model = untrained_twin(recipe, len(dataset.labels), model, train)
    return SimpleNamespace(name="toy", model=model, recipe=recipe, labels=dataset.labels, digest="abc")
