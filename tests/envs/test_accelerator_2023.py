"""The hardware space of 2023: its size, one cost per design, what is refused."""

import dataclasses
import math

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.eyeriss_template import CLASSES, Memory
from archgym.cost_models.accelerator.loopnest import (
    Machines,
    Problem,
    evaluate,
    evaluate_one,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.architectures import architecture
from archgym.cost_models.accelerator.loopnest.branch_and_bound import branch_and_bound
from archgym.cost_models.accelerator.loopnest.greedy import GreedyMapper
from archgym.cost_models.accelerator.loopnest.workloads import workload
from archgym.testing.environments import (
    check_breakdown,
    check_declared_metrics,
    check_default_design,
    check_determinism,
    check_empty_batch,
    check_units,
)

OPTIONS = {"space": "archgym2023-timeloop", "workload": "resnet18"}


@pytest.fixture(scope="module")
def task():
    return archgym.make_task("Accelerator-v0", objective="low-energy", **OPTIONS)


def test_the_space_has_the_published_size(task) -> None:
    assert len(task.space) == 26
    assert task.space.size == math.prod([24, 3, 4**5, (16 * 3 * 16) ** 3, 16 * 3, 7 * 4 * 3 * 16])
    assert f"{task.space.size:.2e}" == "2.15e+18"


def test_the_kit_passes(task) -> None:
    """But for the check that asks every value: a design takes milliseconds."""
    for check in (
        check_declared_metrics,
        check_units,
        check_empty_batch,
        check_default_design,
        check_breakdown,
    ):
        check(task)
    check_determinism(task, n=4)


def test_memories_cost_by_class() -> None:
    n = len(CLASSES)
    ones = np.ones(n, np.int64)
    kinds = np.arange(n)
    small = Memory(kinds, 16 * ones, ones, ones, ones, ones).costs(45)
    read = dict(zip(CLASSES, small[0], strict=True))
    assert read["regfile"] == pytest.approx(16 * 0.009)
    assert read["smartbuffer_RF"] == pytest.approx(16 * 0.009 + 0.05)
    assert read["SRAM"] == pytest.approx(1.4682)  # of 1 KiB, CACTI's smallest
    assert read["smartbuffer_SRAM"] == pytest.approx(1.4682 + 0.05)
    wide = Memory(kinds, 16 * ones, 4 * ones, ones, ones, ones).costs(45)
    assert wide[0][CLASSES.index("SRAM")] == pytest.approx(1.4682 / 4)
    large = Memory(kinds, 65536 * ones, ones, ones, ones, ones).costs(45)
    assert (large[2] > small[2]).all()


def test_greedy_mappings_are_mappings_and_near_the_best() -> None:
    template, problem = architecture("eyeriss"), Problem(k=4, c=4, p=4, r=2)
    machines = archgym.make_task("Accelerator-v0", **OPTIONS).model._template
    space = machines.space((1,))
    rows = space.sample(6, np.random.default_rng(2))
    chips = machines.chips(space, rows).designs.machines()
    mappings = GreedyMapper(template, problem, "energy").best(chips)
    found = evaluate(chips, mappings, problem_rows([problem]))
    assert found.feasible.all()
    for i in range(len(rows)):
        mapping = mappings.at(i)
        assert mapping.factors("K")
    best = GreedyMapper(template, problem, "energy").best(Machines.of([template.hierarchy])).at(0)
    value = evaluate_one(template.hierarchy, best, problem).energy_pj[0]
    assert 1.0 <= value / branch_and_bound(template, problem, "energy").value < 1.1


def test_exchanges_find_what_greedy_filling_misses() -> None:
    template, problem = architecture("eyeriss"), workload("resnet50/layer2.1.conv1")
    model = archgym.make_task("Accelerator-v0", **OPTIONS).model._template
    space = model.space((1,))
    chips = model.chips(space, space.sample(4, np.random.default_rng(0))).designs.machines()
    mapper = GreedyMapper(template, problem)
    filled = mapper._mappings(*mapper._chunk(chips, mapper._rules()))
    edp = []
    for mappings in (filled, mapper.best(chips)):
        found = evaluate(chips, mappings, problem_rows([problem]))
        assert found.feasible.all()
        edp.append(found.energy_pj * found.cycles)
    assert (edp[1] <= edp[0]).all() and edp[0][0] / edp[1][0] > 3
    first = {f.name: getattr(chips, f.name)[:1] for f in dataclasses.fields(chips)}
    alone = mapper.best(dataclasses.replace(chips, **first))
    assert alone.at(0) == mapper.best(chips).at(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mapping": "dram-traffic"}, "mapping: 'dram-traffic' is not for space"),
        ({"least_bits": 32}, "least_bits: 32 is not for space"),
        ({"fidelity": "roofline"}, "fidelity: 'roofline' is not for space"),
        ({"baseline": "nvdla"}, "baseline: 'nvdla' is not for space"),
    ],
)
def test_options_of_other_spaces_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        archgym.make_task("Accelerator-v0", **OPTIONS, **options)


def test_a_mapper_takes_arrays_at_the_middle_level_only() -> None:
    with pytest.raises(ValueError, match="simba: expected loops at three levels and an array"):
        GreedyMapper(architecture("simba"), Problem(k=4))
    with pytest.raises(ValueError, match="objective: 'power' is none of cycles, energy, edp"):
        GreedyMapper(architecture("eyeriss"), Problem(k=4), "power")
