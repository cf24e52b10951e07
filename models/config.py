"""Recipes: typed, frozen, strict. TOML in, stable JSON out."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.errors import SpikelensError
from models.features.augment import AugmentConfig
from models.features.mel import FeatureConfig
from models.registry import BACKBONES, ENCODERS, Table

T = TypeVar("T")
RECIPES = Path(__file__).resolve().parent / "recipes"


@dataclass(frozen=True)
class DataConfig:
    """Which data set a recipe is for; where it lies is given on the command line.

    Attributes
    ----------
    name : str
        ``gsc8``, ``gsc35``, ``spoken35`` or a name of the user's own.
    words : tuple of str
        Keep only these classes, in this order; empty keeps all.
    """

    name: str = "gsc8"
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Attributes
    ----------
    epochs, batch_size : int
    lr : float
        Peak of the one-cycle schedule.
    encoder_lr : float
        The same for the encoder's own parameter group.
    weight_decay : float
        On weight matrices only.
    clip_norm : float
        Gradient-norm limit, for the encoder and for the rest separately.
    label_smoothing : float
    rate_weight : float
        Weight of the encoder's mean spike rate in the loss; off when the encoder is frozen.
    rate_ramp : float
        Fraction of all steps over which `rate_weight` grows from 0.
    hidden_rate_weight : float
        Weight of the mean hidden rate.
    warmup : float
        Fraction of all steps before the peak learning rate.
    reconstruction_weight : float
        Weight of the encoder's mean squared reconstruction error in the loss.
    encoder_task_gradient : bool
        False: the encoder learns from rate and reconstruction alone, the rest of the network from its spikes.
    shuffle_labels : bool
        Train on labels permuted once, a null: nothing of the task can be learned. The last epoch is kept.
    average : float
        Decay per step of a running average of all weights and batch-norm statistics, which is scored and kept
        in place of the weights themselves (Polyak and Juditsky 1992); 0 for none.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 5e-3
    encoder_lr: float = 5e-3
    weight_decay: float = 1e-5
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    rate_weight: float = 0.1
    rate_ramp: float = 0.1
    hidden_rate_weight: float = 0.0
    warmup: float = 0.3
    reconstruction_weight: float = 0.0
    encoder_task_gradient: bool = True
    shuffle_labels: bool = False
    average: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}: {getattr(self, name)} must be at least 1")
        if not 0 <= self.average < 1:
            raise ValueError(f"train.average: {self.average} must be 0 or between 0 and 1")


@dataclass(frozen=True)
class LearningConfig:
    """By which rule a model learns; see `models.learning.dfa` for all but backpropagation through time.

    Attributes
    ----------
    rule : {"bptt", "dfa-d0", "dfa-d1", "dfa-d2"}
    error : {"clip", "frame"}
        DFA: one error a clip, or the error of each frame, as it can be had online.
    encoder : {"transport", "feedback", "frozen"}
        DFA: what teaches the encoder: layer 1's signal through its transposed weights, a feedback matrix of
        its own, or nothing.
    feedback_scale : float
        DFA: Frobenius norm of the feedback matrices, relative to the readout's weights.
    norm : {"running", "batch"}
        D1 and D2: batch norm's backward takes its statistics for constants, or goes through those of the
        batch, which is not local in time.
    """

    rule: Literal["bptt", "dfa-d0", "dfa-d1", "dfa-d2"] = "bptt"
    error: Literal["clip", "frame"] = "clip"
    encoder: Literal["transport", "feedback", "frozen"] = "transport"
    feedback_scale: float = 1.0
    norm: Literal["running", "batch"] = "running"

    def __post_init__(self) -> None:
        if not self.feedback_scale > 0:
            raise ValueError(f"learning.feedback_scale: {self.feedback_scale} must be above 0")
        of_dfa = self.error, self.encoder, self.feedback_scale, self.norm
        if self.rule == "bptt" and of_dfa != ("clip", "transport", 1.0, "running"):
            raise ValueError(
                "learning.rule: 'bptt' has no other settings; they are for dfa-d0, dfa-d1 and dfa-d2"
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model, apart from the recordings.

    Attributes
    ----------
    name : str
        Default name of the checkpoint.
    encoder, backbone : dataclass
        The configuration registered under their ``name`` in `models.registry`.
    """

    name: str
    encoder: Any
    backbone: Any
    data: DataConfig = field(default_factory=DataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    seed: int = 0

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Recipe:
        """Build a recipe from plain tables; unknown and mistyped keys raise SpikelensError."""
        body = dict(body)
        sections = {
            "data": DataConfig,
            "features": FeatureConfig,
            "augment": AugmentConfig,
            "train": TrainConfig,
            "learning": LearningConfig,
        }
        allowed = {"name", "seed", "encoder", "backbone", *sections}
        if unknown := sorted(set(body) - allowed):
            raise SpikelensError(f"recipe: unknown key {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")
        return cls(
            name=strict(str, body.get("name"), "name"),
            seed=strict(int, body.get("seed", 0), "seed"),
            encoder=_component(ENCODERS, body.get("encoder")),
            backbone=_component(BACKBONES, body.get("backbone")),
            data=strict(DataConfig, body.get("data", {}), "data"),
            features=strict(FeatureConfig, body.get("features", {}), "features"),
            augment=strict(AugmentConfig, body.get("augment", {}), "augment"),
            train=strict(TrainConfig, body.get("train", {}), "train"),
            learning=strict(LearningConfig, body.get("learning", {}), "learning"),
        )

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """Read a recipe file; SpikelensError where it is not valid TOML or not a valid recipe."""
        try:
            body = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SpikelensError(f"recipe: {path.name} cannot be read: {error}") from None
        body.setdefault("name", path.stem)
        return cls.from_dict(body)

    @classmethod
    def open(cls, name_or_path: str) -> Recipe:
        """Open a shipped recipe by name or any recipe by the path of its ``.toml`` file."""
        path = Path(name_or_path)
        if path.suffix != ".toml":
            path = RECIPES / f"{name_or_path}.toml"
            if path.parent != RECIPES or not path.exists():
                known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
                raise SpikelensError(f"recipe: {name_or_path!r} is not a .toml file or one of {known}")
        return cls.from_toml(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain tables that `from_dict` takes."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """Return a recipe with dotted keys replaced: ``{"train.epochs": 2, "seed": 1}``."""
        body = self.to_dict()
        for dotted, value in changes.items():
            *tables, key = dotted.split(".")
            table = body
            for part in tables:
                inner = table.get(part)
                if not isinstance(inner, dict):
                    raise SpikelensError(f"--set {dotted}: the recipe has no table {part!r}")
                table = inner
            table[key] = value
        return Recipe.from_dict(body)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``key=value`` into a dotted key and a TOML value; a bare word is taken as a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SpikelensError(f"--set {text!r}: write key=value, for example train.epochs=10")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _component(table: Table, body: Any) -> Any:
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise SpikelensError(f"{table.kind}: needs a table with a name, one of {', '.join(table.names())}")
    return strict(table[body["name"]].config, body, table.kind)


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of a type; building one takes longer than all it validates."""
    if dataclasses.is_dataclass(kind) and not hasattr(kind, "__pydantic_config__"):
        kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[union-attr]
    return TypeAdapter(kind)


def strict(kind: type[T], value: Any, where: str) -> T:
    """Check `value` against a dataclass or a plain type: no unknown key, no conversion but int to float."""
    validator: Callable[..., T] = _adapter(kind).validate_json  # type: ignore[arg-type]
    try:
        return validator(json.dumps(value), strict=True)
    except (ValidationError, TypeError) as error:
        if isinstance(error, TypeError):
            raise SpikelensError(f"{where}: {error}") from None
        first = error.errors()[0]
        if first["type"] == "value_error":  # our own check, which names key and value
            raise SpikelensError(str(first["ctx"]["error"])) from None
        place = ".".join([where, *(str(part) for part in first["loc"])])
        raise SpikelensError(f"{place}: {first['msg']} (got {first.get('input')!r})") from None
