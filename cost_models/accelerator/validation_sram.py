"""The memories of `sram` side by side with CACTI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.sram import sram_costs
from archgym.cost_models.validation import Check, Target, compare, read_rows

# The file has six digits.
_EQUAL = Target(max_error=1e-5)
_COLUMNS = {
    "read_pj": "read_pJ_per_word",
    "write_pj": "write_pJ_per_word",
    "leakage_mw": "leakage_mW",
    "area_mm2": "area_mm2",
    "access_ns": "access_ns",
}


def cacti(path: Path) -> Iterator[Check]:
    """Every point of the file, and every inner point as interpolated from its neighbours."""
    rows = read_rows(path, ("node_nm", "size_bytes", "word_bytes", *_COLUMNS.values()))
    found = [
        sram_costs(float(row["size_bytes"]), float(row["word_bytes"]), round(float(row["node_nm"])))
        for row in rows
    ]
    for metric, column in _COLUMNS.items():
        ours = [getattr(each, metric)[0] for each in found]
        theirs = [float(row[column]) for row in rows]
        yield compare("CACTI 7, points", "all", metric, ours, theirs, _EQUAL)
    for metric, column in _COLUMNS.items():
        ours, theirs = _left_out(rows, column)
        if ours:
            yield compare("CACTI 7, each point left out", "45 and 22 nm", metric, ours, theirs)


def _left_out(rows: list[dict[str, str]], column: str) -> tuple[list[float], list[float]]:
    """Points between two others twice and half their size: geometric means, and themselves."""
    values = {
        (row["node_nm"], row["word_bytes"], int(row["size_bytes"])): float(row[column])
        for row in rows
    }
    ours, theirs = [], []
    for (node, word, size), value in values.items():
        low, high = values.get((node, word, size // 2)), values.get((node, word, size * 2))
        if low is not None and high is not None:
            ours.append(float(np.sqrt(low * high)))
            theirs.append(value)
    return ours, theirs
