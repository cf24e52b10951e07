"""Trained models on disk: safetensors and JSON, opened by name, checked before use."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from models.classifier import SpikingClassifier, count_parameters
from models.config import Recipe
from models.errors import SpikelensError
from models.paths import arms_folder, checkpoint_roots

SCHEMA = 1
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
WEIGHTS, CONFIG, METRICS, HISTORY = "weights.safetensors", "config.json", "metrics.json", "history.csv"
SNAPSHOTS = "snapshots"
_MAX_WEIGHTS = 512 * 2**20  # bytes


@dataclass(frozen=True)
class CheckpointInfo:
    """What a list shows of a checkpoint without loading its weights."""

    name: str
    folder: Path
    shipped: bool
    recipe: Recipe
    labels: tuple[str, ...]
    data: Mapping[str, Any]
    metrics: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class Checkpoint:
    """A trained model ready for use.

    Attributes
    ----------
    name : str
    model : SpikingClassifier
        In evaluation mode, no gradients required.
    recipe : Recipe
    labels : tuple of str
        Class names in the order of the logits.
    data : mapping
        ``name``, ``digest``, ``synthetic``, ``speakers_known`` of the training data.
    metrics : mapping
        As in ``metrics.json``.
    history : list of dict
        One row an epoch.
    digest : str
        SHA-256 over weights and configuration.
    """

    name: str
    model: SpikingClassifier
    recipe: Recipe
    labels: tuple[str, ...]
    data: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: list[dict[str, float]]
    digest: str


def check_name(name: str) -> str:
    """Return `name` if it can name a checkpoint or recordings; SpikelensError otherwise."""
    if not NAME.fullmatch(name):
        raise SpikelensError(f"name: {name!r} must be lower-case letters, digits and hyphens, at most 64")
    return name


def find_checkpoint(name: str) -> Path:
    """Return the folder of a checkpoint, never outside the checkpoint roots."""
    check_name(name)
    for root in (*checkpoint_roots(), arms_folder()):
        folder = root / name
        if not (folder / CONFIG).exists():
            continue
        for path in (folder, *(folder / part for part in (WEIGHTS, CONFIG, METRICS, HISTORY))):
            if not path.resolve().is_relative_to(root.resolve()):
                raise SpikelensError(f"checkpoint: {name!r} leads outside the checkpoint folder")
        return folder
    known = ", ".join(info.name for info in list_checkpoints()) or "none"
    raise SpikelensError(f"checkpoint: {name!r} not found; there are {known}")


def list_checkpoints() -> list[CheckpointInfo]:
    """Return every readable checkpoint of all roots, by name; the shipped one wins where names meet."""
    found: dict[str, CheckpointInfo] = {}
    for shipped, root in zip((True, False), checkpoint_roots(), strict=True):
        found = {info.name: info for info in _list(root, shipped)} | found
    return [found[name] for name in sorted(found)]


def list_arms() -> list[CheckpointInfo]:
    """Return the shipped trainings that stand for an arm of a comparison: one a seed, by name."""
    return _list(arms_folder(), shipped=True)


def _list(root: Path, shipped: bool) -> list[CheckpointInfo]:
    infos = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not NAME.fullmatch(folder.name) or not (folder / WEIGHTS).exists():
            continue
        try:
            infos.append(read_info(folder, shipped))
        except SpikelensError:
            continue  # opening it by name says what is wrong
    return infos


def read_info(folder: Path, shipped: bool = False) -> CheckpointInfo:
    """Read configuration and metrics of one checkpoint folder."""
    config = _read_json(folder / CONFIG)
    expected = {"schema", "recipe", "labels", "data", "parameters", "weights_sha256", "versions"}
    if set(config) != expected or config["schema"] != SCHEMA:
        odd = sorted(set(config) ^ expected) or [f"schema {config['schema']!r}"]
        raise SpikelensError(f"checkpoint: {folder.name}/{CONFIG} is not of schema {SCHEMA} ({odd[0]})")
    metrics = _read_json(folder / METRICS) if (folder / METRICS).exists() else {}
    return CheckpointInfo(
        folder.name,
        folder,
        shipped,
        Recipe.from_dict(config["recipe"]),
        tuple(config["labels"]),
        config["data"],
        metrics,
        hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
    )


def load_checkpoint(name: str) -> Checkpoint:
    """Rebuild a trained model by name.

    Raises
    ------
    SpikelensError
        Unknown name, a path outside the roots, anything but safetensors and JSON, unknown keys, wrong shapes,
        or weights that do not match the recorded digest.
    """
    return read_checkpoint(find_checkpoint(name))


def read_checkpoint(folder: Path) -> Checkpoint:
    """Rebuild a trained model from its folder, wherever that lies; raises as `load_checkpoint`."""
    info = read_info(folder)
    config = _read_json(folder / CONFIG)
    model = SpikingClassifier.from_seed(info.recipe, len(info.labels))
    model.load_state_dict(_read_weights(folder / WEIGHTS, config["weights_sha256"], model))
    model.eval().requires_grad_(False)
    return Checkpoint(
        folder.name,
        model,
        info.recipe,
        info.labels,
        info.data,
        info.metrics,
        read_history(folder),
        info.digest,
    )


def save_snapshot(folder: Path, model: SpikingClassifier, epoch: int) -> None:
    """Keep the weights after an epoch beside the checkpoint that is being trained."""
    place = folder / SNAPSHOTS
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(
        place / f"epoch-{epoch:03d}.safetensors",
        save_tensors({k: v.contiguous() for k, v in model.state_dict().items()}),
    )


def has_snapshots(folder: Path) -> bool:
    """Tell whether a training kept weights along its way."""
    return any((folder / SNAPSHOTS).glob("epoch-*.safetensors"))


def load_snapshots(name: str) -> dict[int, SpikingClassifier]:
    """Return the kept models of a training by epoch, in evaluation mode; empty where none were kept.

    Raises
    ------
    SpikelensError
        As `load_checkpoint`.
    """
    folder = find_checkpoint(name)
    info = read_info(folder)
    found = {}
    for path in sorted((folder / SNAPSHOTS).glob("epoch-*.safetensors")):
        if not path.resolve().is_relative_to(folder.resolve()) or not path.stem[6:].isdecimal():
            raise SpikelensError(f"checkpoint: {name}/{SNAPSHOTS} holds a file that is not its own")
        model = SpikingClassifier.from_seed(info.recipe, len(info.labels))
        model.load_state_dict(_read_weights(path, None, model))
        found[int(path.stem[6:])] = model.eval().requires_grad_(False)
    return found


def save_checkpoint(
    folder: Path,
    model: SpikingClassifier,
    recipe: Recipe,
    labels: Sequence[str],
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    versions: Mapping[str, str],
) -> None:
    """Write a checkpoint; each file appears whole or not at all, the configuration last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save_tensors({k: v.contiguous() for k, v in model.state_dict().items()})
    config = {
        "schema": SCHEMA,
        "recipe": recipe.to_dict(),
        "labels": list(labels),
        "data": dict(data),
        "parameters": count_parameters(model),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "versions": dict(versions),
    }
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / HISTORY, pd.DataFrame(list(history)).to_csv(index=False).encode())
    write_json(folder / METRICS, metrics)
    write_json(folder / CONFIG, config)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and move it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SpikelensError(f"{path.name} cannot be written: {error.strerror or error}") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that is stable from run to run."""
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpikelensError(f"checkpoint: {path.parent.name}/{path.name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise SpikelensError(f"checkpoint: {path.parent.name}/{path.name} must hold a JSON object")
    return value


def _read_weights(path: Path, sha256: str | None, model: SpikingClassifier) -> dict[str, torch.Tensor]:
    where = f"checkpoint: {path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > _MAX_WEIGHTS:
            raise SpikelensError(f"{where} is larger than {_MAX_WEIGHTS >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise SpikelensError(f"{where} cannot be read: {error.strerror}") from None
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise SpikelensError(f"{where} is not a whole safetensors file ({error})") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise SpikelensError(f"{where} does not match the digest in {CONFIG}")
    expected = model.state_dict()
    if odd := sorted(set(tensors) ^ set(expected)):
        raise SpikelensError(
            f"{where}: tensor {odd[0]!r} does not belong to this recipe's model or is missing"
        )
    for key, value in expected.items():
        if tensors[key].shape != value.shape or tensors[key].dtype != value.dtype:
            found = f"{tuple(tensors[key].shape)} {tensors[key].dtype}"
            raise SpikelensError(f"{where}: {key} is {found}, expected {tuple(value.shape)} {value.dtype}")
    return tensors


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return one row an epoch of a checkpoint folder; empty where none was kept."""
    path = folder / HISTORY
    if not path.exists():
        return []
    try:
        return [
            {str(k): float(v) for k, v in row.items()} for row in pd.read_csv(path).to_dict(orient="records")
        ]
    except (ValueError, pd.errors.ParserError) as error:
        raise SpikelensError(f"checkpoint: {folder.name}/{HISTORY} cannot be read: {error}") from None
