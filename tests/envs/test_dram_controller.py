"""The space `modern`: every design of it can be simulated, and what its answers must obey."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym import yamlfile
from archgym.cost_models.dram import (
    CONTROLLERS,
    DramSimulator,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.mapping import NAMED_MAPPINGS, AddressMapping
from archgym.cost_models.dram.trace import Trace
from archgym.envs import _dram_modern
from archgym.envs._dram_area import buffer_area_mm2
from archgym.envs._dram_metrics import MODERN_OBJECTIVES
from archgym.envs._dram_modern import ModernController
from archgym.envs._dram_modern_space import modern_space, refreshes, reshaped
from archgym.envs.dram_controller import BEST_KNOWN
from archgym.experiment import load_experiment
from archgym.tables import description, print_description
from archgym.testing.environments import check_fidelities

ID = "DramController-v0"
QOS = ("fair-under-area", "speedup-under-area")
DEVICES = (
    "ddr4-3200-8gb-x8",
    "ddr3-1600-4gb-x8",
    "ddr5-4800-16gb-x8",
    "lpddr5-6400-8gb-x16",
    "hbm2-2000-4gb",
    "gddr6-14000-8gb-x16",
)


@pytest.fixture(scope="module")
def task() -> archgym.Task:
    return archgym.make_task(ID, workload="mixed-light")


def short(n: int = 300, span: int = 1 << 30, seed: int = 0) -> Trace:
    """A busy spell, a pause, and another busy spell."""
    rng = np.random.default_rng(seed)
    cycle = np.sort(np.concatenate([rng.integers(0, 900, n), 60_000 + rng.integers(0, 900, n)]))
    return Trace(cycle, rng.random(2 * n) < 0.3, rng.integers(0, span // 64, 2 * n) * 64)


def feasible(model: ModernController, n: int, seed: int) -> np.ndarray:
    rows = model.space.canonical(model.space.sample(n, np.random.default_rng(seed)))
    return rows[~np.any(list(model.space.violations(rows).values()), axis=0)]


def test_modern_is_the_default_and_each_space_has_its_device(task: archgym.Task) -> None:
    assert task.options["space"] == "modern"
    assert task.options["device"] == "ddr4-3200-8gb-x8"
    grid = archgym.make_task(ID, workload="mixed-light", space="archgym2023")
    assert grid.options["device"] == "ddr3-1600-1gb-x8"
    assert task.name == "DramController-v0 mixed-light low-latency"
    assert grid.name == "DramController-v0 mixed-light space=archgym2023 low-latency"
    assert archgym.make_task(**grid.spec).name == grid.name
    with pytest.raises(ValueError, match="'table' is not for space 'modern'"):
        archgym.make_task(ID, fidelity="table")


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("allow_no_refresh", [False, True])
def test_every_feasible_design_can_be_simulated(name: str, allow_no_refresh: bool) -> None:
    model = ModernController(load_device(name), short(span=1 << 29), allow_no_refresh)
    rows = feasible(model, 300, 1)
    assert len(rows) > 300 * 0.5
    costs = model.evaluate(rows)
    for metric, values in costs.metrics.items():
        assert np.isfinite(values).all(), metric
    served = costs.metrics["reads"] + costs.metrics["writes"]
    assert (served == 600 * max(1, 64 // load_device(name).request_bytes)).all()
    rank_cycles = sum(v for k, v in costs.breakdown.items() if k.startswith("cycles/"))
    assert (rank_cycles > 0).all()
    for share in ("power_down_percent", "self_refresh_percent"):
        assert ((costs.metrics[share] >= 0) & (costs.metrics[share] <= 100 + 1e-9)).all()
        assert (costs.metrics[share] > 0).any()
    assert (
        model.evaluate(rows[::-1]).metrics["energy_pj"][::-1] == costs.metrics["energy_pj"]
    ).all()


def test_never_to_refresh_is_no_design_unless_allowed(task: archgym.Task) -> None:
    j = task.space.position("RefreshPolicy")
    assert "NoRefresh" not in task.space.parameters[j].values
    allowed = archgym.make_task(ID, workload="mixed-light", allow_no_refresh=True)
    lossy = {**allowed.space.decode(allowed.default), "RefreshPolicy": "NoRefresh"}
    evaluation = allowed.evaluate(allowed.space.encode(lossy)[None])
    assert evaluation.feasible[0]
    assert evaluation.metrics["refreshes"][0] == 0
    asleep = allowed.space.encode(
        {**lossy, "PowerDownPolicy": "SelfRefresh", "PowerDownIdle": 64, "SelfRefreshIdle": 8192}
    )
    assert allowed.evaluate(asleep[None]).violated(0) == ("self-refresh without refresh",)


def test_the_cost_budget_by_name(task: archgym.Task) -> None:
    design = {**task.space.decode(task.default), "Channels": 4, "Ranks": 2}
    broken = task.evaluate(task.space.encode(design)[None]).violated(0)
    assert broken == ("cost of channels and ranks above 4",)


def test_a_trace_must_fit_the_memory() -> None:
    device = load_device("ddr3-1600-1gb-x8")
    model = ModernController(device, short(span=3 << 30), False)
    assert (model.default["Channels"], model.default["Ranks"]) == (1, 4)
    row = model.space.encode({**model.default, "Ranks": 2})
    assert model.space.violations(row[None])["trace larger than the memory"][0]
    with pytest.raises(ValueError, match="is beyond the capacity of device 'ddr3-1600-1gb-x8'"):
        ModernController(device, short(span=5 << 30), False)


def test_values_are_those_of_the_simulator(task: archgym.Task) -> None:
    fields = {field.name: field for field in CONTROLLERS["modern"]}
    for parameter in task.space.parameters:
        if parameter.name in ("Channels", "Ranks"):
            continue
        if parameter.name == "AddressMapping":
            assert parameter.values == tuple(NAMED_MAPPINGS)
        elif fields[parameter.name].names:
            assert set(parameter.values) <= set(fields[parameter.name].names)
    assert set(fields) <= set(task.space.names)


def test_refreshes_are_those_of_the_device() -> None:
    ddr4 = load_device("ddr4-3200-8gb-x8")
    assert refreshes(ddr4) == ("AllBank",)
    more = dataclasses.replace(ddr4.timing, tRFCpb=250, tRREFD=8)
    space = modern_space(dataclasses.replace(ddr4, timing=more), 0, False)
    assert space.parameters[space.position("RefreshPolicy")].values == ("AllBank", "PerBank")
    ddr5 = modern_space(load_device("ddr5-4800-16gb-x8"), 0, False)
    for name in ("RefreshMaxPostponed", "RefreshMaxPulledin"):
        assert ddr5.parameters[ddr5.position(name)].values == (0, 1, 2, 4)
        assert space.parameters[space.position(name)].values == (0, 1, 2, 4, 8)


def test_a_design_is_its_simulation() -> None:
    device, trace = load_device("ddr4-3200-8gb-x8"), short()
    model = ModernController(device, trace, False)
    design = {
        **model.default,
        **{"Channels": 2, "Ranks": 2, "AddressMapping": "MOPPermutation", "Scheduler": "FrFcfsGrp"},
        **{"RowHitCap": 4, "PagePolicy": "Timeout", "RowTimeout": 128, "RequestBufferSize": 16},
        **{"WriteHighWatermark": 90, "WriteLowWatermark": 10, "RespQueue": "Reorder"},
        **{"Arbiter": "Fifo", "MaxActiveTransactions": 64, "RefreshMaxPostponed": 4},
        **{"PowerDownPolicy": "SelfRefresh", "PowerDownIdle": 256, "SelfRefreshIdle": 16384},
    }
    memory = reshaped(device, 2, 2)
    chosen = {k: v for k, v in design.items() if k not in ("Channels", "Ranks", "AddressMapping")}
    simulator = DramSimulator(
        memory,
        trace,
        mapping=AddressMapping.named("MOPPermutation", memory),
        controller="modern",
    )
    result = simulator.run([policy_row("modern", **chosen)])
    metrics = model.evaluate(model.space.encode(design)[None]).metrics
    assert metrics["energy_pj"][0] == result.energy_pj[0]
    assert metrics["read_latency_p99_ns"][0] == result.read_latency_p99_ns[0]
    cycles = round(result.total_time_ns[0] * 1000 / device.tCK_ps) * 4
    down = result.active_power_down_cycles[0] + result.precharge_power_down_cycles[0]
    assert metrics["power_down_percent"][0] == pytest.approx(100 * down / cycles, rel=1e-3)
    assert metrics["cost"][0] == 3.0


def test_inert_choices_change_nothing() -> None:
    model = ModernController(load_device("ddr4-3200-8gb-x8"), short(), False)
    rows = model.space.sample(80, np.random.default_rng(3))
    canonical = model.space.canonical(rows)
    keep = ~np.any(list(model.space.violations(canonical).values()), axis=0)
    # Choices that act only under a condition go past the canonical form to the simulator.
    raw = np.where(np.isin(model.space.names, ("WriteDrain",)), canonical, rows)[keep]
    assert not np.array_equal(raw, canonical[keep])
    one, other = model.evaluate(raw).metrics, model.evaluate(canonical[keep]).metrics
    for name, values in one.items():
        assert np.array_equal(values, other[name]), name


def test_few_simulators_are_kept_and_none_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    device, trace = load_device("ddr4-3200-8gb-x8"), short(n=60)
    many = ModernController(device, trace, False)
    rows = feasible(many, 120, 4)
    expected = many.evaluate(rows).metrics
    monkeypatch.setattr(_dram_modern, "_SIMULATORS_KEPT", 1)
    few = ModernController(device, trace, False)
    for name, values in few.evaluate(rows).metrics.items():
        assert np.array_equal(values, expected[name]), name
    assert len(few._simulators._kept) == 1


def test_slowdowns_are_to_one_reference() -> None:
    rng = np.random.default_rng(9)
    one = short(n=150)
    trace = dataclasses.replace(one, source=rng.integers(0, 2, one.n_requests))
    model = ModernController(load_device(DEVICES[0]), trace, False)
    rows = feasible(model, 60, 8)
    memory = reshaped(load_device(DEVICES[0]), 1, 1)
    mapping = AddressMapping.named("RoBaRaCoCh", memory)
    default = model._policies(model.space.encode(model.default)[None])
    alone = DramSimulator(memory, trace, mapping=mapping, controller="modern").latencies_alone(
        default
    )[0]
    metrics = model.evaluate(rows).metrics
    for i in range(3):
        memory = tuple(model.space.decode(rows[i])[name] for name in _dram_modern._MEMORY)
        simulator = model._simulators.of(*memory)
        shared = simulator.run(model._policies(rows[[i]])).source_read_latency_ns[0]
        assert metrics["fairness"][i] == pytest.approx((shared / alone).max())
        assert metrics["weighted_speedup"][i] == pytest.approx((alone / shared).sum())
    lone = ModernController(load_device(DEVICES[0]), one, False).evaluate(rows).metrics
    assert (lone["fairness"] == 1).all()
    assert (lone["weighted_speedup"] == 1).all()


def area(**changes: object) -> float:
    design = {
        **{"Channels": 1, "Ranks": 1, "SchedulerBuffer": "Shared", "RequestBufferSize": 32},
        **{"Scheduler": "Fifo", "PagePolicy": "Open", "WriteDrain": "Mixed", "RespQueue": "Fifo"},
        **{"Arbiter": "Simple", "MaxActiveTransactions": 16, **changes},
    }
    columns = {name: np.array([value]) for name, value in design.items()}
    return float(buffer_area_mm2(load_device("ddr4-3200-8gb-x8"), 1, columns)[0])


def test_area_of_buffers_by_hand() -> None:
    # 32 entries of 27 address bits (16 row, 4 bank, 7 column), direction and 5 bits of age, in
    # flip-flops, and 32 bursts of 512 bits.
    plain = (4.522 * 32 * (27 + 1 + 5) + 1375.65 + 0.524635 * 32 * 512) * 1e-6
    assert area() == pytest.approx(plain)
    assert area(Scheduler="FrFcfs") == pytest.approx(plain + 2.66 * 32 * 16e-6)
    assert area(Scheduler="FrFcfsGrp") == pytest.approx(plain + 2.66 * 32 * (16 + 27) * 1e-6)
    assert area(Channels=2) == pytest.approx(2 * plain)
    held = (1375.65 + 0.524635 * 16 * 512) * 1e-6
    waiting = 4.522 * 16 * (27 + 1 + 4) * 1e-6 + held
    assert area(Arbiter="Fifo") == pytest.approx(plain + waiting)
    assert area(Arbiter="Reorder") == pytest.approx(plain + waiting + held)


def test_area_grows_with_every_buffer() -> None:
    assert area(SchedulerBuffer="ReadWrite") > area() < area(SchedulerBuffer="Bankwise")
    assert area(RespQueue="Reorder") > area() < area(PagePolicy="OpenAdaptive")
    sizes = [area(RequestBufferSize=size) for size in (1, 2, 4, 8, 16, 32, 64, 128)]
    assert sizes == sorted(set(sizes))
    assert area(Ranks=2) > area()


@pytest.mark.parametrize("objective", [each.name for each in MODERN_OBJECTIVES])
def test_objectives_tell_designs_apart(objective: str) -> None:
    # A trace that loads the memory: on others the arrivals set the time, and so the bandwidth.
    workload = "mix-stream-random" if objective in QOS else "mixed-heavy"
    task = archgym.make_task(ID, workload=workload, objective=objective)
    evaluation = task.evaluate(task.space.sample(64, np.random.default_rng(5)))
    scores = evaluation.score[evaluation.feasible]
    assert len(np.unique(scores)) > 0.5 * len(scores)


def test_bounds_hold_for_random_designs() -> None:
    for device, trace in itertools.product(
        DEVICES, (short(span=1 << 29), short(2000, 1 << 24, seed=7))
    ):
        model = ModernController(load_device(device), trace, False)
        metrics = model.evaluate(feasible(model, 150, 6)).metrics
        for name, limit in model.bounds().items():
            if name == "bandwidth_gb_per_s":
                assert metrics[name].max() <= limit * (1 + 1e-9), name
            else:
                assert metrics[name].min() >= limit * (1 - 1e-9), name


@pytest.mark.parametrize("path", sorted(BEST_KNOWN.glob("*.yaml")), ids=lambda path: path.stem)
def test_best_known_designs_are_as_good_as_the_files_say(path: Path) -> None:
    told = yamlfile.read(path)
    assert path.stem == f"{told['options']['space']}-{told['options']['workload']}"
    first = archgym.make_task(told["env"], **told["options"])
    for name, entry in told["tasks"].items():
        chosen = first.environment.objective(name)
        task = archgym.Task(first.environment, first.options, chosen, first.model)
        found = task.evaluate(task.space.encode(entry["design"])[None])
        assert found.feasible[0]
        assert found.score[0] == entry["score"]
        for metric, value in entry["metrics"].items():
            assert found.metrics[metric][0] == value
        assert task.optimum.score == entry["score"]
        if entry["bound"] is not None:
            assert entry["score"] <= entry["bound"]


def test_the_long_search_covers_every_shipped_task() -> None:
    experiment = load_experiment("best-known")
    searched = {(task.options["workload"], task.objective) for task in experiment.tasks}
    environment = archgym.environment.find_environment(ID)
    scalar = [each.name for each in environment.objectives if not each.pareto]
    # Between programs there is something to balance only where there are several.
    assert searched == {
        (workload, objective)
        for workload, objective in itertools.product(environment.workloads(), scalar)
        if objective not in QOS or workload.startswith("mix-")
    }


def test_describe_tells_the_best_known_score_and_its_bound(
    task: archgym.Task, capsys: pytest.CaptureFixture[str]
) -> None:
    told = description(task)
    best = told["objectives"][0]["optimum"]
    assert best["kind"] == "best-known"
    assert 0 < best["score"] < best["bound"]
    assert told["objectives"][6]["optimum"] is None  # a Pareto front
    assert told["default"]["design"]["MaxActiveTransactions"] is None
    print_description(told)
    lines = capsys.readouterr().out.splitlines()
    inert = next(line for line in lines if line.startswith("MaxActiveTransactions"))
    assert "no effect" in inert
    first = next(line for line in lines if line.startswith("low-latency "))
    assert f"{best['score']:.3f}  best known, not proven  {best['bound']:.3f}" in first


def test_a_pointer_chase_takes_one_channel() -> None:
    task = archgym.make_task(ID, workload="chase")
    design = task.space.decode(task.default)
    two = task.evaluate(task.space.encode({**design, "Channels": 2})[None])
    assert not two.feasible[0]
    assert two.violated(0) == ("reads that wait for each other on several channels",)
    with pytest.raises(ValueError, match=r"'chase' limits its outstanding reads.* has 2"):
        archgym.make_task(ID, workload="chase", device="ddr5-4800-16gb-x8")


@pytest.mark.parametrize("space", ["modern", "archgym2023"])
@pytest.mark.parametrize("workload", ["mixed-light", "mix-sort-gcc"])
def test_short_is_the_simulator_on_the_first_tenth(space: str, workload: str) -> None:
    task = archgym.make_task(ID, workload=workload, space=space)
    brief = task.at("short")
    check_fidelities(task)
    rows = task.space.canonical(task.space.sample(40, np.random.default_rng(5)))
    answer = brief.evaluate(rows)
    served = (answer.metrics["reads"] + answer.metrics["writes"])[answer.feasible]
    assert (served == 1_000).all()
    assert np.array_equal(answer.feasible, task.evaluate(rows).feasible)
    assert brief.optimum is None
    assert np.array_equal(brief.model.features, task.model.features)
    if space == "modern":
        areas = [each.evaluate(rows).metrics["buffer_area_mm2"] for each in (brief, task)]
        assert np.array_equal(*areas, equal_nan=True)


def test_the_ladders_of_fidelities() -> None:
    def ladder(**options: str) -> dict[str, float]:
        task = archgym.make_task(ID, workload="random", **options)
        return {each.name: each.cost for each in task.fidelities}

    assert ladder() == {"short": 0.2, "simulator": 1.0}
    assert ladder(fidelity="short") == {"short": 1.0}
    assert list(ladder(space="archgym2023")) == ["table", "short", "simulator"]
    assert ladder(space="archgym2023", fidelity="table") == {"table": 1.0}
    assert list(ladder(space="archgym2023", device="ddr4-2400-8gb-x8")) == ["short", "simulator"]
    with pytest.raises(ValueError, match=r"fidelity: unknown name 'table'. Allowed: short, sim"):
        archgym.make_task(ID, workload="random").at("table")


def test_a_search_pays_for_short_in_fractions(task: archgym.Task) -> None:
    result = archgym.search(task, "successive-halving", budget=5, seed=0)
    assert result.spent[-1] == pytest.approx(len(result.evaluation) + 0.2 * len(result.screened))
    # A metric of the space has the name that a column of ours might have had.
    assert {"fidelity", "fidelity_cost", "cost"} <= set(result.screened.columns)


def test_a_fidelity_that_cannot_be_built_is_named(tmp_path: Path) -> None:
    requests = [f"{10 * i},{'W' if i < 40 else 'R'},{64 * i}\n" for i in range(200)]
    (tmp_path / "late.csv").write_text("cycle,rw,addr\n" + "".join(requests))
    late = archgym.make_task(ID, workload=f"file:{tmp_path / 'late.csv'}", space="archgym2023")
    with pytest.raises(ValueError, match=r"fidelity 'short' cannot be built: .* 'read_latency_ns'"):
        late.at("short")
