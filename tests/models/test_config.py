"""Recipes: strict in, stable out; the registry takes a new encoder from one file."""

import json
from dataclasses import dataclass
from typing import Literal

import pytest

from models import registry
from models.classifier import SpikingClassifier
from models.config import RECIPES, Recipe, parse_assignment
from models.encoders.base import Encoder, EncoderOutput
from models.errors import SpikelensError

GOOD = {"name": "x", "encoder": {"name": "residual"}, "backbone": {"name": "rlif"}}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"optimiser": {}}, "unknown key 'optimiser'"),
        ({"train": {"epoch": 3}}, "train.epoch"),
        ({"train": {"epochs": "3"}}, "train.epochs"),
        ({"train": {"epochs": 2.5}}, "train.epochs"),
        ({"train": {"epochs": 0}}, "train.epochs"),
        ({"seed": "1"}, "seed"),
        ({"encoder": {}}, "encoder: needs a table with a name"),
        ({"encoder": {"name": "morse"}}, "encoder.name: 'morse'"),
        ({"encoder": {"name": "residual", "variant": "E9"}}, "encoder.variant"),
        ({"backbone": {"name": "rlif", "hidden": []}}, "backbone.hidden"),
        ({"backbone": {"name": "rlif", "surrogate": "step"}}, "surrogate: 'step'"),
        ({"augment": {"noise_snr_db": [1.0, 2.0, 3.0]}}, "augment.noise_snr_db"),
    ],
)
def test_bad_recipes_are_refused_by_name(change, match):
    with pytest.raises(SpikelensError, match=match) as caught:
        Recipe.from_dict(GOOD | change)
    assert "\n" not in str(caught.value)


def test_round_trip_and_overrides():
    recipe = Recipe.from_dict(GOOD)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    changed = recipe.override(dict(map(parse_assignment, ["train.epochs=2", "seed=7", "encoder.variant=E1"])))
    assert (changed.train.epochs, changed.seed, changed.encoder.variant) == (2, 7, "E1")
    with pytest.raises(SpikelensError, match="no table 'training'"):
        recipe.override({"training.epochs": 2})
    with pytest.raises(SpikelensError, match="key=value"):
        parse_assignment("epochs")


def test_every_shipped_recipe_is_valid_and_named_after_its_file():
    names = sorted(path.stem for path in RECIPES.glob("*.toml"))
    assert "gsc8-residual-35k" in names
    for name in names:
        recipe = Recipe.open(name)
        assert recipe.name == name and recipe.data.name == name.split("-")[0]


@pytest.mark.parametrize("name", ["nothing", "../config", "missing.toml"])
def test_unknown_recipes(name):
    with pytest.raises(SpikelensError, match="recipe"):
        Recipe.open(name)


def test_a_broken_file_is_one_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("seed = = 1")
    with pytest.raises(SpikelensError, match="bad.toml"):
        Recipe.open(str(path))


def test_a_new_encoder_is_one_registered_class(monkeypatch):
    monkeypatch.setattr(registry.ENCODERS, "_entries", dict(registry.ENCODERS._entries))

    @dataclass(frozen=True)
    class SignConfig:
        name: Literal["sign"] = "sign"
        level: float = 0.0

    @registry.register_encoder("sign", SignConfig)
    class Sign(Encoder):
        def __init__(self, config, n_bands):
            super().__init__()
            self.level, self.n_units, self.streams = config.level, n_bands, {}

        def forward(self, x):
            return EncoderOutput((x > self.level).to(x.dtype), None)

    recipe = Recipe.from_dict(GOOD | {"encoder": {"name": "sign", "level": 0.5}})
    assert SpikingClassifier.from_seed(recipe, 3).encoder.level == 0.5
    with pytest.raises(SpikelensError, match="encoder.levle"):
        Recipe.from_dict(GOOD | {"encoder": {"name": "sign", "levle": 0.5}})
