"""Variants of the learned residual encoder: what they code, how they learn, what the network gets of them."""

import json

import numpy as np
import pytest
import torch

from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe, TrainConfig
from models.encoders.residual import Steps, residual_step_forward
from models.encoders.residual_learned import ResidualConfig, ResidualEncoder, encode
from models.encoders.step_forward import step_forward
from models.errors import SpikelensError
from models.learning.step import make_optimiser, training_step
from models.neurons.engine import kernels
from models.neurons.surrogate import spike, triangle

VARIANTS = (
    {"variant": "E1"},
    {"variant": "E2"},
    {"variant": "E3"},
    {"coding": "single"},
    {"coding": "cascade"},
    {"coding": "cascade", "variant": "E2", "start": "first"},
    {"start": "first"},
    {"signed": True},
    {"signed": True, "coding": "single", "variant": "E1"},
)


def named(settings) -> str:
    return " ".join(str(value) for value in settings.values())


def steps(dc=1.0, df=0.25, tc=0.5, tf=0.5) -> Steps:
    return Steps(*(torch.tensor(v, dtype=torch.float64) for v in (dc, df, tc, tf)))


def walk(n=6, n_steps=50, n_bands=5, seed=0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1, n_bands)) + 0.4 * rng.standard_normal((n, n_steps, n_bands)).cumsum(1)
    return torch.from_numpy(x)


def encoder_of(n_bands=5, **settings) -> ResidualEncoder:
    return ResidualEncoder(ResidualConfig(**settings), n_bands).double()


def recipe(encoder, hidden=(12,), **train) -> Recipe:
    return Recipe.from_dict(
        {
            "name": "m",
            "encoder": {"name": "residual", **encoder},
            "backbone": {"name": "rlif", "hidden": list(hidden), "norm_gain": 8.0},
            "features": {"n_mels": 5},
            "train": train,
        }
    )


def test_a_single_phase_from_the_first_frame_is_published_step_forward():
    x = walk()
    ours = encode(x, steps(dc=0.5, tc=1.0), "single", "first")
    published = step_forward(x, 0.5, start_at_first=True)
    assert torch.equal(ours.spikes, published.spikes)
    assert torch.allclose(ours.decoded, published.decoded)


def test_two_phases_with_the_fine_one_off_are_published_step_forward():
    x = walk()
    ours = encode(x, steps(dc=0.5, df=0.1, tc=1.0, tf=1e9), "shared", "first")
    assert torch.equal(ours.spikes[..., :10], step_forward(x, 0.5, start_at_first=True).spikes)
    assert not ours.spikes[..., 10:].any()


def test_a_cascade_by_hand():
    x = torch.tensor([0.8, 0.7, -0.9, -0.9], dtype=torch.float64).reshape(1, 4, 1)
    spikes, decoded = encode(x, steps(), "cascade")
    # coarse: .8 > .5 on, B=1; -.3 no; -1.9 off, B=0; -.9 off, B=-1
    # left: -.2, -.3, -.9, .1; fine (.125): off B=-.25; -.05 no; -.65 off B=-.5; .6 on B=-.25
    assert spikes[0].tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]]
    assert decoded.flatten().tolist() == [0.75, 0.75, -0.5, -1.25]


def test_a_start_at_the_first_frame_hides_the_level():
    x = walk()
    encoder = encoder_of(start="first")
    (one, first), (other, second) = encoder(x), encoder(x + 3.0)
    assert torch.equal(one, other) and not one[:, 0].any()
    assert torch.allclose(first + 3.0, second)


def cascade_in_plain_words(x, values):
    """Return spikes and decoded signal of the cascade, frame by frame, with the triangle surrogate."""
    dc, df, tc, tf = values
    coarse, fine = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])
    spikes, decoded = [], []
    for frame in x.unbind(1):
        z = (frame - coarse) / dc
        first = spike(z - tc, triangle), spike(-z - tc, triangle)
        coarse = coarse + dc * (first[0] - first[1])
        z = (frame - coarse - fine) / df
        second = spike(z - tf, triangle), spike(-z - tf, triangle)
        fine = fine + df * (second[0] - second[1])
        spikes.append(torch.cat((*first, *second), -1))
        decoded.append(coarse + fine)
    return torch.stack(spikes, 1), torch.stack(decoded, 1)


