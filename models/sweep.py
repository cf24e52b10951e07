"""A grid of trainings: recipes times seeds, read from one strict TOML file.

.. code-block:: toml

    base = "gsc8-residual-35k"              # a shipped recipe, or the path of a .toml file
    checkpoint = "gsc8-{row}-35k-s{seed}"

    [defaults]
    seeds = [1, 2, 3]
    set = { "train.epochs" = 30 }

    [[row]]
    name = "sod"
    label = "send-on-delta"
    set = { encoder = { name = "send-on-delta" } }   # a component is replaced whole
    fit_hidden = 31724                                # as many parameters as that, by the width

    [[row]]
    name = "grid"
    seeds = [1]
    set = { encoder = { name = "sf2-init" } }
    grid = { "encoder.dc" = [0.6, 0.9], "encoder.df" = [0.2, 0.3] }
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.checkpoint import check_name
from models.config import RECIPES, Recipe, strict
from models.errors import SpikelensError
from models.width import fit_hidden

SWEEPS = RECIPES / "sweeps"
_COMPONENTS = ("encoder", "backbone")  # tables with a name of their own, which a sweep may replace whole
_PLACES = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Defaults:
    """What rows have in common; each may say otherwise.

    Attributes
    ----------
    seeds : tuple of int
    set : dict
        Dotted keys of the recipe, applied before the row's own.
    """

    seeds: tuple[int, ...] = (1,)
    set: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the table that a sweep is run for.

    Attributes
    ----------
    name : str
        Stands for ``{row}`` in the names of the checkpoints.
    label : str
        What the table calls it; the name by default.
    group, note : str
        Which rows belong together; what a reader must know of this one.
    base, checkpoint : str or None
        Instead of the sweep's.
    seeds : tuple of int or None
        Instead of the defaults'.
    set : dict
        Dotted keys of the recipe; ``encoder`` and ``backbone`` may be replaced whole.
    per_seed : dict of str to list
        Dotted keys whose value differs from seed to seed, in the order of `seeds`.
    grid : dict of str to list
        Every combination becomes a row of its own.
    fit_hidden : int or None
        Choose the width of the one hidden layer so that the model has as many parameters as this, nearly.
    """

    name: str
    label: str = ""
    group: str = ""
    note: str = ""
    base: str | None = None
    checkpoint: str | None = None
    seeds: tuple[int, ...] | None = None
    set: dict[str, Any] = field(default_factory=dict)
    per_seed: dict[str, list[Any]] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    fit_hidden: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for key in ("per_seed", "grid"):
            for setting, values in getattr(self, key).items():
                if not values:
                    raise ValueError(f"row {self.name}: {key}.{setting} needs at least one value")


