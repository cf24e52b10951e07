"""Where things live on this machine: shipped checkpoints, the user's own runs, data and caches."""

import os
import tempfile
from pathlib import Path

import platformdirs

_APP = "spikelens"


def shipped_checkpoints() -> Path:
    """Return the folder of the checkpoints that come with the repository (``SPIKELENS_CHECKPOINTS``)."""
    override = os.environ.get("SPIKELENS_CHECKPOINTS")
    return Path(override) if override else Path(__file__).resolve().parent.parent / "checkpoints"


def user_data_dir() -> Path:
    """Return the folder of the user's own runs, imported recordings and fetched data."""
    override = os.environ.get("SPIKELENS_HOME")
    return Path(override) if override else Path(platformdirs.user_data_dir(_APP))


def user_checkpoints() -> Path:
    """Return the folder of the checkpoints trained by this user."""
    return user_data_dir() / "checkpoints"


def checkpoint_roots() -> tuple[Path, ...]:
    """Return every folder that is searched for checkpoints, the shipped one first."""
    return (shipped_checkpoints(), user_checkpoints())


def arms_folder() -> Path:
    """Return the folder of trainings that ship in numbers: seeds and controls, found by name, not offered."""
    return shipped_checkpoints() / "_arms"


def cache_dir() -> Path:
    """Return the folder for everything that can be computed again (``SPIKELENS_CACHE``)."""
    override = os.environ.get("SPIKELENS_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir(_APP))


def cache_places() -> tuple[Path, Path]:
    """Return where a large recording may go: the cache, then a temporary folder where that is full."""
    return (cache_dir(), Path(tempfile.gettempdir()) / _APP)
