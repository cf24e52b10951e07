"""Controls of the gradient measures: the right trainings are found, measured alike, and missed by name."""

from dataclasses import replace

import pytest

from analysis import gradient_controls as controls
from analysis.catalogue import run
from analysis.gradient_controls import GradientControls, control_names, gradient_controls
from analysis.gradients import inspect_gradients
from analysis.subjects import Subject
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.training import train
from tests.models.test_training import TINY

NAMES = ("controls-base", "controls-shuffled", "controls-rebuilding", "controls-frozen")


@pytest.fixture(scope="module")
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        base = Recipe.from_dict(TINY).override({"train.epochs": 3, "backbone.hidden": [10]})
        changes = {
            "controls-base": {},
            "controls-shuffled": {"seed": 1, "train.shuffle_labels": True},
            "controls-rebuilding": {"seed": 1, **controls.CHANGES[controls.REBUILDING]},
            "controls-frozen": {"encoder": {"name": "sf2-init"}},
        }
        for name, change in changes.items():
            train(base.override(change), tones, user_checkpoints() / name)


@pytest.fixture
def subject(tones, _trained):
    return lambda name="controls-base": Subject(name, load_checkpoint(name), tones)


def test_controls_are_found_by_what_was_done_to_them(subject):
    assert control_names(subject().checkpoint) == ["controls-shuffled", "controls-rebuilding"]
    assert control_names(subject("controls-frozen").checkpoint) == []


def test_every_training_is_measured_as_the_subject_is(subject):
    found = run("gradient-controls", subject(), seed=0)
    assert isinstance(found, GradientControls) and found.not_applicable == {}
    kinds = dict.fromkeys(row.kind for row in found.rows)
    assert list(kinds) == [controls.SUBJECT, controls.TWIN, controls.SHUFFLED, controls.REBUILDING]
    own = inspect_gradients(subject().checkpoint, subject().dataset)
    coarse = found.of(controls.share_of("coarse"))
    assert coarse[0].value == own.streams[0].share
    assert len({row.value.value for row in coarse}) == 4
    (slope,) = [s for s in own.slopes if (s.loss, s.parameter) == ("squared error", "log dc")]
    shown = found.of(controls.slope_of("squared error", "log dc"))[0]
    assert shown.value.value == slope.true[-1].mean
    assert shown.value.high == pytest.approx(slope.true[-1].mean + 1.96 * slope.true[-1].se)
    assert (controls.NOT_RESOLVED in shown.note) == (not slope.resolved)
    assert all(row.permuted is not None for row in found.of("GR-1 Spearman"))
    assert found.provenance.command == (
        "spikelens gradient-controls controls-base --data tones --split validation "
        "--control controls-shuffled --control controls-rebuilding --seed 0"
    )


def test_what_was_measured_is_not_measured_again(subject, monkeypatch):
    first = run("gradient-controls", subject(), seed=0)

    def measured_again(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(controls, "inspect_gradients", measured_again)
    monkeypatch.setattr("analysis.gradients.inspect_model", measured_again)
    again = gradient_controls(subject(), command=first.provenance.command)
    assert again.rows == first.rows


def test_equal_trainings_show_their_spread(subject):
    twice = gradient_controls(subject(), controls=["controls-shuffled"])
    other = replace(twice.rows[-1], arm="another", value=replace(twice.rows[-1].value, value=0.5))
    table = replace(twice, rows=[*twice.rows, other]).to_table()
    (spread,) = table[table.sd.notna()].to_dict("records")
    assert spread["arm"] == "mean of 2 trainings" and spread["kind"] == controls.SHUFFLED
    assert spread["value"] == pytest.approx((twice.rows[-1].value.value + 0.5) / 2)


def test_what_is_not_here_is_said_and_how_it_would_be_trained(subject):
    found = gradient_controls(subject(), controls=[])
    assert "train.shuffle_labels = true" in found.not_applicable[controls.SHUFFLED]
    assert "train.reconstruction_weight = 1.0" in found.not_applicable[controls.REBUILDING]
    assert {row.kind for row in found.rows} == {controls.SUBJECT, controls.TWIN}
    frozen = gradient_controls(subject("controls-frozen"), controls=[])
    assert frozen.not_applicable[controls.REBUILDING] == "this encoder is not trained"
    assert GradientControls.from_json(found.to_json()).rows == found.rows


def test_a_training_of_other_words_is_refused(subject, monkeypatch):
    with pytest.raises(SpikelensError, match="nothing-here"):
        gradient_controls(subject(), controls=["nothing-here"])
    opened = subject()
    fewer = replace(opened.checkpoint, labels=("go", "no"))
    with pytest.raises(SpikelensError, match="controls: controls-shuffled was trained on other words"):
        gradient_controls(replace(opened, checkpoint=fewer), controls=["controls-shuffled"])
