"""Encoders that are not trained: the textbook step-forward code, and no encoder at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.encoders.base import Encoder, EncoderOutput
from models.encoders.fit import sample_clips
from models.registry import register_encoder
from models.streaming import Stage


def step_forward(x: torch.Tensor, threshold: float, start_at_first: bool = False) -> EncoderOutput:
    """Encode with one step size (step-forward coding, Petro, Kasabov and Kiss 2020).

    ON where ``x[t] > B[t-1] + threshold``, OFF where ``x[t] < B[t-1] - threshold``; the baseline follows by
    the threshold. Decoding is the baseline itself.

    Parameters
    ----------
    x : torch.Tensor [shape=(B, T, F)]
    threshold : float > 0
    start_at_first : bool
        Start the baseline at ``x[:, 0]`` as in the textbook, which discards level; at 0 otherwise.

    Returns
    -------
    EncoderOutput
        Spikes ``(B, T, 2F)``, ON then OFF.
    """
    baseline = x[:, 0].clone() if start_at_first else torch.zeros_like(x[:, 0])
    spikes, decoded = [], []
    for frame in x.unbind(1):
        on = (frame > baseline + threshold).to(x.dtype)
        off = (frame < baseline - threshold).to(x.dtype)
        baseline = baseline + threshold * (on - off)
        spikes.append(torch.cat((on, off), dim=-1))  # (B, 2F)
        decoded.append(baseline)
    return EncoderOutput(torch.stack(spikes, 1), torch.stack(decoded, 1))


@dataclass(frozen=True)
class StepForwardConfig:
    """One step size, chosen on the training features for the best reconstruction SNR."""

    name: Literal["step-forward"] = "step-forward"


@register_encoder("step-forward", StepForwardConfig)
class StepForward(Encoder):
    """Step-forward coding with the threshold tuned for SNR and then frozen."""

    threshold: torch.Tensor

    def __init__(self, config: StepForwardConfig, n_bands: int):
        super().__init__()
        self.n_units = 2 * n_bands
        self.streams = {"on": (0, n_bands), "off": (n_bands, 2 * n_bands)}
        self.register_buffer("threshold", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Encode normalised log-mel."""
        return step_forward(x, float(self.threshold))

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the baseline."""
        threshold = self.threshold.numpy()

        def step(frame: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            on = (frame > baseline + threshold).astype(frame.dtype)
            off = (frame < baseline - threshold).astype(frame.dtype)
            return np.concatenate((on, off)), baseline + threshold * (on - off)

        return Stage(np.zeros(self.n_units // 2, threshold.dtype), step)

    def fit(self, features: np.ndarray) -> None:
        """Choose the threshold by bounded search on ``(n, T, F)`` normalised training features."""
        from scipy.optimize import minimize_scalar

        x = torch.from_numpy(sample_clips(features)[:500])

        def error(log_threshold: float) -> float:
            decoded = step_forward(x, float(np.exp(log_threshold))).decoded
            assert decoded is not None
            return float((x - decoded).square().mean())

        # Two brackets: the error has more than one valley.
        fits = [minimize_scalar(error, bounds=b, method="bounded") for b in ((-3.0, -0.7), (-0.7, 1.0))]
        self.threshold.fill_(float(np.exp(min(fits, key=lambda fit: fit.fun).x)))

    def describe(self) -> dict[str, float]:
        """Return the threshold in units of normalised log-mel."""
        return {"threshold": float(self.threshold)}


@dataclass(frozen=True)
class DirectConfig:
    """No encoder: the features enter the first layer as currents."""

    name: Literal["direct"] = "direct"


@register_encoder("direct", DirectConfig)
class Direct(Encoder):
    """Hand the normalised log-mel on as it is: not spikes, and trivially faithful."""

    spiking = False

    def __init__(self, config: DirectConfig, n_bands: int):
        super().__init__()
        self.n_units = n_bands
        self.streams = {}

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Return the features; nothing is decoded since nothing was encoded."""
        return EncoderOutput(x, None)

    def streaming(self) -> Stage:
        """Return the identity; it has no state."""
        return Stage(None, lambda frame, state: (frame, state))
