"""Step-forward coding with one step size: tuned for reconstruction, or as in Speech2Spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from models.encoders.base import EncoderOutput, on_off_streams
from models.encoders.frames import FrameEncoder, TunedEncoder, on_off, run_frames, running_sum
from models.encoders.tuning import check_rate
from models.neurons.engine import as_array
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
    values = as_array(x)
    step = values.dtype.type(threshold)
    start = values[:, 0] if start_at_first else np.zeros_like(values[:, 0])
    spikes = run_frames(Stage(start, _step(step)), values, 2 * values.shape[2])
    return EncoderOutput(
        torch.from_numpy(spikes), torch.from_numpy(start[:, None] + running_sum(spikes, step))
    )


def _step(threshold: np.ndarray) -> Any:
    """Return the step of step-forward coding; its state is the baseline, None for zero."""

    def step(frame: np.ndarray, baseline: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        base = np.zeros_like(frame) if baseline is None else baseline
        spikes = on_off(frame > base + threshold, frame < base - threshold, frame.dtype)
        n_bands = frame.shape[-1]
        return spikes, base + threshold * (spikes[..., :n_bands] - spikes[..., n_bands:])

    return step


@dataclass(frozen=True)
class StepForwardConfig:
    """One step size, chosen on the training features for the best reconstruction SNR.

    Attributes
    ----------
    rate : float or None
        Events per channel and frame to be met instead.
    """

    name: Literal["step-forward"] = "step-forward"
    rate: float | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate, 0.5)


@register_encoder("step-forward", StepForwardConfig)
class StepForward(TunedEncoder):
    """Step-forward coding with the threshold tuned for SNR and then frozen."""

    has_decoder = True
    threshold: torch.Tensor

    def __init__(self, config: StepForwardConfig, n_bands: int):
        super().__init__()
        self.rate = config.rate
        self.n_units = 2 * n_bands
        self.streams = on_off_streams(n_bands)
        self.register_buffer("threshold", torch.tensor(0.5))

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the baseline."""
        return Stage(None, _step(as_array(self.threshold).copy()))

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the baseline, the running sum of the steps."""
        return running_sum(spikes, as_array(self.threshold))


@dataclass(frozen=True)
class Speech2SpikesConfig:
    """Step-forward coding as published for speech: nothing is chosen on the training features.

    Attributes
    ----------
    step : float
        In natural-log units of the log-mel, before normalisation.
    signed : bool
        The network gets ON minus OFF, as published, instead of both.
    """

    name: Literal["speech2spikes"] = "speech2spikes"
    step: float = 1.0
    signed: bool = False

    def __post_init__(self) -> None:
        if self.step <= 0:
            raise ValueError(f"encoder.step: {self.step} must be above 0")


@register_encoder("speech2spikes", Speech2SpikesConfig)
class Speech2Spikes(FrameEncoder):
    """Step-forward coding of the log-mel itself from its first value on (Stewart et al. 2023).

    The baseline starts at ``round(x[0])`` in natural-log units. The start is no event: the decoder is given
    it, and the network never learns the level.
    """

    has_decoder = True
    threshold: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Speech2SpikesConfig, n_bands: int):
        super().__init__()
        self.signed = config.signed
        self.n_units = 2 * n_bands
        self.streams = on_off_streams(n_bands)
        self._step = config.step
        self.register_buffer("threshold", torch.full((n_bands,), config.step))
        self.register_buffer("mean", torch.zeros(n_bands))
        self.register_buffer("std", torch.ones(n_bands))

    def set_scale(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Express the step in units of normalised log-mel."""
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))
        self.threshold.copy_(self._step / self.std)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time; its state is the baseline."""
        threshold, mean, std = (as_array(v).copy() for v in (self.threshold, self.mean, self.std))
        follow = _step(threshold)

        def step(frame: np.ndarray, baseline: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            return follow(frame, _rounded(frame, mean, std) if baseline is None else baseline)

        return Stage(None, step)

    def decode(self, spikes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the baseline: the rounded first frame and the running sum of the steps."""
        start = _rounded(first, as_array(self.mean), as_array(self.std))
        return start[:, None] + running_sum(spikes, as_array(self.threshold))

    def describe(self) -> dict[str, float]:
        """Return the threshold in units of normalised log-mel, mean over bands."""
        return {"threshold": float(self.threshold.mean())}


def _rounded(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    return (np.round(x * std + mean) - mean) / std
