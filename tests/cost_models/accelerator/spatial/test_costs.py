"""Networks on spatial arrays: sums, reports, and the frame rates published of NVDLA."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.spatial import pricing
from archgym.cost_models.accelerator.spatial.chips import areas_of, chip_rows
from archgym.cost_models.accelerator.spatial.costs import LEVELS, SpatialModel
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.cost_models.accelerator.spatial.nvdla import PUBLISHED, frame_rate
from archgym.cost_models.accelerator.spatial.register_file import (
    register_file_pj_per_byte,
    register_file_um2,
)
from archgym.cost_models.accelerator.spatial.report import BOUNDS, operator_report


def test_a_batch_equals_its_chips_one_by_one(spatial) -> None:
    model = SpatialModel(load_network("mobilenet-v2"))
    chips = spatial("os", rows=[1, 4, 8], columns=[32, 4, 8], cluster=[64, 1, 2])
    together = model.costs(chips)
    for i in range(3):
        alone = model.costs(chips.part(i, i + 1))
        assert alone.latency_s[0] == together.latency_s[i]
        for part, values in alone.energy_j.items():
            assert values[0] == together.energy_j[part][i]


@pytest.mark.parametrize("network", ["resnet50", "bert-base", "mamba-130m"])
def test_a_report_adds_up(spatial, network: str) -> None:
    model = SpatialModel(load_network(network, 2))
    chip = spatial("flexible", rows=8, columns=8, cluster=4, file=64)
    costs, report = model.costs(chip), operator_report(model, chip)
    assert [each.name for each in report] == list(model.work.names)
    assert sum(each.latency_s for each in report) == pytest.approx(costs.latency_s[0])
    for part, values in costs.energy_j.items():
        assert sum(each.energy_j[part] for each in report) == pytest.approx(values[0])
    for level, values in costs.traffic_bytes.items():
        assert sum(each.traffic_bytes[level] for each in report) == pytest.approx(values[0])
    assert {each.bound for each in report} <= set(BOUNDS)
    assert len({each.bound for each in report}) > 1
    for each in report:
        assert tuple(each.traffic_bytes) == LEVELS
        assert all(0 < product.utilisation <= 1 for product in each.products)
        macs = each.count * sum(product.mapping.product.macs for product in each.products)
        assert macs == each.macs


def test_a_report_is_of_one_chip(spatial) -> None:
    model = SpatialModel(load_network("alexnet"))
    with pytest.raises(ValueError, match="2 chips, expected one"):
        operator_report(model, spatial("ws", rows=[1, 2]))


def test_the_frame_rates_of_nvdla_are_below_ours_and_in_order() -> None:
    rates = np.array([frame_rate(each) for each in PUBLISHED])
    published = np.array([each.frames_per_s for each in PUBLISHED])
    assert spearmanr(rates, published).statistic == 1.0
    assert (rates > published).all() and (rates < 1.8 * published).all()
    assert np.median(rates / published) < 1.4


def test_register_files_pass_through_their_points() -> None:
    assert register_file_pj_per_byte(8, 45) == pytest.approx(8 * 0.009)
    assert register_file_pj_per_byte(512, 45) == pytest.approx(8 * 0.06)
    assert register_file_um2(1024, 22) == pytest.approx(965.733)
    sizes = np.array([16, 32, 64, 128, 256, 512, 1024])
    for node in (65, 45, 32, 22):
        assert (np.diff(register_file_pj_per_byte(sizes, node)) > 0).all()
        assert (np.diff(register_file_um2(sizes, node)) > 0).all()


def test_a_flexible_array_and_a_wide_bus_take_area_and_energy(spatial) -> None:
    fixed, free = spatial("ws", rows=8), spatial("flexible", rows=8)
    wide = spatial("ws", rows=8, bus=256)
    area = [areas_of(each)["network"][0] for each in (fixed, free, wide)]
    assert area[0] < area[1] and area[0] < area[2]
    bus = [chip_rows(each)[0, pricing.BUS_PJ] for each in (fixed, free, wide)]
    assert bus[0] < bus[1] and bus[0] < bus[2]


def test_bad_chips_are_refused(spatial) -> None:
    good = spatial("ws")
    with pytest.raises(ValueError, match="flow must be numbers from 0 to 4"):
        type(good)(good.chip, np.array([len(FLOWS)]), good.cluster, good.cluster, good.bus_bytes)
    with pytest.raises(ValueError, match="bus_bytes is 0, must be positive"):
        spatial("ws", bus=0)
