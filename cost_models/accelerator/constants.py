"""Energies, areas and bandwidths, read from one file in which each has its source."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("constants.yaml")
SRAM_COLUMNS = (
    "node_nm",
    "word_bytes",
    "size_bytes",
    "read_pj",
    "write_pj",
    "leakage_mw",
    "area_mm2",
    "access_ns",
)
Key = str | int


@dataclass(frozen=True)
class Alternative:
    """Figures of somebody else for the same quantity."""

    source: str
    values: Mapping[Key, float]


@dataclass(frozen=True)
class Table:
    """Figures of one quantity.

    Attributes:
        name: Of the table.
        unit: Of its figures, and what they depend on.
        source: Where they are from.
        uncertainty: How far they may be trusted.
        values: By format, type, node ...
        alternatives: Where others disagree.
    """

    name: str
    unit: str
    source: str
    uncertainty: str
    values: Mapping[Key, float]
    alternatives: tuple[Alternative, ...] = ()

    def __getitem__(self, key: Key) -> float:
        if key not in self.values:
            names = [str(each) for each in self.values]
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{self.name}: there is no figure for {key!r}{hint} Allowed: {', '.join(names)}."
            )
        return self.values[key]


@dataclass(frozen=True)
class SramTable:
    """Memory macros, one row each, of `SRAM_COLUMNS`."""

    source: str
    uncertainty: str
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Constants:
    """All figures of a file."""

    tables: Mapping[str, Table]
    sram: SramTable

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]


@functools.cache
def constants() -> Constants:
    """The figures that ship."""
    return read_constants(_FILE)


def read_constants(path: Path) -> Constants:
    """Read a file of figures.

    Raises:
        ValueError: If a figure is not a positive number, or a source or an uncertainty is missing.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    tables = {name: _table(path, name, each) for name, each in data["tables"].items()}
    sram = data["sram"]
    where = f"{path.name}: sram"
    if tuple(sram["columns"]) != SRAM_COLUMNS:
        raise ValueError(f"{where}: columns must be {', '.join(SRAM_COLUMNS)}")
    rows = tuple(
        tuple(_positive(f"{where}: row {i}", each) for each in row)
        for i, row in enumerate(sram["rows"])
    )
    return Constants(tables, SramTable(_text(where, sram, "source"), _text(where, sram), rows))


def _table(path: Path, name: str, data: Mapping[str, Any]) -> Table:
    where = f"{path.name}: {name}"
    alternatives = tuple(
        Alternative(_text(where, each, "source"), _figures(where, each["values"]))
        for each in data.get("alternatives", ())
    )
    return Table(
        name,
        _text(where, data, "unit"),
        _text(where, data, "source"),
        _text(where, data),
        _figures(where, data["values"]),
        alternatives,
    )


def _text(where: str, data: Mapping[str, Any], field: str = "uncertainty") -> str:
    text = data.get(field)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: {field} is {text!r}, must be text")
    return text


def _figures(where: str, values: Mapping[Key, Any]) -> dict[Key, float]:
    if not values:
        raise ValueError(f"{where}: values are missing")
    return {key: _positive(f"{where}: {key}", value) for key, value in values.items()}


def _positive(where: str, value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
        raise ValueError(f"{where} is {value!r}, must be a positive number")
    return float(value)  # type: ignore[arg-type]