def gradients(run, given):
    leaves = [value.clone().requires_grad_() for value in given]
    spikes, decoded = run(leaves[0], Steps(*leaves[1:]))
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(spikes.shape, generator=generator, dtype=spikes.dtype)
    ((spikes * weights).sum() + (decoded - leaves[0]).square().sum()).backward()
    return [spikes.detach(), decoded.detach(), *(leaf.grad for leaf in leaves)]


def test_the_cascade_has_the_gradients_of_the_plain_loop():
    given = [walk(), *steps(0.9, 0.33, 0.55, 0.6)]
    for ours, reference in zip(
        gradients(lambda x, values: encode(x, values, "cascade"), given),
        gradients(cascade_in_plain_words, given),
        strict=True,
    ):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("settings", VARIANTS, ids=named)
def test_compiled_and_plain_loops_agree(settings):
    found = []
    for choice in ("plain", "compiled"):
        encoder, x = encoder_of(**settings), walk().requires_grad_()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter += 0.05 * torch.arange(parameter.numel()).reshape(parameter.shape).sin()
        with kernels(choice):
            output = encoder(x)
            target = output.spikes.mean()
            if output.decoded is not None:
                target = target + (output.decoded - x).square().mean()
            target.backward()
        found.append([output.spikes.detach(), x.grad, *(p.grad for p in encoder.parameters())])
    assert 0.02 < found[0][0].mean() < 0.5
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["log_gain", "bias", "mix"])
def test_gains_and_mixtures_learn_by_the_slope_they_have(name):
    """While no spike changes, the squared error of a mixed signal is smooth: differences are the truth."""
    encoder, x = encoder_of(variant="E3"), walk()
    parameter = getattr(encoder, name)
    frozen = encoder(x).spikes.detach()

    def error():
        mixed = encoder.log_gain.exp() * (x @ encoder.mix.T) + encoder.bias
        return (mixed - residual_step_forward(mixed.detach(), encoder.steps()).decoded).square().sum()

    (slope,) = torch.autograd.grad(error(), parameter)
    with torch.no_grad():
        flat, step, found = parameter.view(-1), 1e-7, []
        decoded = residual_step_forward(
            encoder.log_gain.exp() * (x @ encoder.mix.T) + encoder.bias, encoder.steps()
        ).decoded
        for i in range(0, len(flat), 3):
            ends = []
            for sign in (1, -1):
                flat[i] += sign * step
                mixed = encoder.log_gain.exp() * (x @ encoder.mix.T) + encoder.bias
                assert torch.equal(encoder(x).spikes, frozen)
                ends.append(float((mixed - decoded).square().sum()))
                flat[i] -= sign * step
            found.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(found, slope.reshape(-1)[::3], rtol=1e-4, atol=1e-3)


def test_a_mixture_starts_as_none_and_decodes_nothing():
    x = walk()
    encoder = encoder_of(variant="E3")
    spikes, decoded = encoder(x)
    assert torch.equal(spikes, encoder_of()(x).spikes)
    assert decoded is None and not encoder.has_decoder
    model = SpikingClassifier.from_seed(recipe({"variant": "E3"}), 3)
    assert "decoded" not in [point.name for point in model.points()]
    spikes.mean().backward()
    assert encoder.mix.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("learn", "learned"),
    [("both", 4), ("steps", 2), ("thresholds", 2), ("none", 0)],
)
def test_what_is_not_learned_stays(learn, learned):
    model = SpikingClassifier.from_seed(recipe({"learn": learn}), 3).train()
    assert count_parameters(model.encoder) == learned
    assert set(model.encoder.state_dict()) == {"rho", "kappa", "raw_tc", "raw_tf"}
    before = model.encoder.describe()
    config = TrainConfig()
    optimiser, groups = make_optimiser(model, config)
    generator = torch.Generator().manual_seed(0)
    for step in range(3):
        labels = torch.tensor([0, 1, 2] * 2)
        training_step(model, optimiser, groups, walk().float(), labels, config, step, 3, generator)
    after = model.encoder.describe()
    moved = {name for name in before if before[name] != after[name]}
    steps_moved, thresholds_moved = learn in ("both", "steps"), learn in ("both", "thresholds")
    assert ("dc" in moved, "df" in moved) == (steps_moved, steps_moved)
    assert ("tc" in moved, "tf" in moved) == (thresholds_moved, thresholds_moved)


