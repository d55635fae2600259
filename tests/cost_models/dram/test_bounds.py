"""No design beats the bounds, and a lone request meets them."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import AddressMapping, DramSimulator, load_device, policy_row
from archgym.cost_models.dram.bounds import bounds
from archgym.cost_models.dram.mapping import NAMED_MAPPINGS
from archgym.cost_models.dram.trace import Trace

DDR4 = load_device("ddr4-3200-8gb-x8")
FLOATS = 1 + 1e-9


def trace_of(requests: list[tuple[int, bool, int]], **fields: Any) -> Trace:
    cycle, write, line = zip(*requests, strict=True)
    address = np.array(line, np.int64) * 64
    return Trace(np.array(cycle, np.int64), np.array(write), address, **fields)


def assert_none_better(simulator: DramSimulator, limits: dict[str, float], rows: Any) -> None:
    result = simulator.run(rows)
    for name, limit in limits.items():
        values = getattr(result, name)
        if name == "bandwidth_gb_per_s":
            assert (values <= limit * FLOATS).all(), name
        else:
            assert (values * FLOATS >= limit).all(), name


@st.composite
def traces(draw: Any) -> Trace:
    n = draw(st.integers(1, 60))
    gaps = st.sampled_from([0, 0, 1, 3, 20, 3000])
    cycle = np.cumsum(draw(st.lists(gaps, min_size=n, max_size=n)))
    write = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    line = draw(
        st.lists(st.integers(0, draw(st.sampled_from([7, 500, 1 << 24]))), min_size=n, max_size=n)
    )
    limit = draw(st.sampled_from([None, None, 1, 3]))
    clock = draw(st.sampled_from([None, 1000]))
    return trace_of(
        list(zip(cycle.tolist(), write, line, strict=True)),
        max_outstanding_reads=limit,
        clock_ps=clock,
    )


@settings(deadline=None, max_examples=80)
@given(
    trace=traces(),
    channels=st.sampled_from([1, 2]),
    ranks=st.sampled_from([1, 2]),
    mapping=st.sampled_from(sorted(NAMED_MAPPINGS)),
    seed=st.integers(0, 1 << 30),
)
def test_no_design_beats_the_bounds(
    trace: Trace, channels: int, ranks: int, mapping: str, seed: int
) -> None:
    if trace.max_outstanding_reads is not None:
        channels = 1
    organisation = dataclasses.replace(DDR4.organisation, channels=channels, ranks=ranks)
    device = dataclasses.replace(DDR4, organisation=organisation)
    simulator = DramSimulator(
        device,
        trace,
        mapping=AddressMapping.named(mapping, device),
        controller="modern",
        threads=1,
    )
    rng = np.random.default_rng(seed)
    rows = [
        policy_row(
            "modern",
            PagePolicy=str(rng.choice(["Open", "Closed", "Timeout", "OpenAdaptive"])),
            SchedulerBuffer=str(rng.choice(["Bankwise", "Shared", "ReadWrite"])),
            RequestBufferSize=int(rng.choice([1, 4, 64])),
            RefreshPolicy=str(rng.choice(["AllBank", "NoRefresh"])),
            PowerDownPolicy=str(rng.choice(["NoPowerDown", "PowerDown"])),
            PowerDownIdle=int(rng.choice([1, 50])),
        )
        for _ in range(4)
    ]
    rows.append(policy_row("modern", PowerDownPolicy="SelfRefresh", SelfRefreshIdle=100))
    limits = bounds(DDR4, trace, channels=2, ranks=1)
    assert ("read_latency_ns" in limits) == (trace.n_reads > 0)
    assert_none_better(simulator, limits, rows)


def test_more_channels_allow_more_and_more_ranks_cost_more() -> None:
    busy = trace_of([(0, False, line) for line in range(4000)])
    one, four = (bounds(DDR4, busy, channels=n, ranks=1) for n in (1, 4))
    assert one["bandwidth_gb_per_s"] == pytest.approx(25.6, rel=0.01)
    assert four["bandwidth_gb_per_s"] == pytest.approx(102.4, rel=0.02)
    assert bounds(DDR4, busy, channels=1, ranks=2)["energy_pj"] > one["energy_pj"]


def test_one_request_comes_close() -> None:
    result = DramSimulator(DDR4, trace_of([(0, False, 0)]), controller="modern").run(
        [policy_row("modern")]
    )
    limits = bounds(DDR4, trace_of([(0, False, 0)]), channels=1, ranks=1)
    # All but the ACT, tRCD: no row is open at first.
    wait_ns = DDR4.timing.tRCD * 0.625
    assert result.read_latency_ns[0] == pytest.approx(limits["read_latency_ns"] + wait_ns)
    assert result.total_time_ns[0] == pytest.approx(limits["total_time_ns"] + wait_ns)


def test_traces_without_reads_or_requests() -> None:
    writes = bounds(DDR4, trace_of([(0, True, 0)]), channels=1, ranks=1)
    assert "read_latency_ns" not in writes
    none = Trace(np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0, np.int64))
    assert bounds(DDR4, none, channels=1, ranks=1) == {}
