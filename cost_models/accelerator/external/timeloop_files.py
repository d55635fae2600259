"""A mapping on a hierarchy as Timeloop's input.

The format is that of its first paper (Parashar et al., ISPASS 2019), which `timeloop-model` still
reads (`src/model/engine.cpp`, `src/mapping/parser.cpp` and `src/workload` of its repository):
`arch` lists levels of storage from the innermost outwards, `problem` a shape with its bounds,
`mapping` a directive per level, loops from the innermost outwards, of parts on the array the first
`split` on columns. Energies are given as a reference table (`ERT`), in place of Timeloop's own.

There a dimension lies on the columns of an array or on its rows. Where one lies on both, a level
that holds nothing stands between them, as in Timeloop's own `configs/timeloop/eyeriss-256.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, Problem

MAC = "MAC"
"""Name of the arithmetic units."""


def level_name(level: int) -> str:
    """What a level is called there: letters and figures, which all versions take."""
    return f"L{level}"


def rows_name(level: int) -> str:
    """What the level that holds nothing is called, of whose instances each feeds a column."""
    return f"L{level}R"


SPACES = {tensor: tensor.capitalize() for tensor in TENSORS}
"""Timeloop's names of the tensors, as in its own shapes."""

Factors = Dict[str, int]
_COEFFICIENTS = ("Hstride", "Wstride", "Hdilation", "Wdilation")
_MULTIPLE = {"overlapped": 1.0, "double": 2.0}


def check_expressible(hierarchy: Hierarchy) -> None:
    """Check that a hierarchy has nothing that Timeloop has no words for.

    Raises:
        ValueError: If a level holds elements of several widths, a capacity is no whole number of
            words, a level within is unlimited, or computing is to wait for an exchange in any case;
            one line that names it.
    """
    bits = dict(zip(TENSORS, hierarchy.bits, strict=True))
    for level in hierarchy.levels:
        where = f"level {level.name!r}"
        for tensor in level.tensors:
            if bits[tensor] != level.word_bits:
                raise ValueError(
                    f"{where}: {tensor} of {bits[tensor]} bits in words of {level.word_bits}, "
                    f"Timeloop's elements are words"
                )
        if level.buffering not in _MULTIPLE:
            raise ValueError(
                f"{where}: its buffering is {level.buffering!r}, Timeloop has "
                f"{', '.join(_MULTIPLE)}"
            )
        inner = level is not hierarchy.levels[-1]
        if inner and level.capacity_words != int(min(level.capacity_words, 2**31)):
            raise ValueError(
                f"{where}: {level.capacity_words:g} words, Timeloop takes a whole number of them"
            )


