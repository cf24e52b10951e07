"""Gradient flow: equal to what is derived apart, and refused where nothing arrives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from analysis.gradient_flow import FlowResult, flow, gradient_flow
from analysis.surrogate_windows import encoder_window, hidden_window
from models.errors import SpikelensError
from tests.analysis.smooth import smooth_material
from tests.analysis.toys import N_BANDS, toy_checkpoint, toy_model


@pytest.fixture(scope="module")
def clips():
    material = smooth_material(n=12, n_steps=20, n_bands=N_BANDS)
    return material.features, material.label.astype(np.int64)


def test_the_last_layers_gradient_is_that_of_the_readout_alone(clips):
    model = toy_model()
    norm, window = flow(model, *clips)["layer1"]
    with torch.no_grad():
        spikes = model(torch.from_numpy(clips[0]), record=["layer1"]).recordings["layer1"]
    leaf = spikes.clone().requires_grad_()
    logits = model.backbone.config.logit_scale * model.backbone.readout(leaf).mean(dim=1)
    F.cross_entropy(logits, torch.from_numpy(clips[1]), reduction="sum").backward()
    np.testing.assert_allclose(norm, leaf.grad.norm(dim=2).numpy(), rtol=1e-4)
    assert norm.shape == window.shape == (12, 20)
    assert ((window > 0) & (window < 1)).any()


def test_a_layer_that_reads_nothing_hands_nothing_down(clips):
    model = toy_model(hidden=(10, 8))
    with torch.no_grad():
        model.backbone.layers[1].input.weight.zero_()
    with pytest.raises(SpikelensError, match="flow: the gradient of cross-entropy in the spikes of"):
        flow(model, *clips)


def test_the_hidden_window_counts_membranes_near_threshold():
    membrane = torch.tensor([[[1.0, 1.4, 1.6, -3.0]]])
    assert hidden_window(membrane, 1.0, "boxcar").item() == 0.5
    assert hidden_window(membrane, 1.0, "triangle").item() == 0.75
    assert hidden_window(membrane, 1.0, "atan") is None


@pytest.mark.parametrize("variant", ["E0", "E1", "E2"])
def test_the_encoder_window_is_that_of_its_equations(clips, variant):
    encoder = toy_model(dc=0.5, df=0.2, variant=variant).encoder
    if variant == "E2":
        with torch.no_grad():
            encoder.log_gain += 0.2
            encoder.bias += 0.1
    x = torch.from_numpy(clips[0][:2])
    with torch.no_grad():
        found = encoder_window(encoder, x, encoder(x))
    dc, df, tc, tf = (float(value.detach().mean()) for value in encoder.steps())
    signal = x.numpy().astype(float) * (np.exp(0.2) if variant == "E2" else 1)
    signal = signal + (0.1 if variant == "E2" else 0)
    for clip in range(2):
        baseline = np.zeros(N_BANDS)
        for t in range(20):
            inside = 0
            for step, threshold in ((dc, tc), (df, tf)):
                z = (signal[clip, t] - baseline) / step
                inside += (np.abs(z - threshold) < 1).sum() + (np.abs(-z - threshold) < 1).sum()
                baseline = baseline + step * ((z > threshold).astype(float) - (-z > threshold))
            assert found[clip, t].item() == pytest.approx(inside / (4 * N_BANDS))
    assert encoder_window(toy_model("step-forward").encoder, x, encoder(x)) is None


@pytest.fixture
def checkpoint(tones):
    """Build an untrained checkpoint whose normalisation fits the data."""
    return lambda encoder: toy_checkpoint(tones, encoder, hidden=(8, 6))


def test_every_layer_stands_beside_the_untrained_twin(tones, checkpoint):
    seen = []
    found = gradient_flow(checkpoint("residual"), tones, progress=lambda f, words: seen.append(f))
    points = ["encoder", "layer1", "layer2"]
    assert [(row.point, row.condition) for row in found.rows] == [
        (point, condition) for condition in ("learned", "untrained") for point in points
    ]
    assert found.norm.shape == found.window.shape == (6, 3, 98)
    assert found.rows[0].norm.value == pytest.approx(found.norm[0, 0].mean())
    assert found.rows[0].norm.low < found.rows[0].norm.value < found.rows[0].norm.high
    assert seen == sorted(seen) and seen[0] >= 0 and seen[-1] == 1
    copied = FlowResult.from_json(found.to_json())
    assert copied.rows == found.rows
    np.testing.assert_allclose(copied.window, found.window)


def test_what_an_encoder_lacks_is_not_applicable(tones, checkpoint):
    direct = gradient_flow(checkpoint("direct"), tones, n_clips=12)
    assert direct.not_applicable == {"encoder": "the encoder does not spike"}
    assert {row.point for row in direct.rows} == {"layer1", "layer2"}
    other = gradient_flow(checkpoint("step-forward"), tones, n_clips=12)
    (encoder,) = [r for r in other.rows if (r.point, r.condition) == ("encoder", "learned")]
    assert encoder.window is None and encoder.norm.value > 0
    assert np.isnan(FlowResult.from_json(other.to_json()).window[0]).all()
    assert other.to_table().note.str.contains("not applicable").any()
