"""SynOps and energy: by hand, the same in evaluation and analysis, and as NeuroBench counts them."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from analysis.capture import capture
from analysis.energy import EnergyResult, energy
from models.checkpoint import load_checkpoint
from models.classifier import SpikingClassifier
from models.config import Recipe
from models.operations import AC_PJ, MAC_PJ, operations, synaptic_operations
from models.paths import user_checkpoints
from models.training import train

PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"


def recipe(encoder="residual", hidden=(12, 5), **backbone):
    return Recipe.from_dict(
        {
            "name": "energy",
            "data": {"name": "tones"},
            "encoder": {"name": encoder},
            "backbone": {"name": "rlif", "hidden": list(hidden), "norm_gain": 8.0, **backbone},
            "train": {"epochs": 1, "batch_size": 24},
        }
    )


def test_operations_by_hand():
    model = SpikingClassifier.from_seed(recipe(), 3)
    costs = operations(model, 98, {"encoder": 1000.0, "layer1": 200.0, "layer2": 50.0})
    assert [costs[part].synaptic for part in ("encoder", "layer1", "layer2", "readout")] == [
        0,
        1000 * 12 + 200 * 12,
        200 * 5 + 50 * 5,
        50 * 3,
    ]
    assert [cost.updates for cost in costs.values()] == [0, 98 * 12, 98 * 5, 98 * 3]
    assert costs["encoder"].encoder == 98 * (4 * 40 + 2 * 40)
    assert all(cost.dense == 0 for cost in costs.values())
    assert costs["readout"].energy_nj == pytest.approx((0.9 * 150 + 4.6 * 98 * 3) / 1000)
    assert (AC_PJ, MAC_PJ) == (0.9, 4.6)


def test_direct_input_pays_multiply_accumulates_and_no_recurrence_costs_nothing():
    direct = SpikingClassifier.from_seed(recipe("direct", (12,)), 3)
    costs = operations(direct, 98, {"layer1": 200.0})
    assert costs["encoder"].energy_nj == 0
    assert (costs["layer1"].dense, costs["layer1"].synaptic) == (98 * 40 * 12, 200 * 12)
    feedforward = SpikingClassifier.from_seed(recipe(hidden=(12,), recurrent=False), 3)
    assert operations(feedforward, 98, {"encoder": 1000.0, "layer1": 200.0})["layer1"].synaptic == 12_000


@pytest.mark.parametrize(
    ("encoder", "accumulates", "multiplies"),
    [
        ({"name": "residual"}, 4 * 40 + 2 * 40, 0),
        ({"name": "residual", "variant": "E3"}, 4 * 40 + 2 * 40, 40 * 40),  # the mixture of bands
        ({"name": "residual", "coding": "single"}, 2 * 40 + 40, 0),
        ({"name": "send-on-delta"}, 2 * 40 + 40, 0),
        ({"name": "moving-window"}, 2 * 40 + 3 * 40, 0),
        ({"name": "lif"}, 2 * 80, 80),
        ({"name": "bsa", "taps": 8}, 40 * (4 * 8 + 1), 0),
        ({"name": "direct"}, 0, 0),
    ],
)
def test_what_an_encoder_does_in_a_frame(encoder, accumulates, multiplies):
    body = recipe().to_dict() | {"encoder": encoder}
    model = SpikingClassifier.from_seed(Recipe.from_dict(body), 3)
    assert model.encoder.frame_operations() == (accumulates, multiplies)
    cost = operations(model, 98, {"encoder": 1.0, "layer1": 1.0, "layer2": 1.0})["encoder"]
    assert (cost.encoder, cost.dense) == (98 * accumulates, 98 * multiplies)


@pytest.fixture(scope="module")
def trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patched:
        for variable, folder in private_folders.items():
            patched.setenv(variable, str(folder))
        for encoder in ("residual", "direct"):
            train(recipe(encoder), tones, user_checkpoints() / f"energy-{encoder}")
        return {e: load_checkpoint(f"energy-{e}") for e in ("residual", "direct")}


@pytest.mark.parametrize("encoder", ["residual", "direct"])
def test_the_analysis_agrees_with_the_evaluation_and_its_parts_add_up(trained, tones, encoder):
    checkpoint = trained[encoder]
    result = energy(capture(checkpoint, tones, splits=("validation",)), checkpoint.model, split="validation")
    *parts, total = result.rows
    assert [row.part for row in result.rows] == ["encoder", "layer1", "layer2", "readout", "total"]
    assert total.synops.value == pytest.approx(checkpoint.metrics["synops"], rel=1e-6)
    assert total.synops.low < total.synops.value < total.synops.high  # over speakers
    for name in ("encoder_operations", "dense", "updates"):
        assert getattr(total, name) == sum(getattr(row, name) for row in parts)
    assert total.energy_nj.value == pytest.approx(sum(row.energy_nj.value for row in parts))
    assert total.spikes.value == pytest.approx(sum(row.spikes.value for row in parts if row.spikes))
    assert (total.dense == 98 * 40 * 12) if encoder == "direct" else (total.dense == 0)
    assert f"{AC_PJ} pJ" in result.sentence and "proxy" in result.sentence
    assert EnergyResult.from_json(result.to_json()).rows == result.rows
    table = result.to_table().set_index("part")
    assert np.isnan(table.spikes["readout"]) and table.energy_nj["total"] == total.energy_nj.value


class Unrolled(nn.Module):
    """The model's connections as linear layers that meet every spike once, frame by frame.

    NeuroBench (2.3.0, SynapticOperations) counts what enters an `nn.Linear`: the recurrent weights get a
    frame's spikes when they are sent, the last frame's too, as SynOps count them.
    """

    def __init__(self, model, spikes):
        super().__init__()
        self.spikes = spikes
        self.connections = nn.ModuleDict()
        backbone = model.backbone
        for number, layer in enumerate(backbone.layers, 1):
            self._connect(f"into{number}", layer.input.weight)
            self._connect(f"within{number}", layer.recurrent)
        self._connect("out", backbone.readout.input.weight)
        self.n_layers = len(backbone.layers)

    def _connect(self, name, weight):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        linear.weight = nn.Parameter(weight.detach().clone())
        self.connections[name] = linear

    def forward(self, encoded):
        for t in range(encoded.shape[1]):
            arriving = encoded[:, t]
            for number in range(1, self.n_layers + 1):
                sent = self.spikes[f"layer{number}"][:, t]
                self.connections[f"into{number}"](arriving)
                self.connections[f"within{number}"](sent)
                arriving = sent
            self.connections["out"](arriving)
        return encoded.sum((1, 2))


@pytest.mark.parametrize("encoder", ["residual", "direct"])
def test_neurobench_counts_the_same(encoder, tones, trained, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(PEERS)])
    reason = "NeuroBench is not installed (make bench-peers)"
    wrapped = pytest.importorskip("neurobench.models", reason=reason)
    workload = pytest.importorskip("neurobench.metrics.workload", reason=reason)
    from models.features.cache import split_features

    model, split = trained[encoder].model, tones.split("validation").select(np.arange(6))
    log_mel = torch.from_numpy(np.array(split_features(split, trained[encoder].recipe.features, "six")))
    points = ["encoder", "layer1", "layer2"]
    with torch.no_grad():
        spikes = model(log_mel, record=points).recordings
    net = wrapped.TorchModel(Unrolled(model, spikes))
    net.register_hooks()
    metric = workload.SynapticOperations()
    prediction = net(spikes["encoder"])
    metric(net, prediction, (spikes["encoder"], torch.zeros(6)))
    counted = metric.compute()
    sent = {
        name: float(spikes[name].sum()) / 6 for name in points if model.encoder.spiking or name != "encoder"
    }
    assert sent["layer1"] > 0 and sent["layer2"] > 0
    ours = operations(model, 98, sent)
    assert float(counted["Effective_ACs"]) == pytest.approx(
        float(synaptic_operations(model, 98, sent)), rel=1e-6
    )
    assert float(counted["Effective_MACs"]) == pytest.approx(sum(c.dense for c in ours.values()), rel=1e-6)
