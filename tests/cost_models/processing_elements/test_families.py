"""Families of processing elements."""

import itertools

import numpy as np
import pytest

from archgym.cost_models import numerics
from archgym.cost_models import processing_elements as pe
from archgym.cost_models.processing_elements.anchors import is_float, um2_per_nand2
from archgym.cost_models.processing_elements.formats import decoded
from archgym.cost_models.processing_elements.operands import OPERANDS
from archgym.cost_models.processing_elements.partial_products import digits, plane_products
from archgym.cost_models.processing_elements.synthesis import (
    FLIP_FLOP_NAND2,
    MUX2_NAND2,
    accumulator_bits,
    area_nand2,
    float_adder,
)
from archgym.cost_models.processing_elements.synthesised import _covers

FAMILIES = pe.names()
SOME = ("fp16", "int8", "int4-asym", "mxfp4", "mxfp8-e4m3", "nf4", "bitmod3", "ternary",
        "int8-mixed")  # fmt: skip


def test_every_number_format_is_known():
    assert set(numerics.names()) <= set(pe.format_names())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_table_is_the_single_answers(name):
    family = pe.family(name)
    table = family.table(SOME, SOME)
    assert table.supported.any()
    for (i, w), (j, a) in itertools.product(enumerate(SOME), enumerate(SOME)):
        assert table.supported[i, j] == family.supports(w, a)
        if not table.supported[i, j]:
            with pytest.raises(ValueError, match=f"family {name}: cannot multiply '{w}'"):
                family.macs_per_cycle(w, a)
            continue
        assert table.macs_per_cycle[i, j] == family.macs_per_cycle(w, a) > 0
        assert table.energy_pj_per_mac[i, j] == family.energy_pj_per_mac(w, a) > 0
        used = np.zeros((1, len(SOME), len(SOME)), bool)
        used[0, i, j] = True
        assert table.area_um2(used)[0] == pytest.approx(family.area_um2({(w, a)}))
    if not table.supported.all():
        with pytest.raises(ValueError, match="cannot multiply"):
            table.area_um2(np.ones((1, len(SOME), len(SOME)), bool))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_union_takes_at_least_its_largest_part_and_at_most_the_sum(name):
    family = pe.family(name)
    pairs = [p for p in itertools.product(SOME, SOME) if family.supports(*p)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        chosen = {pairs[i] for i in rng.choice(len(pairs), min(4, len(pairs)), replace=False)}
        alone = [family.area_um2({pair}) for pair in chosen]
        union = family.area_um2(chosen)
        assert max(alone) <= union * (1 + 1e-9)
        # Registers of the widest weight and of the widest activation may be of different pairs.
        assert union <= sum(alone) * 1.1


def test_the_area_of_a_union_is_not_separable():
    family = pe.family("bit-parallel")
    int8, fp8, int4 = ("int8", "int8"), ("mxfp8", "mxfp8"), ("int4", "int8")
    area = family.area_um2
    assert area({int8, int4}) == area({int8})  # an INT8 multiplier takes four bits, too
    assert area({int8, fp8}) > 1.5 * area({int8})
    assert area({int8, fp8}) < area({int8}) + area({fp8})  # accumulator and registers are shared


def test_the_area_of_a_union_by_sets_of_multipliers():
    """What the compiled loop finds is what its docstring says, written with sets."""
    family, rng = pe.family("bit-parallel"), np.random.default_rng(0)
    table = family.table(SOME, SOME)
    candidates = {
        unit
        for i, j in np.argwhere(table.supported)
        for unit, *_ in family._parts(SOME[i], SOME[j])
    }

    def nand2(units):
        floats = any(is_float(unit) for unit in units)
        bits = max([accumulator_bits(unit) for unit in units if not is_float(unit)], default=0)
        width = max(bits, 32 * floats)
        adders = float(area_nand2("add", max(bits, 4))) * (bits > 0)
        adders += float_adder("fp32").nand2 * floats
        selection = (len(units) - 1) * width * MUX2_NAND2
        return sum(unit.nand2 for unit in units) + adders + selection + FLIP_FLOP_NAND2 * width

    used = (rng.random((40, len(SOME), len(SOME))) < 0.08) & table.supported
    used[:, 0, 0] |= ~used.any(axis=(1, 2))
    for one, area in zip(used, table.area_um2(used), strict=True):
        pairs = [(SOME[i], SOME[j]) for i, j in np.argwhere(one)]
        asked = {unit for w, a in pairs for unit, *_ in family._parts(w, a)}
        kept = {u for u in asked if not any(o != u and _covers(o, u) for o in asked)}
        least = min(
            nand2({new} | {u for u in kept if not _covers(new, u)})
            for new in {*kept, *(c for c in candidates if any(_covers(c, u) for u in kept))}
        )
        registers = [max(decoded(pair[side]).bits for pair in pairs) for side in (0, 1)]
        assert area == pytest.approx(um2_per_nand2() * (least + FLIP_FLOP_NAND2 * sum(registers)))


def test_more_pairs_never_take_less_area():
    table = pe.family("bit-parallel").table(SOME, SOME)
    rng = np.random.default_rng(0)
    used = rng.random((2000, len(SOME), len(SOME))) < 0.04
    used[:, 1, 1] = True
    more = used.copy()
    more[np.arange(2000), *rng.integers(0, len(SOME), (2, 2000))] = True
    areas = table.area_um2(used)
    assert (table.area_um2(more) >= areas * (1 - 1e-12)).all()
    assert all(table.area_um2(used[i : i + 1])[0] == areas[i] for i in range(50))
    assert len(table.area_um2(used[:0])) == 0


def test_fewer_bits_take_less():
    family = pe.family("bit-parallel")
    energies = [family.energy_pj_per_mac(f"int{b}", "int8") for b in (8, 6, 4, 3, 2)]
    assert energies == sorted(energies, reverse=True)
    serial = pe.family("bit-serial")
    assert [serial.macs_per_cycle(f"int{b}", "int8") for b in (8, 6, 4, 2)] == [
        1 / 4,
        1 / 3,
        1 / 2,
        1,
    ]
    assert serial.area_um2({("int8", "int8")}) < family.area_um2({("int8", "int8")})


def test_bit_serial_cycles_follow_the_weights():
    rng = np.random.default_rng(0)
    weights = np.clip(np.rint(rng.normal(0, 10, 10_000)), -127, 127)
    mean = pe.mean_terms(weights)
    assert mean == pytest.approx(1.76, abs=0.05)
    fast = pe.family("bit-serial", terms={"int8": mean})
    assert fast.macs_per_cycle("int8", "int8") == pytest.approx(1 / mean)
    assert fast.macs_per_cycle("int6", "int8") == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="terms: 0 of 'int8', must be above 0"):
        pe.family("bit-serial", terms={"int8": 0})


