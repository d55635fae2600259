"""Power of the data lines: by hand, as a balance, and in the simulator's energy."""

import dataclasses

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.dram import DramSimulator, device_names, load_device, policy_row
from archgym.cost_models.dram import devices as module
from archgym.cost_models.dram.generators import mixed
from archgym.cost_models.dram.termination import DramTermination, burst_energies_pj, line_powers

POD = DramTermination("POD", 1.2, 34.0, 40.0, 60.0, 80.0, 10, 11, 120.0)
SSTL = dataclasses.replace(POD, kind="SSTL", vddq_v=1.5)
DDR4 = load_device("ddr4-2400-8gb-x8")
ohms = st.floats(10, 500)


def two_ranks(device):
    return dataclasses.replace(
        device,
        organisation=dataclasses.replace(device.organisation, ranks=2),
        mapping="row:16 bank:2 bankgroup:2 rank:1 column:10 offset:3",
    )


def test_one_rank_by_hand():
    p = line_powers(POD, 1)
    # Low half of the time: 1.2 V over driver and termination.
    assert p.read == pytest.approx(0.5e3 * (1.2 / 94) ** 2 * 34)
    assert p.write == pytest.approx(0.5e3 * (1.2 / 120) ** 2 * 80)
    p = line_powers(SSTL, 1)
    assert p.read == pytest.approx(1e3 * (0.75 / 94) ** 2 * 34)
    assert p.write == pytest.approx(1e3 * ((0.75 / 120) ** 2 * 80 + 1.5**2 / (4 * 80)))


def test_another_rank_terminates_too():
    p = line_powers(POD, 2)
    # 60 and 120 ohm side by side are 40.
    current = 1.2 / (34 + 40)
    assert p.read == pytest.approx(0.5e3 * current**2 * 34)
    assert p.read_other == pytest.approx(0.5e3 * (current * 40) ** 2 / 120)
    open_lines = line_powers(dataclasses.replace(POD, other_ranks_ohm=None), 2)
    assert (open_lines.read, open_lines.read_other) == (line_powers(POD, 1).read, 0.0)


@given(driver=ohms, own=ohms, other=ohms, ranks=st.integers(1, 4))
def test_what_the_supply_gives_is_what_drivers_and_terminations_take(driver, own, other, ranks):
    """Seen from a read: the DRAM drives, the controller (as a write's DRAM would) terminates."""
    lines = DramTermination("POD", 1.2, driver, driver, own, own, 1, 1, other)
    p = line_powers(lines, ranks)
    total_ohm = 1 / (1 / own + (ranks - 1) / other)
    supply_mw = 0.5e3 * 1.2**2 / (driver + total_ohm)
    # The same circuit both ways, so `write` is the power in the termination addressed.
    assert p.read + p.write + (ranks - 1) * p.read_other == pytest.approx(supply_mw)
    assert p.write_other == pytest.approx(p.read_other)


def test_the_simulator_adds_it_on_request_only():
    trace = mixed(2000, seed=3)
    device = dataclasses.replace(DDR4, termination=POD)
    for each in (device, two_ranks(device)):
        ranks = each.organisation.ranks
        policies = [policy_row(), policy_row(PagePolicy="Closed")]
        without = DramSimulator(each, trace).run(policies)
        found = DramSimulator(each, trace, io_termination=True).run(policies)
        read, write = burst_energies_pj(POD, ranks, 4 * 0.833)
        by_hand = 8 * (found.n_rd * read + found.n_wr * write)
        np.testing.assert_allclose(found.energy.io, by_hand)
        assert (without.energy.io == 0).all()
        np.testing.assert_allclose(found.energy_pj - without.energy_pj, by_hand)
        np.testing.assert_array_equal(found.total_time_ns, without.total_time_ns)


@pytest.mark.parametrize("name", device_names())
def test_presets_with_terminations_take_a_plausible_part(name):
    device = load_device(name)
    if device.termination is None:
        pytest.skip("this standard's preset states none")
    read, write = burst_energies_pj(device.termination, device.organisation.ranks, 1.0)
    bits_per_ns = device.organisation.device_width_bits * device.organisation.data_rate * 1000
    for mw in (read, write):  # pJ in 1 ns are mW
        assert 0.5 < mw / (bits_per_ns / device.tCK_ps) < 15  # pJ per bit


def test_a_device_without_one_is_refused():
    device = dataclasses.replace(DDR4, termination=None)
    with pytest.raises(ValueError, match="'ddr4-2400-8gb-x8' states no termination"):
        DramSimulator(device, mixed(10), io_termination=True)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"kind": "CML"}, "termination.kind is 'CML', allowed are POD, SSTL"),
        ({"driver_ohm": 0}, "termination.driver_ohm is 0, must be a positive number"),
        ({"read_signals": 2.5}, "read_signals is 2.5, must be a positive integer"),
        ({"other_ranks_ohm": float("inf")}, "other_ranks_ohm is inf, must be a positive number"),
        ({"resistance": 1}, "unknown field termination.resistance"),
    ],
)
def test_impossible_terminations_are_refused(tmp_path, edit, message):
    data = yaml.safe_load((module._FOLDER / "ddr4-2400-8gb-x8.yaml").read_text())
    data["termination"].update(edit)
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ValueError) as error:
        load_device(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
