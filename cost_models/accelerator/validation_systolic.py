"""Systolic arrays side by side with SCALE-Sim 3.0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.systolic import (
    DATAFLOWS,
    Systolic,
    SystolicDesigns,
    dataflow_number,
    systolic,
)
from archgym.cost_models.accelerator.work import Products
from archgym.cost_models.validation import Check, Target, compare, read_rows

_EQUAL = Target(exact=1.0)
# Percentages, which the file has in all digits, after other sums of the same numbers.
_CLOSE = Target(max_error=1e-9)
_CONVOLUTION = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "stride", "C", "num_filters")
_WORDS = ("ifmap_kb", "filter_kb", "ofmap_kb")
_COUNTS = ("ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes")
_PERCENT = ("overall_util_pct", "mapping_eff_pct", "compute_util_pct")
_DRAM = ("ifmap_dram_reads", "filter_dram_reads", "ofmap_dram_writes")
_COLUMNS = ("op", "M", "N", "K", "dataflow", "array_h", "array_w", "stall_cycles", "word_bytes")
FloatArray = NDArray[np.float64]


def scalesim(path: Path) -> Iterator[Check]:
    """Every row without stalls, by dataflow; what `ideal` counts beside it."""
    rows, _ = scalesim_rows(path)
    for dataflow in DATAFLOWS:
        part = [row for row in rows if row["dataflow"] == dataflow]
        if part:
            yield from _exact(dataflow, part)
            yield from _ideal(dataflow, part)


def scalesim_rows(path: Path) -> tuple[list[dict[str, str]], FloatArray]:
    """Rows without stalls, and their M, N, K `(3, rows)`."""
    rows = read_rows(
        path,
        (*_COLUMNS, *_CONVOLUTION, *_WORDS, *_COUNTS, *_PERCENT, *_DRAM, "total_compute_cycles"),
    )
    rows = [row for row in rows if float(row["stall_cycles"]) == 0]
    return rows, _shapes(rows)


def scalesim_counts(rows: list[dict[str, str]]) -> dict[str, FloatArray]:
    """Cycles and accesses `(rows,)` of the array in mode `scalesim`."""
    return _counts(_run(rows, "scalesim")[0])


def _counts(found: Systolic) -> dict[str, FloatArray]:
    """Of every row's product on its design, by the names of columns."""
    reads, writes = found.sram_reads, found.sram_writes
    each = (found.cycles, reads[..., 0], reads[..., 1], writes)
    return {
        name: np.diagonal(counts) for name, counts in zip(("cycles", *_COUNTS), each, strict=True)
    }


def _column(rows: list[dict[str, str]], name: str) -> FloatArray:
    return np.array([float(row[name]) for row in rows])


def _shapes(rows: list[dict[str, str]]) -> FloatArray:
    """M, N, K `(3, rows)`; of convolutions from their sizes, outputs rounded up as there."""
    shapes = []
    for row in rows:
        if row["op"] == "conv":
            h, w, r, s, stride, c, k = (int(row[name]) for name in _CONVOLUTION)
            points = -(-(h - r + stride) // stride) * -(-(w - s + stride) // stride)
            shapes.append((points, k, r * s * c))
        else:
            shapes.append((int(row["M"]), int(row["N"]), int(row["K"])))
    return np.array(shapes, np.float64).T


def _run(rows: list[dict[str, str]], mode: str) -> tuple[Systolic, FloatArray, FloatArray]:
    """Results of every row's design on every row's product, and sizes of arrays."""
    m, n, k = _shapes(rows)
    one = np.ones(len(rows))
    high, wide = _column(rows, "array_h"), _column(rows, "array_w")
    sizes_i, sizes_w, sizes_o = (_column(rows, name) * 1024 for name in _WORDS)
    word = _column(rows, "word_bytes")
    numbers = np.array([dataflow_number(row["dataflow"]) for row in rows], np.float64)
    fast = 1e9 * one
    designs = SystolicDesigns(
        high, wide, numbers, sizes_i, sizes_w, sizes_o, fast, word, word, word, word
    )
    return (
        systolic(Products(("row",) * len(rows), one, m, n, k, one, one), designs, mode),
        high,
        wide,
    )


def _exact(dataflow: str, rows: list[dict[str, str]]) -> Iterator[Check]:
    name = "SCALE-Sim 3.0, mode scalesim"
    m, n, k = shapes = _shapes(rows)
    theirs = np.stack([_column(rows, each) for each in "MNK"])
    yield compare(name, dataflow, "M, N, K", shapes.ravel(), theirs.ravel(), _EQUAL)
    found, high, wide = _run(rows, "scalesim")
    counts = _counts(found)
    cycles = counts["cycles"]
    yield compare(name, dataflow, "cycles", cycles, _column(rows, "total_compute_cycles"), _EQUAL)
    for column in _COUNTS:
        yield compare(name, dataflow, column, counts[column], _column(rows, column), _EQUAL)
    # For its compute utilisation, a fold of ws and is loads what stays W - 1 cycles longer, and the
    # last cycle counts.
    steps = {"os": k, "ws": m, "is": n}[dataflow]
    per_fold = steps + high + wide - 2 + (0 if dataflow == "os" else high)
    folds = (cycles + 1) / per_fold
    longer = cycles + 1 + (0 if dataflow == "os" else folds * (wide - 1))
    percents = (
        np.diagonal(found.utilisation),
        np.diagonal(found.mapping_efficiency),
        m * n * k / (longer * high * wide),
    )
    for column, share in zip(_PERCENT, percents, strict=True):
        yield compare(name, dataflow, column, 100 * share, _column(rows, column), _CLOSE)


def _ideal(dataflow: str, rows: list[dict[str, str]]) -> Iterator[Check]:
    name = "SCALE-Sim 3.0, mode ideal"
    found, _, _ = _run(rows, "ideal")
    theirs = _column(rows, "total_compute_cycles")
    yield compare(name, dataflow, "cycles", np.diagonal(found.compute_cycles), theirs)
    counts = np.diagonal(found.sram_writes)
    yield compare(name, dataflow, _COUNTS[2], counts, _column(rows, _COUNTS[2]))
    for i, column in enumerate(_DRAM):
        ours = np.diagonal(found.dram_bytes[..., i]) / _column(rows, "word_bytes")
        yield compare(name, dataflow, column, ours, _column(rows, column))
