"""LIF and R-LIF: hand-computed membranes, parameter budgets, no hidden state, live gradients."""

import math

import pytest
import torch

from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError
from models.neurons.lif import ALPHA_RANGE, LIFState, integrator_step, lif_start, lif_step
from models.neurons.surrogate import SURROGATES, atan, boxcar, spike, triangle


def model(hidden=(8,), n_classes=3, encoder=None, **backbone) -> SpikingClassifier:
    recipe = Recipe.from_dict(
        {
            "name": "m",
            "encoder": encoder or {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": list(hidden), **backbone},
        }
    )
    return SpikingClassifier.from_seed(recipe, n_classes)


def test_lif_membrane_by_hand():
    alpha, state = torch.tensor([0.5]), lif_start(torch.zeros(1, 1))
    trace = []
    for current in (1.0, 3.0, 0.0, 3.0):
        state = lif_step(torch.tensor([[current]]), state, alpha, boxcar)
        trace.append((state.membrane.item(), state.spikes.item()))
    # .5; .25+1.5=1.75 spike; .5*(1.75-1)=.375; .1875+1.5=1.6875 spike
    assert trace == [(0.5, 0), (1.75, 1), (0.375, 0), (1.6875, 1)]


def test_integrator_by_hand():
    state = torch.zeros(1, 1)
    for expected in (0.25, 0.4375):
        state = integrator_step(torch.ones(1, 1), state, torch.tensor([0.75]))
        assert state.item() == pytest.approx(expected)


def test_surrogates_by_hand():
    x = torch.tensor([-2.0, -0.25, 0.0, 0.5, 0.75])
    assert triangle(x).tolist() == [0, 0.75, 1, 0.5, 0.25]
    assert boxcar(x).tolist() == [0, 1, 1, 1, 0]
    assert atan(torch.tensor(0.0)).item() == 2.5
    for derivative, _ in SURROGATES.values():
        leaf = torch.tensor([0.1, -0.2], requires_grad=True)
        spikes = spike(leaf, derivative)
        assert spikes.tolist() == [1, 0]
        spikes.sum().backward()
        assert torch.equal(leaf.grad, derivative(leaf.detach()))


def test_layer_equals_the_equations_step_by_step():
    torch.manual_seed(1)
    network = model(hidden=(6,)).eval()
    layer = network.backbone.layers[0]
    z = (torch.rand(2, 12, 160) < 0.3).float()
    spikes, membrane = layer(z)
    currents = layer.input(z)
    off_diagonal = layer.recurrent * (1 - torch.eye(6))
    u = s = torch.zeros(2, 6)
    for t in range(12):
        drive = currents[:, t] + s @ off_diagonal.T  # V s: row i receives
        u = layer.alpha * (u - s) + (1 - layer.alpha) * drive
        s = (u > 1).float()
        assert torch.allclose(membrane[:, t], u, atol=1e-5)
        assert torch.equal(spikes[:, t], s)


@pytest.mark.parametrize(
    ("hidden", "n_classes", "encoder", "expected"),
    [
        ((112,), 35, "residual", 34_829),
        ((79, 79), 35, "residual", 34_711),
        ((256, 256), 35, "residual", 248_173),
        ((512, 512), 35, "residual", 889_453),
        ((112,), 8, "residual", 31_724),
        ((112,), 8, "sf2-rec", 31_720),
        ((155,), 8, "direct", 31_954),
    ],
)
def test_parameter_budgets(hidden, n_classes, encoder, expected):
    assert count_parameters(model(hidden, n_classes, {"name": encoder})) == expected


def test_evaluation_is_deterministic_and_keeps_nothing():
    network = model().eval()
    x = torch.randn(5, 30, 40)
    first = network(x, record=("layer1", "readout", "layer1/membrane"))
    network(torch.randn(3, 30, 40))
    second = network(x, record=("layer1", "readout", "layer1/membrane"))
    for name, value in first.recordings.items():
        assert torch.equal(value, second.recordings[name])
    alone = network(x[2:3])  # other clips of the batch do not matter
    assert torch.allclose(alone.logits, first.logits[2:3], atol=1e-5)
    assert torch.allclose(first.recordings["readout"].mean(1), first.logits, atol=1e-6)


def test_recordings_are_what_the_points_say_and_unknown_names_are_refused():
    network = model(hidden=(8, 7)).eval()
    points = {p.name: p for p in network.points()}
    output = network(torch.randn(2, 30, 40), record=tuple(points))
    for name, point in points.items():
        assert output.recordings[name].shape == (2, 30, point.units)
        if point.spiking:
            assert set(output.recordings[name].unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(SpikelensError, match="layer9"):
        network(torch.randn(2, 30, 40), record=("layer9",))


def test_gradients_reach_every_parameter_in_evaluation_mode():
    network = model(hidden=(32,)).eval()
    network(3 * torch.randn(16, 40, 40)).logits.logsumexp(1).sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_diagonal_of_the_recurrent_matrix_plays_no_part():
    network = model().eval()
    x = torch.randn(4, 30, 40)
    before = network(x).logits
    with torch.no_grad():
        network.backbone.layers[0].recurrent.fill_diagonal_(100.0)
    assert torch.equal(network(x).logits, before)


def test_spikes_are_the_gradient_leaf_on_request():
    network = model().eval()
    encoded = network.encoder(torch.randn(2, 30, 40))
    leaf = encoded.spikes.detach().requires_grad_()
    network.classify(EncoderOutput(leaf, encoded.decoded)).logits.sum().backward()
    assert leaf.grad.shape == (2, 30, 160) and leaf.grad.abs().sum() > 0


def test_leaks_stay_in_their_range():
    assert pytest.approx([math.exp(-0.2), math.exp(-0.04)]) == ALPHA_RANGE
    network = model().eval()
    x = torch.randn(2, 30, 40)
    with torch.no_grad():
        network.backbone.layers[0].alpha.fill_(5.0)
    clamped = network(x).logits
    with torch.no_grad():
        network.backbone.layers[0].alpha.fill_(ALPHA_RANGE[1])
    assert torch.equal(network(x).logits, clamped)
    assert isinstance(lif_start(torch.zeros(1, 1)), LIFState)
