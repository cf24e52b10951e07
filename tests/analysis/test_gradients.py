"""Gradient-residual inspection: right on toys derived by hand, and refused where gradients mean nothing."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis import gradient_fields as fields
from analysis.finite_differences import Slope, central_differences, is_resolved, slope
from analysis.gradients import GradientResult, inspect_gradients, inspect_model
from analysis.model_gradients import check_gradients
from analysis.result import Provenance
from analysis.step_slopes import _note
from models.classifier import SpikingClassifier
from models.config import Recipe
from models.encoders.base import EncoderOutput
from models.encoders.fit import StepValues, residual_statistics
from models.encoders.residual import Steps, decode_residual
from models.errors import SpikelensError
from tests.analysis.smooth import smooth_material
from tests.analysis.toys import N_BANDS, toy_model

PROVENANCE = Provenance("toy", "smooth", "validation", "", seed=0)


@pytest.fixture(scope="module")
def clips():
    material = smooth_material(n=72, n_steps=20, n_bands=N_BANDS)
    return material.features, material.label.astype(np.int64), np.arange(72) // 4


@pytest.fixture(scope="module")
def result(clips):
    return inspect_model(toy_model(dc=0.5, df=0.1), *clips, PROVENANCE)


# Fields ---------------------------------------------------------------------------------------------------


def _toy_field(seed=0):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((5, 12, 3)))
    spikes = torch.from_numpy((rng.random((5, 12, 12)) < 0.3).astype(float)).requires_grad_()
    steps = Steps(*(torch.tensor(v, dtype=torch.float64) for v in (0.8, 0.3, 0.55, 0.55)))
    residual = x - decode_residual(spikes, steps)
    (gradient,) = torch.autograd.grad(0.5 * residual.square().sum(), spikes)
    gains = torch.tensor([0.8, -0.8, 0.3, -0.3]).double().repeat_interleave(3).numpy()
    return gradient.numpy(), residual.detach().numpy(), gains


def test_reconstruction_gradient_equals_autograd():
    gradient, residual, gains = _toy_field()
    np.testing.assert_allclose(fields.reconstruction_gradient(residual, gains), gradient)


def test_a_task_that_is_reconstruction_has_cosine_one_and_none_with_other_clips():
    task, residual, gains = _toy_field()
    rebuilt = fields.reconstruction_gradient(residual, gains)
    np.testing.assert_allclose(fields.cosine(task, rebuilt), 1.0)
    np.testing.assert_allclose(fields.block_share(task, rebuilt), 1.0)
    np.testing.assert_allclose(fields.cosine(task, -rebuilt), -1.0)
    many = [_toy_field(seed)[0] for seed in range(60)]
    other = np.concatenate([np.roll(g, 1, axis=0) for g in many])
    assert abs(fields.cosine(np.concatenate(many), other).mean()) < 0.06


def test_instantaneous_gradient_reads_the_frame_alone():
    residual = np.zeros((1, 4, 1))
    residual[0, 2] = 3.0
    at_once = fields.reconstruction_gradient(residual, np.array([0.5, -0.5]), instantaneous=True)
    np.testing.assert_allclose(at_once[0], [[0, 0], [0, 0], [-1.5, 1.5], [0, 0]])
    summed = fields.reconstruction_gradient(residual, np.array([0.5, -0.5]))
    np.testing.assert_allclose(summed[0], [[-1.5, 1.5], [-1.5, 1.5], [-1.5, 1.5], [0, 0]])


def test_block_share_is_the_part_that_a_channel_time_course_explains():
    course = np.array([[[1.0, 1.0], [1.0, -1.0]]])  # (1, T=2, N=2): channels (1, 1) and (1, -1)
    task = np.array([[[3.0, 1.0], [1.0, 1.0]]])  # along channel 1: 4 / sqrt 2; across channel 2: 0
    assert fields.block_share(task, course)[0] == pytest.approx(8 / 12)


def test_bin_strength_is_the_norm_over_streams():
    task = np.zeros((1, 1, 8))
    task[0, 0, [0, 2, 4, 6]] = [1, 1, 1, 1]  # band 0 of four streams
    np.testing.assert_allclose(fields.bin_strength(task, 2)[0, 0], [2, 0])


def test_spearman_is_blind_to_monotone_changes_and_curve_shows_them():
    residual = np.random.default_rng(0).standard_normal((3, 10, 10))
    strength = np.abs(residual) ** 3
    ranks = [fields.ranks(values) for values in (strength, np.abs(residual), np.ones_like(residual))]
    np.testing.assert_allclose(fields.rank_correlation(*ranks[:2]), 1.0)
    assert (np.diff(fields.curve(strength, residual), axis=1) > 0).all()
    np.testing.assert_allclose(fields.curve(np.ones_like(residual), residual), 1.0)
    assert fields.rank_correlation(*ranks[1:]).tolist() == [0, 0, 0]


def test_gains_undo_the_gain_of_e2_and_fit_the_decoder():
    model = toy_model(variant="E2")
    with torch.no_grad():
        model.encoder.log_gain += torch.linspace(-0.3, 0.3, N_BANDS)
    gains = fields.channel_gains(model.encoder, N_BANDS)
    x = torch.from_numpy(smooth_material(n=6, n_bands=N_BANDS).features)
    with torch.no_grad():
        encoded = model.encoder(x)
    decoded = (encoded.spikes * gains).unflatten(2, (4, N_BANDS)).sum(dim=2).cumsum(dim=1)
    torch.testing.assert_close(decoded, encoded.decoded + model.encoder.bias / model.encoder.log_gain.exp())


# Finite differences ---------------------------------------------------------------------------------------


def test_central_differences_are_exact_on_parabolas():
    def losses(change):  # two clips, one loss: (p - 3)^2 and 5 q, at p = q = 0
        return np.array([[(change[0] - 3) ** 2], [5 * change[1]]])

    found = central_differences(losses, 2)
    np.testing.assert_allclose(found[:, :, :, 0], [[[-6, 0], [0, 5]]] * 2)


def test_slope_and_its_standard_error_by_hand():
    found = slope(np.array([2.0, 4.0, 6.0]), np.array([2, 2, 2]))  # means 1, 2, 3 of equal batches
    assert found.mean == 2.0
    assert found.se == pytest.approx(1 / np.sqrt(3))
    assert found.z == pytest.approx(2 * np.sqrt(3))


def test_steps_that_disagree_or_drown_are_not_resolved():
    assert is_resolved([Slope(1.0, 0.1), Slope(0.9, 0.1)])
    assert not is_resolved([Slope(1.0, 0.1), Slope(-0.9, 0.1)])
    assert not is_resolved([Slope(1.0, 0.1), Slope(0.9, 0.8)])


def test_a_threshold_at_its_edge_says_so():
    assert "blocked" in _note("log tc", 0.501, Slope(1.0, 0.1), Slope(2.0, 0.1))
    assert _note("log tc", 0.501, Slope(1.0, 0.1), None) == "at the lower edge 0.5 of the threshold"
    assert "free" in _note("log tf", 0.501, Slope(1.0, 0.1), Slope(-2.0, 0.1))
    assert _note("log tc", 0.7, Slope(1.0, 0.1), Slope(2.0, 0.1)) == ""
    assert _note("log dc", 0.501, Slope(1.0, 0.1), Slope(-2.0, 0.1)) == "the surrogate has the wrong sign"


# GR-3 on a model ------------------------------------------------------------------------------------------


def test_true_slopes_are_those_of_an_independent_encoder(clips, result):
    x, steps = clips[0], StepValues(0.5, 0.1, 0.55, 0.55)
    for parameter, field in (("log dc", "dc"), ("log df", "df"), ("log tc", "tc")):
        high, low = (
            residual_statistics(x, steps._replace(**{field: getattr(steps, field) * np.exp(h)}))
            for h in (0.05, -0.05)
        )
        for loss, name in (("squared error", "mse"), ("rate", "rate")):
            (found,) = [s for s in result.slopes if (s.parameter, s.loss) == (parameter, loss)]
            expected = (getattr(high, name) - getattr(low, name)) / 0.1
            assert found.true[1].mean == pytest.approx(expected, rel=2e-2, abs=2e-4)


def test_surrogate_agrees_in_sign_where_the_slope_is_clear(result):
    # A fine step of 0.1 is far too small: both kinds of slope must want it larger.
    (found,) = [s for s in result.slopes if (s.parameter, s.loss) == ("log df", "squared error")]
    assert found.resolved
    assert found.surrogate.mean < 0 and found.true[0].mean < 0 and found.true[1].mean < 0
    assert found.at == pytest.approx(0.1)


def test_permuted_pairs_stand_beside_every_measure(result):
    assert result.n_batches == 36
    assert {m.measure.split()[0] for m in result.measures} == {"GR-1", "GR-2"}
    assert len(result.cosine) == len(result.cosine_permuted) == 72 - result.n_without_gradient
    whole = next(m for m in result.measures if m.measure == "GR-2 cosine")
    assert whole.value.value == pytest.approx(result.cosine.mean())
    assert whole.permuted.value == pytest.approx(result.cosine_permuted.mean())
    assert not np.array_equal(result.cosine, result.cosine_permuted)
    table = result.to_table()
    assert (table.condition == "permuted pairs").sum() == len(result.measures)


def test_result_survives_json(result):
    copied = GradientResult.from_json(result.to_json())
    assert copied.slopes == result.slopes
    np.testing.assert_allclose(copied.quantile_curve, result.quantile_curve)


def test_inspection_repeats_itself_and_leaves_the_model_alone(clips, result):
    model = toy_model(dc=0.5, df=0.1)
    before = copy.deepcopy(model.state_dict())
    again = inspect_model(model, *clips, PROVENANCE)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    np.testing.assert_array_equal(again.spearman, result.spearman)
    assert again.slopes == result.slopes


def test_a_planted_gradient_shows_what_the_measures_would_say(result):
    for row in result.measures[:3]:
        assert row.planted.low > max(row.value.high, row.permuted.high) + 0.1
    assert result.measures[1].planted.value == pytest.approx(0.5**0.5, abs=0.05)


def test_streams_and_bands_share_out_the_whole_gradient(result):
    shares = {row.stream: row.share.value for row in result.streams}
    assert shares["coarse"] == pytest.approx(shares["coarse_on"] + shares["coarse_off"])
    assert shares["coarse"] + shares["fine"] == pytest.approx(1.0)
    rebuilt = {row.stream: row.reconstruction.value for row in result.streams}
    assert rebuilt["coarse"] == pytest.approx(0.5**2 / (0.5**2 + 0.1**2))  # a step's square
    for shared in (result.band_task, result.band_residual):
        assert shared.shape == (3, N_BANDS)
        assert shared[0].sum() == pytest.approx(1.0)
        assert (shared[1] <= shared[0]).all() and (shared[0] <= shared[2]).all()


def test_a_network_that_does_not_read_the_fine_streams_has_no_gradient_there(clips):
    model = toy_model(dc=0.5, df=0.1)
    with torch.no_grad():
        model.backbone.layers[0].input.weight[:, 2 * N_BANDS :] = 0
    found = {row.stream: row for row in inspect_model(model, *clips, PROVENANCE).streams}
    assert found["coarse"].share.value == pytest.approx(1.0)
    assert found["coarse"].per_channel.value == pytest.approx(2.0)
    assert found["fine_on"].share.value == found["fine_off"].pooled.value == 0.0


# What an encoder lacks, and what is refused ---------------------------------------------------------------


def test_direct_input_has_no_residual(clips):
    found = inspect_model(toy_model("direct"), *clips, PROVENANCE)
    assert set(found.not_applicable) == {"GR-1", "GR-2", "GR-3", "GR-4"}
    assert found.measures == [] and found.slopes == []
    assert found.to_table().condition.str.contains("not applicable").all()


def test_step_forward_has_a_decoder_but_no_two_steps(clips):
    found = inspect_model(toy_model("step-forward"), *clips, PROVENANCE)
    assert set(found.not_applicable) == {"GR-3"}
    assert len(found.measures) == 6
    assert [row.stream for row in found.streams] == ["on", "off"]


def test_a_gradient_that_is_identically_zero_is_refused(clips):
    model = toy_model()
    with torch.no_grad():
        model.backbone.layers[0].input.norm.weight.zero_()  # the input no longer reaches the network
    with pytest.raises(
        SpikelensError, match="cross-entropy with respect to the encoder's spikes is identically"
    ):
        inspect_model(model, *clips, PROVENANCE)


def _with_encoder(change):
    """Return a model whose encoder's spikes pass through `change(encoder, spikes)`."""
    model = toy_model()
    plain = model.encoder.forward

    def forward(x, steps=None):
        output = plain(x, steps)
        return EncoderOutput(change(model_encoder(), output.spikes), output.decoded)

    def model_encoder():
        return SimpleNamespace(training=torch.is_grad_enabled())

    model.encoder.forward = forward
    return model


