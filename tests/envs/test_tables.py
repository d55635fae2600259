"""The shipped tables say what the simulator says, and everything that is read from them."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym.envs import dram_controller
from archgym.envs._dram_metrics import OBJECTIVES
from archgym.metric import Budget, Objective

SPACE = "archgym2023"
WORKLOADS = [
    name.removesuffix(".parquet").removeprefix(f"{SPACE}-")
    for name in dram_controller.shipped_tables()
]
ENV = "DramController-v0"
ROWS = 32


def make(workload, **options):
    return archgym.make_task(ENV, workload=workload, space=SPACE, **options)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_random_rows_are_recomputed_exactly(workload):
    simulated = make(workload, allow_no_refresh=True)
    table = make(workload, fidelity="table", allow_no_refresh=True)
    rows = simulated.space.sample(ROWS, np.random.default_rng(2023))
    one, other = simulated.evaluate(rows).columns(), table.evaluate(rows).columns()
    assert list(one) == list(other)
    for name, values in one.items():
        assert np.array_equal(values, other[name], equal_nan=values.dtype == np.float64), name
    assert simulated.reference == table.reference
    assert np.array_equal(simulated.model.features, table.model.features)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_different_design_is_in_the_table(workload):
    table = make(workload, fidelity="table", allow_no_refresh=True).model.table
    assert len(table) == 166_464 == table.meta["designs"]
    space = make(workload, fidelity="table").space
    assert space.violations(table.rows)["row data lost after 64 ms"].sum() == 166_464 - 156_672


def test_what_is_shipped():
    assert {"random", "mixed-heavy", "sort", "gcc"} <= set(WORKLOADS)
    assert "chase" not in WORKLOADS
    size = sum(path.stat().st_size for path in dram_controller.TABLES.glob("*"))
    assert size < 6e6


@pytest.mark.parametrize("workload", WORKLOADS)
def test_optima_hold_for_both_fidelities_and_both_settings(workload):
    for allowed in (False, True):
        table = make(workload, fidelity="table", allow_no_refresh=allowed, objective="low-power")
        optimum = table.optimum
        assert (optimum.design["RefreshPolicy"] == "NoRefresh") == allowed
        simulated = make(workload, allow_no_refresh=allowed, objective="low-power")
        assert simulated.optimum == optimum
        row = simulated.space.encode(optimum.design)
        assert simulated.evaluate(row[None]).score[0] == optimum.score


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_random_design_beats_an_optimum(workload):
    objectives = [objective.name for objective in OBJECTIVES]
    tight = Objective("tight", ("energy_pj",), budgets=(Budget("read_latency_p99_ns", 300.0),))
    for objective in (*objectives, tight):
        task = make(workload, fidelity="table", objective=objective)
        evaluation = task.evaluate(task.space.sample(20_000, np.random.default_rng(1)))
        optimum = task.optimum
        assert evaluation.score.max() <= optimum.score
        median = np.median(evaluation.score[evaluation.feasible])
        assert optimum.regret(median) == pytest.approx(1.0, abs=0.1)
        front = optimum.front
        if front is not None:
            assert 0.0 <= front.regret(evaluation.objectives) < 0.5


def test_other_devices_spaces_and_clocks_have_no_table():
    other = make("sort", device="ddr4-2400-8gb-x8")
    assert other.optimum is None
    for options in ({"device": "ddr4-2400-8gb-x8"}, {"workload": "chase"}):
        given = {"workload": "sort", **options}
        with pytest.raises(ValueError, match=r"no table is shipped for workload .* sort \(space"):
            archgym.make_task(ENV, fidelity="table", space=SPACE, **given)
    path = dram_controller.TABLES / f"{SPACE}-sort.parquet"
    with pytest.raises(ValueError, match="was made with workload='sort', this task has 'gcc'"):
        make("gcc", fidelity=f"table:{path}")
    own = make("sort", fidelity=f"table:{path}")
    assert own.optimum.score == make("sort", fidelity="table").optimum.score
    with pytest.raises(ValueError, match="there is no file 'nothing'"):
        make("sort", fidelity="table:nothing")
    with pytest.raises(ValueError, match="did you mean 'table'"):
        make("sort", fidelity="tabl")


def test_tables_differ():
    found = [make(w, fidelity="table").optimum.score for w in WORKLOADS]
    assert all(one != other for one, other in itertools.combinations(found, 2))


def test_the_docs_have_these_optima():
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("landscapes", root / "tools" / "landscapes.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (root / "docs" / "landscapes.md").read_text()
    for workload in WORKLOADS:
        assert tool.optima(workload) in text
    assert tool.fronts(WORKLOADS) in text
    assert text.count("### `") == len(WORKLOADS) + len(tool.DETAILED)
