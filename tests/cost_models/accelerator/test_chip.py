"""Whole chips: parts add up, no chip beats its roofline, and what changes what."""

import dataclasses

import numpy as np
import pytest

from archgym.cost_models.accelerator.arithmetic import mac_energy_pj
from archgym.cost_models.accelerator.chip import (
    AREA_PARTS,
    DRAM_NAMES,
    FORMAT_NAMES,
    ChipDesigns,
    chip_machine,
    format_number,
)
from archgym.cost_models.accelerator.chip_costs import ENERGY_PARTS, ChipModel
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.roofline import roofline
from archgym.cost_models.accelerator.work import work_of


def chip_costs(network, designs):
    return ChipModel(network).costs(designs)


def chips(n, seed=0, **changed):
    rng = np.random.default_rng(seed)
    sizes = np.array([8.0, 16, 32, 64, 128])
    drawn = {
        "rows": rng.choice(sizes, n),
        "columns": rng.choice(sizes, n),
        "dataflow": rng.integers(0, 3, n).astype(float),
        "input_memory_bytes": 2.0 ** rng.integers(13, 22, n),
        "weight_memory_bytes": 2.0 ** rng.integers(13, 22, n),
        "output_memory_bytes": 2.0 ** rng.integers(13, 22, n),
        "banks": rng.choice([1.0, 2.0, 4.0], n),
        "clock_ghz": rng.choice([0.5, 1.0], n),
        "vector_lanes": rng.choice([16.0, 128.0], n),
        "dram": rng.integers(0, len(DRAM_NAMES), n),
        "channels": rng.choice([1.0, 2.0, 4.0], n),
        "weight_format": rng.integers(0, len(FORMAT_NAMES), n),
        "activation_format": rng.integers(0, len(FORMAT_NAMES), n),
    }
    return ChipDesigns(**(drawn | changed))


@pytest.mark.parametrize(
    ("name", "stage"),
    [("resnet50", None), ("mobilenet-v2", None), ("bert-base", None), ("gpt2", "decode")],
)
def test_no_chip_beats_its_roofline(name, stage):
    network = load_network(name, stage=stage)
    designs = chips(300)
    found = chip_costs(network, designs)
    bound = roofline(work_of(network), chip_machine(designs))
    assert np.all(found.latency_s * (1 + 1e-9) >= bound.latency_s)
    assert np.all(found.operator_s * (1 + 1e-9) >= bound.time_s * bound.count)
    least = (bound.traffic_bytes[..., 1] * bound.count).sum(axis=1)
    assert np.all(found.dram_bytes * (1 + 1e-9) >= least)
    assert np.all((found.utilisation > 0) & (found.utilisation <= 1))


def test_parts_add_up():
    found = chip_costs(load_network("resnet18"), chips(5))
    assert tuple(found.energy_j) == ENERGY_PARTS
    assert tuple(found.area_mm2) == AREA_PARTS
    assert all(np.all(part > 0) for part in (*found.energy_j.values(), *found.area_mm2.values()))
    np.testing.assert_allclose(found.operator_s.sum(axis=1), found.latency_s)
    np.testing.assert_allclose(found.power_w, found.total_energy_j / found.latency_s)


def test_energy_of_products_by_hand():
    eight = np.full(1, format_number("int8"))
    found = chip_costs(
        load_network("resnet50"), chips(1, weight_format=eight, activation_format=eight)
    )
    macs = load_network("resnet50").macs
    assert found.energy_j["products"][0] == pytest.approx(
        macs * mac_energy_pj("int8", "int8") * 1e-12
    )


def test_a_design_does_not_depend_on_its_batch():
    network, designs = load_network("alexnet"), chips(2100)
    whole = chip_costs(network, designs)
    for i in (0, 2047, 2048, 2099):
        alone = chip_costs(network, designs.part(i, i + 1))
        assert alone.latency_s[0] == whole.latency_s[i]
        assert alone.total_energy_j[0] == whole.total_energy_j[i]
        assert alone.total_area_mm2[0] == whole.total_area_mm2[i]


@pytest.mark.parametrize("name", ["clock_ghz", "channels", "vector_lanes"])
def test_more_is_never_slower(name):
    network, designs = load_network("mobilenet-v1"), chips(50)
    more = dataclasses.replace(designs, **{name: 2 * getattr(designs, name)})
    before, after = chip_costs(network, designs), chip_costs(network, more)
    assert np.all(after.latency_s <= before.latency_s * (1 + 1e-12))


def test_a_bigger_memory_never_moves_more():
    network, designs = load_network("resnet18"), chips(50)
    for name in ("input_memory_bytes", "weight_memory_bytes", "output_memory_bytes"):
        more = dataclasses.replace(designs, **{name: 2 * getattr(designs, name)})
        after = chip_costs(network, more)
        assert np.all(after.dram_bytes <= chip_costs(network, designs).dram_bytes)


def test_smaller_formats_and_nodes_cost_less():
    network, designs = load_network("resnet18"), chips(20)
    few, many = (
        dataclasses.replace(
            designs,
            weight_format=np.full(20, format_number(name)),
            activation_format=np.full(20, format_number(name)),
        )
        for name in ("int8", "fp16")
    )
    small, large = chip_costs(network, few), chip_costs(network, many)
    assert np.all(small.total_energy_j < large.total_energy_j)
    assert np.all(small.total_area_mm2 < large.total_area_mm2)
    assert np.all(small.latency_s <= large.latency_s)
    finer = chip_costs(network, dataclasses.replace(few, node_nm=22))
    assert np.all(finer.total_area_mm2 < small.total_area_mm2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": np.array([8.0, 0.0])}, "rows is 0, must be positive"),
        ({"dram": np.array([0, 99])}, "dram must be numbers from 0 to"),
        ({"weight_format": np.array([-1, 0])}, "weight_format must be numbers from 0"),
    ],
)
def test_refusals(changed, message):
    with pytest.raises(ValueError, match=message):
        chips(2, **changed)
    assert chip_costs(load_network("alexnet"), chips(1)).latency_s[0] > 0
    with pytest.raises(ValueError, match="size of an SRAM bank is 256 bytes"):
        chip_costs(load_network("alexnet"), chips(1, input_memory_bytes=np.array([256.0])))
