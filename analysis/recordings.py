"""Recorded activity on disk: one folder, one memory-mapped array per point and split, read in blocks.

A folder holds ``meta.json`` and ``<split>/<point>.npy``. Spikes are bit-packed along the unit axis.
Both `analysis.capture` and `analysis.importing` write through `RecordingWriter`, so every analysis sees
the same thing wherever the spikes were made.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from analysis.result import Provenance
from models.errors import SpikelensError

SCHEMA = 1
_SPARE_BYTES = 64 * 2**20
Rows = slice | np.ndarray


@dataclass(frozen=True)
class Point:
    """A named place where activity was recorded.

    Attributes
    ----------
    name : str
        ``features``, ``encoder``, ``decoded``, ``layer1`` ... ``readout``.
    units : int
        Size of the last axis.
    spiking : bool
        True: uint8 zeros and ones. False: float32.
    streams : mapping of str to (start, stop)
        Column ranges that are points of their own, such as ``coarse_on``.
    """

    name: str
    units: int
    spiking: bool
    streams: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class SplitRecordings:
    """One split of a `Recordings`: labels, speakers and lazily read activity."""

    def __init__(self, root: Path, meta: Mapping[str, Any], points: Mapping[str, Point]):
        self._root = root
        self._points = points
        self.name: str = meta["name"]
        self.labels: np.ndarray = np.asarray(meta["labels"], dtype=np.int64)  # (n,)
        self.clip_ids: tuple[str, ...] = tuple(meta["clip_ids"])
        speakers = meta["speakers"]
        self.speakers: tuple[str, ...] | None = None if speakers is None else tuple(speakers)
        self.nuisance: dict[str, np.ndarray] = {k: np.asarray(v) for k, v in meta["nuisance"].items()}
        self.n_steps: int = meta["n_steps"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def groups(self) -> np.ndarray:
        """Return what the bootstrap resamples: speakers, or the clips themselves where unknown, (n,) int."""
        if self.speakers is None:
            return np.arange(len(self))
        return np.unique(np.asarray(self.speakers), return_inverse=True)[1]

    def load(self, point: str, rows: Rows = slice(None)) -> np.ndarray:
        """Return recorded activity.

        Parameters
        ----------
        point : str
            A recorded point, a stream (``encoder/fine_on``), or ``residual`` = features - decoded.
        rows : slice or np.ndarray of int

        Returns
        -------
        np.ndarray [shape=(n, T, N)]
            uint8 zeros and ones for spikes, float32 otherwise.
        """
        if point == "residual" and "residual" not in self._points:
            return self.load("features", rows) - self.load("decoded", rows)
        name, _, stream = point.partition("/")
        if point in self._points:
            name, stream = point, ""
        info = self._points.get(name)
        if info is None or (stream and stream not in info.streams):
            raise SpikelensError(f"point: {point!r} was not recorded; there are {', '.join(self.points)}")
        stored = np.load(self._file(info.name), mmap_mode="r", allow_pickle=False)[rows]
        if info.spiking:
            stored = np.unpackbits(stored, axis=-1, count=info.units)
        start, stop = info.streams.get(stream, (0, info.units))
        return np.ascontiguousarray(stored[..., start:stop])

    def blocks(self, point: str, size: int = 512) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ``(rows, activity)`` in order; nothing but one block is in memory."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.load(point, rows)

    @property
    def points(self) -> tuple[str, ...]:
        """Return every name that `load` takes."""
        names: list[str] = []
        for point in self._points.values():
            names += [point.name, *(f"{point.name}/{stream}" for stream in point.streams)]
        if "features" in names and "decoded" in names and "residual" not in names:
            names.append("residual")
        return tuple(names)

    def _file(self, point: str) -> Path:
        return self._root / self.name / f"{point.replace('/', '.')}.npy"


class Recordings:
    """Activity of one system on the splits of one data set, opened from a folder or one a split.

    Attributes
    ----------
    name : str
        Name of the checkpoint or of the import.
    class_names : tuple of str
    points : mapping of str to `Point`
    splits : mapping of str to `SplitRecordings`
    digest : str
        Key of the folder: same digest, same numbers. Results are cached under it.
    source : str
        ``checkpoint`` (gradients are possible) or ``import``.
    dt_ms : float
        Duration of one time step.
    extra : mapping
        What the writer knew besides: recipe, seed, digests, predictions are in ``readout``.
    """

    def __init__(self, root: Path, *more: Path):
        self.root = root
        meta = _read_meta(root)
        self.name: str = meta["name"]
        self.source: str = meta["source"]
        self.digest: str = meta["digest"]
        self.dt_ms: float = meta["dt_ms"]
        self.dataset: str = meta["dataset"]
        self.synthetic: bool = meta["synthetic"]
        self.class_names: tuple[str, ...] = tuple(meta["class_names"])
        self.extra: dict[str, Any] = meta["extra"]
        self.points: dict[str, Point] = {
            p["name"]: Point(
                p["name"], p["units"], p["spiking"], {k: (v[0], v[1]) for k, v in p["streams"].items()}
            )
            for p in meta["points"]
        }
        self.splits: dict[str, SplitRecordings] = {}
        for folder in (root, *more):
            part = _read_meta(folder)
            if part["digest"] != self.digest:
                raise SpikelensError(f"recordings: {folder.name} and {root.name} are not of one system")
            self.splits |= {s["name"]: SplitRecordings(folder, s, self.points) for s in part["splits"]}

    def split(self, name: str) -> SplitRecordings:
        """Return the split called `name`; SpikelensError names the recorded ones otherwise."""
        if name not in self.splits:
            raise SpikelensError(f"split: {name!r} was not recorded; there are {', '.join(self.splits)}")
        return self.splits[name]

    @property
    def spiking_points(self) -> tuple[str, ...]:
        """Return the points that hold spikes, encoder first."""
        return tuple(p.name for p in self.points.values() if p.spiking)

    def provenance(self, split: str, command: str = "", **config: Any) -> Provenance:
        """Return the provenance of a result measured on `split` with these settings."""
        return Provenance(
            subject=self.name,
            dataset=self.dataset,
            split=split,
            data_digest=self.extra.get("data_digest", self.digest),
            checkpoint_digest=self.extra.get("checkpoint_digest"),
            seed=self.extra.get("seed"),
            synthetic=self.synthetic,
            speakers_known=self.split(split).speakers is not None,
            interval_unit="speaker" if self.split(split).speakers is not None else "clip",
            config=config,
            command=command,
        )


def _read_meta(root: Path) -> dict[str, Any]:
    try:
        meta = json.loads((root / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpikelensError(f"recordings: {root.name} cannot be read: {error}") from None
    if meta.get("schema") != SCHEMA:
        raise SpikelensError(f"recordings: {root.name} has schema {meta.get('schema')!r}, not {SCHEMA}")
    return meta


class RecordingWriter:
    """Write a `Recordings` folder; it appears under its final name only when complete.

    Use as a context manager: ``with RecordingWriter(root, ...) as writer``. An exception inside leaves
    nothing behind.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        source: str,
        digest: str,
        dataset: str,
        class_names: Sequence[str],
        points: Sequence[Point],
        dt_ms: float = 10.0,
        synthetic: bool = False,
        extra: Mapping[str, Any] | None = None,
    ):
        self.root = root
        self._points = {point.name: point for point in points}
        self._meta: dict[str, Any] = {
            "schema": SCHEMA,
            "name": name,
            "source": source,
            "digest": digest,
            "dataset": dataset,
            "class_names": list(class_names),
            "dt_ms": dt_ms,
            "synthetic": synthetic,
            "extra": dict(extra or {}),
            "points": [
                {"name": p.name, "units": p.units, "spiking": p.spiking, "streams": dict(p.streams)}
                for p in points
            ],
            "splits": [],
        }

    def __enter__(self) -> Self:
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=f".{self.root.name}-", dir=self.root.parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            return
        (self._temporary / "meta.json").write_text(json.dumps(self._meta), encoding="utf-8")
        if self.root.exists():
            shutil.rmtree(self.root)
        self._temporary.replace(self.root)

    def add_split(
        self,
        name: str,
        *,
        labels: np.ndarray,
        clip_ids: Sequence[str],
        speakers: Sequence[str] | None,
        n_steps: int,
        nuisance: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Open a split; its activity then comes through `write`.

        Raises
        ------
        OSError
            No room: a memory-mapped file that outgrows the disk would end the process.
        """
        frame_bytes = sum(-(-p.units // 8) if p.spiking else 4 * p.units for p in self._points.values())
        n_bytes = frame_bytes * n_steps * len(labels)
        if (free := shutil.disk_usage(self._temporary).free) < n_bytes + _SPARE_BYTES:
            sizes = f"{n_bytes >> 20} MiB needed, {free >> 20} MiB free"
            raise OSError(errno.ENOSPC, f"{sizes}; set SPIKELENS_CACHE to a larger disk")
        (self._temporary / name).mkdir()
        self._meta["splits"].append(
            {
                "name": name,
                "labels": np.asarray(labels).tolist(),
                "clip_ids": list(clip_ids),
                "speakers": None if speakers is None else list(speakers),
                "nuisance": {k: np.asarray(v).tolist() for k, v in (nuisance or {}).items()},
                "n_steps": n_steps,
            }
        )
        for point in self._points.values():
            np.lib.format.open_memmap(
                self._file(name, point),
                mode="w+",
                dtype=np.uint8 if point.spiking else np.float32,
                shape=(len(labels), n_steps, -(-point.units // 8) if point.spiking else point.units),
            )

    def write(self, split: str, point: str, rows: slice, values: np.ndarray) -> None:
        """Store the activity of some clips, shape ``(n, T, N)``."""
        info = self._points[point]
        stored = np.load(self._file(split, info), mmap_mode="r+", allow_pickle=False)
        stored[rows] = np.packbits(values.astype(bool), axis=-1) if info.spiking else values
        stored.flush()

    def _file(self, split: str, point: Point) -> Path:
        return self._temporary / split / f"{point.name.replace('/', '.')}.npy"
