"""Download the official Speech Commands archive: resumed, verified, unpacked, all or nothing."""

from __future__ import annotations

import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import pooch

from models.data import fetched_data
from models.errors import SpikelensError

URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
SIZE = 2_428_923_189  # bytes
_CHUNK = 1 << 20  # bytes
_TIMEOUT_S = 60.0

Progress = Callable[[float, str], None]  # fraction in [0, 1], what is going on


def fetch_speech_commands(
    dest: Path | None = None,
    url: str = URL,
    sha256: str = SHA256,
    size: int = SIZE,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of Google Speech Commands v0.02, fetched and unpacked where it is not there yet.

    Parameters
    ----------
    dest : Path, optional
        Folder for the words; default ``speech_commands_v0.02`` among the fetched data sets.
    url, sha256 : str
    size : int
        In bytes.
    progress : callable, optional
        Called with a fraction in [0, 1] and a few words.

    Raises
    ------
    SpikelensError
        `dest` holds something else, the connection fails or ends early (what came stays in a ``.part`` file
        and is resumed by the next call), the archive is not the published one or cannot be unpacked.
    """
    folder = dest or fetched_data() / "speech_commands_v0.02"
    if (folder / "testing_list.txt").is_file():
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpikelensError(f"dest: {folder} exists and does not hold Speech Commands")
    tell = progress or (lambda fraction, words: None)
    part = folder.with_name(f"{folder.name}.tar.gz.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, size, tell)
    except (OSError, http.client.HTTPException) as error:
        raise SpikelensError(f"fetch: {url}: {error}; call again to resume") from None
    tell(1.0, "checking")
    if pooch.file_hash(part, alg="sha256") != sha256:
        part.unlink()
        raise SpikelensError(f"fetch: {url}: not the published archive (its SHA-256 differs); deleted")
    tell(1.0, "unpacking")
    _unpack(part, folder)
    part.unlink()
    return folder


def _download(url: str, part: Path, size: int, tell: Progress) -> None:
    """Bring `part` to `size` bytes, continuing after those it has."""
    have = part.stat().st_size if part.exists() else 0
    if have == size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise OSError("the server resumed at another place")
            have = have if resumed else 0
            with part.open("ab" if resumed else "wb") as stream:
                while have < size and (chunk := answer.read(min(_CHUNK, size - have))):
                    stream.write(chunk)
                    have += len(chunk)
                    tell(have / size, "fetching")
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return  # the server has no more than we have: the hash decides
    if have < size:
        raise OSError(f"the connection ended after {have:,} of {size:,} bytes")


def _unpack(archive: Path, folder: Path) -> None:
    unpacking = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)  # left by a call that was killed
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(unpacking, filter="data")
        unpacking.replace(folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink()
        raise SpikelensError(f"fetch: the archive cannot be unpacked: {error}; deleted") from None
    except OSError as error:
        raise SpikelensError(f"fetch: {folder}: {error.strerror or error}; call again to resume") from None
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
