"""Direct feedback alignment: the local rule in three forms, where gradients may go, and what stays fixed."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from models.backbones.rlif import Credit
from models.classifier import SpikingClassifier
from models.config import Recipe
from models.errors import SpikelensError
from models.learning.agreement import agreement
from models.learning.bptt import bptt_objective
from models.learning.dfa import Feedback, dfa_objective, draw_feedback, signals
from models.neurons.engine import kernels
from models.neurons.local import local_lif, local_norm
from models.neurons.surrogate import boxcar
from models.training import FEEDBACK, RESUME, train

RULES = ("dfa-d0", "dfa-d1", "dfa-d2")


def recipe(rule="dfa-d1", hidden=(12,), **learning):
    body = {
        "name": "tiny",
        "data": {"name": "tones"},
        "encoder": {"name": "residual"},
        "backbone": {"name": "rlif", "hidden": list(hidden), "dropout": 0.0},
        "train": {"epochs": 4, "batch_size": 12},
        "learning": {"rule": rule, **learning},
    }
    return Recipe.from_dict(body)


def batch(seed=0, n=6):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, 30, 40, generator=generator), torch.arange(n) % 3


def gradients(model, value):
    model.zero_grad(set_to_none=True)
    value.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def update(settings, feedback=None, model=None):
    model = model or SpikingClassifier.from_seed(settings, 3).train()
    feedback = feedback or draw_feedback(settings, 3)
    objective = dfa_objective(
        model, *batch(), settings.train, 0.0, None, learning=settings.learning, feedback=feedback
    )
    return gradients(model, objective.value)


# --- the local rule


def by_traces(z, weight, recurrent, alpha, signal, gain, trace):
    """Carry an eligibility trace of every weight forward in time; the weights act as ``z @ weight``."""
    n_clips, n_steps, n_in = z.shape
    n_units = weight.shape[1]
    spikes, membrane = torch.zeros(2, n_clips, n_units, dtype=z.dtype)
    of_weight = torch.zeros(n_clips, n_in, n_units, dtype=z.dtype)
    of_recurrent = torch.zeros(n_clips, n_units, n_units, dtype=z.dtype)
    grad_weight, grad_recurrent = torch.zeros_like(weight), torch.zeros_like(recurrent)
    for t in range(n_steps):
        kept = alpha if trace else torch.zeros_like(alpha)
        of_weight = kept * of_weight + (1 - alpha) * gain * z[:, t, :, None]
        of_recurrent = kept * of_recurrent + (1 - alpha) * spikes[:, :, None]
        drive = gain * (z[:, t] @ weight) + spikes @ recurrent
        membrane = alpha * (membrane - spikes) + (1 - alpha) * drive
        spikes = (membrane > 1).to(z.dtype)
        local = (signal[:, t] * boxcar(membrane - 1))[:, None, :]
        grad_weight += (local * of_weight).sum(0)
        grad_recurrent += (local * of_recurrent).sum(0)
    return grad_weight, grad_recurrent


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("choice", ["compiled", "plain"])
def test_traces_reverse_scan_and_detached_autograd_are_one_rule(choice, trace):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    z = (draw(5, 40, 9) > 0.5).double()
    weight, recurrent = 1 + 3 * draw(9, 7), draw(7, 7)
    gain, signal = 1 + torch.rand(7, generator=generator, dtype=torch.float64), draw(5, 40, 7)
    alpha = 0.82 + 0.14 * torch.rand(7, generator=generator, dtype=torch.float64)
    expected = by_traces(z, weight, recurrent, alpha, signal, gain, trace)
    leaves = weight.clone().requires_grad_(), recurrent.clone().requires_grad_()
    with kernels(choice):
        spikes, _ = local_lif(gain * (z @ leaves[0]), alpha, leaves[1], trace=trace)
        (spikes * signal).sum().backward()
    assert 0.05 < float(spikes.detach().mean()) < 0.6
    for leaf, wanted in zip(leaves, expected, strict=True):
        assert float((leaf.grad - wanted).norm() / wanted.norm()) < 1e-6


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("trace", [True, False])
def test_compiled_and_plain_local_rules_agree_on_leaks_too(trace, reset):
    generator = torch.Generator().manual_seed(1)
    current = 3 * torch.randn(4, 25, 6, generator=generator, dtype=torch.float64)
    signal = torch.randn(4, 25, 6, generator=generator, dtype=torch.float64)
    found = {}
    for choice in ("compiled", "plain"):
        leaves = [current.clone().requires_grad_(), torch.full((6,), 0.9, dtype=torch.float64)]
        leaves[1].requires_grad_()
        with kernels(choice):
            spikes, membrane = local_lif(*leaves, trace=trace, reset=reset)
            (spikes * signal).sum().backward()
        found[choice] = spikes.detach(), membrane, *(leaf.grad for leaf in leaves)
    for ours, theirs in zip(found["compiled"], found["plain"], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_local_norm_takes_its_running_statistics_for_constants():
    norm, like = (nn.BatchNorm1d(3, momentum=0.05).double() for _ in range(2))
    nn.init.constant_(norm.weight, 3.0)
    like.load_state_dict(norm.state_dict())
    x = 5 + 2 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    out = local_norm(leaf, norm)
    torch.testing.assert_close(out, like(x))  # forward as ever, statistics updated alike
    torch.testing.assert_close(norm.running_var, like.running_var)
    towards = torch.ones_like(out)
    towards[0] = 2
    out.backward(towards)
    slope = 3 / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(leaf.grad, towards * slope)  # a frame's gradient is its own
    torch.testing.assert_close(norm.bias.grad, towards.sum(0))


def test_the_rule_with_local_norm_is_that_of_traces_with_its_slope_as_gain():
    settings = recipe()
    model = SpikingClassifier.from_seed(settings, 3).double().train()
    layer = model.backbone.layers[0]
    generator = torch.Generator().manual_seed(2)
    z = (torch.randn(5, 40, 160, generator=generator, dtype=torch.float64) > 0.8).double()
    signal = torch.randn(5, 40, 12, generator=generator, dtype=torch.float64)
    spikes, membrane = layer(z, credit=Credit("trace", constant_norm=True))
    (spikes * signal).sum().backward()
    # With statistics as constants only the slope is left of the norm: put it into a weight and shift by hand.
    norm = layer.input.norm
    slope = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    psi, alpha = boxcar(membrane - 1), layer.alpha.detach()
    trace = torch.zeros(5, 12, 160, dtype=torch.float64)
    expected = torch.zeros(12, 160, dtype=torch.float64)
    for t in range(40):
        trace = alpha[:, None] * trace + ((1 - alpha) * slope)[:, None] * z[:, t, None, :]
        expected += ((signal[:, t] * psi[:, t])[:, :, None] * trace).sum(0)
    found = layer.input.weight.grad
    assert float((found - expected).norm() / expected.norm()) < 1e-6


# --- where gradients go


@pytest.mark.parametrize("rule", RULES)
def test_without_feedback_nothing_but_the_readout_learns(rule):
    settings = recipe(rule, hidden=(12, 10))
    none = Feedback({name: torch.zeros_like(m) for name, m in draw_feedback(settings, 3).matrices.items()})
    found = update(settings, none)
    assert found["backbone.readout.input.weight"].abs().sum() > 0
    for name, gradient in found.items():
        if not name.startswith("backbone.readout"):
            assert not gradient.any(), name


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_is_taught_by_its_own_matrix_alone(rule):
    settings = recipe(rule, hidden=(12, 10))
    feedback = draw_feedback(settings, 3)
    before = update(settings, feedback)
    other = Feedback(feedback.matrices | {"layer2": -feedback.matrices["layer2"]})
    after = update(settings, other)
    for name in before:
        if name.startswith("backbone.layers.0") or name.startswith("encoder"):
            assert torch.equal(before[name], after[name]), name
        if name.startswith("backbone.layers.1"):
            torch.testing.assert_close(before[name], -after[name])


def test_d0_with_the_true_signal_is_backpropagation():
    settings = recipe("dfa-d0", encoder="transport")
    model = SpikingClassifier.from_seed(settings, 3).train()
    log_mel, labels = batch()
    by_bptt = gradients(model, bptt_objective(model, log_mel, labels, settings.train, 0.0, None).value)
    encoded = model.encoder(model.normalise(log_mel))
    output = model.classify(encoded, ["layer1", "readout"], None, Credit("within"))
    leaf = output.recordings["layer1"].detach().requires_grad_()
    logits = (5.0 * model.backbone.readout(leaf)).mean(1)
    (signal,) = torch.autograd.grad(F.cross_entropy(logits, labels), leaf)
    value = F.cross_entropy(output.logits, labels) + (output.recordings["layer1"] * signal).sum()
    by_signal = gradients(model, value)
    assert by_bptt.keys() == by_signal.keys()
    for name in by_bptt:
        torch.testing.assert_close(by_signal[name], by_bptt[name], rtol=1e-3, atol=1e-6)


def test_the_encoder_is_taught_as_the_recipe_says():
    transport, own, frozen = (recipe(encoder=name) for name in ("transport", "feedback", "frozen"))
    assert "encoder" in draw_feedback(own, 3).matrices
    assert "encoder" not in draw_feedback(transport, 3).matrices
    assert not any(name.startswith("encoder") for name in update(frozen))
    for settings, through_weights in ((transport, True), (own, False)):
        model = SpikingClassifier.from_seed(settings, 3).train()
        feedback = draw_feedback(settings, 3)
        before = update(settings, feedback, model)["encoder.rho"]
        # Turn the signal of layer 1 round: only an encoder behind its weights will notice.
        turned = Feedback(feedback.matrices | {"layer1": -feedback.matrices["layer1"]})
        after = update(settings, turned, model)["encoder.rho"]
        assert torch.allclose(before, after) != through_weights


def test_signals_by_hand_for_one_error_a_clip_and_one_a_frame():
    settings = recipe(error="clip")
    model = SpikingClassifier.from_seed(settings, 3).eval()
    log_mel, labels = batch(n=2)
    output = model(log_mel, record=["layer1", "readout"])
    feedback = Feedback({"layer1": torch.randn(12, 3, generator=torch.Generator().manual_seed(0))})
    (a_clip,) = signals(output, labels, settings.train, settings.learning, feedback).values()
    error = output.logits.softmax(-1) - F.one_hot(labels, 3)
    assert a_clip.shape == (2, 1, 12)
    torch.testing.assert_close(a_clip[1, 0], feedback.matrices["layer1"] @ error[1] / (2 * 30))
    frames = recipe(error="frame")
    (a_frame,) = signals(output, labels, frames.train, frames.learning, feedback).values()
    error = output.recordings["readout"][1, 7].softmax(-1) - F.one_hot(labels, 3)[1]
    torch.testing.assert_close(a_frame[1, 7], feedback.matrices["layer1"] @ error / (2 * 30))


# --- the matrices


def test_feedback_follows_from_the_seed_and_has_the_size_of_the_readout():
    settings = recipe(hidden=(12, 10), encoder="feedback")
    feedback = draw_feedback(settings, 3)
    assert {name: tuple(m.shape) for name, m in feedback.matrices.items()} == {
        "layer1": (12, 3),
        "layer2": (10, 3),
        "encoder": (160, 3),
    }
    size = SpikingClassifier.from_seed(settings, 3).backbone.readout.input.weight.norm()
    for matrix in feedback.matrices.values():
        torch.testing.assert_close(matrix.norm(), size.detach())
    assert draw_feedback(settings, 3).sha256 == feedback.sha256
    assert draw_feedback(settings.override({"seed": 1}), 3).sha256 != feedback.sha256
    louder = draw_feedback(settings.override({"learning.feedback_scale": 10.0}), 3)
    torch.testing.assert_close(louder.matrices["layer1"], 10 * feedback.matrices["layer1"])


def test_training_learns_keeps_its_feedback_and_follows_the_agreement(tones, tmp_path):
    settings = recipe(hidden=(24,)).override({"train.epochs": 40, "train.lr": 1e-2})
    metrics = train(settings, tones, tmp_path / "run")
    assert metrics["validation"]["accuracy"] > 0.6  # chance is a third or less
    kept = load_file(tmp_path / "run" / FEEDBACK)
    drawn = draw_feedback(settings, len(tones.labels))
    assert metrics["feedback_sha256"] == drawn.sha256
    assert all(torch.equal(kept[name], drawn.matrices[name]) for name in drawn.matrices)
    columns = (tmp_path / "run" / "history.csv").read_text().splitlines()[0].split(",")
    assert {"cosine_layer1_input", "cosine_layer1_recurrent", "cosine_encoder", "angle_layer1"} <= set(
        columns
    )


def test_a_resumed_run_gives_the_weights_of_one_in_one_go(tones, tmp_path):
    settings = recipe(encoder="feedback", error="frame")

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.epoch == 3:
            raise Killed

    train(settings, tones, tmp_path / "whole")
    with pytest.raises(Killed):
        train(settings, tones, tmp_path / "parts", progress=kill)
    assert (tmp_path / "parts" / RESUME).exists()
    train(settings, tones, tmp_path / "parts", resume=True)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_agreement_with_backpropagation_leaves_the_model_as_it_was():
    settings = recipe(hidden=(12, 10))
    model = SpikingClassifier.from_seed(settings, 3).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = agreement(model, *batch(), settings, draw_feedback(settings, 3))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {"cosine_layer1_input", "cosine_layer2_recurrent", "angle_layer2"} <= set(found)
    assert all(-1.001 <= v <= 1.001 for name, v in found.items() if name.startswith("cosine"))
    assert all(0 <= v <= 180 for name, v in found.items() if name.startswith("angle"))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SpikelensError, match=r"learning.rule"):
        recipe("dfa-d3")
    with pytest.raises(SpikelensError, match=r"learning.feedback_scale: 0.0 must be above 0"):
        recipe(feedback_scale=0.0)
    with pytest.raises(SpikelensError, match=r"learning.rule: 'bptt' has no other settings"):
        recipe("bptt", error="frame")
    with pytest.raises(SpikelensError, match=r"train.encoder_task_gradient: False is for bptt"):
        draw_feedback(recipe().override({"train.encoder_task_gradient": False}), 3)
