"""The shipped tables of the space `small` say what the model says, and the docs what they say."""

from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym.envs import _accelerator_tables as tables
from archgym.tabulate import tabulate
from archgym.testing.environments import check_fidelities

ENV = "Accelerator-v0"
WORKLOADS = tables.shipped()
DOCS = Path(__file__).resolve().parents[2] / "docs" / "accelerator.md"


def make(workload: str, **options):
    return archgym.make_task(ENV, workload=workload, space="small", **options)


def test_what_is_shipped() -> None:
    assert WORKLOADS == ("bert-base", "resnet50")
    for workload in WORKLOADS:
        assert tables.shipped_file(workload).stat().st_size < 2_100_000


@pytest.mark.parametrize("workload", WORKLOADS)
def test_random_rows_are_recomputed_exactly(workload: str) -> None:
    model, table = make(workload), make(workload, fidelity="table")
    rows = model.space.sample(40, np.random.default_rng(2026))
    one, other = model.evaluate(rows).columns(), table.evaluate(rows).columns()
    assert list(one) == list(other)
    for name, values in one.items():
        assert np.array_equal(values, other[name], equal_nan=values.dtype == np.float64), name
    assert model.reference == table.reference
    assert np.array_equal(model.model.features, table.model.features)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_design_is_in_the_table_and_none_beats_the_optimum(workload: str) -> None:
    task = make(workload, fidelity="table")
    assert len(task.model.table) == task.space.size == 103_680
    rows = task.space.sample(20_000, np.random.default_rng(1))
    for objective in ("latency-under-area", "energy-delay"):
        found = make(workload, fidelity="table", objective=objective)
        optimum, evaluation = found.optimum, found.evaluate(rows)
        assert optimum.kind == "proven"
        assert evaluation.score.max() <= optimum.score
    assert make(workload, objective="energy-delay").optimum == optimum


def test_the_table_is_a_fidelity_of_the_task() -> None:
    task = make("bert-base")
    assert [each.name for each in task.fidelities] == ["table", "roofline", "loopnest"]
    assert [each.exact for each in task.fidelities] == [True, False, True]
    check_fidelities(task)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_docs_have_the_optima(workload: str) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for objective in ("latency-under-budget", "low-energy", "energy-delay"):
        optimum = make(workload, fidelity="table", objective=objective).optimum
        assert f"| {workload} | {objective} | {optimum.score:.4f} |" in text


def test_tasks_without_a_table_have_none() -> None:
    assert make("alexnet").optimum is None
    assert make("resnet50", node_nm=45).optimum is None
    assert make("resnet50", fidelity="roofline").optimum is None
    assert archgym.make_task(ENV, workload="resnet50").optimum is None
    for options in ({"workload": "alexnet"}, {"workload": "resnet50", "mapping": "latency"}):
        with pytest.raises(ValueError, match=r"no table is shipped .* bert-base, resnet50"):
            make(fidelity="table", **options)
    with pytest.raises(ValueError, match="no table is shipped"):
        archgym.make_task(ENV, workload="resnet50", fidelity="table")


def test_a_table_of_another_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its design space is not that of this version"):
        tables._read(tables.shipped_file("resnet50"), "another")


def test_a_table_of_ones_own_answers_as_the_model(tmp_path: Path, monkeypatch) -> None:
    from archgym.envs import _accelerator_spatial

    few = {**_accelerator_spatial.SMALL, "Rows": (1, 4), "Columns": (32,), "ClusterPEs": (64,)}
    few |= {"RegisterFileBytes": (16,), "BusBytes": (128,), "VectorLanes": (16,)}
    few |= {"InputMemoryKiB": (256,), "WeightMemoryKiB": (256,), "Channels": (2,)}
    monkeypatch.setattr(_accelerator_spatial, "SMALL", few)
    options = {"workload": "mobilenet-v2", "space": "small"}
    path = tmp_path / "own.parquet"
    tabulate(ENV, options, path, workers=1)
    model = archgym.make_task(ENV, **options)
    table = archgym.make_task(ENV, **options, fidelity=f"table:{path}")
    rows = model.space.enumerate(0, model.space.size)
    one, other = model.evaluate(rows), table.evaluate(rows)
    for name, values in one.metrics.items():
        assert np.array_equal(values, other.metrics[name])
    assert table.optimum.kind == "proven"
    with pytest.raises(ValueError, match="was made with workload='mobilenet-v2'"):
        archgym.make_task(ENV, workload="alexnet", space="small", fidelity=f"table:{path}")
