"""In place of `timeloop-model`: reads its input as documented, answers by our model of it.

Reads what the writer wrote without sharing code with it: `arch` and `mapping` as in Timeloop's
`src/model/buffer.cpp` and `src/mapping/parser.cpp`, and writes statistics as `src/model` does.
"""

import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import Any

import yaml

from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    LevelMapping,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    problem_rows,
)

SPACES = ("Weights", "Inputs", "Outputs")


def run(
    path: str, arguments: Sequence[str], files: Dict[str, str], output: str, timeout_s: float
) -> str:
    """As `external.binary.run`."""
    assert arguments == tuple(files) and output == "timeloop-model.stats.txt"
    (text,) = files.values()
    return statistics(*read(text))


def read(text: str) -> tuple[Hierarchy, Mapping, Problem]:
    """The hierarchy, mapping and operator of an input."""
    root = yaml.safe_load(text)
    problem = _problem(root["problem"])
    tables = {table["name"].rpartition(".")[2]: table for table in root["ERT"]["tables"]}
    energy = {
        name: {action["name"]: action["energy"] for action in table["actions"]}
        for name, table in tables.items()
    }
    levels, here = [], []
    below = _mesh(root["arch"]["arithmetic"])
    x, y = 1, 1
    parts: dict[str, dict[str, int]] = {"x": {}, "y": {}}
    for unit in root["arch"]["storage"]:
        columns, rows = _mesh(unit)
        x, y = x * below[0] // columns, y * below[1] // rows
        below = (columns, rows)
        told = [each for each in root["mapping"] if each["target"] == unit["name"]]
        for each in told:
            if each["type"] == "spatial":
                _add(parts, each)
        (kept,) = (each for each in told if each["type"] == "datatype")
        if unit.get("entries") == 0:
            assert sorted(kept["bypass"]) == sorted(SPACES)
            continue
        (loops,) = (each for each in told if each["type"] == "temporal")
        cost = energy[unit["name"]]
        levels.append(
            Level(
                unit["name"],
                float("inf") if unit.get("technology") == "DRAM" else unit["entries"],
                unit.get("read_bandwidth", float("inf")),
                unit.get("write_bandwidth", float("inf")),
                cost["read"],
                cost["write"],
                unit["word-bits"],
                x,
                y,
                tuple(name.lower() for name in SPACES),
                {1.0: "overlapped", 2.0: "double"}[unit["multiple-buffering"]],
            )
        )
        bypass = tuple(name.lower() for name in kept.get("bypass", ()))
        factors = _factors(loops["factors"])
        here.append(LevelMapping(factors, loops["permutation"], parts["x"], parts["y"], bypass))
        x, y, parts = 1, 1, {"x": {}, "y": {}}
    hierarchy = Hierarchy(tuple(levels), energy["MAC"]["compute"], (levels[0].word_bits,) * 3)
    return hierarchy, Mapping(tuple(here)), problem


def _mesh(unit: dict[str, Any]) -> tuple[int, int]:
    return unit["meshX"], unit["instances"] // unit["meshX"]


def _factors(text: str) -> dict[str, int]:
    return {d: int(f) for d, f in re.findall(r"([A-Z])(\d+)", text)}


def _add(parts: dict[str, dict[str, int]], directive: dict[str, Any]) -> None:
    factors = _factors(directive["factors"])
    for i, d in enumerate(directive["permutation"]):
        if factors[d] > 1:
            parts["x" if i < directive["split"] else "y"][d] = factors[d]


def _problem(told: dict[str, Any]) -> Problem:
    shape = told["shape"]
    assert [each["name"] for each in shape["data-spaces"]] == list(SPACES)
    given = {each["name"]: each["default"] for each in shape["coefficients"]}
    inputs = shape["data-spaces"][1]["projection"]
    assert inputs[2] == [["R", "Hdilation"], ["P", "Hstride"]]
    names = {"h": "H", "w": "W"}
    return Problem(
        **{d.lower(): told[d] for d in shape["dimensions"]},
        **{
            f"{what}_{axis}": given[f"{capital}{what}"]
            for what in ("stride", "dilation")
            for axis, capital in names.items()
        },
    )


def statistics(hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> str:
    """What Timeloop writes, by our model in its mode."""
    found = evaluate(
        Machines.of([hierarchy]),
        Mappings.of([mapping]),
        problem_rows([problem]),
        compat="timeloop",
        counts=True,
        checked=False,
    )
    cycles, macs = int(found.cycles[0]), problem.macs
    lines = ["Buffer and Arithmetic Levels", "-" * 28, "Level 0", "-------", "=== MAC ===", ""]
    lines += ["    SPECS", "    -----", "    Word bits            : 16", ""]
    lines += ["    STATS", "    -----", f"    Cycles               : {cycles}"]
    lines += [f"    Energy (total)       : {hierarchy.mac_pj * macs:.2f} pJ", ""]
    used = 1
    instances = []
    for here in reversed(mapping.levels):
        instances.insert(0, used)
        for part in (here.spatial_x, here.spatial_y):
            for factor in part.values():
                used *= factor
    total = hierarchy.mac_pj * macs
    for i, (level, here) in enumerate(zip(hierarchy.levels, mapping.levels, strict=True)):
        lines += [f"Level {i + 1}", "-------", f"=== {level.name} ===", "", "    SPECS"]
        lines += ["    -----", "    Shared:", "        Technology           : SRAM", ""]
        lines += ["    STATS", "    -----", f"    Cycles               : {cycles}"]
        for t, space in enumerate(SPACES):
            if space.lower() in here.bypass:
                continue
            energy = found.access_pj[0, i, t]
            total += energy
            lines += [f"    {space}:", f"        Utilized instances (max)      : {instances[i]}"]
            for name in ("reads", "updates", "fills"):
                count = getattr(found, name)[0, i, t] / instances[i]
                lines.append(f"        Scalar {name} (per-instance)   : {count:.0f}")
            lines.append("        Energy (per-scalar-access)    : 0.42 pJ")
            lines.append(f"        Energy (per-instance)         : {energy / instances[i]:.2f} pJ")
            lines.append(f"        Energy (total)                : {energy:.2f} pJ")
            lines.append("        Read Bandwidth (per-instance) : 1.00 bytes/cycle")
        lines += ["    Shared:", "        Area (per-instance)           : 0.00 um2", ""]
    lines += ["Networks", "--------", "Network 0", "---------", "L0 <==> MAC", ""]
    lines += ["    Weights:", "        Energy (total)                : 0.00 pJ", ""]
    lines += ["Summary Stats", "-------------", "Utilization: 1.00", f"Cycles: {cycles}"]
    lines += [f"Energy: {1e-6 * total:.2f} uJ", "Area: 0.00 mm^2", ""]
    return "\n".join(lines)
