"""The mapping space of 2023: its size, what a design says to MAESTRO, what is refused."""

import math

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.loopnest.maestro import Directive, evaluate
from archgym.envs._mapping_maestro import cluster_size
from archgym.testing.environments import check_cost_model

ENV = "Mapping-v0"
SPACE = "archgym2023-maestro"


@pytest.fixture(scope="module")
def task():
    return archgym.make_task(ENV, space=SPACE, workload="gemm-64x64x64", objective="latency")


def test_the_kit_passes(task) -> None:
    check_cost_model(task)


def test_the_space_is_that_of_2023() -> None:
    space = archgym.make_task(ENV, space=SPACE, workload="resnet50/layer1.0.conv2").space
    tiles = 64 * 64 * 56 * 56 * 3 * 3
    assert space.size == (720 * 4 * tiles) ** 2 * 1024
    assert len(space) == 17
    assert len(space.parameters[0].values) == math.factorial(6)
    assert space.parameters[1].values == ("K", "C", "X", "Y")


def test_a_design_is_the_directives_it_says() -> None:
    task = archgym.make_task(ENV, space=SPACE, workload="resnet50/layer2.0.conv2")
    design = dict(task.model.default) | {"L2.Y": 4, "L1.Y": 2, "L2.X": 2, "PEs": 512}
    assert cluster_size(design) == 64
    outer = [("K", 1, 1), ("C", 64, 64), ("R", 3, 3), ("S", 3, 3), ("Y", 9, 8), ("X", 5, 4)]
    inner = [("K", 1, 1), ("C", 1, 1), ("R", 3, 3), ("S", 3, 3), ("Y", 5, 4), ("X", 3, 2)]
    levels = [
        [Directive(*each, spatial=each[0] == parallel) for each in listed]
        for listed, parallel in ((outer, "K"), (inner, "C"))
    ]
    sizes = {"K": 128, "C": 128, "Y": 57, "X": 57, "R": 3, "S": 3}
    cost = evaluate("conv", sizes, 2, levels, [64], 512, 2**30, 2**30)
    found = task.evaluate(task.space.encode(design)[None])
    assert found.metrics["latency_cycles"][0] == cost.runtime
    traffic = sum(cost.reads.values()) + cost.writes
    assert found.metrics["buffer_traffic_elements"][0] == traffic
    parts = [found.breakdown[f"energy_pj/{part}"][0] for part in ("MAC", "L1", "L2")]
    assert sum(parts) == pytest.approx(found.metrics["energy_pj"][0])


def test_no_design_beats_its_multiply_accumulates(task) -> None:
    rows = task.space.sample(300, np.random.default_rng(0))
    found = task.evaluate(rows)
    pes = task.space.columns(rows)["PEs"][found.feasible]
    assert found.feasible.sum() > 10
    assert (found.metrics["latency_cycles"][found.feasible] * pes >= task.model.problem.macs).all()


def test_a_tile_is_no_larger_than_the_one_around_it(task) -> None:
    design = dict(task.model.default) | {"L2.K": 2, "L1.K": 3}
    found = task.evaluate(task.space.encode(design)[None])
    assert found.violated(0) == ("tile of K in L1 larger than in L2",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": SPACE, "hardware": "edge"}, "hardware: 'edge' is not for space"),
        ({"space": SPACE, "orders": "pruned"}, "orders: 'pruned' is not for space"),
        ({"hardware": "clusters"}, "hardware: 'clusters' is for space"),
    ],
)
def test_options_of_the_other_space_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        archgym.make_task(ENV, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{n: 2, k: 4}", "of one image without dilation"),
        ("{k: 4, stride_h: 2}", "strides are 2 and 1, MAESTRO has one"),
    ],
)
def test_operators_that_maestro_cannot_map_are_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "layer.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        archgym.make_task(ENV, space=SPACE, workload=f"file:{path}")
