"""Templates and areas of sub-accelerators side by side with MAESTRO and NASAIC's published designs.

Yang et al., NASAIC, DAC 2020 (arXiv 2002.04116), build on MAESTRO and print area, latency and
energy of designs for three workloads. The areas of two of them are compared; their networks are not
published with the filters that were found, so that latency and energy cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from archgym.cost_models.accelerator.loopnest.maestro import Dataflow
from archgym.cost_models.accelerator.multi.costs import accesses, area_um2
from archgym.cost_models.accelerator.multi.layers import Convolution
from archgym.cost_models.accelerator.multi.templates import template
from archgym.cost_models.validation import Check, Target, compare, read_rows

_TEMPLATES = {
    "kcp_ws(NVDLA-like)": "dla",
    "yxp_os(ShiDianNao-like)": "shi",
    "rs(Eyeriss-like)": "rs",
}
_SHAPE = ("K", "C", "R", "S", "Y_in", "X_in", "stride")
_LEVELS = {
    "l1": [
        f"{tensor} l1 {way}"
        for tensor in ("input", "filter", "output")
        for way in ("read", "write")
    ],
    "l2": [
        f"{tensor} l2 {way}"
        for tensor in ("input", "filter", "output")
        for way in ("read", "write")
    ],
}
# Table of W1: PEs and GB/s of both sub-accelerators, um2. Digits as recalled; they give the
# abstract's reductions of latency, energy and area to all of its digits.
_NASAIC = (
    ("nas-then-asic", ((2112, 48), (1984, 16)), 4.71e9),
    ("nasaic", ((576, 56), (1792, 8)), 2.03e9),
)


def sub_accelerators(path: Path) -> Iterator[Check]:
    """Rows of the three templates, areas of all rows, and areas of NASAIC's designs."""
    columns = ("dataflow", "num_pes", "noc_bw", "offchip_bw", "Runtime (Cycles)", "Area")
    rows = read_rows(path, (*columns, *(name for names in _LEVELS.values() for name in names)))
    mapped = [row for row in rows if row["dataflow"] in _TEMPLATES]
    # MAESTRO leaves out every step where a directive takes more than there is, its runtime is 0.
    mapped = [row for row in mapped if row["Runtime (Cycles)"] != "0"]
    if mapped:
        yield from _templates(mapped)
    pes = [[float(row[name]) for row in rows] for name in ("num_pes", "noc_bw")]
    ours = [area_um2(n, bandwidth) for n, bandwidth in zip(*pes, strict=True)]
    theirs = [float(row["Area"]) for row in rows]
    # Buffers are not in ours.
    yield compare("MAESTRO", "sub-accelerators", "area", ours, theirs, Target(max_error=0.002))
    for name, units, area in _NASAIC:
        mine = sum(area_um2(float(n), float(bandwidth)) for n, bandwidth in units)
        yield compare("NASAIC", name, "area", [mine], [area], Target(max_error=0.08))


def _templates(rows: list[dict[str, str]]) -> Iterator[Check]:
    made = [_template(row) for row in rows]
    runtimes = [
        dataflow.runtime(int(row["noc_bw"]), int(row["offchip_bw"]))
        for (_, dataflow), row in zip(made, rows, strict=True)
    ]
    theirs = [float(row["Runtime (Cycles)"]) for row in rows]
    yield compare("MAESTRO", "templates", "runtime", runtimes, theirs, Target(exact=1.0))
    counts = [accesses(conv, dataflow) for conv, dataflow in made]
    for level, names in _LEVELS.items():
        found = [float(each[level]) for each in counts]
        printed = [sum(float(row[name]) for name in names) for row in rows]
        label = f"accesses of {level.upper()}"
        yield compare("MAESTRO", "templates", label, found, printed, Target(exact=1.0))


def _template(row: dict[str, str]) -> tuple[Convolution, Dataflow]:
    conv = Convolution(*(int(row[name]) for name in _SHAPE))
    return conv, template(_TEMPLATES[row["dataflow"]], conv, int(row["num_pes"]))
