"""Attention side by side with the figures published with FuseMax (MICRO 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.fusion.area import area_um2
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


def _attention(path: Path, columns: tuple[str, ...]) -> tuple[Rows, Fusion]:
    rows = read_rows(path, ("model", "seq_len", *columns))
    sizes = model_sizes(*_contexts(path, rows))
    designs = preset(_FILES[path.name])
    return rows, fusion(sizes, designs, published_flat_mapping(sizes), divide=True)


def _layers(path: Path, columns: tuple[str, ...]) -> tuple[Rows, Linear]:
    rows = read_rows(path, ("model", "seq_len", *columns))
    models, contexts = _contexts(path, rows)
    _, width, _, hidden = np.array([MODELS[model] for model in models], np.float64).T
    tokens = BATCH * np.array(contexts, np.float64)
    return rows, linear_layers(tokens, width, hidden, preset(_LAYERS[path.name]))


def attention(path: Path) -> Iterator[Check]:
    """Traffic, latency and use of both arrays of one of the five steps, every row."""
    columns = ("traffic", "latency", "util_2d", "util_1d")
    rows, found = _attention(path, columns)
    name = _FILES[path.name]
    target = _UNFUSED if name == "unfused" else _EQUAL
    ours = (found.dram_bytes, found.latency_s, found.array_use, found.lanes_use)
    for column, values in zip(columns, ours, strict=True):
        yield compare(_NAME, name, column, values[0], _column(rows, column), target)


def layers(path: Path) -> Iterator[Check]:
    """Traffic and latency of the layers around attention, every row."""
    rows, found = _layers(path, ("traffic", "latency"))
    name = f"layers, {_LAYERS[path.name]}"
    yield compare(_NAME, name, "traffic", found.dram_bytes[0], _column(rows, "traffic"), _EQUAL)
    yield compare(_NAME, name, "latency", found.latency_s[0], _column(rows, "latency"), _EQUAL)


def means(path: Path) -> Iterator[Check]:
    """FLAT's (unfused attention's) latency over FuseMax', mean over rows; with layers around it."""
    mine, ours = _attention(path, ("latency",))
    for name in ("attn-flat.csv", "attn-unfused.csv"):
        other = path.with_name(name)
        if not other.is_file():
            continue
        rows, found = _attention(other, ("latency",))
        target = _UNFUSED if name == "attn-unfused.csv" else _EQUAL
        yield _mean(
            f"{_FILES[name]} / fusemax",
            (found.latency_s[0], ours.latency_s[0]),
            (_column(rows, "latency"), _column(mine, "latency")),
            target if target is _EQUAL else Target(max_error=0.003),
        )
        files = [path.with_name(each) for each in _LAYERS]
        if name == "attn-flat.csv" and all(each.is_file() for each in files):
            (r_flat, l_flat), (r_fuse, l_fuse) = (_layers(each, ("latency",)) for each in files)
            yield _mean(
                "flat / fusemax, with layers",
                (found.latency_s[0] + l_flat.latency_s[0], ours.latency_s[0] + l_fuse.latency_s[0]),
                (
                    _column(rows, "latency") + _column(r_flat, "latency"),
                    _column(mine, "latency") + _column(r_fuse, "latency"),
                ),
                _EQUAL,
            )


def _mean(
    subject: str,
    ours: tuple[FloatArray, FloatArray],
    theirs: tuple[FloatArray, FloatArray],
    target: Target,
) -> Check:
    """Means of quotients, ours and the reference's."""
    both = [[float(np.mean(a / b))] for a, b in (ours, theirs)]
    return compare(_NAME, subject, "mean speed-up", both[0], both[1], target)


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
        name, area = f"arrays, {model}", area_um2(designs)
        yield compare(_NAME, name, "area", area, _column(part, "area"), _AREA)


STEPS: tuple[tuple[str, Callable[[Path], Iterator[Check]]], ...] = (
    *((name, attention) for name in _FILES),
    *((name, layers) for name in _LAYERS),
    ("attn-binding.csv", means),
    ("pareto.csv", sweep),
)
