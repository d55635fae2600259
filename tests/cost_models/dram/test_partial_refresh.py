"""Per-bank and same-bank refresh of the `modern` controller."""

import dataclasses

import numpy as np
import pytest

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    STALL_REASONS,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.generators import uniform_random

DDR4 = load_device("ddr4-2400-8gb-x8")
# Made-up figures: half the cycle of an all-bank refresh, as LPDDR4 devices have it.
TIMING = dataclasses.replace(DDR4.timing, tRFCpb=216, tRFCsb=230, tRREFD=12, tPBR2PBR=100)
DEVICE = dataclasses.replace(DDR4, name="partial", timing=TIMING)
PAIRED = dataclasses.replace(
    DEVICE, organisation=dataclasses.replace(DEVICE.organisation, banks_per_refresh=2)
)
T = TIMING


def address(bank, row=0):
    """Of a bank, counted through the bank groups, under row bank bankgroup column."""
    return row << 17 | (bank % 4) << 15 | (bank // 4) << 13


def simulator_of(requests, device=DEVICE):
    cycles, places = zip(*requests, strict=True)
    trace = Trace(np.array(cycles), np.zeros(len(cycles), bool), np.array(places))
    return DramSimulator(device, trace, controller="modern", threads=1)


def strict(refresh, **values):
    exact = {"RefreshMaxPostponed": 0, "RefreshMaxPulledin": 0}
    return policy_row("modern", **{"RefreshPolicy": refresh} | exact | values)


def issued(simulator, policy):
    """Commands as (cycle, name, bank group, bank)."""
    trace = simulator.command_trace(policy)
    names = [COMMAND_NAMES[code] for code in trace.command]
    columns = (trace.cycle.tolist(), names, trace.bankgroup.tolist(), trace.bank.tolist())
    return list(zip(*columns, strict=True))


def test_banks_take_turns_at_even_distances():
    end = 3 * T.tREFI - 100
    refreshes = [
        e for e in issued(simulator_of([(0, 0), (end, 0)]), strict("PerBank")) if "REF" in e[1]
    ]
    assert [e[1:] for e in refreshes[:17]] == [("REFpb", k // 4 % 4, k % 4) for k in range(17)]
    # Bank 0 had an open row to close.
    assert refreshes[0][0] == T.tREFI // 16 + T.tRP
    due = np.array([k * T.tREFI / 16 for k in range(1, len(refreshes) + 1)])
    late = np.array([e[0] for e in refreshes]) - due
    assert (abs(late[1:]) <= 1).all()
    assert len(refreshes) == 47


def test_same_bank_of_every_group():
    refreshes = [
        e
        for e in issued(simulator_of([(0, 0), (3 * T.tREFI - 100, 0)]), strict("SameBank"))
        if "REF" in e[1]
    ]
    assert [e[1:] for e in refreshes] == [("REFsb", -1, k % 4) for k in range(11)]


def test_pairs_of_banks():
    simulator = simulator_of([(0, 0), (3 * T.tREFI - 100, 0)], PAIRED)
    refreshes = [e for e in issued(simulator, strict("PerBank")) if "REF" in e[1]]
    assert [e[1:] for e in refreshes[:9]] == [("REFpb", k // 4 % 2, k % 4) for k in range(9)]
    # A read of the second bank of the first pair waits for the end of its refresh.
    due = T.tREFI // 8
    simulator = simulator_of([(due + 5, address(8)), (due + 6, address(1))], PAIRED)
    acts = [e for e in issued(simulator, strict("PerBank")) if e[1] == "ACT"]
    assert acts == [(due + T.tRREFD, "ACT", 0, 1), (due + T.tRFCpb, "ACT", 2, 0)]


def test_only_the_bank_of_the_refresh_is_busy():
    due = T.tREFI // 16
    simulator = simulator_of(
        [(due + 5, address(0)), (due + 6, address(4)), (due + 300, address(0, 1))]
    )
    policy = strict("PerBank")
    assert issued(simulator, policy)[:5] == [
        (due, "REFpb", 0, 0),
        (due + T.tRREFD, "ACT", 1, 0),
        (due + T.tRREFD + T.tRCD, "RD", 1, 0),
        (due + T.tRFCpb, "ACT", 0, 0),
        (due + T.tRFCpb + T.tRCD, "RD", 0, 0),
    ]
    stalls = simulator.run(policy[None]).stall_cycles[0]
    busy = stalls[STALL_REASONS.index("refresh")]
    # Of the twelve and 216 cycles after the refresh, those with a request and no command.
    assert busy == (T.tRREFD - 5) + (T.tRFCpb - T.tRREFD - T.tRCD - 1)


def test_a_round_may_be_postponed_and_pulled_in():
    busy = [(k * 10, address(0, k)) for k in range(2000)]
    simulator = simulator_of(busy)
    assert simulator.run(strict("PerBank")[None]).n_ref_pb[0] > 30
    # Bank 0 always waits, so its turn never comes before as many are owed as two rounds have.
    owed = issued(simulator, strict("PerBank", RefreshMaxPostponed=1))
    first = next(e for e in owed if e[1] == "REFpb")
    assert 17 * (T.tREFI // 16) <= first[0] <= 17 * T.tREFI / 16 + 150
    idle = simulator_of([(0, 0), (T.tREFI - 100, 0)])
    ahead = [e for e in issued(idle, strict("PerBank", RefreshMaxPulledin=2)) if e[1] == "REFpb"]
    assert len(ahead) == 15 + 2 * 16


def test_refresh_energy_of_a_round_is_that_of_one_refresh():
    simulator = simulator_of([(0, 0), (10 * T.tREFI - 100, 0)])
    policies = np.stack([strict(name) for name in ("AllBank", "PerBank", "SameBank")])
    result = simulator.run(policies)
    assert (result.n_ref.tolist(), result.n_ref_pb.tolist()) == ([9, 0, 0], [0, 159, 0])
    assert result.n_ref_sb.tolist() == [0, 0, 39]
    per = result.energy.refresh / np.array([9, 159 / 16, 39 / 4])
    np.testing.assert_allclose(per, per[0])


@pytest.mark.parametrize("intensity", [30, 60])
def test_refreshing_one_bank_at_a_time_shortens_the_longest_waits(intensity):
    trace = uniform_random(10_000, intensity_per_us=intensity, footprint_bytes=1 << 30)
    simulator = DramSimulator(DEVICE, trace, controller="modern", threads=1)
    policies = [strict(name) for name in ("NoRefresh", "AllBank", "PerBank", "SameBank")]
    p99 = simulator.run(np.stack(policies)).read_latency_p99_ns
    assert p99[0] < p99[2] < 0.7 * p99[1]
    assert p99[0] < p99[3] < 0.7 * p99[1]


def test_devices_without_such_refreshes_are_refused():
    for name, field in (("PerBank", "tRFCpb"), ("SameBank", "tRFCsb")):
        with pytest.raises(ValueError) as error:
            simulator_of([(0, 0)], DDR4).run(strict(name)[None])
        assert str(error.value) == (
            f"policy field RefreshPolicy of design 0 is {name}, but device 'ddr4-2400-8gb-x8' has "
            f"no timing.{field}"
        )
    with pytest.raises(ValueError, match="RefreshMaxPostponed of design 0 is 9, must be between 0"):
        strict("AllBank", RefreshMaxPostponed=9)
    with pytest.raises(ValueError, match="RefreshPolicy is 'PerBank', allowed are NoRefresh, AllB"):
        policy_row(RefreshPolicy="PerBank")


def test_a_device_may_allow_fewer_refreshes_to_be_moved():
    ddr5 = load_device("ddr5-4800-16gb-x8")
    simulator = simulator_of([(0, 0)], ddr5)
    for field in ("RefreshMaxPostponed", "RefreshMaxPulledin"):
        assert simulator.run(strict("AllBank", **{field: 4})[None]).total_time_ns[0] > 0
        simulator.run(strict("NoRefresh", **{field: 8})[None])
        with pytest.raises(ValueError) as error:
            simulator.run(np.stack([strict("SameBank"), strict("SameBank", **{field: 5})]))
        assert str(error.value) == (
            f"policy field {field} of design 1 is 5, but device 'ddr5-4800-16gb-x8' allows at most "
            f"4 (movable_refreshes)"
        )
