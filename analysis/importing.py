"""Recordings made elsewhere: an .npz file, distrusted until every array has been checked."""

from __future__ import annotations

import hashlib
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from analysis.recordings import Point, Recordings, RecordingWriter
from models.data.base import SPLITS
from models.data.splits import check_speakers
from models.errors import SpikelensError
from models.paths import checkpoint_roots, user_data_dir

_VERSION = 1
_MAX_BYTES = 4 * 2**30  # of all arrays together
_MAX_ARRAYS = 64
_MAX_LENGTH = 65_536  # time steps, units
_BLOCK = 512
_LAYER = re.compile(r"layers/([a-z0-9][a-z0-9_-]{0,31})")
_RESERVED = ("features", "encoder", "decoded", "residual", "readout")
_TYPES: dict[str, Callable[[np.dtype], bool]] = {
    "uint8 or bool": lambda dtype: dtype in (np.uint8, np.bool_),
    "float": lambda dtype: dtype.kind == "f",
    "uint8, bool or float": lambda dtype: dtype in (np.uint8, np.bool_) or dtype.kind == "f",
    "text": lambda dtype: dtype.kind == "U",
    "text or integers": lambda dtype: dtype.kind in "iuU",
    "a number": lambda dtype: dtype.kind in "iuf",
}
_EXPECTED = {
    "spikes": "uint8 or bool",
    "label": "text or integers",
    "split": "text",
    "features": "float",
    "decoded": "float",
    "speaker": "text or integers",
    "dt_ms": "a number",
}
_LAYER_TYPE = "uint8, bool or float"
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # encrypted or nested too deep
    SyntaxError,
    TypeError,
    KeyError,
    MemoryError,
    tokenize.TokenError,  # from a header that does not end
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


