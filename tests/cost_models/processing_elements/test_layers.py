"""Layers on arrays of processing elements."""

import numpy as np
import pytest

from archgym.cost_models.processing_elements.layers import (
    LayerFormats,
    array_designs,
    chip_area_mm2,
    layer_costs,
    layers,
    network_layers,
    weight_bytes,
)


def formats(weight=8.0, activation=8.0, rate=1.0, energy=0.2):
    return LayerFormats(*(np.array([[each]]) for each in (weight, activation, rate, energy)))


def test_a_layer_by_hand():
    work = layers([("a", 1, 100, 64, 10, 2, False)])
    design = array_designs(rows=32, columns=4, inputs=4, dram_bits_per_cycle=64)
    costs = layer_costs(work, design, formats(rate=2.0), dram_pj_per_bit=1.0)
    # 16 steps of inputs x 4 tiles of rows x 3 of tokens, two cycles each, twice.
    assert costs.compute_cycles[0, 0] == 16 * 4 * 3 * 2 * 2
    moved = 100 * 64 + 64 * 10 + 100 * 10
    assert costs.dram_bytes[0, 0] == 2 * moved
    assert costs.dram_cycles[0, 0] == 2 * moved * 8 / 64
    assert costs.dram_pj[0, 0] == 2 * moved * 8
    assert costs.element_pj[0, 0] == pytest.approx(2 * 64_000 * 0.2 * 1.5)
    busy = layer_costs(work, design, formats(rate=2.0), gated=False)
    assert busy.element_pj[0, 0] == pytest.approx(2 * 16 * 12 * 32 * 4 * 4 * 0.2 * 1.5)
    assert costs.cycles[0, 0] == max(costs.compute_cycles[0, 0], costs.dram_cycles[0, 0])
    assert costs.energy_pj[0, 0] > costs.element_pj[0, 0] + costs.dram_pj[0, 0]


def test_the_cheaper_operand_is_read_again():
    work = layers([("a", 1, 4096, 4096, 300, 1, False)])
    small = array_designs(rows=32, columns=32, weight_sram_bytes=2**20, activation_sram_bytes=2**19)
    moved = layer_costs(work, small, formats()).dram_bytes[0, 0]
    weights, inputs = 4096 * 4096, 4096 * 300
    # 16 memories of weights, 3 of activations: weights again cost 2 x 16 MiB, inputs 15 x 1.2 MB.
    assert moved == min(3 * weights + inputs, weights + 16 * inputs) + inputs
    large = array_designs(rows=32, columns=32, activation_sram_bytes=2**21)
    assert layer_costs(work, large, formats()).dram_bytes[0, 0] == weights + 2 * inputs


def test_designs_of_a_batch_do_not_meet():
    work = network_layers("llama2-7b", context=512, stage="decode")
    rng = np.random.default_rng(0)
    n = 16
    columns = {
        "rows": rng.choice([16, 32, 64], n),
        "columns": rng.choice([1, 8, 32], n),
        "weight_sram_bytes": rng.choice([2**16, 2**20, 2**24], n),
        "dram_bits_per_cycle": rng.choice([64, 256], n),
    }
    bits = rng.choice([3.0, 4.0, 8.0], (n, len(work.names)))
    many = LayerFormats(bits, np.full_like(bits, 8.0), 8 / bits, bits / 40)
    whole = layer_costs(work, array_designs(**columns), many)
    for i in range(n):
        one = array_designs(**{name: values[i] for name, values in columns.items()})
        own = LayerFormats(*(getattr(many, f)[i : i + 1] for f in many.__dataclass_fields__))
        single = layer_costs(work, one, own)
        assert np.array_equal(single.cycles[0], whole.cycles[i])
        assert np.array_equal(single.energy_pj[0], whole.energy_pj[i])


def test_shapes_of_a_named_model():
    prefill = network_layers("llama2-7b", context=128, stage="prefill")
    decode = network_layers("llama2-7b", context=128, stage="decode")
    # Products of Llama-2-7B with the last layer, without the embedding.
    expected = 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096
    assert weight_bytes(decode, 8.0)[0] == expected
    assert weight_bytes(prefill, [[4.0] * len(prefill.names)])[0] == expected / 2
    linear = (decode.count * decode.macs)[~decode.cached].sum()
    assert linear == expected
    shared = network_layers("llama3-8b", context=128, stage="decode")
    keys = shared.cached.argmax()
    assert (shared.batch[keys], shared.tokens[keys]) == (8, 4)


def test_prefill_is_bound_by_arithmetic_and_decode_by_bandwidth():
    design = array_designs(rows=128, columns=8)
    for stage, bound in (("prefill", True), ("decode", False)):
        costs = layer_costs(
            network_layers("llama2-7b", context=512, stage=stage), design, formats()
        )
        assert (costs.compute_cycles.sum() > costs.dram_cycles.sum()) == bound


def test_area_grows_with_array_and_memory():
    small = array_designs(rows=[16, 32, 16], columns=16, weight_sram_bytes=[2**12, 2**12, 2**24])
    areas = chip_area_mm2(small, [500.0, 500.0, 500.0])
    assert areas[1] - areas[0] == pytest.approx(256 * 500 * 1.5e-6)
    assert areas[2] > areas[0] + 5


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="layer 'a': tokens is 0, must be at least 1"):
        layers([("a", 1, 8, 8, 0, 1, False)])
    with pytest.raises(ValueError, match="layers: there is none"):
        layers([])
    with pytest.raises(ValueError, match="rows is -1, must be positive"):
        array_designs(rows=-1, columns=1)
    with pytest.raises(ValueError, match="unknown name 'llama-2-8b'"):
        network_layers("llama2-8b", context=8, stage="decode")
