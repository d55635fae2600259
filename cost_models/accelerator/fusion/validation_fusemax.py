"""Attention side by side with the figures published with FuseMax (MICRO 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.fusion.area import area_um2
from archgym.cost_models.accelerator.fusion.energy import energy_j, linear_energy_j
from archgym.cost_models.accelerator.fusion.linear import Linear, linear_layers
from archgym.cost_models.accelerator.fusion.model import fusion
from archgym.cost_models.accelerator.fusion.presets import (
    BATCH,
    MODELS,
    array_sweep,
    model_sizes,
    preset,
    published_flat_mapping,
)
from archgym.cost_models.accelerator.fusion.types import Fusion
from archgym.cost_models.validation import Check, Target, compare, read_rows

_EQUAL = Target(exact=1.0)
# The mapper's choices at 256K are not the least traffic, see the documentation.
_UNFUSED = Target(exact=20 / 24, max_error=0.003)
_AREA = Target(max_error=0.01)
_COLUMNS = ("traffic", "latency", "util_2d", "util_1d", "energy")
# Largest errors of energies, which are at 256K and 1M; see the documentation.
_ENERGY = {
    "unfused": 0.03,
    "flat": 0.03,
    "cascade": 0.075,
    "architecture": 0.006,
    "fusemax": 0.006,
}
_FILES = {
    "attn-unfused.csv": "unfused",
    "attn-flat.csv": "flat",
    "attn-cascade.csv": "cascade",
    "attn-arch.csv": "architecture",
    "attn-binding.csv": "fusemax",
}
_LAYERS = {"end2end-flat.csv": "flat", "end2end-proposal.csv": "fusemax"}
_SUFFIX = {"K": 2**10, "M": 2**20}
_NAME = "FuseMax artifact"
Rows = list[dict[str, str]]
FloatArray = NDArray[np.float64]


def _contexts(path: Path, rows: Rows) -> tuple[list[str], list[int]]:
    """Models and contexts of the rows."""
    models, contexts = [row["model"] for row in rows], []
    for row in rows:
        text = row["seq_len"]
        if not text[:-1].isdigit() or text[-1:] not in _SUFFIX or row["model"] not in MODELS:
            raise ValueError(
                f"{path}: row {row['model']}, {text}: is not one of {', '.join(MODELS)} with a "
                f"context such as 64K or 1M"
            )
        contexts.append(int(text[:-1]) * _SUFFIX[text[-1]])
    return models, contexts


def _column(rows: Rows, name: str) -> FloatArray:
    return np.array([float(row[name]) for row in rows])


def _attention(path: Path) -> tuple[Rows, Fusion, FloatArray]:
    """Rows, their costs and energies in pJ."""
    rows = read_rows(path, ("model", "seq_len", *_COLUMNS))
    sizes = model_sizes(*_contexts(path, rows))
    designs = preset(_FILES[path.name])
    mapping = published_flat_mapping(sizes)
    found = fusion(sizes, designs, mapping, divide=True)
    return rows, found, 1e12 * energy_j(sizes, designs, found, mapping)[0]


def _layers(path: Path) -> tuple[Rows, Linear, FloatArray]:
    """Rows, their costs and energies in pJ."""
    rows = read_rows(path, ("model", "seq_len", "traffic", "latency", "energy"))
    models, contexts = _contexts(path, rows)
    _, width, _, hidden = np.array([MODELS[model] for model in models], np.float64).T
    tokens = BATCH * np.array(contexts, np.float64)
    designs = preset(_LAYERS[path.name])
    found = linear_layers(tokens, width, hidden, designs)
    return rows, found, 1e12 * linear_energy_j(found, designs)[0]


def attention(path: Path) -> Iterator[Check]:
    """Traffic, latency, use of both arrays and energy of one of the five steps, every row."""
    rows, found, energy = _attention(path)
    name = _FILES[path.name]
    target = _UNFUSED if name == "unfused" else _EQUAL
    ours = (found.dram_bytes, found.latency_s, found.array_use, found.lanes_use)
    for column, values in zip(_COLUMNS, ours, strict=False):
        yield compare(_NAME, name, column, values[0], _column(rows, column), target)
    limit = Target(max_error=_ENERGY[name])
    yield compare(_NAME, name, "energy", energy, _column(rows, "energy"), limit)


def layers(path: Path) -> Iterator[Check]:
    """Traffic, latency and energy of the layers around attention, every row."""
    rows, found, energy = _layers(path)
    name = f"layers, {_LAYERS[path.name]}"
    yield compare(_NAME, name, "traffic", found.dram_bytes[0], _column(rows, "traffic"), _EQUAL)
    yield compare(_NAME, name, "latency", found.latency_s[0], _column(rows, "latency"), _EQUAL)
    yield compare(_NAME, name, "energy", energy, _column(rows, "energy"), Target(max_error=0.01))


def means(path: Path) -> Iterator[Check]:
    """Means over rows: latency of others over FuseMax', and FuseMax' energy over that of others."""
    ours = _totals(path, None)
    for name, target in (("attn-flat.csv", _EQUAL), ("attn-unfused.csv", Target(max_error=0.003))):
        if path.with_name(name).is_file():
            yield from _means(_FILES[name], _totals(path.with_name(name), None), ours, target)
    files = [path.with_name(each) for each in ("attn-flat.csv", *_LAYERS)]
    if all(each.is_file() for each in files):
        flat, fusemax = _totals(files[0], files[1]), _totals(path, files[2])
        yield from _means("flat, with layers", flat, fusemax, _EQUAL)


def _totals(path: Path, around: Path | None) -> tuple[FloatArray, ...]:
    """Latency and energy, ours and the reference's; with those of the layers around, if given."""
    rows, found, energy = _attention(path)
    totals = (found.latency_s[0], energy, _column(rows, "latency"), _column(rows, "energy"))
    if around is None:
        return totals
    rows, linear, energy = _layers(around)
    more = (linear.latency_s[0], energy, _column(rows, "latency"), _column(rows, "energy"))
    return tuple(a + b for a, b in zip(totals, more, strict=True))


