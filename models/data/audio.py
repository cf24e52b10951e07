"""One audio file or upload -> 16-bit samples at 16 kHz, or one sentence about why not."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from models.data.base import N_SAMPLES, SAMPLE_RATE
from models.errors import SpikelensError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MAX_SECONDS = 60.0
SILENT_PEAK = 4  # of 32768, -78 dB full scale: below the dither of any recording chain
_MIN_RATE, _MAX_RATE = 1_000, 768_000  # Hz; outside, a header is damaged or hostile
_MAX_FRAMES = 2**62  # libsndfile counts more where a FLAC header leaves the length open
_BLOCK = 65_536  # frames decoded at a time: channels are averaged before the next is read
_WAV_DATA = re.compile(r"^\s*data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED = 0x7FFFFF00  # bytes; a WAV written to a pipe declares an impossible size, which is no damage


class AudioError(SpikelensError):
    """A file that holds no usable audio.

    Attributes
    ----------
    reason : str
        Why, without the file's name: what loaders count.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(f"audio: {name}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class DecodeInfo:
    """What a file held before it was brought to 16 kHz mono.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
    seconds : float
    format : str
        libsndfile's name of the container: ``WAV``, ``FLAC``, ``OGG``, ``MP3``.
    """

    sample_rate: int
    channels: int
    seconds: float
    format: str

    @property
    def resampled(self) -> bool:
        """Tell whether the rate was changed."""
        return self.sample_rate != SAMPLE_RATE

    @property
    def mixed_down(self) -> bool:
        """Tell whether several channels were averaged."""
        return self.channels > 1


def decode_audio(
    source: Path | str | bytes, max_seconds: float = MAX_SECONDS, *, allow_silent: bool = False
) -> tuple[np.ndarray, DecodeInfo]:
    """Decode audio to 16-bit mono at 16 kHz; 16-bit 16 kHz mono comes back bit for bit.

    Parameters
    ----------
    source : Path, str or bytes
        A file ending in one of `SUFFIXES`, or the content of one.
    max_seconds : float
        The duration is read from the header first; nothing beyond what it says is decoded.
    allow_silent : bool
        Accept samples that never exceed `SILENT_PEAK`.

    Returns
    -------
    samples : np.ndarray [shape=(n,), int16]
    info : DecodeInfo

    Raises
    ------
    AudioError
        Not audio, empty, truncated, too long, silent, unreadable, or samples that are not numbers.
    """
    name = "upload" if isinstance(source, bytes) else Path(source).name
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else _open(Path(source))
        with stream:
            if not stream.read(1):
                raise AudioError(name, "empty file")
            stream.seek(0)
            mono, info = _decode(stream, name, max_seconds)
    except OSError as error:
        raise AudioError(name, f"unreadable ({error.strerror or error})") from None
    if len(mono) == 0:
        raise AudioError(name, "no samples")
    if not np.isfinite(mono).all():
        raise AudioError(name, "samples that are not numbers")
    if info.resampled:
        mono = soxr.resample(mono, info.sample_rate, SAMPLE_RATE)
    samples = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    if not allow_silent and np.abs(samples.astype(np.int32)).max(initial=0) <= SILENT_PEAK:
        raise AudioError(name, "silent")
    return samples, info


def fit_length(samples: np.ndarray, n_samples: int = N_SAMPLES) -> np.ndarray:
    """Return exactly `n_samples`: zeros added at the end, or the middle cut out."""
    if len(samples) >= n_samples:
        start = (len(samples) - n_samples) // 2
        return samples[start : start + n_samples]
    return np.pad(samples, (0, n_samples - len(samples)))


def _open(path: Path) -> io.BufferedIOBase:
    if path.suffix.lower() not in SUFFIXES:
        raise AudioError(path.name, "not an audio file")
    if not path.is_file():  # a pipe would block for ever
        raise AudioError(path.name, "no such file")
    return path.open("rb")


def _decode(stream: io.BufferedIOBase, name: str, max_seconds: float) -> tuple[np.ndarray, DecodeInfo]:
    try:
        with soundfile.SoundFile(stream) as sound:
            rate, frames = sound.samplerate, sound.frames
            if not _MIN_RATE <= rate <= _MAX_RATE:
                raise AudioError(name, f"a sampling rate of {rate} Hz")
            if frames > _MAX_FRAMES:
                raise AudioError(name, "a header that tells no length")
            if frames > max_seconds * rate:
                raise AudioError(name, f"longer than {max_seconds:g} s")
            blocks = [block.mean(axis=1) for block in _blocks(sound)]  # never reads past `frames`
            read = sum(map(len, blocks))
            declared = 0.9 * frames if sound.format == "MP3" else frames  # an MP3 header may only estimate
            if read < declared or _shorter_than_declared(sound.extra_info):
                raise AudioError(name, "truncated")
            info = DecodeInfo(rate, sound.channels, read / rate, sound.format)
    except soundfile.SoundFileError as error:
        recognised = not isinstance(error, soundfile.LibsndfileError) or error.code != 1
        raise AudioError(name, "damaged or truncated" if recognised else "not an audio file") from None
    return np.concatenate([np.zeros(0, np.float32), *blocks]), info


def _blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block


def _shorter_than_declared(log: str) -> bool:
    found = _WAV_DATA.search(log)
    return found is not None and int(found[2]) < int(found[1]) < _STREAMED
