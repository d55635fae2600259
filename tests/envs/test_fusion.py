"""Fused attention: published designs as defaults, proven optima, and what must always hold."""

import csv

import numpy as np
import pytest

import archgym
from archgym.envs import fusion
from archgym.envs._fusion_model import OVERFLOW
from archgym.envs._fusion_space import KEPT, PLATFORMS
from archgym.testing.environments import check_cost_model, check_environment

ENV = "Fusion-v0"


def feasible(task, n=400, seed=0):
    """Returns random feasible designs."""
    found = task.evaluate(task.space.sample(3 * n, np.random.default_rng(seed)))
    return found.designs[found.feasible][:n]


# attn-flat.csv and attn-binding.csv of FuseMax' artifact: seconds, bytes.
@pytest.mark.parametrize(
    ("baseline", "workload", "latency_s", "dram_bytes"),
    [
        ("flat", "bert-1k", 0.013386076595744681, 1308622848),
        ("flat", "bert-16k", 3.4268356085106384, 333222041171.3489),
        ("fusemax", "bert-1k", 0.002013140425531915, 402653184),
        ("fusemax", "bert-16k", 0.46516616170212766, 6442450944),
        ("fusemax", "bert-1m", 1891.8274331234043, None),
        ("unfused", "bert-1k", 0.02182357659574468, 6845104128),
    ],
)
def test_defaults_are_the_published_designs(baseline, workload, latency_s, dram_bytes) -> None:
    got = archgym.make_task(ENV, workload=workload, baseline=baseline).reference
    assert got["latency_ms"] == pytest.approx(1e3 * latency_s, rel=1e-13)
    if dram_bytes is not None:
        assert got["dram_traffic_gb"] == pytest.approx(1e-9 * dram_bytes, rel=1e-13)


@pytest.mark.parametrize(
    ("baseline", "name"), [("flat", "attn-flat.csv"), ("fusemax", "attn-binding.csv")]
)
def test_defaults_equal_every_published_row(reference_dir, baseline: str, name: str) -> None:
    path = reference_dir / "fusemax" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24 == len(fusion.workloads())
    for row in rows:
        workload = f"{row['model'].lower()}-{row['seq_len'].lower()}"
        got = archgym.make_task(ENV, workload=workload, baseline=baseline).reference
        assert got["latency_ms"] == pytest.approx(1e3 * float(row["latency"]), rel=1e-12)
        assert got["dram_traffic_gb"] == pytest.approx(1e-9 * float(row["traffic"]), rel=1e-12)
        assert got["array_utilisation_percent"] == pytest.approx(100 * float(row["util_2d"]))
        assert got["lane_utilisation_percent"] == pytest.approx(100 * float(row["util_1d"]))


@pytest.mark.parametrize(
    ("platform", "objective"),
    [("cloud", "latency-under-budget"), ("cloud", "latency-area"), ("edge", "low-energy")],
)
def test_optima_are_proven(platform: str, objective: str) -> None:
    task = archgym.make_task(ENV, platform=platform, objective=objective)
    optimum = task.optimum
    assert optimum.kind == "proven"
    found = task.evaluate(task.space.encode(_complete(task, optimum.design))[None])
    assert found.feasible[0] and found.score[0] == optimum.score
    drawn = task.evaluate(task.space.sample(5000, np.random.default_rng(1)))
    assert drawn.score.max() <= optimum.score
    if optimum.front is not None:
        points = drawn.objectives[drawn.feasible]
        beaten = (optimum.front.objectives[None] >= points[:, None]).all(axis=2).any(axis=1)
        assert beaten.all()


def _complete(task, design):
    return {each.name: each.values[0] for each in task.space.parameters} | dict(design)


def test_the_computed_table_holds_every_design() -> None:
    task = archgym.make_task(ENV)
    table = fusion.tabulated(**task.options).table
    space = task.space
    assert len(table) == space.canonical_size - len(_unfused_with_fewer_passes(task))
    rows = space.canonical(space.sample(500, np.random.default_rng(0)))
    answer = task.evaluate(rows)
    obeys = ~answer.violations["unfused with fewer than three passes"]
    place = table.position(np.array(space.index(rows[obeys])))
    assert (place >= 0).all()
    for name, values in answer.metrics.items():
        assert np.array_equal(table.costs.metrics[name][place], values[obeys])


def _unfused_with_fewer_passes(task):
    arrays = [len(task.space.parameters[j].values) for j in range(4)]
    return np.indices([*arrays, 2]).reshape(5, -1).T


def test_a_written_table_is_the_task(tmp_path) -> None:
    from archgym.table import Table, write_table
    from archgym.tabulate import table_meta

    task = archgym.make_task(ENV, workload="t5-1k")
    rows = task.space.canonical(task.space.sample(200, np.random.default_rng(0)))
    broken = task.space.violations(rows)["unfused with fewer than three passes"]
    rows = np.unique(np.concatenate([rows[~broken], task.default[None]]), axis=0)
    numbers = np.array(task.space.index(rows))
    order = np.argsort(numbers)
    costs = task.model.evaluate(rows[order])
    meta = table_meta(task, {"workload": "t5-1k"}, len(rows), compact=False)
    write_table(
        Table(meta, numbers[order], np.arange(len(rows)), costs),
        tmp_path / "t.parquet",
        compact=False,
    )
    table = f"table:{tmp_path / 't.parquet'}"
    looked_up = archgym.make_task(ENV, workload="t5-1k", baseline="flat", fidelity=table)
    assert np.array_equal(looked_up.evaluate(rows).score, task.evaluate(rows).score)
    with pytest.raises(ValueError, match="was made with workload='t5-1k', this task has"):
        archgym.make_task(ENV, workload="t5-4k", fidelity=table)


