"""Operators of a network on a chip: they add up, and their tiles fit."""

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.spatial.occupancy import occupancy

ENV = "Accelerator-v0"


@pytest.mark.parametrize("space", ["systolic", "spatial"])
def test_operators_add_up_on_random_designs(space: str) -> None:
    task = archgym.make_task(ENV, workload="mobilenet-v2", space=space, batch=1)
    rows = task.space.sample(60, np.random.default_rng(0))
    found = task.evaluate(rows)
    for row in found.designs[found.feasible][:8]:
        got = {name: values[0] for name, values in task.evaluate(row[None]).metrics.items()}
        (report,) = task.model.operator_reports(row).values()
        latency = sum(each.latency_s for each in report)
        energy = sum(sum(each.energy_j.values()) for each in report)
        traffic = sum(each.traffic_bytes["dram"] for each in report)
        assert 1e3 * latency == pytest.approx(got["latency_ms"])
        assert 1e3 * energy == pytest.approx(got["energy_mj"])
        assert 1e-6 * traffic == pytest.approx(got["dram_traffic_mb"])


def test_tiles_fit_in_half_of_their_memories() -> None:
    task = archgym.make_task(ENV, workload="mobilenet-v2", batch=1)
    rows = task.space.sample(60, np.random.default_rng(0))
    found = task.evaluate(rows)
    fullest = 0.0
    for row in found.designs[found.feasible][:8]:
        designs = task.model.chips_of(row).designs
        (report,) = task.model.operator_reports(row).values()
        for product in (product for each in report for product in each.products):
            stores = occupancy(product.mapping, designs)
            assert [each.name for each in stores][1:] == [
                f"buffer of {tensor}" for tensor in ("weights", "inputs", "outputs")
            ]
            shares = [sum(each.held_bytes.values()) / each.room_bytes for each in stores]
            assert max(shares) <= 1.0 and min(shares) > 0.0
            fullest = max(fullest, *shares)
    assert fullest > 0.9
