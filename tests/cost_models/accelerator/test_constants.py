"""Energies and areas: the points they are made of, and what lies between."""

import csv

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.accelerator.arithmetic import (
    FORMATS,
    mac_area_um2,
    mac_energy_pj,
    number_format,
)
from archgym.cost_models.accelerator.constants import constants, read_constants
from archgym.cost_models.accelerator.sram import sram_costs, sram_nodes, sram_range


def test_every_table_has_source_and_uncertainty():
    for table in constants().tables.values():
        assert len(table.source) > 10, table.name
        assert table.uncertainty
        assert table.unit


def test_macs_are_the_published_sums():
    # Horowitz, ISSCC 2014: product + sum.
    assert mac_energy_pj("int8", "int8", "int8") == pytest.approx(0.2 + 0.03)
    assert mac_energy_pj("int8", "int8") == pytest.approx(0.2 + 0.1)
    assert mac_energy_pj("int32", "int32") == pytest.approx(3.1 + 0.1)
    assert mac_energy_pj("fp16", "fp16", "fp16") == pytest.approx(1.1 + 0.4)
    assert mac_energy_pj("fp32", "fp32") == pytest.approx(3.7 + 0.9)
    assert mac_area_um2("int8", "int8", "int8") == pytest.approx(282 + 36)
    assert mac_area_um2("fp32", "fp32") == pytest.approx(7700 + 4184)


def test_formats_in_order():
    integers = ["int2", "int4", "int8", "int16", "int32"]
    floats = ["fp8-e5m2", "fp8-e4m3", "bf16", "fp16", "fp32"]
    for names, total in ((integers, "int32"), (floats, "fp32")):
        for function in (mac_energy_pj, mac_area_um2):
            costs = [function(name, name, total) for name in names]
            assert costs == sorted(costs)
            mixed = [function(name, names[-1], total) for name in names]
            assert mixed == sorted(mixed)
            assert all(a <= b for a, b in zip(costs, mixed, strict=True))
    assert mac_energy_pj("int4", "fp16") == mac_energy_pj("fp16", "fp16")
    assert mac_energy_pj("int4", "int8") == mac_energy_pj("int8", "int4")


def test_nodes():
    nodes = sorted(constants()["technology_energy"].values)
    energies = [mac_energy_pj("int8", "int8", node_nm=node) for node in nodes]
    areas = [mac_area_um2("int8", "int8", node_nm=node) for node in nodes]
    assert energies == sorted(energies)
    assert areas == sorted(areas)


def test_refusals_of_formats():
    with pytest.raises(ValueError, match="unknown name 'int9'; did you mean"):
        number_format("int9")
    with pytest.raises(ValueError, match="there is no figure for 44"):
        mac_energy_pj("int8", "int8", node_nm=44)
    with pytest.raises(ValueError, match="there is no figure for 'HBM4'; did you mean"):
        constants()["dram_energy"]["HBM4"]
    with pytest.raises(ValueError, match="accumulator is 'int32', must be a float"):
        mac_energy_pj("fp16", "fp16", "int32")
    assert set(FORMATS) >= {"int8", "bf16"}


def test_the_points_of_cacti(reference_dir):
    path = reference_dir / "accel" / "sram_cacti7.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    for row in rows:
        size, word, node = (float(row[k]) for k in ("size_bytes", "word_bytes", "node_nm"))
        ours = sram_costs(size, word, int(node))
        for name, column in (
            ("read_pj", "read_pJ_per_word"),
            ("write_pj", "write_pJ_per_word"),
            ("leakage_mw", "leakage_mW"),
            ("area_mm2", "area_mm2"),
            ("access_ns", "access_ns"),
        ):
            assert getattr(ours, name)[0] == pytest.approx(float(row[column]), rel=1e-5)


@given(st.sampled_from([22, 45]), st.floats(8, 32), st.lists(st.floats(10, 22), min_size=2))
def test_larger_memories_cost_more(node, word, powers):
    sizes = np.sort(2.0 ** np.array(powers))
    costs = sram_costs(sizes, word, node)
    for name in ("read_pj", "write_pj", "leakage_mw", "area_mm2"):
        values = getattr(costs, name)
        assert np.all(np.diff(values) >= -1e-12 * values[1:])


@given(st.sampled_from([22, 32, 45, 65]), st.floats(12, 20))
def test_finer_nodes_cost_less(node, power):
    finer = [each for each in sram_nodes() if each <= node]
    reads = [sram_costs(2.0**power, 8, each).read_pj[0] for each in finer]
    assert reads == sorted(reads)


def test_banks():
    whole, parts = sram_costs(2**20, 8, 45), sram_costs(2**20, 8, 45, banks=8)
    one = sram_costs(2**17, 8, 45)
    assert parts.read_pj[0] == one.read_pj[0] < whole.read_pj[0]
    assert parts.area_mm2[0] == pytest.approx(8 * one.area_mm2[0])
    assert sram_costs(2**25, 8, 45, banks=8).leakage_mw[0] > whole.leakage_mw[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sram_costs(512), "bank is 512 bytes, must be from 1024 to 4194304 at 45 nm"),
        (lambda: sram_costs(2**23), "banks divide a larger memory"),
        (lambda: sram_costs([2**12, np.nan]), "bank is nan bytes"),
        (lambda: sram_costs(2**10, node_nm=65), "must be from 4096 to 1048576 at 65 nm"),
        (lambda: sram_costs(2**12, node_nm=7), "node_nm is 7, SRAM is known at 22, 32, 45, 65 nm"),
        (lambda: sram_costs(2**12, 4), "word_bytes is 4, must be from 8 to 32 at 45 nm"),
        (lambda: sram_costs(2**12, 16, 65), "word_bytes is 16, must be from 8 to 8 at 65 nm"),
        (lambda: sram_costs(2**12, banks=0), "banks is 0, must be at least 1"),
    ],
)
def test_nothing_is_extrapolated(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_range():
    assert sram_range(45, 8) == (1024, 4194304)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["tables"]["register"].pop("source"), "register: source is None, must be text"),
        (lambda d: d["tables"]["register"].pop("uncertainty"), "uncertainty is None"),
        (lambda d: d["tables"]["register"]["values"].update(read=-1), "read is -1, must be a pos"),
        (lambda d: d["tables"]["register"]["values"].clear(), "values are missing"),
        (lambda d: d["sram"]["rows"][3].__setitem__(3, 0), "sram: row 3 is 0, must be a positive"),
        (lambda d: d["sram"]["columns"].pop(), "columns must be node_nm"),
    ],
)
def test_files_are_checked(tmp_path, change, message):
    data = {
        "tables": {
            "register": {"unit": "pJ", "source": "x", "uncertainty": "y", "values": {"read": 1}}
        },
        "sram": {
            "source": "x",
            "uncertainty": "y",
            "columns": [
                "node_nm", "word_bytes", "size_bytes", "read_pj", "write_pj", "leakage_mw",
                "area_mm2", "access_ns",
            ],
            "rows": [[45, 8, 2**i, 1, 1, 1, 1, 1] for i in range(10, 15)],
        },
    }  # fmt: skip
    path = tmp_path / "constants.yaml"
    path.write_text(yaml.safe_dump(data))
    assert read_constants(path).tables["register"]["read"] == 1.0
    change(data)
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ValueError) as caught:
        read_constants(path)
    assert message in str(caught.value)