@pytest.mark.parametrize("settings", VARIANTS, ids=named)
def test_every_variant_trains(settings):
    model = SpikingClassifier.from_seed(recipe(settings), 3).train()
    config = TrainConfig(rate_weight=0.5, rate_ramp=0.0)
    optimiser, groups = make_optimiser(model, config)
    generator = torch.Generator().manual_seed(0)
    x, labels = walk(n=24).float(), torch.tensor([0, 1, 2] * 8)
    x += labels[:, None, None]
    reports = [
        training_step(model, optimiser, groups, x, labels, config, step, 60, generator) for step in range(40)
    ]
    assert reports[-1].loss_sum < 0.9 * reports[0].loss_sum
    assert reports[0].encoder_gradient_norm > 0
    assert all(0 < report.encoder_rate < 0.5 for report in reports)


def test_a_variant_without_a_decoder_cannot_be_trained_to_reconstruct():
    model = SpikingClassifier.from_seed(recipe({"variant": "E3"}), 3).train()
    config = TrainConfig(reconstruction_weight=1.0)
    optimiser, groups = make_optimiser(model, config)
    with pytest.raises(SpikelensError, match="train.reconstruction_weight.*no decoder"):
        training_step(
            model,
            optimiser,
            groups,
            walk().float(),
            torch.tensor([0, 1, 2] * 2),
            config,
            0,
            1,
            torch.Generator(),
        )


def test_signed_spikes_are_on_minus_off_for_the_network_alone():
    x = walk().float()
    model = SpikingClassifier.from_seed(recipe({"signed": True}), 3).eval()
    plain = SpikingClassifier.from_seed(recipe({}), 3).eval()
    assert model.encoder.n_units == 20 and model.encoder.n_inputs == 10
    weight = model.backbone.layers[0].input.weight
    assert weight.shape == (12, 10)
    coarse, fine = weight.detach().chunk(2, dim=1)
    state = model.state_dict() | {
        "backbone.layers.0.input.weight": torch.cat((coarse, -coarse, fine, -fine), dim=1)
    }
    plain.load_state_dict(state)
    with torch.no_grad():
        ours = model(x, record=("encoder", "layer1"))
        same = plain(x, record=("encoder", "layer1"))
    assert torch.equal(ours.recordings["encoder"], same.recordings["encoder"])  # recorded as ON and OFF
    assert float(ours.encoder_rate) == float(same.encoder_rate) > 0
    torch.testing.assert_close(ours.logits, same.logits)
    drive = model.encoder.drive(ours.recordings["encoder"])
    assert set(drive.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_a_signed_network_has_the_gradients_of_one_with_opposite_weights():
    x = walk().float()
    model = SpikingClassifier.from_seed(recipe({"signed": True}), 3).train()
    with kernels("plain"):
        model(x, generator=torch.Generator().manual_seed(0)).logits.square().sum().backward()
    reference = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model = SpikingClassifier.from_seed(recipe({"signed": True}), 3).train()
    model(x, generator=torch.Generator().manual_seed(0)).logits.square().sum().backward()
    for ours, plain in zip((p.grad for p in model.parameters()), reference, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "hidden", "n_classes", "expected"),
    [
        ({}, 112, 35, 34_829),
        ({"signed": True}, 137, 35, 35_044),
        ({}, 112, 8, 31_724),
        ({"variant": "E1"}, 112, 35, 34_829 + 156),
        ({"variant": "E3"}, 112, 35, 34_829 + 80 + 1600),
        ({"coding": "single"}, 137, 35, 35_042),
    ],
)
def test_parameters_are_those_of_the_budget(encoder, hidden, n_classes, expected):
    body = {"name": "m", "encoder": {"name": "residual", **encoder}}
    whole = Recipe.from_dict(body | {"backbone": {"name": "rlif", "hidden": [hidden]}})
    assert count_parameters(SpikingClassifier.from_seed(whole, n_classes)) == expected


def test_a_recipe_written_before_the_variants_is_the_same_recipe():
    old = {"name": "residual", "variant": "E0", "dc": 0.9, "df": 0.33, "tc": 0.55, "tf": 0.55}
    body = {"name": "m", "encoder": old, "backbone": {"name": "rlif"}}
    opened = Recipe.from_dict(body)
    assert opened == Recipe.from_dict(json.loads(json.dumps(opened.to_dict())))
    assert opened.encoder == ResidualConfig()
