"""Energies of devices: one rail or several, or energies in the place of currents."""

import dataclasses

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.dram import (
    COMMAND_NAMES,
    DramSimulator,
    Trace,
    device_names,
    load_device,
    load_workload,
    policy_row,
)
from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram import devices as module
from archgym.cost_models.dram.power import RankEnergy, energy, rank_energy
from archgym.cost_models.dram.supply import DramCurrents, DramEnergies, DramRail

DDR4 = load_device("ddr4-2400-8gb-x8")
ENERGIES = DramEnergies(900.0, 3.5, 3.0, 20000.0, 60.0, 50.0, 40.0, 30.0, 20.0)


def with_energies(energies=ENERGIES):
    return dataclasses.replace(DDR4, current_ma=None, vdd_v=None, energy=energies)


def scaled(currents, factor):
    values = {f.name: getattr(currents, f.name) * factor for f in dataclasses.fields(currents)}
    return DramCurrents(**values)


def test_energies_stand_for_themselves():
    e = rank_energy(with_energies())
    bits, ns = 8 * 8, 0.833
    assert e == RankEnergy(
        activate=8 * 900.0,
        precharge=0.0,
        read=8 * 3.5 * bits,
        write=8 * 3.0 * bits,
        refresh=8 * 20000.0,
        active_standby=pytest.approx(8 * 60.0 * ns),
        precharge_standby=pytest.approx(8 * 50.0 * ns),
        active_power_down=pytest.approx(8 * 40.0 * ns),
        precharge_power_down=pytest.approx(8 * 30.0 * ns),
        self_refresh=pytest.approx(8 * 20.0 * ns),
    )


def test_the_same_device_stated_as_energies_takes_the_same():
    e = rank_energy(DDR4)
    ns, bits = 0.833, 8 * 8
    of_one = {name: value / 8 for name, value in dataclasses.asdict(e).items()}
    stated = with_energies(
        DramEnergies(
            of_one["activate"] + of_one["precharge"],
            of_one["read"] / bits,
            of_one["write"] / bits,
            of_one["refresh"],
            of_one["active_standby"] / ns,
            of_one["precharge_standby"] / ns,
            of_one["active_power_down"] / ns,
            of_one["precharge_power_down"] / ns,
            of_one["self_refresh"] / ns,
        )
    )
    trace = load_workload("sort")
    # Whole pairs of ACT and PRE are counted with energies, open rows at the end apart.
    runs = [DramSimulator(d, trace).run([policy_row(PagePolicy="Closed")]) for d in (DDR4, stated)]
    assert runs[0].n_act[0] == runs[0].n_pre[0]
    assert runs[1].energy_pj[0] == pytest.approx(runs[0].energy_pj[0], rel=1e-12)


def test_rails_add_up():
    currents = DDR4.current_ma
    half = scaled(currents, 0.5)
    one, two = (
        rank_energy(DDR4),
        rank_energy(
            dataclasses.replace(
                DDR4,
                current_ma=half,
                rails={"A": DramRail(1.2, scaled(half, 0.5)), "B": DramRail(0.6, half)},
            )
        ),
    )
    for name, value in dataclasses.asdict(one).items():
        assert getattr(two, name) == pytest.approx(value), name


def test_a_file_with_rails_or_energies(tmp_path):
    data = yaml.safe_load((module._FOLDER / "ddr4-2400-8gb-x8.yaml").read_text())
    vpp = dict.fromkeys(data["current_ma"], 3.0) | {"IDD0": 4.0}
    path = tmp_path / "mine.yaml"
    path.write_text(
        yaml.safe_dump(data | {"rails": {"VPP": {"voltage_v": 2.5, "current_ma": vpp}}})
    )
    device = load_device(path)
    extra_pj = (4.0 - 3.0) * 39 * 2.5 * 0.833 * 8
    assert rank_energy(device).activate - rank_energy(DDR4).activate == pytest.approx(extra_pj)
    assert rank_energy(device).read == pytest.approx(rank_energy(DDR4).read)
    for name in ("current_ma", "vdd_v"):
        del data[name]
    data["sources"] = {"energy": "measured"}
    path.write_text(yaml.safe_dump(data | {"energy": dataclasses.asdict(ENERGIES)}))
    assert load_device(path).energy == ENERGIES
    assert load_device(path).source_of("energy.read_pj_per_bit") == "measured"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("activate_pj", -1.0, "energy.activate_pj is -1.0, must be a number of at least 0"),
        ("refresh_pj", float("nan"), "energy.refresh_pj is nan, must be a number"),
        (
            "active_standby_mw",
            45.0,
            "active_standby_mw is 45.0, must be at least precharge_standby",
        ),
    ],
)
def test_impossible_energies_are_refused(field, value, message):
    with pytest.raises(ValueError) as error:
        with_energies(dataclasses.replace(ENERGIES, **{field: value}))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_single_design_and_a_batch_sum_alike():
    simulator = DramSimulator(DDR4, load_workload("sort"))
    policies = [policy_row(RequestBufferSize=size) for size in range(1, 18)]
    together = simulator.run(policies).energy_pj
    alone = [simulator.run([policy]).energy_pj[0] for policy in policies]
    np.testing.assert_array_equal(together, alone)


