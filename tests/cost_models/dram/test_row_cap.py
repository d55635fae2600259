"""Rows closed after a number of accesses, in the `ramulator` controller."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.generators import mixed
from archgym.cost_models.dram.timing_checker import all_violations

DDR4 = load_device("ddr4-2400-8gb-x8")


def commands(simulator, **values):
    trace = simulator.command_trace(policy_row("ramulator", **values))
    names = [COMMAND_NAMES[code] for code in trace.command]
    return trace, list(zip(trace.cycle.tolist(), names, strict=True))


def test_the_access_after_the_last_closes_the_row_itself():
    # Two lines of a row at once: the first access opens it, the second is beyond the cap.
    both = Trace(np.array([0, 0]), np.array([False, False]), np.array([0, 64]))
    _, found = commands(DramSimulator(DDR4, both, controller="ramulator"), RowAccessCap=1)
    assert [name for _, name in found] == ["ACT", "RD", "RDA"]


def test_a_row_without_further_hits_is_precharged():
    one = Trace(np.array([0]), np.array([False]), np.array([0]))
    t = DDR4.timing
    _, found = commands(DramSimulator(DDR4, one, controller="ramulator"), RowAccessCap=1)
    start = found[0][0]
    # The run ends with the data, before tRAS is over.
    assert found[1:] == [(start + t.tRCD, "RD")]
    late = Trace(np.array([0, 500]), np.array([False, False]), np.array([0, 64]))
    _, found = commands(DramSimulator(DDR4, late, controller="ramulator"), RowAccessCap=1)
    assert found[2] == (start + t.tRAS, "PRE")
    assert [name for _, name in found] == ["ACT", "RD", "PRE", "ACT", "RD"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cap=st.integers(1, 4),
    ranks=st.sampled_from([1, 2]),
    intensity=st.sampled_from([20.0, 100.0, 400.0]),
)
def test_requests_are_served_and_rules_hold(seed, cap, ranks, intensity):
    device = dataclasses.replace(
        DDR4,
        organisation=dataclasses.replace(DDR4.organisation, ranks=ranks),
        mapping=f"row:16 bank:2 bankgroup:2 rank:{ranks - 1} column:10 offset:3",
        timing=dataclasses.replace(DDR4.timing, tREFI=1500),
    )
    trace = mixed(400, intensity_per_us=intensity, footprint_bytes=1 << 16, seed=seed)
    simulator = DramSimulator(device, trace, controller="ramulator")
    result = simulator.run([policy_row("ramulator", RowAccessCap=cap)])
    found, _ = commands(simulator, RowAccessCap=cap)
    accesses = {}
    for code, rank, group, bank in zip(
        found.command, found.rank, found.bankgroup, found.bank, strict=True
    ):
        name, place = COMMAND_NAMES[code], (rank, group, bank)
        if name == "ACT":
            accesses[place] = 0
        elif name in ("RD", "WR", "RDA", "WRA"):
            accesses[place] += 1
            assert name in ("RD", "WR") or accesses[place] > cap
    assert result.n_rd[0] + result.n_wr[0] + result.n_forwarded[0] + result.n_coalesced[0] == 400
    assert result.n_pre[0] <= result.n_act[0]
    # What is known to be wrong there: two ranks on the data bus, PRE of a bank in refresh, PREA
    # before the precharge of RDA and WRA begins.
    for v in all_violations(device, found) if ranks == 1 else ():
        of_access = v.earlier.name in ("RDA", "WRA") and v.later.name == "PREA"
        assert of_access or (v.name, v.later.name) == ("tRFC", "PRE"), v


def test_no_cap_and_a_large_one_do_the_same():
    trace = mixed(2000, intensity_per_us=200.0, footprint_bytes=1 << 18, seed=1)
    simulator = DramSimulator(DDR4, trace, controller="ramulator")
    one, other = (commands(simulator, RowAccessCap=cap)[0] for cap in (0, 4096))
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_the_cap_is_checked():
    with pytest.raises(ValueError, match="RowAccessCap of design 0 is -1, must be between 0"):
        policy_row("ramulator", RowAccessCap=-1)
