from pathlib import Path

import pytest

from archgym.cost_models.accelerator.loopnest.validation_zigzag import zigzag
from archgym.cost_models.accelerator.loopnest.zigzag import (
    Accelerator,
    Layer,
    Memory,
    evaluate,
)

IN, BOTH = ("wr_high", "rd_low"), ("wr_high", "rd_low", "wr_low", "rd_high")


def own(operand: str, ways: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """A port of its own for every transfer."""
    return tuple(((operand, way),) for way in ways)


def tpu_like() -> Accelerator:
    """ZigZag's example `tpu_like`: 32 x 32 units, weights in registers, 2 MB, DRAM."""
    array = ("D1", "D2")
    reads = (("I", "rd_low"), ("O", "rd_low"), ("O", "rd_high"))
    writes = (("I", "wr_high"), ("O", "wr_high"), ("O", "wr_low"))
    dram = (tuple((op, way) for op in "WIO" for way in (BOTH if op == "O" else IN)),)
    return Accelerator(
        0.04,
        (
            Memory("rf_W", 1024, 0.095, 0.095, 8, 8, (), own("W", IN)),
            Memory("rf_O", 16, 0.021, 0.021, 16, 16, (), own("O", BOTH)),
            Memory("sram", 16777216, 416.16, 378.4, 2048, 64, array, (reads, writes)),
            Memory("dram", 10**10, 700.0, 750.0, 64, 64, array, dram),
        ),
        {"D1": (("K", 32),), "D2": (("C", 32),)},
    )


LAYER = Layer(
    {"B": 1, "K": 64, "C": 64, "OY": 56, "OX": 56, "FY": 3, "FX": 3},
    (1, 1),
    {"W": 8, "I": 8, "O": 16},
    8,
)
LOOPS = [("OX", 56), ("OY", 56), ("FX", 3), ("FY", 3), ("C", 2), ("K", 2)]


def test_every_row_of_zigzag(reference_dir: Path) -> None:
    checks = list(zigzag(reference_dir / "accel" / "zigzag_layers.csv"))
    assert len(checks) == 23
    assert [check for check in checks if not check.passed] == []


def test_a_row_of_zigzag() -> None:
    """ZigZag 3.9.1, `tpu_like`, a 3 x 3 layer, all loops below the DRAM."""
    cost = evaluate(tpu_like(), LAYER, {"O": [[], LOOPS, []], "W": [LOOPS, []], "I": [LOOPS, []]})
    assert cost.energy_pj == pytest.approx(84165101.856, rel=1e-12)
    assert cost.level_pj["I"] == pytest.approx([6191084.32, 18838400.0], rel=1e-12)
    assert cost.accesses["O"][1] == {"rd_low": 28224, "wr_low": 28224, "rd_high": 784, "wr_high": 0}
    assert cost.steps == 112896
    assert cost.steps + cost.stalls == 225790
    assert cost.latency == 252704


def test_wrong_loops_are_refused() -> None:
    with pytest.raises(ValueError, match="temporal: W has 1 memories, the accelerator has 2"):
        evaluate(tpu_like(), LAYER, {"O": [[], LOOPS, []], "W": [LOOPS], "I": [LOOPS, []]})
    with pytest.raises(ValueError, match="the operands' loops multiply to"):
        evaluate(tpu_like(), LAYER, {"O": [[], LOOPS, []], "W": [LOOPS[1:], []], "I": [LOOPS, []]})
