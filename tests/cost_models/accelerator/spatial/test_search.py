"""The best mapping: pruning changes nothing, buffers help, dataflows differ, energy is right."""

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import Machines, Mappings, evaluate, problem_rows
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.operators import Product
from archgym.cost_models.accelerator.spatial import pricing
from archgym.cost_models.accelerator.spatial.chips import chip_rows
from archgym.cost_models.accelerator.spatial.costs import best_mappings
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.cost_models.accelerator.spatial.layers import layer_row, layers_of
from archgym.cost_models.accelerator.spatial.nests import SpatialMapping, as_loopnest
from archgym.cost_models.accelerator.spatial.search import OBJECTIVES

LAYERS = np.array(
    [
        layer_row(Product(1, 1, 64, 64, 56, 56, 3, 3), 0.97),
        layer_row(Product(1, 2, 256, 512, 14, 14, stride=(2, 2))),
        layer_row(Product(32, 1, 1, 1, 28, 28, 3, 3, stride=(2, 2))),
        layer_row(Product(12, 1, 128, 64, 128, 1, weights=False)),
        layer_row(Product(1, 1, 1000, 2048, 1, 1)),
        layer_row(Product(1, 1, 24, 10, 19, 23, 5, 5, dilation=(2, 2))),
    ]
)
# In pJ, of chips with one type of DRAM: as good as bytes.
DRAM = (pricing.OUTSIDE_PJ,)


