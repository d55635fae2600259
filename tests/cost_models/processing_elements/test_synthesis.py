"""The table of synthesised units, and the tool that writes it."""

import shutil

import numpy as np
import pytest
from synthesis.designs import multiply, select
from synthesis.netlist import Netlist, synthesise
from synthesize_pes import check, designs, measured

from archgym.cost_models.processing_elements.operands import OPERANDS, covers
from archgym.cost_models.processing_elements.synthesis import (
    area_nand2,
    multiplier,
    provenance,
    smallest_multiplier,
    units,
)


def test_the_table_holds_what_the_tool_makes():
    made = {(d.kind, d.first, d.second): d.width for d in designs()}
    table = {(u.kind, u.first, u.second): u.width for u in units()}
    assert table == made
    assert "yosys" in provenance().lower()
    assert all(unit.vectors > 0 and unit.nand2 > 0 for unit in units())
    small = [u for u in units() if u.kind == "multiply" and u.width < 32]
    assert sum(u.check == "exhaustive" for u in small) >= len(small) - 1  # all but INT16


@pytest.mark.skipif(not shutil.which("yosys"), reason="yosys is not installed")
@pytest.mark.parametrize("design", [multiply("int3", "e2m1"), multiply("e2m1", "fp16")])
def test_units_are_synthesised_and_checked_again(design):
    row = measured(design)
    assert row["check"] == "exhaustive"
    shipped = multiplier(design.first, design.second)
    # Other versions of yosys may find other gates.
    assert float(row["nand2_equivalents"]) == pytest.approx(shipped.nand2, rel=0.1)


@pytest.mark.skipif(not shutil.which("yosys"), reason="yosys is not installed")
def test_verilog_that_yosys_refuses_is_named():
    with pytest.raises(ValueError, match="yosys"):
        synthesise("module top(input x0, output y); assign y = nothing(x0); endmodule")


def test_a_wrong_gate_is_seen():
    right = (("NAND", (2, 3), 4), ("NOT", (2,), 5), ("AND", (2, 3), 6))
    netlist = Netlist(right, ((2, 3), (7,)), (6,))
    with pytest.raises(ValueError, match="select 2"):
        check(select(2), netlist)
    mux = Netlist((("MUX", (2, 3, 4), 5),), ((2, 3), (4,)), (5,))
    assert check(select(2), mux) == ("exhaustive", 8)
    assert mux.levels == 2
    assert netlist.nand2_equivalents == pytest.approx(1 + 2 / 3 + 4 / 3)


@pytest.mark.parametrize("name", ["e2m1", "e2m3", "e3m2", "e4m3", "e5m2"])
def test_small_floats_are_those_of_ml_dtypes(name):
    types = pytest.importorskip("ml_dtypes")
    kinds = {
        "e2m1": "float4_e2m1fn", "e2m3": "float6_e2m3fn", "e3m2": "float6_e3m2fn",
        "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2",
    }  # fmt: skip
    operand = OPERANDS[name]
    codes = np.arange(2**operand.bits, dtype=np.uint8)
    theirs = codes.view(getattr(types, kinds[name])).astype(np.float64)
    finite = np.isfinite(theirs)
    assert np.array_equal(operand.values()[finite], theirs[finite])
    assert (operand.is_number() >= finite).all()


def test_operands_cover_what_they_can_represent():
    assert covers("int8", "int4") and covers("int8", "e2m1") and covers("e4m3", "e3m2")
    assert covers("e4m3", "int4") and covers("fp16", "int9") and covers("fp16", "e5m2")
    assert not covers("e4m3", "int8") and not covers("int4", "e2m1") and not covers("fp16", "bf16")
    assert not covers("int8", "e4m3") and not covers("e5m2", "e4m3")
    # By comparing all values under all powers of two.
    small = [n for n, o in OPERANDS.items() if o.bits <= 8]
    for wide in small:
        held = OPERANDS[wide].values()[OPERANDS[wide].is_number()]
        for narrow in small:
            asked = OPERANDS[narrow].values()[OPERANDS[narrow].is_number()]
            fits = any(np.isin(asked * 2.0**k, held).all() for k in range(-40, 41))
            assert covers(wide, narrow) == fits, (wide, narrow)


def test_other_operands_take_the_smallest_multiplier_that_fits():
    smallest = smallest_multiplier
    assert smallest("fp16", "int8") == smallest("int8", "fp16") == multiplier("int8", "fp16")
    assert smallest("int16", "int4") == multiplier("int16", "int16")
    for weight, activation in (("int2", "int3"), ("int4", "fp16"), ("e2m1", "int8")):
        assert smallest(weight, activation).nand2 <= multiplier(weight, activation).nand2
    with pytest.raises(ValueError, match="no multiplier for fp16 and bf16"):
        smallest("fp16", "bf16")
    with pytest.raises(ValueError, match="no multiplier for fp16 and int8"):
        multiplier("fp16", "int8")


def test_widths_between_are_interpolated_and_none_beyond():
    low, middle, high = area_nand2("add", [16, 18, 20])
    assert middle == pytest.approx((low + high) / 2)
    with pytest.raises(ValueError, match="add: 200 is outside of what was synthesised, 4 to 96"):
        area_nand2("add", 200)