class _Header(NamedTuple):
    """What a member of the archive claims to hold."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype


def import_recordings(path: Path | str, name: str, root: Path | None = None) -> Recordings:
    """Bring in the activity of any encoder, so that every analysis of recordings runs on it.

    The file is read without unpickling, and nothing is loaded before the headers of all arrays agree.

    Parameters
    ----------
    path : path of an .npz file with

        - ``spikes`` (n, T, N) uint8 zeros and ones: recorded as ``encoder``
        - ``label`` (n,) words, or integers
        - ``split`` (n,) ``train``, ``validation`` or ``test``
        - optional ``features`` (n, T, F) float, ``decoded`` (n, T, F) float,
          ``speaker`` (n,): none in two splits (leave it out where unknown),
          ``layers/<name>`` (n, T, M): uint8 spikes or float activity, ``dt_ms`` () (default 10)
    name : str
        Lower-case letters, digits and hyphens; recordings of that name are replaced.
    root : Path, optional
        Folder of all imports; the user's own by default.

    Raises
    ------
    SpikelensError
        Whatever is wrong with the file, the name or the disk, in one line; nothing is kept then.
    """
    from models.checkpoint import check_name

    check_name(name)
    if any((folder / name).exists() for folder in checkpoint_roots()):
        raise SpikelensError(f"name: {name!r} is a checkpoint already; choose another")
    path = Path(path)
    if not path.is_file():
        raise SpikelensError(f"file: {path} is not there")
    folder = (root or _root()) / name
    try:
        with zipfile.ZipFile(path) as archive:
            headers = _read_headers(archive)
            _check(headers)
            arrays = {key: _read(archive, header) for key, header in headers.items()}
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except SpikelensError:
        raise
    except zipfile.BadZipFile as error:
        raise SpikelensError(f"file: {path.name} is not a readable .npz ({error})") from None
    except _UNREADABLE as error:
        raise SpikelensError(f"file: {path.name} cannot be read ({type(error).__name__}: {error})") from None
    _check_values(path.name, arrays)
    try:
        # The name counts: results are kept under this digest and say whose they are.
        _write(folder, name, f"import-{_VERSION}-{name}-{digest}", arrays)
    except OSError as error:
        raise SpikelensError(f"recordings cannot be kept: {error.strerror or error}") from None
    return Recordings(folder)


def list_recordings() -> list[str]:
    """Return the names of all imported recordings."""
    from models.checkpoint import NAME

    root = _root()
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if NAME.fullmatch(p.name) and _stays_inside(p, root))


def open_imported(name: str) -> Recordings:
    """Open imported recordings by name; SpikelensError where there are none or a link leads elsewhere."""
    from models.checkpoint import check_name

    check_name(name)
    root = _root()
    if not (root / name).exists():
        raise SpikelensError(
            f"recordings: {name!r} not found; there are {', '.join(list_recordings()) or 'none'}"
        )
    if not _stays_inside(root / name, root):
        raise SpikelensError(f"recordings: {name!r} leads outside the recordings folder or is incomplete")
    return Recordings(root / name)


def _root() -> Path:
    return user_data_dir() / "recordings"


def _stays_inside(folder: Path, root: Path) -> bool:
    """Tell whether a folder holds recordings and no path in it leads out of `root`."""
    if not (folder / "meta.json").is_file():
        return False
    return all(path.resolve().is_relative_to(root.resolve()) for path in (folder, *folder.rglob("*")))


def _read_headers(archive: zipfile.ZipFile) -> dict[str, _Header]:
    """Read what the arrays claim to be, and refuse what would not fit, before any is loaded."""
    members = archive.infolist()
    if len(members) > _MAX_ARRAYS:
        raise SpikelensError(f"file: {len(members)} arrays, at most {_MAX_ARRAYS} are allowed")
    headers: dict[str, _Header] = {}
    total = 0
    for member in members:
        key = member.filename.removesuffix(".npy")
        if key not in _EXPECTED and not _LAYER.fullmatch(key):
            allowed = ", ".join((*_EXPECTED, "layers/<name>"))
            raise SpikelensError(f"file: unexpected array {key!r}; allowed: {allowed}")
        if key in headers:
            raise SpikelensError(f"file: {key} is there twice")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SpikelensError(f"{key}: unknown compression; use numpy.savez or numpy.savez_compressed")
        with archive.open(member) as file:
            shape, dtype, start = _read_header(key, cast(BinaryIO, file))
        if dtype.hasobject:
            raise SpikelensError(f"{key}: holds Python objects, which are never loaded")
        size = math.prod(shape) * dtype.itemsize  # Python integers: no overflow
        total += size
        if total > _MAX_BYTES:
            raise SpikelensError(f"{key}: shape {shape} is too large; at most {_MAX_BYTES >> 30} GiB in all")
        if member.file_size != start + size:
            raise SpikelensError(f"{key}: shape {shape} of {dtype} does not match the size of its data")
        headers[key] = _Header(member, shape, dtype)
    return headers


def _read_header(key: str, file: BinaryIO) -> tuple[tuple[int, ...], np.dtype, int]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise SpikelensError(f"{key}: .npy version {version} is not one of 1.0, 2.0")
    shape, _, dtype = readers[version](file)
    if any(length < 0 for length in shape):
        raise SpikelensError(f"{key}: shape {shape} has a negative length")
    return shape, dtype, file.tell()


def _read(archive: zipfile.ZipFile, header: _Header) -> np.ndarray:
    with archive.open(header.member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check(headers: Mapping[str, _Header]) -> None:
    """Check presence, types and shapes against each other."""
    for key in ("spikes", "label", "split"):
        if key not in headers:
            raise SpikelensError(f"file: {key} is missing; needed are spikes, label and split")
    spikes = headers["spikes"].shape
    if len(spikes) != 3 or not spikes[0]:
        raise SpikelensError(f"spikes: shape {spikes}, must be (clips, time steps, units)")
    for key, header in headers.items():
        kind = _EXPECTED.get(key, _LAYER_TYPE)
        if not _TYPES[kind](header.dtype):
            raise SpikelensError(f"{key}: type {header.dtype}, must be {kind}")
        _check_shape(key, header.shape, spikes)
        if (layer := _LAYER.fullmatch(key)) and layer[1] in _RESERVED:
            raise SpikelensError(f"{key}: {layer[1]!r} has a meaning of its own; choose another name")
    if "decoded" in headers:
        decoded, features = headers["decoded"].shape, headers.get("features")
        if features is None or features.shape != decoded:
            raise SpikelensError(f"decoded: shape {decoded}, must come with features of the same shape")


def _check_shape(key: str, shape: tuple[int, ...], spikes: tuple[int, ...]) -> None:
    per_clip: dict[str, tuple[int, ...]] = {"dt_ms": ()} | {
        k: spikes[:1] for k in ("label", "split", "speaker")
    }
    wanted = per_clip.get(key, (*spikes[:2], *shape[2:3]))
    if shape != wanted or (key not in per_clip and len(shape) != 3):
        hint = str(wanted) if key in per_clip else f"({spikes[0]}, {spikes[1]}, units)"
        raise SpikelensError(f"{key}: shape {shape}, must be {hint} to go with spikes {spikes}")
    if not all(0 < length <= _MAX_LENGTH for length in shape[1:]):
        raise SpikelensError(f"{key}: shape {shape}, time steps and units must be 1 to {_MAX_LENGTH}")


def _check_values(file: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Check what only the values tell."""
    for key in ("label", "split", "speaker"):
        if key in arrays:
            _check_words(key, arrays[key])
    if odd := sorted(set(np.unique(arrays["split"]).tolist()) - set(SPLITS)):
        raise SpikelensError(f"split: {odd[0]!r} is not one of {', '.join(SPLITS)}")
    if "speaker" in arrays:
        speakers = arrays["speaker"].astype(str)
        check_speakers(file, {name: speakers[arrays["split"] == name].tolist() for name in SPLITS})
    if not 0 < arrays.get("dt_ms", np.array(10.0)) < np.inf:
        raise SpikelensError(f"dt_ms: {arrays['dt_ms']} must be above 0")
    for key, values in arrays.items():
        if values.ndim != 3:
            continue
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK]
            if block.dtype.kind == "f" and not (np.abs(block) < np.finfo(np.float32).max).all():
                raise SpikelensError(f"{key}: holds numbers that are not finite")
            if block.dtype.kind == "u" and block.max() > 1:
                raise SpikelensError(f"{key}: holds {block.max()}, spikes are 0 or 1")


