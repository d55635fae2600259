import itertools
import math

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    Mappings,
    Problem,
    evaluate_one,
)
from archgym.cost_models.accelerator.loopnest.mapper import MappingSpace, exhaustive, search

SMALL = Hierarchy(
    (
        Level("RF", 24, 4, 4, 1.0, 1.0),
        Level("GLB", 160, 8, 8, 6.0, 6.0, fanout_x=4),
        Level("DRAM", math.inf, 2, 2, 200.0, 200.0),
    ),
    1.0,
)
GEMM = Problem.gemm(8, 6, 4)


@pytest.mark.parametrize("objective", ["cycles", "energy", "edp"])
def test_pruned_orders_hold_the_optimum(objective: str) -> None:
    """Without windows, all orders of K, C, P at every level find nothing better."""
    found = exhaustive(SMALL, GEMM, objective)
    space = MappingSpace(SMALL, GEMM)
    assert found.evaluated == space.size
    rng = np.random.default_rng(0)
    orders = list(itertools.permutations((1, 2, 3)))
    places = rng.integers(0, len(space.places), (4000, len(space.primes)))
    drawn = space.mappings(places, np.zeros((4000, 3), np.int64))
    best = np.inf
    for inner, outer in itertools.product(orders, orders):
        order = drawn.order.copy()
        for level, chosen in ((1, inner), (2, outer)):
            order[:, level] = (*chosen, 0, 4, 5, 6)
        parts = (drawn.temporal, order, drawn.spatial_x, drawn.spatial_y, drawn.keep)
        best = min(best, float(space.values(Mappings(*parts), objective).min()))
    assert best >= found.value
    assert found.value >= found.bound
    assert found.gap == 0


def test_the_mapping_found_costs_what_is_said() -> None:
    found = exhaustive(SMALL, GEMM, "energy")
    assert found.mapping is not None
    result = evaluate_one(SMALL, found.mapping, GEMM)
    assert result.energy_pj[0] == found.value
    assert result.feasible[0]


def test_search_is_seeded_and_reaches_the_optimum_of_a_small_case() -> None:
    first, again = (search(SMALL, GEMM, "edp", seed=1) for _ in range(2))
    assert first == again
    best = exhaustive(SMALL, GEMM, "edp")
    assert first.value == best.value
    assert first.gap >= 0
    assert search(SMALL, Problem(k=16, c=16, p=8, q=8, r=3, s=3), "edp").value < np.inf


def test_a_bigger_buffer_never_costs_more_at_the_optimum() -> None:
    values = []
    for words in (40, 80, 160, 320):
        glb = Level("GLB", words, 8, 8, 6.0, 6.0, fanout_x=4)
        machine = Hierarchy((SMALL.levels[0], glb, SMALL.levels[2]), 1.0)
        values.append(exhaustive(machine, GEMM, "energy").value)
    assert values == sorted(values, reverse=True)


def test_too_many_and_unknown_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mappings: there are \d+, the limit is 10; use `search`"):
        exhaustive(SMALL, GEMM, limit=10)
    with pytest.raises(ValueError, match="objective: 'power' is none of cycles, energy, edp"):
        search(SMALL, GEMM, "power")


def test_nothing_fits() -> None:
    machine = Hierarchy((Level("RF", 2), Level("DRAM")))
    assert exhaustive(machine, GEMM, "energy").mapping is None
    assert search(machine, GEMM, "energy", rounds=2).mapping is None