def timeloop_input(hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> str:
    """A mapping as the text of one file.

    Raises:
        ValueError: If the mapping is not one of the problem on the hierarchy, or Timeloop has no
            words for the hierarchy; one line that names it.
    """
    check_expressible(hierarchy)
    mapping.check(hierarchy, problem)
    levels = [
        _LevelHere(i, level, here)
        for i, (level, here) in enumerate(zip(hierarchy.levels, mapping.levels, strict=True))
    ]
    parts = {
        "arch": _arch(levels),
        "ERT": _energies(hierarchy),
        "problem": _problem(problem),
        "mapping": [directive for each in levels for directive in each.directives()],
    }
    return str(yaml.safe_dump(parts, sort_keys=False))


def _arch(levels: Sequence[_LevelHere]) -> dict[str, Any]:
    """Storage and arithmetic with the numbers of their instances."""
    storage: list[dict[str, Any]] = []
    columns = rows = 1
    for each in reversed(levels):
        level = each.level
        storage.insert(0, each.storage(columns, rows, outer=not storage))
        columns *= level.fanout_x
        if each.crossed:
            storage.insert(0, _instances(rows_name(each.number), columns, rows, level.word_bits))
            storage[0]["entries"] = 0
        rows *= level.fanout_y
    units = _instances(MAC, columns, rows, levels[0].level.word_bits)
    return {"arithmetic": units, "storage": storage}


def _instances(name: str, columns: int, rows: int, bits: int) -> dict[str, Any]:
    return {"name": name, "instances": columns * rows, "meshX": columns, "word-bits": bits}


@dataclass(frozen=True)
class _LevelHere:
    """A level with what a mapping does there."""

    number: int
    level: Level
    here: LevelMapping

    @property
    def name(self) -> str:
        return level_name(self.number)

    @property
    def crossed(self) -> bool:
        """Whether a dimension lies on columns and rows."""
        x, y = self.here.spatial_x, self.here.spatial_y
        return any(x.get(d, 1) > 1 and y.get(d, 1) > 1 for d in DIMS)

    def storage(self, columns: int, rows: int, *, outer: bool) -> dict[str, Any]:
        """The level as hardware."""
        level = self.level
        found = _instances(self.name, columns, rows, level.word_bits)
        found |= {
            "block-size": 1,
            "multiple-buffering": _MULTIPLE[level.buffering],
            # Timeloop would make up its own.
            "addr-gen-energy": 0.0,
        }
        if outer:
            found["technology"] = "DRAM"
        else:
            found["entries"] = int(level.capacity_words)
        for what in ("read", "write"):
            words = float(getattr(level, f"{what}_words_per_cycle"))
            if math.isfinite(words):
                found[f"{what}_bandwidth"] = words
        return found

    def directives(self) -> list[dict[str, Any]]:
        """Loops, parts on the array, and what is kept."""
        here, name = self.here, self.name
        order = "".join(DIMS[d] for d in here.full_order)
        found = [_loops(name, here.temporal, order)]
        found.append(_held(name, here.bypass))
        if self.crossed:
            rows, all_dims = rows_name(self.number), "".join(DIMS)
            found += [
                _parts(name, here.spatial_x, {}),
                _parts(rows, {}, here.spatial_y),
                _loops(rows, {}, all_dims),
                _held(rows, TENSORS),
            ]
        elif self.level.fanout_x * self.level.fanout_y > 1:
            found.append(_parts(name, here.spatial_x, here.spatial_y))
        return found


def _held(target: str, bypass: Sequence[str]) -> dict[str, Any]:
    """A directive for what a level keeps and what passes by, lists of nothing left out."""
    kept = [SPACES[tensor] for tensor in TENSORS if tensor not in bypass]
    lists = {"keep": kept, "bypass": [SPACES[tensor] for tensor in bypass]}
    return {
        "target": target,
        "type": "datatype",
        **{what: listed for what, listed in lists.items() if listed},
    }


def _loops(target: str, factors: Factors, order: str) -> dict[str, Any]:
    """A directive for the loops of a level, the innermost first."""
    text = _factors(factors)
    return {"target": target, "type": "temporal", "factors": text, "permutation": order}


def _parts(target: str, columns: Factors, rows: Factors) -> dict[str, Any]:
    """A directive for the parts on the array below a level; no dimension lies on both axes."""
    on_columns = [d for d in DIMS if columns.get(d, 1) > 1]
    order = (*on_columns, *(d for d in DIMS if d not in on_columns))
    return {
        "target": target,
        "type": "spatial",
        "factors": _factors({**rows, **{d: columns[d] for d in on_columns}}),
        "permutation": "".join(order),
        "split": len(on_columns),
    }


def _factors(parts: Factors) -> str:
    return " ".join(f"{d}{int(parts.get(d, 1))}" for d in DIMS)


def _energies(hierarchy: Hierarchy) -> dict[str, Any]:
    """Energies per action; versions differ in what they call that of arithmetic."""

    def table(name: str, **actions: float) -> dict[str, Any]:
        listed = [{"name": each, "arguments": {}, "energy": pj} for each, pj in actions.items()]
        return {"name": f"system.{name}", "actions": listed}

    mac = float(hierarchy.mac_pj)
    return {
        "version": 0.3,
        "tables": [
            table(MAC, mac_random=mac, compute=mac),
            *(
                table(level_name(i), read=float(each.read_pj), write=float(each.write_pj))
                for i, each in enumerate(hierarchy.levels)
            ),
        ],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    spaces: list[dict[str, Any]] = [
        {"name": SPACES["weights"], "projection": [[["K"]], [["C"]], [["R"]], [["S"]]]},
        {
            "name": SPACES["inputs"],
            "projection": [
                [["N"]],
                [["C"]],
                [["R", "Hdilation"], ["P", "Hstride"]],
                [["S", "Wdilation"], ["Q", "Wstride"]],
            ],
        },
        {
            "name": SPACES["outputs"],
            "projection": [[["N"]], [["K"]], [["P"]], [["Q"]]],
            "read-write": True,
        },
    ]
    shape = {
        "name": "Layer",
        "dimensions": list(DIMS),
        "coefficients": [
            {"name": name, "default": value}
            for name, value in zip(_COEFFICIENTS, problem.window, strict=True)
        ],
        "data-spaces": spaces,
    }
    return {"shape": shape, **dict(zip(DIMS, problem.sizes, strict=True))}
