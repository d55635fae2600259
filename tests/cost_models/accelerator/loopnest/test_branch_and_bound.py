"""Branch and bound finds what going through all mappings finds, with all orders and factors."""

import itertools
import math

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    TENSORS,
    Hierarchy,
    Level,
    Machines,
    Mappings,
    Problem,
    evaluate,
    evaluate_one,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.architectures import (
    COLUMNS,
    ROWS,
    Architecture,
    Axis,
)
from archgym.cost_models.accelerator.loopnest.branch_and_bound import branch_and_bound
from archgym.cost_models.accelerator.loopnest.mapper import OBJECTIVES


def divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def factorisations(number: int, slots: int) -> list[tuple[int, ...]]:
    if slots == 1:
        return [(number,)]
    return [
        (each, *rest)
        for each in divisors(number)
        for rest in factorisations(number // each, slots - 1)
    ]


def all_values(
    arch: Architecture, problem: Problem, keep: np.ndarray, permutations: int = 10**9
) -> dict[str, float]:
    """Best values over all mappings, written without anything that the search uses."""
    depth = len(arch.hierarchy.levels)
    places = [("temporal", level) for level in arch.loop_levels]
    places += [(axis.kind, arch.level(axis.level)) for axis in arch.axes]
    per_dim = []
    for d, size in enumerate(problem.sizes):
        found = []
        for factors in factorisations(size, len(places)):
            allowed = all(
                f == 1 or kind == "temporal" or DIMS[d] in axis_of(arch, kind, level).dims
                for f, (kind, level) in zip(factors, places, strict=True)
            )
            if allowed:
                found.append(factors)
        per_dim.append(found)
    rows = np.array(list(itertools.product(*per_dim)))  # (n, 7, places)
    parts = {kind: np.ones((len(rows), depth, 7), np.int32) for kind in ("temporal", COLUMNS, ROWS)}
    for i, (kind, level) in enumerate(places):
        parts[kind][:, level] *= rows[:, :, i].astype(np.int32)
    wide = np.zeros(len(rows), bool)
    for axis in arch.axes:
        used = parts[axis.kind][:, arch.level(axis.level)].prod(axis=1)
        wide |= used > arch.fanout(axis)
    parts = {kind: values[~wide] for kind, values in parts.items()}
    big = [d for d, size in enumerate(problem.sizes) if size > 1]
    orders = [
        (*order, *(d for d in range(7) if d not in big)) for order in itertools.permutations(big)
    ]
    machines, rows_of = Machines.of([arch.hierarchy]), problem_rows([problem])
    best = dict.fromkeys(OBJECTIVES, math.inf)
    free = [level for level in arch.loop_levels if level > 0]
    for chosen in itertools.product(orders, repeat=len(free)):
        order = np.tile(np.arange(7, dtype=np.uint8), (1, depth, 1))
        for level, each in zip(free, chosen, strict=True):
            order[0, level] = each
        mappings = Mappings(parts["temporal"], order, parts[COLUMNS], parts[ROWS], keep[None])
        result = evaluate(machines, mappings, rows_of, checked=False)
        for name, value in OBJECTIVES.items():
            if result.feasible.any():
                best[name] = min(best[name], float(value(result)[result.feasible].min()))
    return best


def axis_of(arch: Architecture, kind: str, level: int) -> Axis:
    return next(a for a in arch.axes if a.kind == kind and arch.level(a.level) == level)


def some_architecture(rng: np.random.Generator) -> Architecture:
    """Two or three levels of loops, maybe a memory per tensor, arrays and bypasses at random."""

    def level(name: str, words: float, pj: float, **rest: object) -> Level:
        read, write = pj * rng.uniform(0.5, 2, 2)
        rates = rng.choice([0.5, 1, 2, 4, 8], 2)
        buffering = str(rng.choice(["overlapped", "double"]))
        return Level(name, words, *rates, read, write, buffering=buffering, **rest)  # type: ignore[arg-type]

    def array(most: int) -> dict[str, int]:
        return {"fanout_x": int(rng.integers(1, most)), "fanout_y": int(rng.integers(1, most))}

    levels, axes, bypassed = [], [], []
    if rng.random() < 0.4:
        first = array(3) if rng.random() < 0.5 else {}
        tensors = list(rng.permutation(TENSORS))
        for i, tensor in enumerate(tensors[: rng.integers(1, 4)]):
            words = int(rng.integers(2, 16))
            levels.append(
                level(f"{tensor} pad", words, 1.0, tensors=(tensor,), **(first if i == 0 else {}))
            )
    else:
        levels.append(level("RF", int(rng.integers(6, 30)), 1.0))
    inner = levels[0].name
    loops = [inner]
    if rng.random() < 0.85:
        levels.append(level("GLB", int(rng.integers(20, 120)), 6.0, **array(5)))
        bypassed = [("GLB", t) for t in TENSORS if rng.random() < 0.25]
        loops.append("GLB")
    levels.append(level("DRAM", math.inf, 60.0))
    loops.append("DRAM")
    for each in levels:
        for kind, fanout in ((COLUMNS, each.fanout_x), (ROWS, each.fanout_y)):
            if fanout > 1:
                dims = "".join(d for d in DIMS if rng.random() < 0.6)
                axes.append(Axis(each.name, kind, dims))
    widths = tuple(int(each) for each in rng.choice([8, 16, 32], 3))
    hierarchy = Hierarchy(tuple(levels), 0.5, widths)  # type: ignore[arg-type]
    return Architecture("random", "", "", hierarchy, tuple(loops), tuple(axes), tuple(bypassed))


def some_problem(rng: np.random.Generator) -> Problem:
    """Few iterations in three or four loops, with windows more often than not."""
    sizes = [1] * 7
    for d in rng.choice(7, int(rng.integers(2, 5)), replace=False):
        sizes[d] = int(rng.choice([2, 3, 4, 6]))
    strides = (int(each) for each in rng.choice([1, 1, 2, 3], 4))
    return Problem(*sizes, *strides)


@pytest.mark.parametrize("seed", range(14))
def test_equals_going_through_all_mappings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arch, problem = some_architecture(rng), some_problem(rng)
    best = all_values(arch, problem, np.array(arch.keeps()))
    for objective, value in best.items():
        found = branch_and_bound(arch, problem, objective)
        assert found.proven
        assert found.value == pytest.approx(value, rel=1e-9), (arch, problem, objective)
        if found.mapping is not None:
            result = evaluate_one(arch.hierarchy, found.mapping, problem)
            assert OBJECTIVES[objective](result)[0] == found.value