def _check_words(key: str, values: np.ndarray) -> None:
    try:
        words = [str(word) for word in np.unique(values).tolist()]
    except (ValueError, SystemError):  # numpy reads code points that do not exist, Python does not
        raise SpikelensError(f"{key}: holds bytes that are not text") from None
    if odd := [word for word in words if not word or not word.isprintable()]:
        raise SpikelensError(f"{key}: {odd[0]!r} is empty or cannot be printed")


def _write(folder: Path, name: str, digest: str, arrays: Mapping[str, np.ndarray]) -> None:
    words, labels = np.unique(arrays["label"], return_inverse=True)
    sources = {"encoder": arrays["spikes"]}
    sources |= {key: arrays[key] for key in ("features", "decoded") if key in arrays}
    sources |= {match[1]: values for key, values in arrays.items() if (match := _LAYER.fullmatch(key))}
    points = [Point(key, values.shape[2], values.dtype.kind != "f") for key, values in sources.items()]
    speakers = None if "speaker" not in arrays else arrays["speaker"].astype(str)
    writer = RecordingWriter(
        folder,
        name=name,
        source="import",
        digest=digest,
        dataset=name,
        class_names=words.astype(str).tolist(),
        points=points,
        dt_ms=float(arrays.get("dt_ms", 10.0)),
    )
    with writer:
        for split in SPLITS:
            clips = np.flatnonzero(arrays["split"] == split)
            if not len(clips):
                continue
            writer.add_split(
                split,
                labels=labels[clips],
                clip_ids=[f"clip-{i}" for i in clips],
                speakers=None if speakers is None else speakers[clips].tolist(),
                n_steps=arrays["spikes"].shape[1],
            )
            for key, values in sources.items():
                for start in range(0, len(clips), _BLOCK):
                    rows = slice(start, min(start + _BLOCK, len(clips)))
                    writer.write(split, key, rows, values[clips[rows]])
