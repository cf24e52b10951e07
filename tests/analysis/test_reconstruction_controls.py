"""Reconstruction beside control encoders: a planted loss is found, and none where there is none."""

import numpy as np
import pytest

from analysis.controls import FAITHFUL, MATCHED, START, SUBJECT
from analysis.planted import planted_faithful, planted_random
from analysis.reconstruction_controls import ReconstructionControls, reconstruct_controls, why_not
from analysis.reconstruction_result import NONLINEAR, OWN, RIDGE, RUNNING_SUM
from analysis.reference import encode_residual
from models.encoders.fit import StepValues
from models.errors import SpikelensError
from tests.analysis.smooth import plant, smooth_material, written


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.fixture(scope="module")
def unfaithful(material, tmp_path_factory):
    """Plant a step-forward code that is deaf to three of eight bands."""
    heard = material.features * (np.arange(8) >= 3)
    spikes, decoded = encode_residual(heard, StepValues(0.85, 0.25, 0.53, 0.53))
    return plant(material.arrays(spikes, decoded), tmp_path_factory.mktemp("unfaithful"), "unfaithful")


@pytest.fixture
def result(unfaithful):
    return reconstruct_controls(unfaithful)


def test_a_planted_loss_at_equal_rate_is_found_by_every_decoder_of_steps(result):
    assert result.reference == MATCHED
    for decoder in (OWN, RUNNING_SUM, NONLINEAR):
        assert result.find(SUBJECT, decoder).difference_db.high < -3
    own = result.find(SUBJECT, OWN)
    reference = result.find(MATCHED, OWN)
    assert own.difference_db.value == pytest.approx(own.snr_db.value - reference.snr_db.value)
    assert reference.difference_db is None


def test_rows_cover_encoders_and_decoders_and_say_which_rates_match(result):
    encoders = list(dict.fromkeys(row.encoder for row in result.rows))
    assert encoders[:4] == [SUBJECT, MATCHED, FAITHFUL, START] and len(encoders) == 9
    for encoder in encoders:
        decoders = [row.decoder for row in result.rows if row.encoder == encoder]
        more = [NONLINEAR] if encoder in (SUBJECT, MATCHED) else []
        assert decoders == [OWN, RIDGE, RUNNING_SUM, *more]
    rate = result.find(SUBJECT, OWN).events_per_frame
    for row in result.rows:
        assert row.rate_matched == (row.encoder == MATCHED or abs(row.events_per_frame / rate - 1) <= 0.02)
    assert {row.encoder for row in result.rows if row.rate_matched} >= {SUBJECT, MATCHED}
    assert "non-linear: " in result.fitted_on


def test_a_faithful_code_shows_no_loss(material, tmp_path):
    result = reconstruct_controls(plant(planted_faithful(material), tmp_path, "controls-faithful"))
    assert result.find(SUBJECT, OWN).difference_db.value == pytest.approx(0, abs=0.3)
    assert result.find("random steps 2", OWN).difference_db.high < 0


def test_what_has_no_decoder_of_its_own_is_still_read_by_the_others(material, tmp_path):
    result = reconstruct_controls(plant(planted_random(material), tmp_path, "controls-random"))
    assert result.find(SUBJECT, OWN) is None
    assert "no decoder" in result.not_applicable[f"{SUBJECT}, {OWN}"]
    assert result.find(SUBJECT, RIDGE).difference_db is not None
    assert result.to_table().metric.str.contains("not applicable").sum() == 1


def test_result_survives_json(result):
    copy = ReconstructionControls.from_json(result.to_json())
    assert copy.rows == result.rows
    np.testing.assert_allclose(copy.clip_error, result.clip_error)


def test_an_encoder_without_events_has_no_controls(tmp_path):
    values = {
        split: {
            "labels": np.arange(6) % 2,
            "features": np.ones((6, 5, 2), np.float32),
            "encoder": np.ones((6, 5, 2), np.float32),
        }
        for split in ("train", "validation")
    }
    current = written(tmp_path / "current", values)
    with pytest.raises(SpikelensError, match="not applicable, the encoder does not spike"):
        reconstruct_controls(current)
    with pytest.raises(SpikelensError, match="split: 'train'"):
        reconstruct_controls(current, split="train")
    assert why_not([]) == "no encoder was recorded"