@dataclass(frozen=True)
class Heading:
    """What a sweep says before its rows.

    Attributes
    ----------
    name : str
        That of the file; the table is called so.
    base : str
        A shipped recipe or the path of a ``.toml`` file.
    checkpoint : str
        Pattern of the checkpoints' names, with ``{row}`` and ``{seed}``.
    title : str
    """

    name: str
    base: str
    checkpoint: str
    title: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep file: `Heading`, `Defaults` and rows."""

    heading: Heading
    defaults: Defaults
    rows: tuple[Row, ...]

    @classmethod
    def open(cls, name_or_path: str) -> Sweep:
        """Open a shipped sweep by name or any sweep by the path of its ``.toml`` file.

        Raises
        ------
        SpikelensError
            No such file, not TOML, an unknown key or a value that is not allowed.
        """
        path = Path(name_or_path)
        if path.suffix != ".toml":
            path = SWEEPS / f"{name_or_path}.toml"
            if name_or_path not in shipped_sweeps():
                known = ", ".join(shipped_sweeps())
                raise SpikelensError(f"sweep: {name_or_path!r} is not a .toml file or one of {known}")
        try:
            body = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SpikelensError(f"sweep: {path.name} cannot be read: {error}") from None
        return cls.from_dict({"name": path.stem} | body)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Sweep:
        """Build a sweep from plain tables; unknown and mistyped keys raise SpikelensError."""
        tables = body.get("row")
        if not tables or not isinstance(tables, list) or not all(isinstance(row, Mapping) for row in tables):
            raise SpikelensError("sweep: needs at least one [[row]] table")
        rows = tuple(strict(Row, row, f"row {row.get('name', i + 1)}") for i, row in enumerate(tables))
        defaults = strict(Defaults, body.get("defaults", {}), "defaults")
        plain = {key: value for key, value in body.items() if key not in ("row", "defaults")}
        heading = strict(Heading, plain, "sweep")
        check_name(heading.name)
        return cls(heading, defaults, rows)

    def dataset(self) -> str:
        """Return the name of the data set that the base recipe is for."""
        return Recipe.open(self.heading.base).data.name


@dataclass(frozen=True)
class Run:
    """One training of a sweep.

    Attributes
    ----------
    row, label, group, note : str
        Of the line it belongs to.
    seed : int
    checkpoint : str
    base : str
        Recipe that was changed.
    changes : dict
        What was changed, without the seed.
    recipe : Recipe
    """

    row: str
    label: str
    group: str
    note: str
    seed: int
    checkpoint: str
    base: str
    changes: dict[str, Any]
    recipe: Recipe

    def options(self) -> list[str]:
        """Return the options of ``spikelens train`` that change the base recipe alike."""
        return [
            f"--set {shlex.quote(f'{key}={_toml(self.changes[key])}')}"
            for key in sorted(self.changes, key=lambda key: key.count("."))
        ]


def shipped_sweeps() -> tuple[str, ...]:
    """Return the names of the sweeps that come with the repository."""
    return tuple(sorted(path.stem for path in SWEEPS.glob("*.toml")))


def plan(sweep: Sweep, n_classes: int, rows: Sequence[str] = ()) -> list[Run]:
    """Return every training of a sweep, in the order of the file, seeds innermost.

    Parameters
    ----------
    sweep : Sweep
    n_classes : int
        Of the data; decides the parameter count that `Row.fit_hidden` meets.
    rows : sequence of str
        Only these rows, a grid by its own name or by that of one of its cells; all by default.

    Raises
    ------
    SpikelensError
        An unknown row, a recipe that is not valid, two runs with one name.
    """
    cells = {row.name: _cells(row) for row in sweep.rows}
    if len(cells) < len(sweep.rows):
        raise SpikelensError("sweep: two rows share a name")
    wanted = set(rows) or set(cells)
    known = set(cells) | {cell.name for row in cells.values() for cell, _ in row}
    if unknown := sorted(wanted - known):
        raise SpikelensError(f"--rows: {unknown[0]!r} is not one of {', '.join(cells)}")
    runs = [
        run
        for name, row in cells.items()
        for cell, choice in row
        if {name, cell.name} & wanted
        for run in _runs(sweep, cell, choice, n_classes)
    ]
    names = [run.checkpoint for run in runs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SpikelensError(f"sweep: two runs are called {twice!r}; put {{row}} and {{seed}} in checkpoint")
    return runs


def _cells(row: Row) -> list[tuple[Row, dict[str, Any]]]:
    """Return the rows a grid stands for, each with its choice."""
    if not row.grid:
        return [(row, {})]
    cells = []
    for values in itertools.product(*row.grid.values()):
        choice = dict(zip(row.grid, values, strict=True))
        short = {key.rpartition(".")[2]: value for key, value in choice.items()}
        suffix = "-".join(f"{key}{value}" for key, value in short.items())
        suffix = re.sub("[^a-z0-9-]", "-", suffix.lower().replace("_", "-").replace(".", "p"))
        words = ", ".join(f"{key} {value}" for key, value in short.items())
        named = replace(
            row,
            name=f"{row.name}-{suffix}",
            label=f"{row.label or row.name} ({words})",
            group=row.group or row.name,
        )
        cells.append((named, choice))
    return cells


def _runs(sweep: Sweep, row: Row, choice: Mapping[str, Any], n_classes: int) -> list[Run]:
    seeds = sweep.defaults.seeds if row.seeds is None else row.seeds
    if not seeds:
        raise SpikelensError(f"row {row.name}: seeds needs at least one seed")
    for key, values in row.per_seed.items():
        if len(values) != len(seeds):
            raise SpikelensError(
                f"row {row.name}: per_seed.{key} has {len(values)} values for {len(seeds)} seeds"
            )
    base = row.base or sweep.heading.base
    opened, runs = Recipe.open(base), []
    if opened.data.name != sweep.dataset():
        raise SpikelensError(f"row {row.name}: {base} is for {opened.data.name}, not {sweep.dataset()}")
    for index, seed in enumerate(seeds):
        changes = {**sweep.defaults.set, **row.set, **choice}
        changes |= {key: values[index] for key, values in row.per_seed.items()}
        recipe = _changed(opened, changes, seed, row.name)
        if row.fit_hidden is not None:
            changes["backbone.hidden"] = [fit_hidden(recipe, row.fit_hidden, n_classes)]
            recipe = _changed(opened, changes, seed, row.name)
        checkpoint = _checkpoint(row.checkpoint or sweep.heading.checkpoint, row.name, seed)
        label = row.label or row.name
        runs.append(Run(row.name, label, row.group, row.note, seed, checkpoint, base, changes, recipe))
    return runs


def _changed(recipe: Recipe, changes: Mapping[str, Any], seed: int, row: str) -> Recipe:
    for key, value in changes.items():
        if isinstance(value, Mapping) and key not in _COMPONENTS:
            first = next(iter(value), "key")
            raise SpikelensError(
                f'row {row}: {key} would be replaced whole; write "{key}.{first}" in quotation marks '
                f"(only {' and '.join(_COMPONENTS)} may be replaced)"
            )
    ordered = sorted(changes, key=lambda key: key.count("."))  # a component before what is set in it
    try:
        return recipe.override({key: changes[key] for key in ordered} | {"seed": seed})
    except SpikelensError as error:
        raise SpikelensError(f"row {row}: {str(error).removeprefix('--set ')}") from None


def _checkpoint(pattern: str, row: str, seed: int) -> str:
    if unknown := set(_PLACES.findall(pattern)) - {"row", "seed"}:
        raise SpikelensError(f"sweep: checkpoint: {{{min(unknown)}}} is not {{row}} or {{seed}}")
    return check_name(pattern.replace("{row}", row).replace("{seed}", str(seed)))


def _toml(value: Any) -> str:
    """Return a value as TOML on one line; what a sweep holds is tables, lists and plain values."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
