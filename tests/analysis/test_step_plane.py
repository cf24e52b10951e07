"""The step-size plane measures what encoding with these steps gives; optima are chosen off the clips."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.planted import planted_faithful
from analysis.reference import encode_residual
from analysis.step_plane import (
    MSE_OPTIMUM,
    PROBE_OPTIMUM,
    SUBJECT,
    StepPlaneResult,
    step_plane,
    why_not,
)
from analysis.templates import train_templates
from models.encoders.fit import StepValues
from models.errors import SpikelensError
from tests.analysis.smooth import plant, smooth_material
from tests.analysis.toys import toy_model, toy_recipe

HISTORY = [
    {"epoch": 1.0, "encoder_dc": 0.8, "encoder_df": 0.3},
    {"epoch": 2.0, "encoder_dc": 0.7, "encoder_df": 0.25},
]


def toy(encoder="residual", history=HISTORY, **settings):
    """Return an untrained network on eight bands and six words as a checkpoint."""
    return SimpleNamespace(
        name="toy",
        model=toy_model(encoder, **settings),
        recipe=toy_recipe(encoder, **settings),
        history=history,
    )


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return plant(planted_faithful(smooth_material()), tmp_path_factory.mktemp("plane"), "plane")


@pytest.fixture(scope="module")
def result(recordings):
    return step_plane(recordings, toy())


def test_a_cell_is_what_encoding_with_its_steps_gives(result, recordings):
    x = train_templates(recordings).features(recordings.split("validation"))
    i, j = 4, 2
    steps = StepValues(result.dc[i], result.df[j], result.tc, result.tf)
    spikes, decoded = encode_residual(x, steps)
    error = np.square(x - decoded).sum()
    assert result.snr_db[i, j] == pytest.approx(10 * np.log10(np.square(x).sum() / error), abs=0.01)
    assert result.rate[i, j] == pytest.approx(spikes.mean(), abs=1e-4)


def test_only_a_fine_step_below_the_coarse_one_has_numbers(result):
    allowed = result.df[None] < result.dc[:, None]
    assert result.snr_db.shape == (8, 6) and not allowed.all()
    for values in (result.snr_db, result.probe_accuracy, result.backbone_accuracy, result.rate):
        np.testing.assert_array_equal(np.isfinite(values), allowed)


def test_optima_are_chosen_off_the_evaluated_clips(result):
    best = np.unravel_index(np.nanargmin(result.fit_mse), result.fit_mse.shape)
    mark = result.mark(MSE_OPTIMUM)
    assert (mark.dc, mark.df) == pytest.approx((result.dc[best[0]], result.df[best[1]]))
    assert mark.snr_db.value > np.nanmax(result.snr_db) - 0.3  # and it is one there too
    readable = np.unravel_index(np.nanargmax(result.choice_accuracy), result.choice_accuracy.shape)
    assert result.mark(PROBE_OPTIMUM).dc == pytest.approx(result.dc[readable[0]])
    assert result.chosen_on == "a speaker-disjoint fifth of the training split"
    assert result.n_fit + result.n_choose <= 240


def test_marks_have_intervals_and_the_null_stays_at_chance(result):
    own = result.mark(SUBJECT)
    assert (own.dc, own.df) == pytest.approx((0.9, 0.33))
    for mark in result.marks:
        assert mark.probe_accuracy.low < mark.probe_accuracy.value < mark.probe_accuracy.high
        assert mark.snr_db.low < mark.snr_db.value < mark.snr_db.high
    faithful = result.mark(MSE_OPTIMUM)
    assert faithful.probe_difference is None
    expected = own.probe_accuracy.value - faithful.probe_accuracy.value
    assert own.probe_difference.value == pytest.approx(expected)
    assert own.probe_accuracy.low > result.chance.value
    assert result.shuffled.low <= 1 / 6 <= result.shuffled.high
    assert result.chance.value == pytest.approx(1 / 6)


def test_larger_steps_spend_fewer_events(result):
    finite = np.isfinite(result.rate[-1])
    assert (np.diff(result.rate[-1][finite]) < 0).all()


def test_the_path_starts_at_the_start_and_widens_the_grid(recordings, result):
    np.testing.assert_allclose(result.path, [[0.9, 0.33], [0.8, 0.3], [0.7, 0.25]])
    far = [{"epoch": 1.0, "encoder_dc": 4.0, "encoder_df": 0.02}]
    wide = step_plane(recordings, toy(history=far), n_fit=60)
    assert wide.dc[-1] > 4.0 and wide.df[0] < 0.02


def test_fixed_steps_have_a_plane_and_no_path(recordings):
    fixed = step_plane(recordings, toy("sf2-init"), n_fit=60)
    assert len(fixed.path) == 0
    assert len(StepPlaneResult.from_json(fixed.to_json()).path) == 0


def test_result_survives_json(result):
    copy = StepPlaneResult.from_json(result.to_json())
    np.testing.assert_allclose(copy.snr_db, result.snr_db)
    assert copy.marks == result.marks
    table = copy.to_table()
    assert (table.place == "grid").sum() == 4 * np.isfinite(result.rate).sum()


def test_encoders_without_two_steps_are_told_why(recordings):
    for settings, why in (
        ({"variant": "E1"}, "steps of its own"),
        ({"variant": "E2"}, "gain and bias"),
    ):
        assert why in why_not(toy_model(**settings).encoder)
        with pytest.raises(SpikelensError, match=why):
            step_plane(recordings, toy(**settings))
    assert "no coarse and fine step" in why_not(toy_model("direct").encoder)
    with pytest.raises(SpikelensError, match="split: 'train'"):
        step_plane(recordings, toy(), split="train")
