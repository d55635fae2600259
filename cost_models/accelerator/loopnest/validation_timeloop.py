"""Side by side with Timeloop: fixed mappings of convolutions and matrix products, every counter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import (
    FloatArray,
    Machines,
    Mappings,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.model import LoopNestResult, evaluate
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, IntArray, Problem
from archgym.cost_models.validation import Check, Target, compare, read_rows

_LEVELS = ("RF", "GLB", "DRAM")
_TENSORS = ("Weights", "Inputs", "Outputs")
_COUNTERS = ("reads", "fills", "updates")
# The dimension that is called K here is M in Timeloop's convolutions.
_NAMES = {d: "M" if d == "K" else d for d in DIMS}
_PERMS = [f"{level}_perm_inner_to_outer" for level in ("rf", "glb", "dram")]
_HARDWARE = ("mesh_x", "mesh_y", "glb_words", "rf_words", "word_bits")
_BANDWIDTHS = ("rf_bw_words", "glb_bw_words", "dram_bw_words")
# Energies of the public tables that come with Timeloop, in pJ: an access of DRAM, a MAC of 16 bits,
# and SRAM, which grows with its size from 0.5 KB.
_DRAM_PJ, _MAC_PJ, _SRAM_PJ, _SRAM_PJ_PER_KB = 200.0, 1.0, 1.0, 5.0 / 99.5


def timeloop(path: Path) -> Iterator[Check]:
    """All rows of the file in both modes, every counter in the mode `timeloop`."""
    rows = read_rows(path, ("bypass", "stride", "cycles", "energy_uJ", *_HARDWARE, *_PERMS))
    for subject, part in (
        ("no bypass", [row for row in rows if row["bypass"] == "none"]),
        ("bypass", [row for row in rows if row["bypass"] != "none"]),
    ):
        if part:
            yield from _totals(subject, part, "timeloop")
            yield from _counters(subject, part, "timeloop")
            yield from _totals(subject, part, "ideal")


def points(rows: list[dict[str, str]]) -> tuple[Machines, Mappings, IntArray]:
    """Hierarchies, mappings and problems of rows of the file, as arrays."""
    hierarchies, mappings, problems = zip(*(point(row) for row in rows), strict=True)
    return Machines.of(hierarchies), Mappings.of(mappings), problem_rows(problems)


def point(row: dict[str, str]) -> tuple[Hierarchy, Mapping, Problem]:
    """Hierarchy, mapping and problem of a row of the file."""
    return _hierarchy(row), _mapping(row), _problem(row)


def _problem(row: dict[str, str]) -> Problem:
    stride = int(row["stride"])
    sizes = {d.lower(): int(row[f"dim_{name}"]) for d, name in _NAMES.items()}
    return Problem(**sizes, stride_h=stride, stride_w=stride)


def _hierarchy(row: dict[str, str]) -> Hierarchy:
    def level(name: str, words: str, columns: int = 1, rows: int = 1) -> Level:
        size, bandwidth = float(row[words]), float(row[f"{name.lower()}_bw_words"])
        kilobytes = size * int(row["word_bits"]) / 8 / 1024
        pj = _SRAM_PJ + _SRAM_PJ_PER_KB * (kilobytes - 0.5)
        return Level(name, size, bandwidth, bandwidth, pj, pj, fanout_x=columns, fanout_y=rows)

    bandwidth = float(row["dram_bw_words"])
    mesh = (int(row["mesh_x"]), int(row["mesh_y"]))
    dram = Level("DRAM", np.inf, bandwidth, bandwidth, _DRAM_PJ, _DRAM_PJ)
    return Hierarchy((level("RF", "rf_words"), level("GLB", "glb_words", *mesh), dram), _MAC_PJ)


def _mapping(row: dict[str, str]) -> Mapping:
    def factors(prefix: str) -> dict[str, int]:
        return {d: int(row[f"{prefix}_{name}"]) for d, name in _NAMES.items()}

    tensor, _, place = row["bypass"].partition("@")
    levels = []
    for name in _LEVELS:
        order = row[f"{name.lower()}_perm_inner_to_outer"].replace("M", "K")
        array = (factors("sx"), factors("sy")) if name == "GLB" else ({}, {})
        bypass = (tensor.lower(),) if place == name else ()
        levels.append(LevelMapping(factors(name.lower()), order, *array, bypass))
    return Mapping(tuple(levels))


def _totals(subject: str, rows: list[dict[str, str]], compat: str) -> Iterator[Check]:
    result = evaluate(*points(rows), compat=compat)
    cycles, energy = _column(rows, "cycles"), _column(rows, "energy_uJ")
    goals: dict[str, tuple[Target, Target]] = {
        "no bypass": (Target(exact=1.0), Target(exact=1.0)),
        "bypass": (Target(exact=1.0), Target(exact=1.0)),
    }
    goal = goals[subject] if compat == "timeloop" else (None, None)
    check = f"Timeloop, mode {compat}"
    yield compare(check, subject, "cycles", result.cycles, cycles, goal[0])
    # Timeloop prints two decimals.
    rounding = 0.005
    ours = result.energy_pj * 1e-6
    yield compare(check, subject, "energy", ours, energy, goal[1], tolerance=rounding)


def _counters(subject: str, rows: list[dict[str, str]], compat: str) -> Iterator[Check]:
    result = evaluate(*points(rows), compat=compat, counts=True)
    for i, level in enumerate(_LEVELS):
        for t, tensor in enumerate(_TENSORS):
            kept = [k for k, row in enumerate(rows) if row[f"{level}.{tensor}.reads"] != ""]
            for counter in _COUNTERS:
                name = f"{level}.{tensor}.{counter}"
                theirs = _column([rows[k] for k in kept], name)
                if not theirs.any():
                    continue
                instances = _column([rows[k] for k in kept], f"{level}.{tensor}.inst")
                ours = _counter(result, counter)[kept, i, t] / instances
                # Timeloop counts whole words of an instance.
                exact = Target(exact=1.0)
                metric = f"{level} {TENSORS[t]} {counter}"
                yield compare(
                    f"Timeloop, mode {compat}", subject, metric, ours, theirs, exact, tolerance=0.5
                )


def _counter(result: LoopNestResult, counter: str) -> FloatArray:
    found: FloatArray = getattr(result, counter)
    return found


def _column(rows: list[dict[str, str]], name: str) -> FloatArray:
    return np.array([float(row[name]) for row in rows])
