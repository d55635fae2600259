import numpy as np
import pytest

import archgym
from archgym.cost_models.dram import CONTROLLERS
from archgym.envs._dram_2023 import PARAMETERS

ID = "DramController-v0"


def make(**options) -> archgym.Task:
    """A task of the 2023 grid."""
    return archgym.make_task(ID, **{"space": "archgym2023", **options})


@pytest.fixture(scope="module")
def task() -> archgym.Task:
    return make(workload="mixed-light")


def test_the_2023_grid_is_whole(task: archgym.Task) -> None:
    assert task.space.size == 442_368
    assert task.space.canonical_size == 166_464
    assert task.space.cardinalities.tolist() == [4, 3, 3, 8, 2, 2, 4, 4, 3, 8]


def test_named_choices_are_in_the_order_of_the_simulators_codes() -> None:
    for parameter, field in zip(PARAMETERS, CONTROLLERS["dramsys"], strict=True):
        assert parameter.name == field.name
        assert field.names is None or parameter.values == field.names


def test_no_refresh_is_infeasible_unless_allowed(task: archgym.Task) -> None:
    lossy = {**task.space.decode(task.default), "RefreshPolicy": "NoRefresh"}
    evaluation = task.evaluate(task.space.encode(lossy)[None])
    assert not evaluation.feasible[0]
    assert evaluation.violated(0) == ("row data lost after 64 ms",)
    allowed = make(workload="mixed-light", allow_no_refresh=True)
    evaluation = allowed.evaluate(allowed.space.encode(lossy)[None])
    assert evaluation.feasible[0]
    assert evaluation.metrics["refreshes"][0] == 0
    with pytest.raises(ValueError, match="allow_no_refresh: 'yes' is neither true nor false"):
        make(allow_no_refresh="yes")


def test_inert_choices_change_nothing() -> None:
    # The raw rows go past the canonical form, straight to the simulator.
    task = make(workload="mixed-heavy", allow_no_refresh=True)
    rows = task.space.sample(40, np.random.default_rng(0))
    canonical = task.space.canonical(rows)
    assert not np.array_equal(rows, canonical)
    raw, same = task.model.evaluate(rows), task.model.evaluate(canonical)
    for name, values in raw.metrics.items():
        assert np.array_equal(values, same.metrics[name], equal_nan=True), name


def test_energy_parts_and_cycles_add_up(task: archgym.Task) -> None:
    evaluation = task.evaluate(task.space.sample(20, np.random.default_rng(1)))
    keep = evaluation.feasible
    cycles = sum(v for k, v in evaluation.breakdown.items() if k.startswith("cycles/"))
    assert cycles[keep] * 1.25 == pytest.approx(evaluation.metrics["total_time_ns"][keep])
    assert evaluation.metrics["power_mw"][keep] == pytest.approx(
        evaluation.metrics["energy_pj"][keep] / evaluation.metrics["total_time_ns"][keep]
    )


def test_own_trace_and_device(tmp_path) -> None:
    trace = tmp_path / "own.csv"
    trace.write_text("cycle,rw,addr\n" + "".join(f"{8 * i},R,{64 * i}\n" for i in range(200)))
    task = make(workload=f"file:{trace}", clock_ps=1000)
    assert task.reference["reads"] == 200
    slower = make(workload=f"file:{trace}", clock_ps=10_000)
    assert slower.reference["total_time_ns"] > 5 * task.reference["total_time_ns"]
    faster = make(workload=f"file:{trace}", device="ddr4-2400-8gb-x8")
    assert faster.reference["total_time_ns"] != task.reference["total_time_ns"]


def test_a_trace_without_reads_has_no_read_latency(tmp_path) -> None:
    trace = tmp_path / "writes.csv"
    trace.write_text("cycle,rw,addr\n0,W,0\n5,W,64\n")
    task = make(workload=f"file:{trace}", objective="low-energy")
    assert np.isnan(task.reference["read_latency_ns"])
    with pytest.raises(ValueError, match="'read_latency_ns' is nan for the default design"):
        make(workload=f"file:{trace}", objective="low-latency")


def test_a_changed_trace_is_not_resumed(tmp_path) -> None:
    trace = tmp_path / "own.csv"
    trace.write_text("cycle,rw,addr\n0,R,0\n5,R,64\n")
    task = make(workload=f"file:{trace}")
    rows = task.space.sample(5, np.random.default_rng(0))
    from archgym.manifest import run_manifest
    from archgym.store import TrialStore

    store = TrialStore(tmp_path / "run", run_manifest(task, "random", {}, 0, 5))
    store.append(task.evaluate(rows), 0, 0.0, 0.0)
    trace.write_text("cycle,rw,addr\n0,R,0\n5,R,8192\n")
    changed = make(workload=f"file:{trace}")
    with pytest.raises(ValueError, match="holds a different run"):
        TrialStore(tmp_path / "run", run_manifest(changed, "random", {}, 0, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "srt"}, "workload: unknown name 'srt'; did you mean 'sort'"),
        ({"objective": "low-latncy"}, "unknown name 'low-latncy'; did you mean 'low-latency'"),
        ({"device": "ddr5"}, "ddr5"),
        ({"space": "archgym"}, "did you mean 'archgym2023'"),
        ({"fidelity": "simulater"}, "did you mean 'simulator'"),
        ({"divice": "x"}, "option: unknown name 'divice'; did you mean 'device'"),
    ],
)
def test_bad_options_name_the_closest(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)
