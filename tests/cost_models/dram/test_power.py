"""Energies of devices: one rail or several, or energies in the place of currents."""

import dataclasses

import numpy as np
import pytest
import yaml

from archgym.cost_models.dram import DramSimulator, load_device, load_workload, policy_row
from archgym.cost_models.dram import devices as module
from archgym.cost_models.dram.power import RankEnergy, rank_energy
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
