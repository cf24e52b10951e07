"""Run a trained model over a split and keep what it did on disk, once, keyed by digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis.recordings import Point, Recordings, RecordingWriter
from analysis.result import package_versions
from models.checkpoint import Checkpoint
from models.data.base import SPLITS, AudioDataset
from models.errors import SpikelensError
from models.paths import cache_places

_VERSION = 1
_BATCH = 128
_log = logging.getLogger("spikelens")
Progress = Callable[[float, str], None]


def capture(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    splits: Sequence[str] = SPLITS,
    twin: bool = False,
    progress: Progress | None = None,
) -> Recordings:
    """Record every point of a model on some splits; a second call opens what the first one wrote.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : AudioDataset
        Restricted here to the checkpoint's words.
    splits : sequence of str
    twin : bool
        Record the untrained twin instead, without features and decoded signal: the trained one has them.
    progress : callable, optional
        Called with a fraction in [0, 1] and a few words.

    Raises
    ------
    SpikelensError
        The data set lacks a word of the checkpoint, or no disk has room.
    """
    dataset = dataset.restrict(checkpoint.labels)
    digest = _digest([_VERSION, checkpoint.digest, dataset.digest, twin])
    for place in cache_places():
        root = place / "captures" / digest[:32]
        missing = [name for name in splits if not (root / name / "meta.json").exists()]
        try:
            if missing:
                _record(checkpoint, dataset, root, digest, missing, twin, progress)
            return Recordings(*(root / name for name in splits))
        except OSError as error:
            _log.warning("recordings cannot be kept in %s (%s)", place, error.strerror or error)
            problem = error
    raise SpikelensError(f"cache: recordings cannot be stored ({problem.strerror or problem})")


@contextmanager
def recorded(
    checkpoint: Checkpoint, dataset: AudioDataset, *, splits: Sequence[str], points: Collection[str]
) -> Iterator[Recordings]:
    """Record a few points of a model for as long as they are needed, and keep nothing.

    What a table asks once of dozens of models would fill a disk with `capture`.
    """
    dataset = dataset.restrict(checkpoint.labels)
    digest = _digest([_VERSION, checkpoint.digest, dataset.digest, sorted(points)])
    with tempfile.TemporaryDirectory(prefix="spikelens-") as place:
        root = Path(place)
        _record(checkpoint, dataset, root, digest, splits, False, None, points)
        yield Recordings(*(root / name for name in splits))


def _record(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    folder: Path,
    digest: str,
    splits: Sequence[str],
    twin: bool,
    progress: Progress | None,
    only: Collection[str] | None = None,
) -> None:
    import torch

    from models.features.cache import split_features
    from models.twin import untrained_twin

    config = checkpoint.recipe.features
    model = checkpoint.model
    if twin:
        train = split_features(dataset.split("train"), config, dataset.digest)
        model = untrained_twin(checkpoint.recipe, len(checkpoint.labels), model, train)
    points = [
        Point(p.name, p.units, p.spiking, p.streams)
        for p in model.points()
        if not (twin and p.name in ("features", "decoded")) and (only is None or p.name in only)
    ]
    names = [point.name for point in points]
    total = sum(len(dataset.split(name)) for name in splits)
    done = 0
    for name in splits:
        split = dataset.split(name)
        log_mel = split_features(split, config, dataset.digest)
        writer = RecordingWriter(
            folder / name,
            name=checkpoint.name,
            source="twin" if twin else "checkpoint",
            digest=digest,
            dataset=dataset.name,
            class_names=dataset.labels,
            points=points,
            dt_ms=config.dt_ms,
            synthetic=dataset.synthetic,
            extra={
                "data_digest": dataset.digest,
                "checkpoint_digest": checkpoint.digest,
                "seed": checkpoint.recipe.seed,
                "recipe": checkpoint.recipe.to_dict(),
                "features": dataclasses.asdict(config),
                "feature_mean": model.feature_mean.tolist(),
                "feature_std": model.feature_std.tolist(),
                "versions": package_versions(),
            },
        )
        with writer:
            writer.add_split(
                name,
                labels=split.labels,
                clip_ids=split.clip_ids,
                speakers=split.speakers,
                n_steps=log_mel.shape[1],
                nuisance=split.nuisance,
            )
            for start in range(0, len(split), _BATCH):
                rows = slice(start, min(start + _BATCH, len(split)))
                with torch.inference_mode():
                    output = model(torch.from_numpy(log_mel[rows].copy()), record=names)
                for point in names:
                    writer.write(name, point, rows, output.recordings[point].numpy())
                done += rows.stop - rows.start
                if progress is not None:
                    progress(done / total, f"recording {name}: {rows.stop} of {len(split)} clips")


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
