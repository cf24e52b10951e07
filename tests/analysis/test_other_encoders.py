"""Analyses answer for every encoder: with numbers where they apply, with a reason where they do not."""

import numpy as np
import pytest
import torch

from analysis import gradient_fields as fields
from analysis.gradients import inspect_model
from analysis.result import Provenance
from analysis.step_plane import why_not
from analysis.surrogate_windows import encoder_window
from models.registry import ENCODERS
from tests.analysis.smooth import smooth_material
from tests.analysis.toys import N_BANDS, toy_model

NO_RUNNING_SUM = ("bsa", "level", "lif", "poisson", "direct")
RUNNING_SUMS = (
    *({"encoder": name} for name in ENCODERS.names() if name not in NO_RUNNING_SUM),
    {"coding": "single"},
    {"coding": "cascade"},
    {"coding": "cascade", "variant": "E2"},
    {"start": "first"},
    {"signed": True},
)


def named(settings) -> str:
    return " ".join(str(value) for value in settings.values())


@pytest.fixture(scope="module")
def clips():
    material = smooth_material(n=48, n_steps=20, n_bands=N_BANDS)
    return material.features, material.label.astype(np.int64), np.arange(48) // 4


@pytest.mark.parametrize("settings", RUNNING_SUMS, ids=named)
def test_gains_are_what_the_decoder_adds_for_a_spike(settings, clips):
    encoder = toy_model(**settings).encoder
    gains = fields.channel_gains(encoder, N_BANDS)
    with torch.no_grad():
        spikes, decoded = encoder(torch.from_numpy(clips[0]))
    sums = (spikes * gains).unflatten(2, (-1, N_BANDS)).sum(dim=2).cumsum(dim=1)
    torch.testing.assert_close(sums - sums[:, :1], decoded - decoded[:, :1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NO_RUNNING_SUM)
def test_no_gains_without_a_running_sum(name, clips):
    encoder = toy_model(name).encoder
    assert fields.channel_gains(encoder, N_BANDS) is None and fields.steps_of(encoder) is None
    assert "no coarse and fine step" in why_not(encoder)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"variant": "E3"}, {"GR-1", "GR-2", "GR-3", "GR-4"}),
        ({"encoder": "poisson"}, {"GR-1", "GR-2", "GR-3", "GR-4"}),
        ({"coding": "single"}, {"GR-3"}),
        ({"encoder": "send-on-delta"}, {"GR-3"}),
        ({"coding": "cascade"}, set()),
        ({"signed": True}, set()),
    ],
    ids=lambda value: named(value) if isinstance(value, dict) else "",
)
def test_gradients_at_the_spikes(settings, missing, clips):
    found = inspect_model(
        toy_model(**settings), *clips, Provenance("toy", "smooth", "validation", "", seed=0)
    )
    assert set(found.not_applicable) == missing
    assert bool(found.measures) == ("GR-1" not in missing)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"variant": "E3"}, "mixtures"),
        ({"coding": "single"}, "two phases"),
        ({"coding": "cascade"}, "one baseline"),
        ({"start": "first"}, "starts at 0"),
    ],
    ids=lambda value: named(value) if isinstance(value, dict) else "",
)
def test_other_codings_have_no_step_plane_and_no_window(settings, why, clips):
    encoder = toy_model(**settings).encoder
    assert why in why_not(encoder)
    x = torch.from_numpy(clips[0])
    with torch.no_grad():
        assert encoder_window(encoder, x, encoder(x)) is None
    assert why_not(toy_model(signed=True).encoder) is None
