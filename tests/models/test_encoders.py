"""Encoders: hand-worked traces, identities, causality and the bounded baseline Jacobian."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import Recipe
from models.encoders.fit import StepValues, fit_steps, fit_steps_at_rate, residual_statistics
from models.encoders.residual import Steps, decode_residual, residual_step_forward
from models.encoders.residual_learned import ResidualConfig, ResidualEncoder
from models.encoders.step_forward import step_forward
from models.errors import SpikelensError
from models.registry import ENCODERS


def steps(dc=1.0, df=0.25, tc=0.5, tf=0.5) -> Steps:
    return Steps(*(torch.tensor(v, dtype=torch.float64) for v in (dc, df, tc, tf)))


def smooth(n=8, n_steps=60, n_bands=5, seed=0) -> torch.Tensor:
    """Return a leaky random walk, (n, T, F), float64."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, n_steps, n_bands))
    for t in range(1, n_steps):
        x[:, t] = 0.9 * x[:, t - 1] + 0.4 * rng.standard_normal((n, n_bands))
    return torch.from_numpy(x)


def test_residual_trace_by_hand():
    x = torch.tensor([0.8, 0.7, -0.9, -0.9], dtype=torch.float64).reshape(1, 4, 1)
    spikes, decoded = residual_step_forward(x, steps())
    # t0: u=.8 > .5 coarse on, B'=1; v=-.2 < -.125 fine off, B=.75
    # t1: u=-.05 nothing; v=-.05 nothing
    # t2: u=-1.65 coarse off, B'=-.25; v=-.65 fine off, B=-.5
    # t3: u=-.4 not below -.5; v=-.4 fine off, B=-.75
    expected = [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert spikes[0].tolist() == expected
    assert decoded[0, :, 0].tolist() == [0.75, 0.75, -0.5, -0.75]


def test_single_step_forward_trace_by_hand():
    x = torch.tensor([0.0, 0.3, 1.2, 1.3, -2.0]).reshape(1, 5, 1)
    spikes, decoded = step_forward(x, 0.5, start_at_first=True)
    assert spikes[0].tolist() == [[0, 0], [0, 0], [1, 0], [1, 0], [0, 1]]
    assert decoded[0, :, 0].tolist() == pytest.approx([0, 0, 0.5, 1.0, 0.5])


def test_without_its_fine_phase_the_encoder_is_published_step_forward():
    x = smooth()
    x = x - x[:, :1]  # so that both baselines start at the signal
    spikes, decoded = residual_step_forward(x, steps(dc=0.5, df=0.1, tc=1.0, tf=1e9))
    reference = step_forward(x, 0.5, start_at_first=True)
    assert torch.equal(spikes[..., :10], reference.spikes)
    assert torch.allclose(decoded, reference.decoded)
    assert not spikes[..., 10:].any()


def test_decoder_inverts_the_spikes():
    x = smooth()
    spikes, decoded = residual_step_forward(x, steps())
    assert torch.allclose(decode_residual(spikes, steps()), decoded)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 2), st.floats(0.1, 0.9), st.floats(0.5, 2), st.floats(0.5, 2), st.integers(0, 99))
def test_identities_for_any_steps(dc, ratio, tc, tf, seed):
    x, values = smooth(n=2, seed=seed), steps(dc, dc * ratio, tc, tf)
    spikes, decoded = residual_step_forward(x, values)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    coarse_on, coarse_off, fine_on, fine_off = spikes.chunk(4, -1)
    assert not (coarse_on * coarse_off).any() and not (fine_on * fine_off).any()
    before_fine = decoded - values.df * (fine_on - fine_off)
    near = (x - before_fine).abs() <= values.df * (1 + values.tf)
    assert ((x - decoded).abs()[near] <= values.df * torch.clamp(values.tf, min=1.0) + 1e-12).all()