def _means(
    name: str, other: tuple[FloatArray, ...], mine: tuple[FloatArray, ...], target: Target
) -> Iterator[Check]:
    speed = [[float(np.mean(other[i] / mine[i]))] for i in (0, 2)]
    yield compare(_NAME, f"{name} / fusemax", "mean speed-up", speed[0], speed[1], target)
    share = [[float(np.mean(mine[i] / other[i]))] for i in (1, 3)]
    limit = Target(max_error=0.01)
    yield compare(_NAME, f"fusemax / {name}", "mean energy", share[0], share[1], limit)


def sweep(path: Path) -> Iterator[Check]:
    """The sweep of arrays: traffic, latency and what bounds it, area; every row."""
    ours = {
        "traffic": "dram_bytes",
        "mem_lat": "memory_s",
        "comp_2d_lat": "array_s",
        "comp_1d_lat": "lanes_s",
        "latency": "latency_s",
    }
    rows = read_rows(path, ("model", "PE_dim", "area", *ours))
    for model in dict.fromkeys(row["model"] for row in rows):
        part = [row for row in rows if row["model"] == model]
        sizes = model_sizes([model], [2**18])
        designs, found = array_sweep(sizes, [int(row["PE_dim"]) for row in part])
        for column, name in ours.items():
            values = getattr(found, name)[:, 0]
            yield compare(_NAME, f"arrays, {model}", column, values, _column(part, column), _EQUAL)
        name, area = f"arrays, {model}", area_um2(designs, "sweep")
        yield compare(_NAME, name, "area", area, _column(part, "area"), _AREA)


STEPS: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
    *((name, attention) for name in _FILES),
    *((name, layers) for name in _LAYERS),
    ("attn-binding.csv", means),
    ("pareto.csv", sweep),
)
