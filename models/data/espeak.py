"""eSpeak NG as a pure function: words in, samples out.

The C library keeps counters that no call resets, not even terminating it: the phase of the pitch flutter, the
voicing cycles, its gain control, the glottal filter. Within one process a word therefore sounds a little
different after every other word. Each batch is rendered by a child process of its own, which starts from the
same state every time; that also keeps a crash of the library out of ours.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import SpikelensError

RATE_HZ = 22_050
PITCHES = (0, 99)
WORDS_PER_MINUTE = (80, 450)
ACCENTS = (  # "en" is British: the library does not find that voice under the name "en-gb"
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)

# speak_lib.h
_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_BUFFER_MS = 4000  # a whole word: echoes of some voices are cut where a buffer ends
_RATE, _PITCH = 1, 3
_FIXED_PARAMETERS = {2: 100, 4: 50, 5: 0, 6: 0, 7: 0}  # volume, pitch range, punctuation, capitals, word gap


@dataclass(frozen=True)
class Utterance:
    """What to say and how.

    Attributes
    ----------
    text : str
    voice : str
        One of `voices`.
    accent : str
        One of `ACCENTS`.
    pitch : int
        0 to 99, relative to the voice's own pitch at 50.
    rate : int [unit=words per minute]
        80 to 450.
    """

    text: str
    voice: str
    accent: str
    pitch: int
    rate: int


def library_version() -> str:
    """Return the version of the package that ships the library and its voices."""
    try:
        return importlib.metadata.version("espeakng-loader")
    except importlib.metadata.PackageNotFoundError:
        raise _unusable("the package espeakng-loader is not installed") from None


def voices() -> tuple[str, ...]:
    """Return the names of the voice variants, sorted."""
    try:
        import espeakng_loader

        folder = Path(espeakng_loader.get_data_path(), "voices", "!v")
        return tuple(sorted(path.name for path in folder.iterdir()))
    except (ImportError, OSError, RuntimeError) as error:
        raise _unusable(error) from None


def render(utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """Speak every utterance; the same sequence always gives the same samples.

    Parameters
    ----------
    utterances : sequence of Utterance

    Returns
    -------
    list of np.ndarray [shape=(n_samples,), int16, rate=RATE_HZ]

    Raises
    ------
    SpikelensError
        An utterance out of range, or no usable library on this machine.
    """
    known = voices()
    for utterance in utterances:
        _check(utterance, known)
    request = [[u.text, f"{u.accent}+{u.voice}", u.pitch, u.rate] for u in utterances]
    child = subprocess.run(
        [sys.executable, "-m", "models.data.espeak"],
        input=json.dumps(request).encode(),
        capture_output=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").split("\n")
        raise _unusable(next((line for line in reversed(lines) if line), f"status {child.returncode}"))
    header, _, body = child.stdout.partition(b"\n")
    ends = np.cumsum(json.loads(header))
    return np.split(np.frombuffer(body, dtype="<i2"), ends[:-1])


def _check(utterance: Utterance, known: Sequence[str]) -> None:
    # the library speaks with another voice, and reports success, where it does not know the name
    for argument, allowed in (("voice", known), ("accent", ACCENTS)):
        if (value := getattr(utterance, argument)) not in allowed:
            raise SpikelensError(f"{argument}: {value!r} is not one of {', '.join(allowed)}")
    for argument, (low, high) in (("pitch", PITCHES), ("rate", WORDS_PER_MINUTE)):
        if not low <= (value := getattr(utterance, argument)) <= high:
            raise SpikelensError(f"{argument}: {value} is not between {low} and {high}")


def _unusable(reason: object) -> SpikelensError:
    return SpikelensError(f"spoken35: the speech library eSpeak NG cannot be used here ({reason})")


class _Synthesiser:
    """The library in this process: initialised once, every parameter set for every utterance."""

    def __init__(self) -> None:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        os.chdir(Path(espeakng_loader.get_data_path()).parent)  # it fails on a path of 160 characters
        if library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT) != RATE_HZ:
            raise OSError("its voice data cannot be read")
        library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # breath noise; seeded from the clock otherwise
        library.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        self._library = library
        self._blocks: list[bytes] = []
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = callback(self._receive)  # a reference that lives as long as the library calls it
        library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str, voice: str, pitch: int, rate: int) -> bytes:
        """Return the 16-bit samples of one utterance."""
        self._blocks.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise OSError(f"it has no voice {voice}")
        for parameter, value in {**_FIXED_PARAMETERS, _PITCH: pitch, _RATE: rate}.items():
            self._library.espeak_SetParameter(parameter, value, 0)
        spoken = text.encode() + b"\0"
        if self._library.espeak_Synth(spoken, len(spoken), 0, 1, 0, _UTF8, None, None) != 0:
            raise OSError(f"it could not say {text!r}")
        return b"".join(self._blocks)


def _serve() -> None:
    """Speak the utterances on standard input (JSON); write their lengths in samples, then the samples."""
    request = json.load(sys.stdin)
    try:
        synthesiser = _Synthesiser()
        sounds = [synthesiser.say(*utterance) for utterance in request]
    except (ImportError, AttributeError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(json.dumps([len(sound) // 2 for sound in sounds]).encode() + b"\n")
    sys.stdout.buffer.write(b"".join(sounds))


if __name__ == "__main__":
    _serve()