def test_baseline_jacobian_stays_in_the_unit_interval():
    x = smooth(n=4, n_steps=80).requires_grad_()
    _, decoded = residual_step_forward(x, steps(0.9, 0.33, 0.55, 0.55))
    for t in (20, 50, 79):
        (gradient,) = torch.autograd.grad(decoded[:, t].sum(), x, retain_graph=True)
        assert float(gradient.abs().max()) <= 1.0 + 1e-9  # no path through the baseline grows


@pytest.mark.parametrize(("variant", "n_parameters"), [("E0", 4), ("E1", 160), ("E2", 84)])
def test_variants_start_alike_and_learn(variant, n_parameters):
    encoder = ResidualEncoder(ResidualConfig(variant=variant), 40)
    assert sum(p.numel() for p in encoder.parameters()) == n_parameters
    x = smooth(n_bands=40).float()
    output = encoder(x)
    reference = ResidualEncoder(ResidualConfig(), 40)(x)
    assert torch.equal(output.spikes, reference.spikes)
    assert torch.allclose(output.decoded, reference.decoded, atol=1e-6)
    (output.decoded - x).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert encoder.describe()["dc"] == pytest.approx(0.9, abs=1e-5)


def test_gain_and_bias_are_undone_by_the_decoder():
    encoder = ResidualEncoder(ResidualConfig(variant="E2"), 5)
    with torch.no_grad():
        encoder.log_gain.fill_(np.log(2.0))
        encoder.bias.fill_(0.3)
        x = smooth().float()
        inside = residual_step_forward(2.0 * x + 0.3, encoder.steps())
        output = encoder(x)
    assert torch.equal(output.spikes, inside.spikes)
    assert torch.allclose(output.decoded, (inside.decoded - 0.3) / 2.0, atol=1e-6)


def test_fit_agrees_with_the_module_and_beats_its_neighbours():
    x = smooth(n=40).numpy().astype(np.float32)
    best = fit_steps(x)
    mse = residual_statistics(x, best).mse
    decoded = residual_step_forward(torch.from_numpy(x), Steps(*(torch.tensor(v) for v in best))).decoded
    assert mse == pytest.approx(float((torch.from_numpy(x) - decoded).square().mean()), rel=1e-4)
    for factor in (0.7, 1.4):
        assert residual_statistics(x, best._replace(dc=best.dc * factor)).mse > mse
        assert residual_statistics(x, best._replace(df=best.df * factor)).mse > mse


def test_fit_at_a_rate_hits_the_rate_and_costs_fidelity():
    x = smooth(n=40).numpy().astype(np.float32)
    free = residual_statistics(x, fit_steps(x))
    for share in (0.8, 0.4):
        priced = residual_statistics(x, fit_steps_at_rate(x, share * free.rate))
        assert priced.rate == pytest.approx(share * free.rate, rel=0.02)
        assert priced.snr_db < free.snr_db
    with pytest.raises(SpikelensError, match="out of reach"):
        fit_steps_at_rate(x, 0.9)


def test_statistics_by_hand():
    x = np.array([0.8, 0.7, -0.9, -0.9], np.float32).reshape(1, 4, 1)
    found = residual_statistics(x, StepValues(1.0, 0.25, 0.5, 0.5))
    errors = np.array([0.05, -0.05, -0.4, -0.15])
    assert found.mse == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert found.rate == pytest.approx(5 / 16)
    assert found.snr_db == pytest.approx(10 * np.log10(np.sum(x**2) / np.sum(errors**2)), rel=1e-5)


def test_bad_settings_are_named():
    for key, value, word in (("df", 2.0, "encoder.df"), ("tc", 0.4, "encoder.tc"), ("dcc", 1.0, "dcc")):
        with pytest.raises(SpikelensError, match=word):
            Recipe.from_dict(
                {"name": "x", "encoder": {"name": "residual", key: value}, "backbone": {"name": "rlif"}}
            )
    with pytest.raises(SpikelensError, match="residual"):
        ENCODERS["morse"]
