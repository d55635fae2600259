"""Device presets and user files."""

import dataclasses

import pytest
import yaml

from archgym.cost_models.dram import AddressMapping, device_names, load_device
from archgym.cost_models.dram import devices as module

DDR3 = load_device("ddr3-1600-1gb-x8")
ENERGY = {
    "activate_pj": 900.0,
    "read_pj_per_bit": 3.5,
    "write_pj_per_bit": 3.0,
    "refresh_pj": 20000.0,
    "active_standby_mw": 60.0,
    "precharge_standby_mw": 50.0,
    "active_power_down_mw": 40.0,
    "precharge_power_down_mw": 30.0,
    "self_refresh_mw": 20.0,
}


@pytest.mark.parametrize("name", device_names())
def test_presets_load(name):
    device = load_device(name)
    assert device.name == name
    assert device.request_bytes in (32, 64)
    AddressMapping.parse(device.mapping).check(device)


def test_derived_sizes():
    assert DDR3.capacity_bytes == 1 << 30
    assert DDR3.peak_bandwidth_gb_per_s == pytest.approx(12.8)
    assert load_device("ddr4-2400-8gb-x8").capacity_bytes == 8 << 30


def test_a_file_of_ones_own(tmp_path):
    source = module._FOLDER / "ddr3-1600-1gb-x8.yaml"
    path = tmp_path / "mine.yaml"
    path.write_text(source.read_text().replace("tRFC: 88", "tRFC: 128"))
    assert load_device(path).timing.tRFC == 128
    assert load_device(str(path)).timing.tRFC == 128


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'ddr4-2400-8gb-x8'"):
        load_device("ddr4-2400-8gb-x9")
    with pytest.raises(ValueError, match="does not exist"):
        load_device(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["timing"].update(tRC=37), "timing.tRC is 37, must be at least tRAS + tRP"),
        (lambda d: d["organisation"].update(banks_per_group=0), "banks_per_group is 0"),
        (lambda d: d["organisation"].update(rows=100), "rows is 100, must be a power of two"),
        (lambda d: d["timing"].update(tFAW=2.5), "tFAW is 2.5, must be an integer"),
        (lambda d: d["timing"].update(tCCD_S=3), "tCCD_S is 3, must be at least the burst"),
        (lambda d: d["timing"].pop("tRFC"), "field timing.tRFC is missing"),
        (lambda d: d["timing"].update(tRFCC=1), "unknown field timing.tRFCC; did you mean 'tRFC'"),
        (lambda d: d["timing"].update(tRREFD=4), "tRREFD is 4, needs tRFCpb or tRFCsb"),
        (
            lambda d: d["timing"].update(tRFCpb=80, tRREFD=4),
            "timing.tRREFD is 4, must be at least tRRD_S = 5",
        ),
        (lambda d: d["timing"].update(tRFCpb=40), "timing.tRREFD is missing, {'tRFCpb': 40} needs"),
        (
            lambda d: d["timing"].update(tRFCpb=89, tRREFD=5),
            "timing.tRFCpb is 89, must be at most tRFC = 88",
        ),
        (
            lambda d: d["timing"].update(tRFCsb=40, tRREFD=41),
            "timing.tRREFD is 41, must be at most tRFCsb = 40",
        ),
        (
            lambda d: d["timing"].update(tRFCpb=80, tRREFD=5, tPBR2PBR=80, tREFI=640),
            "timing.max(tRREFD, tPBR2PBR) is 80, must be at most the interval of its refreshes - 2",
        ),
        (lambda d: d["timing"].update(tRFCpb=0, tRREFD=5), "timing.tRFCpb is 0, must be an int"),
        (
            lambda d: d["organisation"].update(banks_per_refresh=3),
            "banks_per_refresh is 3, must be",
        ),
        (lambda d: d["organisation"].update(banks_per_refresh=16), "at most the 8 banks of a rank"),
        (lambda d: d.update(movable_refreshes=0), "movable_refreshes is 0, must be an integer"),
        (lambda d: d["current_ma"].update(IDD0=10), "IDD0 is 10, must be at least IDD3N"),
        (lambda d: d["current_ma"].update(IDD0="a"), "current_ma.IDD0 is 'a', must be a number"),
        (lambda d: d.pop("vdd_v"), "vdd_v is missing, without it energy must stand"),
        (lambda d: d.update(vdd_v=0), "vdd_v is 0, must be a positive number"),
        (lambda d: d.update(rails={"VPP": {"voltage_v": 2.5}}), "rails.VPP.current_ma is missing"),
        (lambda d: d.update(rails=[]), "rails is [], must be a mapping by name"),
        (lambda d: d.update(energy=ENERGY), "energy stands in the place of current_ma"),
        (lambda d: d.update(tCK_ps=0), "tCK_ps is 0, must be positive"),
        (lambda d: d.update(tCK_ps="fast"), "tCK_ps is 'fast', must be a number"),
        (lambda d: d.update(timing=[1]), "timing must be a mapping"),
        (lambda d: d.update(name=3), "name is 3, must be text"),
    ],
)
def test_impossible_devices_are_refused(tmp_path, edit, message):
    data = yaml.safe_load((module._FOLDER / "ddr3-1600-1gb-x8.yaml").read_text())
    edit(data)
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ValueError) as error:
        load_device(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_not_devices(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(ValueError, match="is not YAML"):
        load_device(path)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match="the document must be a mapping"):
        load_device(path)


def test_refreshes_of_some_banks():
    assert (DDR3.timing.tRFCpb, DDR3.timing.tRREFD, DDR3.refresh_sets("AllBank")) == (None, None, 1)
    ddr4 = load_device("ddr4-2400-8gb-x8")
    assert (ddr4.refresh_sets("PerBank"), ddr4.refresh_sets("SameBank")) == (16, 4)
    pairs = dataclasses.replace(ddr4.organisation, banks_per_refresh=2)
    timing = dataclasses.replace(ddr4.timing, tRFCpb=200, tRREFD=8, tPBR2PBR=90)
    device = dataclasses.replace(ddr4, organisation=pairs, timing=timing)
    assert device.refresh_sets("PerBank") == 8
