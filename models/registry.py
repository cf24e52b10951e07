"""Name -> (configuration, builder) tables for encoders and backbones.

A new encoder is one file in ``models/encoders``: a frozen configuration dataclass and a module decorated
with ``@register_encoder("my-encoder", MyConfig)``. Nothing else has to change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from models.errors import SpikelensError

T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Entry:
    """A registered component: its configuration dataclass and the class that takes it."""

    config: type
    build: Callable[..., Any]


class Table:
    """Entries of one kind, filled by importing every module of one package on first use."""

    def __init__(self, kind: str, package: str):
        self.kind = kind
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._loaded = False

    def register(self, name: str, config: type) -> Callable[[T], T]:
        """Return a class decorator that files the class under `name`."""

        def decorate(cls: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = Entry(config, cls)
            return cls

        return decorate

    def names(self) -> tuple[str, ...]:
        """Return every registered name, sorted."""
        self._load()
        return tuple(sorted(self._entries))

    def __getitem__(self, name: str) -> Entry:
        self._load()
        if name not in self._entries:
            raise SpikelensError(f"{self.kind}.name: {name!r} is not one of {', '.join(self.names())}")
        return self._entries[name]

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True


ENCODERS = Table("encoder", "models.encoders")
BACKBONES = Table("backbone", "models.backbones")
register_encoder = ENCODERS.register
register_backbone = BACKBONES.register