def test_spikes_that_change_with_gradients_are_refused(clips):
    model = _with_encoder(lambda state, spikes: spikes.flip(-1) if state.training else spikes)
    with pytest.raises(SpikelensError, match="encoder differ with and without gradients"):
        check_gradients(model, clips[0][:8])


def test_spikes_that_change_between_training_and_evaluation_are_refused(clips):
    model = toy_model()

    class Noisy(type(model.encoder)):
        def forward(self, x, steps=None):
            output = super().forward(x, steps)
            return output._replace(spikes=output.spikes.flip(-1)) if self.training else output

    model.encoder.__class__ = Noisy
    with pytest.raises(SpikelensError, match="differ between training and evaluation mode"):
        check_gradients(model, clips[0][:8])


def test_a_checkpoint_is_inspected_on_its_own_words(tones):
    recipe = Recipe.from_dict(
        {
            "name": "toy",
            "encoder": {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": [8]},
            "features": {"n_mels": N_BANDS},
        }
    )
    model = SpikingClassifier.from_seed(recipe, 2).eval()
    checkpoint = SimpleNamespace(name="toy", model=model, recipe=recipe, labels=("go", "yes"), digest="abc")
    found = inspect_gradients(checkpoint, tones, n_clips=12, seed=1)
    assert found.n_clips == 12
    assert found.n_batches == 6  # pairs need two clips a batch
    assert found.slopes_on == "12 validation clips, as everything else"
    whole = inspect_gradients(checkpoint, tones)
    assert whole.n_clips == 24 and whole.slopes_on == "48 of the 48 train clips"
    twin = inspect_gradients(checkpoint, tones, twin=True)
    assert twin.provenance.config["twin"] and twin.slopes != whole.slopes
    assert found.provenance.synthetic
    assert found.provenance.checkpoint_digest == "abc"
    with pytest.raises(
        SpikelensError, match="n_clips: 400 must lie between 4 and the 24 clips of validation"
    ):
        inspect_gradients(checkpoint, tones, n_clips=400)