def test_digits_are_the_values():
    values = np.arange(-300, 300)
    places = 4.0 ** np.arange(16)
    assert np.array_equal(digits(values, "booth") @ places, values)
    assert np.array_equal(digits(values, "carry") @ places, np.abs(values))
    # As many Booth digits as an element of so many bits takes cycles.
    for bits in (2, 4, 8, 9):
        numbers = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
        used = np.flatnonzero(np.any(digits(numbers, "booth") != 0, axis=0)).max() + 1
        assert used == OPERANDS.get(f"int{bits}").terms
    for bad, message in (([0.5], "integers"), ([2**31], "magnitudes"), ([], "there is none")):
        with pytest.raises(ValueError, match=message):
            pe.mean_terms(bad)
    with pytest.raises(ValueError, match="encoding: 'naf' is not one of carry, booth"):
        digits([1], "naf")
    assert plane_products(6, 8) == 48


def test_bitmod_is_as_published():
    family = pe.family("bitmod")
    assert family.area_um2({("bitmod3", "fp16"), ("int8", "fp16")}) == 1507.7
    rates = {"bitmod3": 2, "bitmod4": 2, "int6": 4 / 3, "int8": 1, "fp4": 2}
    assert {name: family.macs_per_cycle(name, "fp16") for name in rates} == rates
    assert not family.supports("bitmod3", "int8") and not family.supports("nvfp4", "fp16")


def test_tables_are_for_ternary_weights():
    family = pe.family("lut-ternary", group_size=5, fetchers=8)
    assert family.macs_per_cycle("ternary", "int8") == 40
    assert not family.supports("int4", "int8")
    both = family.area_um2({("ternary", "int8"), ("ternary", "fp16")})
    assert both > family.area_um2({("ternary", "fp16")})
    with pytest.raises(ValueError, match="group_size: 9 is not one of 3, 4, 5, 6, 7"):
        pe.family("lut-ternary", group_size=9)


def test_names_are_checked():
    with pytest.raises(ValueError, match="did you mean 'bit-serial'"):
        pe.family("bitserial")
    with pytest.raises(ValueError, match="did you mean 'int4-asym'"):
        pe.family("bit-parallel").supports("int4-asymm", "int8")
    with pytest.raises(ValueError, match="pairs: there is none"):
        pe.family("bit-parallel").area_um2([])
    assert decoded("mxfp8") == decoded("mxfp8-e4m3") == decoded("e4m3")
