"""Schedules of chains on sub-accelerators: valid, against the exact optimum, bad input."""

import itertools

import numpy as np
import pytest

from archgym.cost_models.accelerator.multi import SubAccelerators, layers_of
from archgym.cost_models.accelerator.multi.schedule import exact, schedule
from archgym.cost_models.accelerator.networks.small import make_small


def brute_force(cycles, starts):
    """The least end of all interleavings and assignments, in plain Python."""
    chains = [range(a, b) for a, b in itertools.pairwise(starts)]
    order = [c for c, chain in enumerate(chains) for _ in chain]
    least = np.inf
    for sequence in set(itertools.permutations(order)):
        for assigned in itertools.product(range(cycles.shape[1]), repeat=len(cycles)):
            at = [chain[0] for chain in chains]
            ready, free = [0.0] * len(chains), [0.0] * cycles.shape[1]
            for chain in sequence:
                layer, unit = at[chain], assigned[at[chain]]
                end = max(ready[chain], free[unit]) + cycles[layer, unit]
                ready[chain] = free[unit] = end
                at[chain] += 1
            least = min(least, max(ready))
    return least


def test_exact_is_the_least_of_all_schedules() -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        cycles = rng.integers(1, 30, (5, 2)).astype(float)
        assert exact(cycles, np.array([0, 2, 5])) == brute_force(cycles, [0, 2, 5])


def test_the_heuristic_is_near_the_optimum_on_random_chains() -> None:
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(60):
        sizes = rng.integers(2, 6, 2)
        starts = np.cumsum([0, *sizes])
        cycles = np.round(100 * rng.lognormal(0, 1, (starts[-1], rng.integers(2, 4))))
        gaps.append(schedule(cycles[None], starts)[0][0] / exact(cycles, starts) - 1)
    assert min(gaps) >= 0
    assert np.mean(gaps) < 0.02 and np.mean(np.array(gaps) == 0) > 0.75 and max(gaps) < 0.25


def test_the_heuristic_is_near_the_optimum_on_layers_of_networks() -> None:
    chains = [layers_of(make_small(n))[:5] for n in ("resnet9-cifar10-w16", "unet-nuclei-h3-w8")]
    costs = SubAccelerators([layer for chain in chains for layer in chain])
    units = [("dla", 576, 56), ("shi", 1792, 8), ("rs", 1024, 32), ("shi", 512, 32)]
    gaps = []
    for one, other in itertools.combinations(units, 2):
        cycles = np.stack([costs.cycles(*one), costs.cycles(*other)], axis=1)
        starts = np.array([0, 5, 10])
        gaps.append(schedule(cycles[None], starts)[0][0] / exact(cycles, starts) - 1)
    assert min(gaps) >= 0 and max(gaps) < 0.05


def test_ends_are_those_of_the_assignment_and_of_bounds() -> None:
    rng = np.random.default_rng(2)
    cycles = rng.lognormal(5, 1, (40, 12, 3))
    cycles[::2, :, 1] = np.inf
    starts = np.array([0, 4, 12])
    ends, where = schedule(cycles, starts)
    assert where.shape == (40, 12) and (where[::2] != 1).all()
    chosen = np.take_along_axis(cycles, where[..., None], axis=2)[..., 0]
    chains = np.stack([chosen[:, :4].sum(axis=1), chosen[:, 4:].sum(axis=1)])
    busy = np.stack([np.where(where == unit, chosen, 0.0).sum(axis=1) for unit in range(3)])
    assert (ends >= chains.max(axis=0) * (1 - 1e-12)).all()
    assert (ends >= busy.max(axis=0) * (1 - 1e-12)).all()
    alone = np.stack([cycles[:, :, unit].sum(axis=1) for unit in range(3)]).min(axis=0)
    assert (ends <= alone * (1 + 1e-12)).all()
    again, _ = schedule(cycles[::-1], starts)
    assert np.array_equal(again[::-1], ends)


def test_more_sub_accelerators_never_hurt_where_all_assignments_are_tried() -> None:
    cycles = np.array([[[5.0, 7.0]], [[9.0, 2.0]]])
    assert schedule(cycles, np.array([0, 1]))[0].tolist() == [5.0, 2.0]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="starts: \\[0, 3\\] must rise from 0 to the 4 layers"):
        schedule(np.ones((1, 4, 2)), np.array([0, 3]))
    with pytest.raises(ValueError, match="a design has no sub-accelerator"):
        schedule(np.full((1, 4, 2), np.inf), np.array([0, 4]))
    with pytest.raises(ValueError, match="more than 10 partial schedules"):
        exact(np.random.default_rng(0).random((12, 3)), np.array([0, 6, 12]), limit=10)
