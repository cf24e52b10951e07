"""Results on disk: computed once, read afterwards, never trusted blindly."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from analysis.result import Result
from models.paths import cache_dir

_SCHEMA = 1  # raise it when the form of results changes; of one analysis, raise its version in its key
_log = logging.getLogger("spikelens")
R = TypeVar("R", bound=Result)


def cached(result_type: type[R], key_parts: Mapping[str, Any], compute: Callable[[], R]) -> R:
    """Return the stored result of these settings, or compute and store it.

    Parameters
    ----------
    result_type : type of Result
    key_parts : mapping
        Everything the result depends on, as JSON values: the analysis, its settings, the recordings' digest.
    compute : callable

    Notes
    -----
    A file that cannot be read as `result_type` is computed again; a disk that cannot be written is reported
    in the log, and the result returned all the same.
    """
    path = stored_path(result_type, key_parts)
    try:
        return result_type.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _log.warning("stored result %s cannot be read, computing again (%s)", path.name, type(error).__name__)
    result = compute()
    try:
        _write(path, result.to_json())
    except OSError as error:
        _log.warning("result cannot be kept in %s (%s)", path.parent, error.strerror or error)
    return result


def stored_path(result_type: type[Result], key_parts: Mapping[str, Any]) -> Path:
    """Return where `cached` keeps the result of these settings; the file exists once it was computed."""
    key = json.dumps([_SCHEMA, result_type.__name__, key_parts], sort_keys=True)
    return cache_dir() / "results" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
