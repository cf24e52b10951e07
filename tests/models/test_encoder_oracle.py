"""The fixed encoders beside the PyPI package spike-encoding (``make bench-peers``), as an outside oracle.

It has no send-on-delta, moving-window, level or Poisson code over frames. Its LIF code is another one: each
signal scaled to [-1, 1] by its own extremes, one membrane for both signs, reset to 0.
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from models.encoders.bsa import Bsa, BsaConfig
from models.encoders.delta import ThresholdBased, ThresholdBasedConfig
from models.encoders.step_forward import step_forward

PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"
N_BANDS, N_STEPS = 6, 150


@pytest.fixture
def oracle(monkeypatch):
    """Return an importer of the package's modules, or skip; what its optimisers ask for is left empty."""
    if not (PEERS / "spike_encoding").is_dir():
        pytest.skip("spike-encoding is not installed (make bench-peers)")
    monkeypatch.setattr(sys, "path", [*sys.path, str(PEERS)])
    for name, attributes in {
        "torchmetrics": ("MeanSquaredError",),
        "optuna": (),
        "optuna.samplers": ("TPESampler",),
        "colorama": ("init", "Fore", "Style"),
    }.items():
        empty = ModuleType(name)
        for attribute in attributes:
            setattr(empty, attribute, lambda *arguments: None)
        monkeypatch.setitem(sys.modules, name, empty)
    import importlib

    return lambda name: importlib.import_module(f"spike_encoding.{name}")


def signals() -> np.ndarray:
    """Return random walks drawn to 0, (F, T), float32."""
    rng = np.random.default_rng(3)
    x = np.zeros((N_BANDS, N_STEPS))
    for t in range(1, N_STEPS):
        x[:, t] = 0.95 * x[:, t - 1] + 0.4 * rng.standard_normal(N_BANDS)
    return x.astype(np.float32)


def ours(spikes: torch.Tensor) -> np.ndarray:
    """Return ON and OFF, (2, F, T), OFF negative as theirs."""
    on, off = spikes[0].numpy().T.reshape(2, N_BANDS, N_STEPS)
    return np.stack((on, -off))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0])
def test_step_forward(oracle, threshold):
    x = signals()
    converter = oracle("step_forward_converter").StepForwardConverter(threshold, down_spike=True)
    theirs = converter.encode(torch.from_numpy(x)).numpy()
    mine = step_forward(torch.from_numpy(x.T[None].copy()), threshold, start_at_first=True)
    assert 0.01 < np.abs(theirs).mean() < 0.5
    np.testing.assert_array_equal(ours(mine.spikes), theirs)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0])
def test_threshold_based(oracle, threshold):
    """Theirs fires at the threshold, ours beyond it: no difference in numbers drawn at random."""
    x = signals()
    converter = oracle("delta_modulation_converter").DeltaModulationConverter(
        delta=threshold, padding=True, off_spike=True
    )
    theirs = converter(torch.from_numpy(x)).numpy()
    encoder = ThresholdBased(ThresholdBasedConfig(), N_BANDS)
    encoder.threshold.fill_(threshold)
    assert 0.005 < np.abs(theirs).mean() < 0.5
    np.testing.assert_array_equal(ours(encoder(torch.from_numpy(x.T[None].copy())).spikes), theirs)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_bsa(oracle, threshold):
    """Theirs skips the first frame and the filter's first tap, and goes on with a cut filter at the end."""
    order, cutoff = 8, 0.2
    y = signals()
    y = (y - y.min(axis=1, keepdims=True)) / np.ptp(y, axis=1, keepdims=True)
    algorithm = oracle("bens_spiker_algorithm").BensSpikerAlgorithm(
        threshold=[threshold] * N_BANDS, filter_order=[order] * N_BANDS, filter_cutoff=[cutoff] * N_BANDS
    )
    theirs = algorithm.encode(torch.from_numpy(y.copy()), isNormed=True).numpy()
    encoder = Bsa(BsaConfig(taps=order, cutoff=cutoff), N_BANDS)
    encoder.kernel.copy_(algorithm.fir_filter()[0][1:])
    encoder.margin.fill_(threshold)
    encoder.range.low.fill_(0.0)
    encoder.range.high.fill_(1.0)
    spikes = encoder(torch.from_numpy(y.T[None, 1:].copy())).spikes[0].numpy().T
    decided = N_STEPS - order  # frames 1 to here have a whole filter ahead of them
    assert 0.05 < theirs[:, 1 : decided + 1].mean() < 0.95
    np.testing.assert_array_equal(spikes[:, order - 1 :], theirs[:, 1 : decided + 1])
