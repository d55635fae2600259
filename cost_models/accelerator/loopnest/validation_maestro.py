"""Side by side with MAESTRO 4eb08d1: seven dataflows of convolutions and matrix products."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from archgym.cost_models.accelerator.loopnest.maestro import Directive, Traffic, evaluate
from archgym.cost_models.validation import Check, Target, compare, read_rows

_EQUAL = Target(exact=1.0)
_COUNTERS = {
    "reads of inputs": "input l2 read",
    "reads of weights": "filter l2 read",
    "writes of outputs": "output l2 write",
    "multiply-accumulates": "Num MACs",
}
_DIRECTIVE = re.compile(r"(SpatialMap|TemporalMap)\(([^,]+),\s*([^)]+\)?)\)\s*(\w+)")


class Point(NamedTuple):
    """The arguments of `maestro.evaluate`."""

    kind: str
    sizes: dict[str, int]
    stride: int
    levels: list[list[Directive]]
    clusters: list[int]
    pes: int
    bandwidth: int
    offchip_bandwidth: int


def maestro(path: Path) -> Iterator[Check]:
    """Every dataflow's runtime, then all runtimes, traffic of the L2 buffer and computations."""
    columns = ("op", "dataflow", "mapping", "num_pes", "noc_bw", "Runtime (Cycles)")
    rows = read_rows(path, (*columns, *_COUNTERS.values()))
    costs = [evaluate(*_point(row)) for row in rows]
    for flow in (*dict.fromkeys(row["dataflow"] for row in rows), "all"):
        part = [i for i, row in enumerate(rows) if flow in (row["dataflow"], "all")]
        theirs = [float(rows[i]["Runtime (Cycles)"]) for i in part]
        yield compare("MAESTRO", flow, "runtime", [costs[i].runtime for i in part], theirs, _EQUAL)
    for metric, column in _COUNTERS.items():
        ours = [_counter(cost, metric) for cost in costs]
        yield compare("MAESTRO", "all", metric, ours, [float(row[column]) for row in rows], _EQUAL)


def _counter(cost: Traffic, metric: str) -> int:
    if metric.startswith("reads of"):
        return cost.reads[metric.removeprefix("reads of ")]
    return cost.writes if metric.startswith("writes") else cost.computations


def maestro_points(path: Path) -> list[Point]:
    """What `maestro.evaluate` takes, of every row."""
    return [_point(row) for row in read_rows(path, ("op", "mapping", "num_pes", "noc_bw"))]


def _point(row: dict[str, str]) -> Point:
    kind = row["op"]
    if kind == "conv":
        sizes = {name: int(row[name]) for name in "KCRS"}
        sizes |= {"Y": int(row["Y_in"]), "X": int(row["X_in"])}
        stride = int(row["stride"])
    else:
        sizes = {name: int(row[f"gemm_{name}"]) for name in "MNK"}
        stride = 1
    levels, clusters = _mapping(row["mapping"], sizes)
    pes, bandwidth = int(row["num_pes"]), int(row["noc_bw"])
    offchip = int(row["offchip_bw"])
    return Point(kind, sizes, stride, levels, clusters, pes, bandwidth, offchip)


def _mapping(text: str, sizes: dict[str, int]) -> tuple[list[list[Directive]], list[int]]:
    """Levels of directives and sizes of clusters, from MAESTRO's text."""

    def number(word: str) -> int:
        found = re.fullmatch(r"Sz\((\w+)\)", word.strip())
        return sizes[found.group(1)] if found else int(word)

    parts = re.split(r"Cluster\(([^;]+),\s*P\)", text)
    levels = [
        [
            Directive(d, number(size), number(offset), how == "SpatialMap")
            for how, size, offset, d in _DIRECTIVE.findall(part)
        ]
        for part in parts[::2]
    ]
    return levels, [number(word) for word in parts[1::2]]