def test_more_lanes_bandwidth_or_room_never_slow_a_design() -> None:
    task = archgym.make_task(ENV, workload="xlm-64k")
    rows = feasible(task)
    for name in ("LanesPerColumn", "DramGiBPerS", "BufferKiB"):
        j = task.space.position(name)
        more = rows.copy()
        more[:, j] = np.minimum(more[:, j] + 1, task.space.cardinalities[j] - 1)
        one, other = task.evaluate(rows).metrics, task.evaluate(more)
        assert other.feasible.all()
        assert (other.metrics["latency_ms"] <= one["latency_ms"] * (1 + 1e-12)).all()
        assert (other.metrics["dram_traffic_gb"] <= one["dram_traffic_gb"] * (1 + 1e-12)).all()


def test_no_design_beats_its_arrays_or_its_memory() -> None:
    task = archgym.make_task(ENV, workload="bert-4k")
    rows = feasible(task)
    got = task.evaluate(rows).metrics
    side = np.array(task.space.parameters[0].values, np.float64)[rows[:, 0]]
    macs = 64 * 12 * 4096**2 * 128
    assert (got["latency_ms"] >= 1e3 * macs / (side**2 * 940e6) * (1 - 1e-12)).all()
    moving = 1e3 * got["dram_traffic_gb"] / got["dram_bandwidth_gb_per_s"]
    assert (got["latency_ms"] >= moving * (1 - 1e-12)).all()
    assert (got["dram_traffic_gb"] * 1e9 >= 2 * 64 * 12 * 4096 * 4 * 64).all()


def test_what_does_not_fit_is_named() -> None:
    task = archgym.make_task(ENV, workload="xlm-1m")
    design = task.space.decode(task.default) | {"BufferKiB": 256, "Kept": "Q+K+S+V"}
    got = task.evaluate(task.space.encode(design)[None])
    assert got.violations[OVERFLOW][0] and not got.feasible[0]
    one_pass = {"Passes": 1, "Binding": "interleaved", "BufferKiB": 256}
    for blocks, broken in ((1, True), (128, True)):
        row = task.space.encode({**design, **one_pass, "ArrayDim": 512, "QueryBlocks": blocks})
        assert task.evaluate(row[None]).violations[OVERFLOW][0] == broken
    fits = task.space.encode({**design, **one_pass, "ArrayDim": 32, "QueryBlocks": 8})
    assert not task.evaluate(fits[None]).violations[OVERFLOW][0]


def test_softmax_on_the_lanes_costs_exponential_units_and_fewer_registers() -> None:
    parts = {}
    for binding in ("apart", "interleaved"):
        task = archgym.make_task(ENV, baseline="fusemax")
        design = task.space.decode(task.default) | {"Binding": binding, "QueryBlocks": 1}
        parts[binding] = task.evaluate(task.space.encode(design)[None]).breakdown
    # Component tables of FuseMax' artifact, um2 of an element and of a lane.
    apart = 65536 * (1838.14968 + 1545) * 1e-6
    both = 65536 * (4255.9342 + 1545 + 49.28944) * 1e-6
    assert parts["apart"]["area_mm2/array"][0] == pytest.approx(apart)
    assert parts["interleaved"]["area_mm2/array"][0] == pytest.approx(both)
    lane = 256 * (2145.41936 + 1545 + 23740.9375 + 49.28944 + 8240) * 1e-6
    assert parts["apart"]["area_mm2/lanes"][0] == pytest.approx(lane)


@pytest.mark.parametrize(
    "options",
    [
        {"workload": "xlm-1m", "platform": "edge"},
        {"workload": "bert-1k", "baseline": "fusemax", "registers": "sweep", "batch": 1},
        {"workload": "trxl-64k", "baseline": "unfused", "platform": "edge"},
    ],
)
def test_kits_pass_with_other_options(options) -> None:
    task = archgym.make_task(ENV, **options)
    check_cost_model(task)
    check_environment(task)


def test_every_workload_has_every_baseline() -> None:
    for workload in fusion.workloads():
        for platform in PLATFORMS:
            for baseline in fusion.BASELINES:
                archgym.make_task(ENV, workload=workload, platform=platform, baseline=baseline)


def test_sets_of_kept_tensors_are_in_one_order() -> None:
    assert all(list(name) == sorted(name, key="QKSVO".index) for name in _letters())


def _letters():
    return ["".join(name.split("+")) for name in KEPT if name != "none"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "bert-2k"}, "workload: unknown name 'bert-2k'"),
        ({"batch": 0}, "batch: 0 is not a whole number from 1"),
        ({"platform": "phone"}, "platform: unknown name 'phone'"),
        ({"baseline": "fuse"}, "baseline: unknown name 'fuse'"),
        ({"fidelity": "table:/nowhere.parquet"}, "there is no file '/nowhere.parquet'"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        archgym.make_task(ENV, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
