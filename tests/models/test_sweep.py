"""A sweep file becomes the trainings it promises, and says in one line what is wrong with it."""

import re

import pytest

from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe, parse_assignment
from models.errors import SpikelensError
from models.sweep import Sweep, plan, shipped_sweeps
from models.width import fit_hidden

CLASSES = {"gsc8": 8, "spoken35": 35}


def sweep(*rows, **heading):
    """Return a sweep from plain tables."""
    body = {"name": "s", "base": "gsc8-residual-35k", "checkpoint": "gsc8-{row}-s{seed}", "row": list(rows)}
    return Sweep.from_dict(body | heading)


def test_rows_times_seeds_with_defaults_first_and_the_row_last():
    made = plan(
        sweep(
            {"name": "a", "label": "first"},
            {"name": "b", "seeds": [7], "note": "one seed", "set": {"train.epochs": 3, "train.lr": 0.1}},
            defaults={"seeds": [1, 2], "set": {"train.epochs": 20}},
        ),
        8,
    )
    assert [run.checkpoint for run in made] == ["gsc8-a-s1", "gsc8-a-s2", "gsc8-b-s7"]
    assert [run.recipe.train.epochs for run in made] == [20, 20, 3]
    assert [run.recipe.seed for run in made] == [1, 2, 7]
    assert (made[0].label, made[2].label, made[2].note) == ("first", "b", "one seed")
    assert made[2].recipe.train.lr == 0.1 and made[0].recipe.train.lr == 1e-2


def test_a_component_is_replaced_whole_and_set_in_afterwards():
    (run,) = plan(
        sweep({"name": "a", "set": {"encoder.dc": 0.7, "encoder": {"name": "sf2-init", "df": 0.2}}}), 8
    )
    encoder = run.recipe.encoder
    assert (encoder.name, encoder.dc, encoder.df) == ("sf2-init", 0.7, 0.2)
    with pytest.raises(SpikelensError, match=r'row a: train would be replaced whole.*"train.epochs"'):
        plan(sweep({"name": "a", "set": {"train": {"epochs": 3}}}), 8)


def test_a_grid_is_every_combination_each_with_a_name_of_its_own():
    row = {"name": "g", "grid": {"encoder.dc": [0.6, 0.9], "encoder.df": [0.2, 0.3]}}
    made = plan(sweep(row, {"name": "other"}), 8, rows=["g"])
    assert [run.row for run in made] == ["g-dc0p6-df0p2", "g-dc0p6-df0p3", "g-dc0p9-df0p2", "g-dc0p9-df0p3"]
    assert [(run.recipe.encoder.dc, run.recipe.encoder.df) for run in made][1:3] == [(0.6, 0.3), (0.9, 0.2)]
    assert made[0].label == "g (dc 0.6, df 0.2)" and {run.group for run in made} == {"g"}
    assert len(plan(sweep(row), 8, rows=["g-dc0p6-df0p2"])) == 1


def test_a_setting_may_differ_from_seed_to_seed():
    row = {"name": "a", "seeds": [1, 2], "per_seed": {"encoder.dc": [0.7, 0.8]}}
    assert [run.recipe.encoder.dc for run in plan(sweep(row), 8)] == [0.7, 0.8]
    with pytest.raises(SpikelensError, match="1 values for 2 seeds"):
        plan(sweep(row | {"per_seed": {"encoder.dc": [0.7]}}), 8)


def test_fit_hidden_comes_nearest_to_a_parameter_count():
    base = Recipe.open("gsc8-residual-35k")
    assert fit_hidden(base, 31_724, 8) == 112  # its own count
    (run,) = plan(sweep({"name": "sf", "set": {"encoder": {"name": "sf2-rec"}}, "fit_hidden": 20_000}), 8)

    def count(width):
        return count_parameters(
            SpikingClassifier.from_seed(run.recipe.override({"backbone.hidden": [width]}), 8)
        )

    (width,) = run.recipe.backbone.hidden
    off = [abs(count(h) - 20_000) for h in (width - 1, width, width + 1)]
    assert off[1] == min(off)
    with pytest.raises(SpikelensError, match="too few"):
        fit_hidden(base, 10, 8)
    with pytest.raises(SpikelensError, match="one hidden layer"):
        fit_hidden(Recipe.open("gsc8-residual-256x2"), 31_724, 8)


def test_the_options_of_a_run_make_the_same_recipe_by_train():
    row = {"name": "a", "set": {"encoder": {"name": "sf2-init", "dc": 0.7}, "train.epochs": 3}}
    (run,) = plan(sweep(row | {"fit_hidden": 9000}), 8)
    given = [re.fullmatch("--set '?(.*?)'?", option)[1] for option in run.options()]
    changes = dict(parse_assignment(text) for text in given)
    assert Recipe.open(run.base).override(changes | {"seed": run.seed}) == run.recipe


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"row": [{"name": "a", "epochs": 3}]}, r"row a.*epochs"),
        ({"row": [{"name": "a", "seeds": ["x"]}]}, r"row a.*seeds"),
        ({"row": [{"name": "a", "seeds": []}]}, "at least one seed"),
        ({"row": [{"name": "A b"}]}, "A b"),
        ({"row": [{"name": "a"}, {"name": "a"}]}, "share a name"),
        ({"row": [{"name": "a", "grid": {"encoder.dc": []}}]}, "grid.encoder.dc"),
        ({"row": [{"name": "a", "set": {"train.epoch": 3}}]}, r"row a: train.epoch\b"),
        ({"row": [{"name": "a", "set": {"nothing.at": 3}}]}, "no table 'nothing'"),
        ({"row": [{"name": "a", "base": "spoken35-residual-35k"}]}, "spoken35, not gsc8"),
        ({"row": []}, "row"),
        ({"seeds": [1]}, "seeds"),
        ({"defaults": {"epochs": 3}}, "defaults.epochs"),
        ({"checkpoint": "gsc8-{row}-{epoch}"}, "{epoch}"),
        (
            {"checkpoint": "gsc8-{seed}", "row": [{"name": "a"}, {"name": "b"}]},
            "two runs are called 'gsc8-1'",
        ),
        ({"base": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_wrong_is_named(change, match):
    heading = {"row": [{"name": "a"}]} | change
    with pytest.raises(SpikelensError, match=match):
        plan(sweep(**heading) if "row" not in heading else sweep(*heading.pop("row"), **heading), 8)


def test_unknown_rows_and_files_are_named(tmp_path):
    with pytest.raises(SpikelensError, match=r"--rows: 'b' is not one of a"):
        plan(sweep({"name": "a"}), 8, rows=["b"])
    with pytest.raises(SpikelensError, match=r"'nope' is not a .toml file or one of .*spoken35-smoke"):
        Sweep.open("nope")
    (tmp_path / "torn.toml").write_text("base = ")
    with pytest.raises(SpikelensError, match=r"torn.toml cannot be read"):
        Sweep.open(str(tmp_path / "torn.toml"))


@pytest.mark.parametrize("name", shipped_sweeps())
def test_every_shipped_sweep_is_made_of_valid_recipes(name):
    opened = Sweep.open(name)
    runs = plan(opened, CLASSES[opened.dataset()])
    assert len(runs) >= len(opened.rows)
    assert all(run.label for run in runs)
