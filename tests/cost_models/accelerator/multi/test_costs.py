"""Layers on sub-accelerators: MAESTRO's counts, areas, and what must always hold."""

from pathlib import Path

import numpy as np
import pytest

from archgym.cost_models.accelerator.multi import (
    DATAFLOWS,
    SubAccelerators,
    area_um2,
    layers_of,
    template,
)
from archgym.cost_models.accelerator.multi.costs import accesses, energy_macs
from archgym.cost_models.accelerator.multi.layers import Convolution
from archgym.cost_models.accelerator.multi.validation_nasaic import sub_accelerators
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.networks.small import make_small, small_networks

# ResNet-18, conv2 and conv5: rows of MAESTRO 4eb08d1 with 64 PEs and 16 elements per cycle.
LAYER = Convolution(64, 64, 3, 3, 58, 58, 1)


@pytest.mark.parametrize(
    ("dataflow", "runtime", "l2_reads"),
    [("shi", 3010574, 39331824 + 36864), ("rs", 4386841, 19701876 + 36864)],
)
def test_templates_are_maestros(dataflow: str, runtime: int, l2_reads: int) -> None:
    made = template(dataflow, LAYER, 64)
    assert made.runtime(16, 16) == runtime
    assert sum(made.traffic().reads.values()) == l2_reads


def test_energy_is_maestros_accesses() -> None:
    # The same rows: multiply-accumulates, and L2 accesses printed apart.
    made = template("shi", LAYER, 64)
    counts = accesses(LAYER, made)
    macs = 115605504
    assert counts["macs"] == macs
    assert counts["l1"] == 4 * macs + 39331824 + 36864
    assert counts["l2"] == 39331824 + 36864 + 215296 + 36864 + 200704 + 12845056
    expected = macs + 1.68 * counts["l1"] + 18.61 * counts["l2"]
    assert energy_macs(LAYER, made) == pytest.approx(expected)


def test_every_row_of_the_templates_and_the_published_areas(reference_dir: Path) -> None:
    checks = list(sub_accelerators(reference_dir / "accel" / "maestro_fixed_mappings.csv"))
    assert all(check.passed for check in checks)
    assert [check.n for check in checks if check.subject == "templates"] == [157, 157, 157]


def test_areas_of_published_designs() -> None:
    # Yang et al., NASAIC, DAC 2020, W1: 4.71e9 and 2.03e9 um2.
    large = area_um2(2112.0, 48.0) + area_um2(1984.0, 16.0)
    small = area_um2(576.0, 56.0) + area_um2(1792.0, 8.0)
    assert large == pytest.approx(4.71e9, rel=0.05)
    assert small == pytest.approx(2.03e9, rel=0.08)
    # MAESTRO, 64 PEs and 16 elements per cycle: 3.8128e6 with two small buffers.
    assert area_um2(64.0, 16.0) == pytest.approx(3.8128e6, rel=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet-v2", "unet-nuclei-h3-w8", "bert-base"])
def test_no_layer_beats_its_pes_and_none_is_left_out(name: str) -> None:
    network = make_small(name) if name in small_networks() else load_network(name)
    layers = layers_of(network)
    assert sum(
        conv.k * conv.c * conv.r * conv.s
        * ((conv.y - conv.r) // conv.stride + 1) * ((conv.x - conv.s) // conv.stride + 1) * runs
        for layer in layers for conv, runs in layer.parts
    ) == network.macs  # fmt: skip
    for conv in {conv for layer in layers for conv, _ in layer.parts}:
        macs = conv.k * conv.c * conv.r * conv.s
        macs *= ((conv.y - conv.r) // conv.stride + 1) * ((conv.x - conv.s) // conv.stride + 1)
        for dataflow in DATAFLOWS:
            made = template(dataflow, conv, 576)
            assert made.traffic().skipped == 0
            assert made.runtime(64, 64) * 576 >= macs


def test_more_pes_than_useful_change_nothing() -> None:
    for dataflow in DATAFLOWS:
        made = template(dataflow, LAYER, 64)
        enough = made.useful_pes
        one, other = template(dataflow, LAYER, enough), template(dataflow, LAYER, 4 * enough + 640)
        assert one.traffic() == other.traffic()
        assert [one.runtime(b, b) for b in (8, 64)] == [other.runtime(b, b) for b in (8, 64)]


def test_layers_add_up_and_bandwidth_helps() -> None:
    layers = layers_of(load_network("mobilenet-v2"))[:6]
    costs = SubAccelerators(layers)
    for dataflow in DATAFLOWS:
        slow, fast = costs.cycles(dataflow, 512, 8), costs.cycles(dataflow, 512, 64)
        assert (fast <= slow).all() and (fast < slow).any()
        alone = [
            sum(template(dataflow, c, 512).runtime(8, 8) * runs for c, runs in layer.parts)
            for layer in layers
        ]
        assert slow.tolist() == alone
        assert np.array_equal(costs.energies(dataflow, 512), costs.energies(dataflow, 512))


def test_small_networks_have_their_published_sizes() -> None:
    # Page, How to train your ResNet: 6.57 M parameters with 64 filters first.
    assert make_small("resnet9-cifar10-w64").parameters == pytest.approx(6.57e6, rel=0.01)
    for name in small_networks():
        assert make_small(name).macs > 0
    assert make_small("resnet9-stl10-w8").macs == pytest.approx(
        9 * make_small("resnet9-cifar10-w8").macs, rel=0.01
    )


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="dataflow: unknown name 'dl'; did you mean 'dla'"):
        template("dl", LAYER, 64)
    with pytest.raises(ValueError, match="pes: 32, a cluster takes 64"):
        template("dla", LAYER, 32)
    with pytest.raises(ValueError, match="network: unknown name 'resnet9'"):
        make_small("resnet9")
    with pytest.raises(ValueError, match="9 levels, must be from 1 to 7"):
        make_small("unet-nuclei-h9-w8")