def shapes(spatial, flow: str):
    """Chips of several shapes."""
    return spatial(
        flow,
        rows=[1, 16, 6, 8, 2],
        columns=[32, 16, 14, 4, 2],
        cluster=[64, 1, 2, 8, 1],
        file=[16, 512, 64, 32, 16],
        inputs=[256, 64, 16, 32, 16],
        weights=[256, 32, 16, 16, 64],
        outputs=[64, 64, 16, 16, 16],
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("flow", ["ws", "rs", "flexible"])
def test_leaving_out_what_cannot_win_changes_nothing(spatial, flow: str, objective: str) -> None:
    chips = shapes(spatial, flow).part(1, 4) if flow == "flexible" else shapes(spatial, flow)
    pruned = best_mappings(LAYERS[[0, 2, 3, 5]], chips, objective)
    whole = best_mappings(LAYERS[[0, 2, 3, 5]], chips, objective, prune=False)
    assert (pruned.evaluated < whole.evaluated).any()
    value = {
        "edp": lambda m: m.costs[..., pricing.CYCLES] * energy(m, chips),
        "latency": lambda m: m.costs[..., pricing.CYCLES],
        "energy": lambda m: energy(m, chips),
        "dram-traffic": lambda m: m.costs[..., DRAM].sum(axis=-1),
    }[objective]
    assert value(pruned) == pytest.approx(value(whole), rel=1e-12)


def energy(mapped, chips) -> np.ndarray:
    """Energy of all parts in pJ `(d, l)`."""
    parts = (
        pricing.PRODUCTS_PJ,
        pricing.REGISTERS_PJ,
        pricing.NETWORK_PJ,
        pricing.SRAM_PJ,
        pricing.OUTSIDE_PJ,
    )
    idle = chip_rows(chips)[:, pricing.CYCLE_PJ, None] * mapped.costs[..., pricing.CYCLES]
    return mapped.costs[..., parts].sum(axis=-1) + idle


@pytest.mark.parametrize("memory", ["inputs", "weights", "outputs", "file"])
def test_a_larger_memory_never_moves_more_or_takes_longer(spatial, memory: str) -> None:
    sizes = [16, 32, 64, 128, 512, 1024] if memory != "file" else [16, 32, 128, 512]
    chosen = {"banks": 8, "inputs": 32, "weights": 32, "outputs": 32, "bus": 32, memory: sizes}
    layers = layers_of(load_network("resnet50", 2)).rows
    for flow in FLOWS:
        chips = spatial(flow, rows=8, columns=8, cluster=4, **chosen)
        traffic = best_mappings(layers, chips, "dram-traffic").costs[..., DRAM].sum(axis=-1)
        assert (np.diff(traffic, axis=0) <= 1e-9 * traffic[1:]).all()
        if memory == "file":
            assert (np.diff(traffic, axis=0) == 0).all()
            continue
        assert (traffic[-1] < traffic[0]).any()
        cycles = best_mappings(layers, chips, "latency").costs[..., pricing.CYCLES]
        # Tiles of channels are a fixed list, so that a slower one is rare and small, not excluded.
        assert (np.diff(cycles, axis=0) <= 0.01 * cycles[1:]).mean() > 0.99


def test_what_is_sought_is_what_is_small(spatial) -> None:
    chips = shapes(spatial, "flexible")
    found = {name: best_mappings(LAYERS, chips, name) for name in OBJECTIVES}
    cycles = {name: each.costs[..., pricing.CYCLES] for name, each in found.items()}
    spent = {name: energy(each, chips) for name, each in found.items()}
    moved = {name: each.costs[..., DRAM].sum(axis=-1) for name, each in found.items()}
    for name in OBJECTIVES:
        assert (cycles["latency"] <= cycles[name] * (1 + 1e-12)).all()
        assert (spent["energy"] <= spent[name] * (1 + 1e-12)).all()
        assert (moved["dram-traffic"] <= moved[name] * (1 + 1e-12)).all()
        both = cycles["edp"] * spent["edp"]
        assert (both <= cycles[name] * spent[name] * (1 + 1e-12)).all()


def test_a_flexible_array_is_as_good_as_any_dataflow_on_the_same_chip(spatial) -> None:
    chips = shapes(spatial, "flexible")
    # The same energy of buses: a flexible array pays for its switches.
    best = best_mappings(LAYERS, chips, "latency").costs[..., pricing.CYCLES]
    for flow in FLOWS:
        own = best_mappings(LAYERS, shapes(spatial, flow), "latency").costs[..., pricing.CYCLES]
        assert (best <= own * (1 + 1e-12)).all()
        if flow != "flexible":
            assert (best < own * 0.9).any()


def test_mappings_fit_and_are_of_their_dataflow(spatial) -> None:
    products = [
        Product(1, 1, 64, 64, 56, 56, 3, 3),
        Product(1, 2, 256, 512, 14, 14, stride=(2, 2)),
        Product(1, 1, 1000, 2048, 1, 1),
    ]
    layers = np.array([layer_row(product) for product in products])
    for flow in FLOWS:
        chips = shapes(spatial, flow)
        found = best_mappings(layers, chips)
        assert np.isfinite(found.costs).all()
        for d, (i, product) in ((d, each) for d in range(5) for each in enumerate(products)):
            mapping = SpatialMapping.of(product, found.mappings[d, i])
            assert np.prod(mapping.on_rows) <= chips.chip.rows[d]
            assert np.prod(mapping.on_columns) <= chips.chip.columns[d]
            assert np.prod(mapping.in_cluster) <= chips.cluster[d]
            n, k, c, p, q, r, s = mapping.in_buffer
            h = min(p * r, (p - 1) * product.stride[0] + r)
            w = min(q * s, (q - 1) * product.stride[1] + s)
            assert 2 * k * c * r * s <= chips.chip.weight_memory_bytes[d]
            assert 2 * n * c * h * w <= chips.chip.input_memory_bytes[d]
            assert 2 * 4 * n * k * p * q <= chips.chip.output_memory_bytes[d]
            if flow == "rs":
                assert mapping.on_columns[2] == mapping.on_columns[5] == 1
                assert mapping.on_rows[5] == min(product.r, chips.chip.rows[d])
            stays = {"os": "outputs", "ws": "weights", "is": "inputs", "rs": "weights"}
            assert mapping.array_stays == stays.get(flow, mapping.array_stays)
            assert mapping.text().count("\n") + 1 == len(mapping.loops())


def test_what_fits_nowhere_has_no_mapping(spatial) -> None:
    huge = np.array([layer_row(Product(1, 1, 1, 1, 4, 4, 200, 200))])
    found = best_mappings(huge, spatial("ws", inputs=16, weights=16, outputs=16))
    assert found.evaluated[0, 0] == 0
    assert np.isinf(found.costs[0, 0]).all()


def test_energy_is_that_of_the_model_of_loop_nests(spatial) -> None:
    """With equal widths and no bus, accesses times energies are the same in both."""
    product = Product(1, 2, 64, 32, 16, 1)
    chips = spatial("flexible", rows=8, columns=4, cluster=4, file=128, format="int32")
    found = best_mappings(np.array([layer_row(product)]), chips, "energy")
    mapping = SpatialMapping.of(product, found.mappings[0, 0])
    hierarchy, nest, problem = as_loopnest(mapping, (8, 4, 4))
    row, machines = chip_rows(chips)[0], Machines.of([hierarchy])
    pj = (
        4
        * row[
            [
                pricing.FILE_PJ,
                pricing.WEIGHT_READ_PJ,
                pricing.INPUT_READ_PJ,
                pricing.OUTPUT_READ_PJ,
                pricing.DRAM_PJ,
            ]
        ]
    )
    machines.read_pj[0] = pj
    machines.write_pj[0] = pj
    machines.write_pj[0, 1] = 4 * row[pricing.WEIGHT_WRITE_PJ]
    machines.write_pj[0, 2] = 4 * row[pricing.INPUT_WRITE_PJ]
    machines.write_pj[0, 3] = 4 * row[pricing.OUTPUT_WRITE_PJ]
    machines.mac_pj[0] = row[pricing.MAC_PJ]
    want = evaluate(machines, Mappings.of([nest]), problem_rows([problem]))
    parts = found.costs[0, 0]
    got = parts[[pricing.PRODUCTS_PJ, pricing.REGISTERS_PJ, pricing.SRAM_PJ, pricing.OUTSIDE_PJ]]
    assert got.sum() == pytest.approx(want.energy_pj[0])
    assert parts[pricing.COMPUTE_CYCLES] == want.steps[0]


def test_unknown_objectives_are_refused(spatial) -> None:
    with pytest.raises(ValueError, match="unknown name 'edo'; did you mean 'edp'"):
        best_mappings(LAYERS, spatial("ws"), "edo")