# Fast-exit power-down of these parts takes more than standby (data sheet, as in their files).
SAVING = [n for n in device_names() if n not in ("ddr3-1866-4gb-x8", "ddr3-2133-4gb-x8")]


@given(
    name=st.sampled_from(SAVING),
    cycles=st.integers(1000, 10**6),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_parts_sum_to_the_total_and_power_down_never_costs_more(name, cycles, shares):
    device = load_device(name)
    active = int(shares[0] * cycles)
    rows = np.zeros((2, c.OUTPUTS), np.int64)
    rows[:, c.O_ACTIVE] = active
    # The second is longer in power-down, in the time in which the first stands by.
    rows[0, c.O_ACTIVE_DOWN] = int(shares[1] * shares[2] * active)
    rows[1, c.O_ACTIVE_DOWN] = int(shares[1] * active)
    rows[0, c.O_PRECHARGE_DOWN] = int(shares[3] * shares[2] * (cycles - active))
    rows[1, c.O_PRECHARGE_DOWN] = int(shares[3] * (cycles - active))
    for cell in (c.O_ACT, c.O_PRE, c.O_RD, c.O_WR, c.O_REF):
        rows[:, cell] = 7
    found = energy(device, rows, np.array([cycles, cycles]))
    parts = [getattr(found, field.name) for field in dataclasses.fields(found)]
    np.testing.assert_allclose(sum(parts), found.total)
    assert all((part >= 0).all() for part in parts)
    assert found.total[1] <= found.total[0] * (1 + 1e-12)


@pytest.mark.parametrize("name", device_names())
def test_states_draw_less_the_deeper_they_are(name):
    per = rank_energy(load_device(name))
    assert per.active_standby >= per.precharge_standby
    assert per.active_standby >= per.active_power_down
    if name in SAVING:
        assert per.precharge_standby >= per.precharge_power_down


def test_two_ranks_by_hand():
    """One read per rank: every state's time from the commands, every energy from the sheet."""
    device = dataclasses.replace(
        DDR4,
        organisation=dataclasses.replace(DDR4.organisation, ranks=2),
        mapping="rank:1 row:16 bank:2 bankgroup:2 column:10 offset:3",
    )
    other = device.capacity_bytes // 2
    trace = Trace(np.array([0, 200]), np.array([False, False]), np.array([0, other]))
    simulator = DramSimulator(device, trace)
    policy = policy_row(PagePolicy="Closed", RefreshPolicy="NoRefresh")
    found, commands = simulator.run([policy]), simulator.command_trace(policy)
    assert [COMMAND_NAMES[code] for code in commands.command] == ["ACT", "RDA", "ACT", "RDA"]
    assert commands.rank.tolist() == [0, 0, 1, 1]
    i, t = device.current_ma, device.timing
    end = round(found.total_time_ns[0] / 0.833)
    assert end == commands.cycle[3] + t.tCL + 4
    pj = 8 * 1.2 * 0.833
    # Rank 0 is open for tRAS; rank 1 until the data ends, before tRAS is over.
    open_0, open_1 = t.tRAS, end - commands.cycle[2]
    assert open_1 == t.tRCD + t.tCL + 4 < t.tRAS
    by_hand = {
        "activate": 2 * (i.IDD0 - i.IDD3N) * t.tRAS,
        "precharge": 2 * (i.IDD0 - i.IDD2N) * (t.tRC - t.tRAS),
        "read": 2 * (i.IDD4R - i.IDD3N) * 4,
        "active_standby": i.IDD3N * (open_0 + open_1),
        "precharge_standby": i.IDD2N * (2 * end - open_0 - open_1),
    }
    for name, charge in by_hand.items():
        assert getattr(found.energy, name)[0] == pytest.approx(charge * pj), name
    assert found.energy_pj[0] == pytest.approx(sum(by_hand.values()) * pj)
