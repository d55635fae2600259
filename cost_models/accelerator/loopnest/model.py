"""Evaluating points: accesses, cycles, energy and overflow."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import (
    COUNTS,
    CYCLES,
    ENERGY,
    FILLS,
    READS,
    STEPS,
    TOTALS,
    UPDATES,
    BoolArray,
    FloatArray,
    Machines,
    Mappings,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy
from archgym.cost_models.accelerator.loopnest.mapping import FACTORS, Mapping
from archgym.cost_models.accelerator.loopnest.problem import TENSORS, IntArray, Problem

if TYPE_CHECKING:
    from archgym.cost_models.accelerator.loopnest.kernel import Points

COMPATS = ("ideal", "timeloop")
_NONE = np.zeros((0, 0, 0))


@dataclass(frozen=True)
class LoopNestResult:
    """What n points cost.

    Attributes:
        cycles: Time in cycles (n,).
        steps: Iterations of the temporal loops, the time without any memory (n,).
        energy_pj: Energy of all accesses and multiply-accumulates (n,).
        utilisation: Share of all MAC units' cycles in which they do something (n,).
        level_cycles: Time that each level's own accesses take (n, L).
        overflow_words: Words by which tiles exceed a level's capacity (n, L).
        feasible: Whether no level overflows (n,).
        reads: Elements read at all instances of a level (n, L, 3), tensors as in `TENSORS`;
            None, as the next four, unless counts were asked for.
        fills: Elements written from the next outer level that holds the tensor (n, L, 3).
        updates: Elements written from inside: partial sums (n, L, 3).
        held: Elements of an instance's tile (n, L, 3).
        access_pj: Energy of the accesses (n, L, 3).
    """

    cycles: FloatArray
    steps: FloatArray
    energy_pj: FloatArray
    utilisation: FloatArray
    level_cycles: FloatArray
    overflow_words: FloatArray
    feasible: BoolArray
    reads: FloatArray | None = None
    fills: FloatArray | None = None
    updates: FloatArray | None = None
    held: FloatArray | None = None
    access_pj: FloatArray | None = None

    @property
    def bound(self) -> IntArray:
        """What takes longest (n,): -1 the MAC units, else a level."""
        slowest = self.level_cycles.argmax(axis=1)
        return np.where(self.level_cycles.max(axis=1) > self.steps, slowest, -1)


def evaluate(
    machines: Machines,
    mappings: Mappings,
    problems: IntArray,
    *,
    compat: str = "ideal",
    factors: str = "perfect",
    counts: bool = False,
    checked: bool = True,
) -> LoopNestResult:
    """Evaluate n points; each part describes all of them, or is one for all.

    Args:
        machines: Hierarchies.
        mappings: Mappings.
        problems: Bounds, strides and dilations (n or 1, 11), see `problem_rows`.
        compat: `ideal` counts every element that has to move and no other; `timeloop` counts as
            Timeloop does.
        factors: `perfect`: they multiply to the bounds; `imperfect`: to a bound or more, and last
            tiles are smaller.
        counts: Whether to return accesses too; they take 400 bytes per point of three levels.
        checked: Whether to check the points first; only for points known to be valid.

    Raises:
        ValueError: If the arrays do not describe valid points, or Timeloop shall count imperfect
            factors; overflow is no error.
    """
    from archgym.cost_models.accelerator.loopnest.kernel import Figures, count_points

    if compat not in COMPATS:
        raise ValueError(f"compat: {compat!r} is none of {', '.join(COMPATS)}")
    if factors not in FACTORS:
        raise ValueError(f"factors: {factors!r} is none of {', '.join(FACTORS)}")
    if factors != "perfect" and compat != "ideal":
        raise ValueError(
            f"factors: {factors!r} is counted with compat 'ideal' only, not {compat!r}"
        )
    if checked:
        mappings.check(machines, problems, factors)
    n = max(len(a) for a in (problems, *vars(machines).values(), *vars(mappings).values()))
    levels = mappings.temporal.shape[1]
    totals = np.zeros((n, TOTALS))
    overflow = np.zeros((n, levels))
    level_cycles = np.zeros((n, levels))
    table = np.zeros((n if counts else 1, levels, 3, COUNTS))
    held = np.zeros((n if counts else 1, levels, 3))
    figures = Figures(totals, overflow, level_cycles, table, held)
    points = _points(machines, mappings, problems)
    if factors == "imperfect":
        from archgym.cost_models.accelerator.loopnest.imperfect import fill

        fill(points, _extent(problems), figures)
    else:
        given = _timeloop_inputs(machines, mappings, problems, n) if compat == "timeloop" else _NONE
        count_points(points, _extent(problems), given, figures)
    macs = problems[:, :7].prod(axis=1)
    units = machines.fanout.prod(axis=(1, 2))
    result = LoopNestResult(
        totals[:, CYCLES],
        totals[:, STEPS],
        totals[:, ENERGY],
        macs / (totals[:, CYCLES] * units),
        level_cycles,
        overflow,
        np.logical_and.reduce([overflow[:, level] == 0 for level in range(levels)]),
    )
    if not counts:
        return result
    reads, fills, updates = table[..., READS], table[..., FILLS], table[..., UPDATES]
    read_pj = machines.words * machines.read_pj[..., np.newaxis]
    write_pj = machines.words * machines.write_pj[..., np.newaxis]
    access_pj = reads * read_pj + (fills + updates) * write_pj
    return dataclasses.replace(
        result, reads=reads, fills=fills, updates=updates, held=held, access_pj=access_pj
    )


def evaluate_one(
    hierarchy: Hierarchy,
    mapping: Mapping,
    problem: Problem,
    *,
    compat: str = "ideal",
    factors: str = "perfect",
) -> LoopNestResult:
    """Evaluate one point with its counts; `compat` and `factors` as of `evaluate`.

    Raises:
        ValueError: If the mapping is not one of the problem on the hierarchy, or a level overflows:
            the message names the level, by how much and what the tensors take.
    """
    mapping.check(hierarchy, problem, factors)
    machines = Machines.of([hierarchy])
    result = evaluate(
        machines,
        Mappings.of([mapping]),
        problem_rows([problem]),
        compat=compat,
        factors=factors,
        counts=True,
    )
    assert result.held is not None
    for i, level in enumerate(hierarchy.levels):
        over = float(result.overflow_words[0, i])
        if over > 0:
            words = result.held[0, i] * machines.words[0, i] * machines.copies[0, i]
            parts = ", ".join(f"{t} {w:g}" for t, w in zip(TENSORS, words, strict=True) if w)
            raise ValueError(
                f"level {level.name!r}: tiles take {words.sum():g} words ({parts}), the capacity "
                f"is {level.capacity_words:g}: {over:g} too many"
            )
    return result


def _points(machines: Machines, mappings: Mappings, problems: IntArray) -> Points:
    """Points as a kernel takes them."""
    from archgym.cost_models.accelerator.loopnest.kernel import Points

    return Points(
        np.asarray(mappings.temporal, np.int32),
        np.asarray(mappings.order, np.uint8),
        np.asarray(mappings.spatial_x, np.int32),
        np.asarray(mappings.spatial_y, np.int32),
        np.asarray(mappings.keep, np.bool_),
        _coprime(problems),
        machines.capacity,
        np.stack([machines.read_bandwidth, machines.write_bandwidth], axis=-1),
        np.stack([machines.read_pj, machines.write_pj], axis=-1),
        machines.words,
        machines.copies,
        machines.overlapped,
        machines.mac_pj,
    )


def _extent(problems: IntArray) -> int:
    """Rows or columns of the largest input."""
    rows = (problems[:, 3] - 1) * problems[:, 7] + (problems[:, 5] - 1) * problems[:, 9]
    columns = (problems[:, 4] - 1) * problems[:, 8] + (problems[:, 6] - 1) * problems[:, 10]
    return int(max(rows.max(), columns.max())) + 1


def _coprime(problems: IntArray) -> IntArray:
    """Problems in which stride and dilation of an axis have no common divisor.

    What a tile holds stays the same: rows that no iteration needs are left out.
    """
    divided = problems.copy()
    for axis in (0, 1):
        unit = np.gcd(problems[:, 7 + axis], problems[:, 9 + axis])
        divided[:, 7 + axis] //= unit
        divided[:, 9 + axis] //= unit
    return divided


def _timeloop_inputs(
    machines: Machines, mappings: Mappings, problems: IntArray, n: int
) -> FloatArray:
    """Reads, fills and tiles of the inputs as Timeloop counts them (n, L, 3)."""
    from archgym.cost_models.accelerator.loopnest.timeloop import count_inputs

    found = np.zeros((n, mappings.temporal.shape[1], 3))
    count_inputs(
        np.asarray(mappings.temporal, np.int32),
        np.asarray(mappings.order, np.uint8),
        np.asarray(mappings.spatial_x, np.int32),
        np.asarray(mappings.spatial_y, np.int32),
        np.asarray(mappings.keep, np.bool_),
        problems,
        machines.fanout,
        int((mappings.spatial_x.prod(axis=2) * mappings.spatial_y.prod(axis=2)).max()),
        found,
    )
    return found
