"""Streaming inference: a frame in, scores out, the state in the caller's hands; equal to the batch result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.classifier import SpikingClassifier


class Stage(NamedTuple):
    """A part of a model that runs frame by frame.

    Attributes
    ----------
    start : Any
        The state before the first frame.
    step : callable
        ``step(frame, state) -> (output, state)``, pure: what it is given it leaves as it was.
    """

    start: Any
    step: Callable[[np.ndarray, Any], tuple[Any, Any]]


class StreamState(NamedTuple):
    """Everything a stream remembers between two frames."""

    encoder: Any
    backbone: Any
    n_frames: int


class StreamOutput(NamedTuple):
    """What one frame gave.

    Attributes
    ----------
    logits : np.ndarray [shape=(C,)]
        The readout's mean over the frames so far; after the last frame of a clip, the clip's logits.
    encoder : np.ndarray [shape=(N,)]
        Encoder spikes of this frame.
    layers : tuple of np.ndarray [shape=(N,)]
        Spikes of each layer in this frame.
    """

    logits: np.ndarray
    encoder: np.ndarray
    layers: tuple[np.ndarray, ...]


class StreamingClassifier:
    """A trained model for live sound: microseconds a frame, one clip, in evaluation mode.

    Parameters
    ----------
    model : SpikingClassifier
        Its weights are read once; later changes to it are not seen.

    Raises
    ------
    SpikelensError
        The encoder has no streaming form.

    Examples
    --------
    >>> stream = StreamingClassifier(model)
    >>> state = stream.start()
    >>> for frame in log_mel(waveform[None], config)[0].numpy():
    ...     output, state = stream.step(frame, state)
    >>> label = output.logits.argmax()
    """

    def __init__(self, model: SpikingClassifier):
        self._mean, self._std = model.feature_mean.numpy().copy(), model.feature_std.numpy().copy()
        self._encoder, self._drive = model.encoder.streaming(), model.encoder.drive
        self._backbone = model.backbone.streaming(model.encoder.spiking and not model.encoder.signed)

    def start(self) -> StreamState:
        """Return the state before the first frame."""
        return StreamState(self._encoder.start, self._backbone.start, 0)

    def step(self, frame: np.ndarray, state: StreamState) -> tuple[StreamOutput, StreamState]:
        """Take in one frame of log-mel ``(F,)``; SpikelensError where it has another shape."""
        frame = np.asarray(frame, self._mean.dtype)
        if frame.shape != self._mean.shape:
            raise SpikelensError(f"frame: shape {frame.shape} must be {self._mean.shape}, one log-mel frame")
        spikes, encoder = self._encoder.step((frame - self._mean) / self._std, state.encoder)
        (total, layers), backbone = self._backbone.step(self._drive(spikes), state.backbone)
        n_frames = state.n_frames + 1
        return StreamOutput(total / n_frames, spikes, layers), StreamState(encoder, backbone, n_frames)
