"""The shape of every answer: a small frozen dataclass with provenance, a table and JSON."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, ConfigDict, PlainSerializer, PlainValidator, TypeAdapter


def _to_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == object else array  # null stands for not-a-number


Array = Annotated[
    np.ndarray, PlainValidator(_to_array), PlainSerializer(lambda value: np.asarray(value).tolist())
]
Number = Annotated[float, BeforeValidator(lambda value: np.nan if value is None else value)]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
_PACKAGES = ("spikelens", "torch", "numpy", "scikit-learn", "librosa", "umap-learn")


def package_versions() -> dict[str, str]:
    """Return the versions of the packages a result depends on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def shown(value: object) -> str:
    """Return a cell of a table for reading: four digits of a number, a dash for what is missing."""
    if value is None or value is pd.NA or value != value:  # not a number: not applicable
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which no cell can be taken for a formula."""

    def safe(cell: object) -> object:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell

    return table.map(safe).rename(columns=safe).to_csv(index=False)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and the number of clips behind it; bounds are None if not estimated."""

    value: Number
    low: float | None = None
    high: float | None = None
    n: int | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Provenance:
    """Where a number comes from: enough to make it again.

    Attributes
    ----------
    subject : str
        Name of the checkpoint or of the imported recordings.
    dataset : str
        Name of the data set; with `synthetic` and `speakers_known` shown beside every result.
    split : str
        The split the number was measured on.
    command : str
        The command line that makes the same result.
    """

    subject: str
    dataset: str
    split: str
    data_digest: str
    checkpoint_digest: str | None = None
    seed: int | None = None
    synthetic: bool = False
    speakers_known: bool = True
    interval_unit: str = "speaker"  # what the bootstrap resamples: "speaker" or "clip"
    config: Mapping[str, Any] = field(default_factory=dict)  # settings of the analysis
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=package_versions)


@dataclass(frozen=True)
class Result:
    """Base of every analysis result; subclasses add values, axis labels and units."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, ser_json_inf_nan="null", extra="forbid")

    provenance: Provenance

    def to_table(self) -> pd.DataFrame:
        """Return the numbers as a tidy table, one row an estimate."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return every field as one JSON object; not-a-number becomes null."""
        body = TypeAdapter(type(self)).dump_python(self, mode="python")
        return json.dumps({"kind": type(self).__name__, **_plain(body)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild the result `to_json` wrote."""
        body = json.loads(text)
        body.pop("kind", None)
        return TypeAdapter(cls).validate_json(json.dumps(body))


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python numbers and non-finite numbers into None, at any depth."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
