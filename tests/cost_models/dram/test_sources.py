"""Several sources on one memory: what each waits for, fairness, and batch scheduling by source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    CONTROLLERS,
    DramSimulator,
    Trace,
    load_device,
    load_workload,
    merge_traces,
    policy_row,
)
from archgym.cost_models.dram.generators import mixed, stream, uniform_random

DDR3, DDR4 = load_device("ddr3-1600-1gb-x8"), load_device("ddr4-2400-8gb-x8")
CONTROLLER = st.sampled_from(sorted(CONTROLLERS))


def nearest_rank(values):
    return np.sort(values)[-(-99 * values.size // 100) - 1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 20), n_sources=st.integers(2, 5), controller=CONTROLLER)
def test_figures_of_a_source_are_those_of_its_requests(seed, n_sources, controller):
    parts = [mixed(150, intensity_per_us=60, seed=seed + k) for k in range(n_sources)]
    trace = merge_traces(parts)
    simulator = DramSimulator(DDR3, trace, controller=controller, threads=1)
    policies = np.stack([policy_row(controller), policy_row(controller, RefreshPolicy="NoRefresh")])
    result = simulator.run(policies)
    alone = simulator.latencies_alone(policies)
    for d, policy in enumerate(policies):
        latency = simulator.latencies(policy)
        for source in range(n_sources):
            own = latency[(trace.source == source) & ~trace.is_write]
            assert result.source_reads[d, source] == own.size
            assert result.source_read_latency_ns[d, source] == pytest.approx(own.mean())
            p99 = result.source_read_latency_p99_ns[d, source]
            assert p99 == pytest.approx(nearest_rank(own))
            single = DramSimulator(DDR3, trace.of_source(source), controller=controller)
            assert alone[d, source] == single.run(policy[None]).read_latency_ns[0]
    np.testing.assert_array_equal(simulator.alone_ns, alone[0])
    slowdown = result.source_read_latency_ns / alone[0]
    np.testing.assert_allclose(result.source_slowdown, slowdown)
    np.testing.assert_allclose(result.fairness, slowdown.max(axis=1))
    np.testing.assert_allclose(result.weighted_speedup, (1 / slowdown).sum(axis=1))
    reads = result.source_reads
    mean = (result.source_read_latency_ns * reads).sum(axis=1) / reads.sum(axis=1)
    np.testing.assert_allclose(result.read_latency_ns, mean)


def test_sources_change_nothing_but_what_is_told_of_them():
    trace = load_workload("mix-sort-gcc")
    without = Trace(trace.cycle, trace.is_write, trace.address, clock_ps=trace.clock_ps)
    policies = np.stack([policy_row(), policy_row(Scheduler="Fifo")])
    first = DramSimulator(DDR3, trace).run(policies)
    second = DramSimulator(DDR3, without).run(policies)
    for field in ("total_time_ns", "read_latency_ns", "read_latency_p99_ns", "energy_pj"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
    assert first.source_reads.shape == (2, 2)
    assert first.source_reads.sum(axis=1).tolist() == [trace.n_reads] * 2
    np.testing.assert_array_equal(second.source_read_latency_ns[:, 0], second.read_latency_ns)
    np.testing.assert_array_equal(
        second.source_read_latency_p99_ns[:, 0], second.read_latency_p99_ns
    )
    assert second.fairness.tolist() == second.weighted_speedup.tolist() == [1.0, 1.0]


def test_a_lone_source_costs_no_run_alone(monkeypatch):
    simulator = DramSimulator(DDR3, stream(100))
    monkeypatch.setattr(DramSimulator, "_of_source", lambda *_: pytest.fail("ran alone"))
    assert simulator.run(policy_row()[None]).source_slowdown.tolist() == [[1.0]]


def test_sources_without_reads_do_not_count():
    n = 40
    kind = np.arange(n) % 2
    trace = Trace(np.arange(n) * 50, kind == 1, np.arange(n) * 8192, source=2 * kind)
    result = DramSimulator(DDR3, trace).run(policy_row()[None])
    assert result.source_reads.tolist() == [[20, 0, 0]]
    assert np.isnan(result.source_slowdown[0, 1:]).all()
    assert result.fairness[0] == result.source_slowdown[0, 0]
    assert result.weighted_speedup[0] == pytest.approx(1 / result.source_slowdown[0, 0])
    writes = Trace(trace.cycle, np.ones(n, bool), trace.address, source=kind)
    result = DramSimulator(DDR3, writes).run(policy_row()[None])
    assert np.isnan(result.fairness[0]) and np.isnan(result.weighted_speedup[0])


def test_figures_do_not_depend_on_order_or_threads():
    trace = load_workload("mix-four")
    policies = np.stack([policy_row(RequestBufferSize=size) for size in range(1, 20)])
    one = DramSimulator(DDR4, trace, threads=1).run(policies)
    two = DramSimulator(DDR4, trace, threads=2).run(policies[::-1])
    for field in ("source_slowdown", "source_read_latency_p99_ns", "fairness", "weighted_speedup"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field)[::-1])


def test_a_reference_of_ones_own():
    trace = load_workload("mix-sort-gcc")
    simulator = DramSimulator(DDR3, trace, reference_alone_ns=[50.0, 100.0])
    result = simulator.run(policy_row()[None])
    np.testing.assert_allclose(result.source_slowdown * [50, 100], result.source_read_latency_ns)
    for wrong in ([50.0], [50.0, 0.0]):
        with pytest.raises(ValueError, match=r"reference_alone_ns is \[50.0.*must be 2 positive"):
            DramSimulator(DDR3, trace, reference_alone_ns=wrong)


def modern(**values):
    return policy_row("modern", **{"RefreshPolicy": "NoRefresh"} | values)


def rows_served(requests, **values):
    """Rows in the order of their accesses; requests are (source, row, column) of bank 0, at 0."""
    source, row, column = (np.array(part) for part in zip(*requests, strict=True))
    trace = Trace(np.zeros_like(row), row < 0, row << 16 | column << 6, source=source)
    commands = DramSimulator(DDR3, trace, controller="modern").command_trace(modern(**values))
    return commands.row[commands.command == 1].tolist()


# Six row hits of source 0, and after them one request of source 1 to another row.
HOG = [*((0, 1, k) for k in range(6)), (1, 2, 0)]


@pytest.mark.parametrize(("cap", "before"), [(1, 2), (2, 3), (4, 5), (5, 6)])
def test_a_batch_ends_what_a_source_may_take_before_the_others(cap, before):
    assert rows_served(HOG, Scheduler="FrFcfs") == [1] * 6 + [2]
    # The first request is a batch of its own; `cap` more of source 0 are in the next.
    order = rows_served(HOG, Scheduler="BatchBySource", BatchCap=cap)
    assert order == [1] * before + [2] + [1] * (6 - before)


def test_the_shortest_job_of_a_batch_goes_first():
    requests = [(0, 1, 0), (0, 3, 0), (0, 4, 0), (0, 5, 0), (1, 6, 0), (2, 7, 0), (2, 8, 0)]
    assert rows_served(requests, Scheduler="FrFcfs") == [1, 3, 4, 5, 6, 7, 8]
    assert rows_served(requests, Scheduler="BatchBySource") == [1, 6, 7, 8, 3, 4, 5]


def test_an_address_that_sources_share_is_served_in_order():
    """Source 1 ranks first, but its read of row 4 comes after the write of source 0."""
    n = 8
    row = np.array([1, 3, 4, 5, 6, 7, 8, 4])
    source = np.array([0] * 7 + [1])
    write = np.arange(n) == 2
    trace = Trace(np.zeros(n, np.int64), write, row << 16, source=source)
    simulator = DramSimulator(DDR3, trace, controller="modern")
    served = simulator.command_trace(modern(Scheduler="BatchBySource"))
    access = np.isin(served.command, (1, 2))
    order = list(zip(served.row[access].tolist(), served.command[access].tolist(), strict=True))
    assert order.index((4, 2)) < order.index((4, 1))
    assert order[1] == (4, 2)


@pytest.mark.parametrize("intensity", [220.0, 240.0])
def test_batches_are_fairer_than_row_hits_first_to_a_source_beside_a_stream(intensity):
    """A stream that fills the memory takes row after row; few random reads wait for it."""
    parts = [stream(8000, intensity_per_us=intensity), uniform_random(2000, intensity_per_us=10)]
    trace = merge_traces(parts, n_requests=6000)
    policies = [
        policy_row(
            "modern",
            Scheduler=scheduler,
            SchedulerBuffer="ReadWrite",
            RequestBufferSize=128,
            WriteDrain="Watermark",
        )
        for scheduler in ("FrFcfs", "BatchBySource")
    ]
    result = DramSimulator(DDR4, trace, controller="modern").run(np.stack(policies))
    hits_first, batches = result.source_slowdown
    assert result.fairness[1] < 0.6 * result.fairness[0]
    assert hits_first[1] > 2.5 and batches[1] < 1.25
    assert result.weighted_speedup[1] > result.weighted_speedup[0]
