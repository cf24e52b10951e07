"""Rate code by chance: a spike with a probability that follows the signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from models.encoders.base import EncoderOutput
from models.encoders.fit import sample_clips
from models.encoders.fixed_kernels import draw_spikes
from models.encoders.frames import FrameEncoder, run_frames
from models.encoders.tuning import check_rate
from models.encoders.unit_range import UnitRange, to_unit
from models.errors import SpikelensError
from models.neurons.engine import as_array
from models.registry import register_encoder
from models.streaming import Stage

_ODD = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64, as in the kernel


@dataclass(frozen=True)
class PoissonConfig:
    """Spikes by chance.

    Attributes
    ----------
    max_probability : float in (0, 1]
        Of a spike in a frame, at the top of a band's range.
    complement : bool
        A second channel a band for the distance from the top: 2F channels instead of F.
    rate : float or None
        Events per channel and frame to be met by another `max_probability`.
    seed : int
    """

    name: Literal["poisson"] = "poisson"
    max_probability: float = 1.0
    complement: bool = False
    rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.max_probability <= 1:
            raise ValueError(f"encoder.max_probability: {self.max_probability} must lie above 0 and up to 1")
        if self.seed < 0:
            raise ValueError(f"encoder.seed: {self.seed} must be at least 0")
        check_rate(self.rate)


@register_encoder("poisson", PoissonConfig)
class Poisson(FrameEncoder):
    r"""Independent spikes, drawn anew for every frame.

    .. math:: P(s_t = 1) = p_{max}\,\mathrm{clip}((x_t - q_1) / (q_{99} - q_1), 0, 1)

    The percentiles q are those of a band in the training set. Chance is a counter-based generator
    (splitmix64, Steele, Lea and Flood 2014) with a key for each clip. In training the key is made of the
    seed, the number of passes so far (kept with the weights, so a resumed run goes on alike) and the clip's
    place in the batch: every pass draws afresh. In evaluation it is made of the seed and the clip's first
    frame: a clip gives the same spikes in any batch and in a stream, and two clips share no draws.

    There is no decoder: one draw a frame tells next to nothing of its probability.
    """

    peak: torch.Tensor
    passes: torch.Tensor

    def __init__(self, config: PoissonConfig, n_bands: int):
        super().__init__()
        self.config = config
        self.n_units = n_bands * (2 if config.complement else 1)
        self.streams = {"level": (0, n_bands)}
        if config.complement:
            self.streams["complement"] = (n_bands, 2 * n_bands)
        self.range = UnitRange(n_bands)
        self.register_buffer("peak", torch.tensor(config.max_probability))
        self.register_buffer("passes", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> EncoderOutput:
        """Encode normalised log-mel; in training mode with draws that no other pass has."""
        if not self.training:
            return super().forward(x)
        self.passes += 1
        keys = np.array([self.config.seed], np.uint64)
        for number in (np.uint64(self.passes), np.arange(len(x), dtype=np.uint64)):
            keys = _scrambled(keys) ^ number
        spikes = run_frames(self.streaming(), as_array(x.cpu()), self.n_units, (_scrambled(keys), 0))
        return EncoderOutput(torch.from_numpy(spikes).to(x.device), None)

    def streaming(self) -> Stage:
        """Return the encoder for one frame at a time, in evaluation; its state is key and frame number."""
        low, high = self.range.bounds()
        peak, seed = as_array(self.peak).copy(), self.config.seed
        both = self.config.complement

        def step(frame: np.ndarray, state: tuple[np.ndarray, int] | None) -> Any:
            frames = frame.reshape(-1, frame.shape[-1])
            keys, t = (_clip_keys(frames, seed), 0) if state is None else state
            level = to_unit(frames, low, high)
            probability = peak * (np.concatenate((level, 1 - level), axis=1) if both else level)
            spikes = draw_spikes(probability, keys, np.uint64(t * probability.shape[1]))
            return spikes.reshape(*frame.shape[:-1], -1), (keys, t + 1)

        return Stage(None, step)

    def fit(self, features: np.ndarray) -> None:
        """Find the range of each band, and the highest probability that gives the rate."""
        x = sample_clips(features)
        self.range.fit(x)
        if self.config.rate is None:
            return
        mean = (
            0.5 if self.config.complement else float(to_unit(x, *self.range.bounds()).mean(dtype=np.float64))
        )
        if self.config.rate > mean:
            raise SpikelensError(
                f"encoder.rate: {self.config.rate} events per channel and frame are out of reach, "
                f"at most {mean:.4f} are possible"
            )
        self.peak.fill_(self.config.rate / mean)

    def describe(self) -> dict[str, float]:
        """Return the highest probability of a spike."""
        return {"max_probability": float(self.peak)}


def _clip_keys(frames: np.ndarray, seed: int) -> np.ndarray:
    """Return a key for each clip from the bits of its first frame, ``(B, F)`` to ``(B,)``."""
    bits = np.ascontiguousarray(frames, np.float32).view(np.uint32)
    head = _scrambled(np.array([seed], np.uint64))
    keys = np.broadcast_to(head, len(frames)).copy()
    for column in bits.T:
        keys = _scrambled(keys ^ column)
    return keys


def _scrambled(z: np.ndarray) -> np.ndarray:
    """Return the next output of splitmix64 for each state."""
    z = z + _ODD
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))
