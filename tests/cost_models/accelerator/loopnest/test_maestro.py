from pathlib import Path

import pytest

from archgym.cost_models.accelerator.loopnest.maestro import Directive, Traffic, evaluate
from archgym.cost_models.accelerator.loopnest.validation_maestro import maestro

LAYER = {"K": 64, "C": 64, "R": 3, "S": 3, "Y": 58, "X": 58}


def kcp_ws(layer: dict[str, int]) -> list[list[Directive]]:
    """MAESTRO's example of weights that stay, as in NVDLA."""
    r, s = layer["R"], layer["S"]
    windows = [
        Directive("R", r, r),
        Directive("S", s, s),
        Directive("Y", r, 1),
        Directive("X", s, 1),
    ]
    top = [Directive("K", 1, 1, True), Directive("C", 64, 64), *windows]
    return [top, [Directive("C", 1, 1, True), *windows[2:], *windows[:2]]]


def run(layer: dict[str, int], pes: int, bandwidth: int, stride: int = 1) -> Traffic:
    return evaluate("conv", layer, stride, kcp_ws(layer), [64], pes, bandwidth, bandwidth)


def test_every_row_of_maestro(reference_dir: Path) -> None:
    checks = list(maestro(reference_dir / "accel" / "maestro_fixed_mappings.csv"))
    assert len(checks) == 12
    assert [check for check in checks if not check.passed] == []


def test_rows_of_maestro() -> None:
    """MAESTRO 4eb08d1: a first layer, then one on 64 and 256 PEs, which the outside bounds."""
    first = run({"K": 64, "C": 3, "R": 7, "S": 7, "Y": 230, "X": 230}, 64, 16, stride=2)
    assert first.runtime == 53788690
    assert first.writes == 802816
    small = run(LAYER, 64, 16)
    assert small.runtime == 16056391
    assert small.reads["weights"] == 36864
    assert small.computations == 115605504
    assert run(LAYER, 256, 16).runtime == 9031759
    assert run(LAYER, 256, 64).runtime == 2257945


def test_a_directive_beyond_a_dimension_is_skipped_and_said_so() -> None:
    wide = [[Directive("X", 10, 8), Directive("Y", 3, 1, True)]]
    layer = {"K": 1, "C": 1, "R": 3, "S": 3, "Y": 9, "X": 9}
    assert run(LAYER, 64, 16).skipped == 0
    assert evaluate("conv", layer, 1, wide, [], 8, 16, 16).skipped > 0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="kind: 'pool' is none of conv, gemm"):
        evaluate("pool", LAYER, 1, kcp_ws(LAYER), [64], 64, 16, 16)
    with pytest.raises(ValueError, match="pes: 32, a cluster takes 64"):
        run(LAYER, 32, 16)
    with pytest.raises(ValueError, match="directives: 2 levels, expected 1"):
        evaluate("conv", LAYER, 1, kcp_ws(LAYER), [], 64, 16, 16)
    with pytest.raises(ValueError, match="directive Z: the operator has C, K, R, S, X, Y"):
        evaluate("conv", LAYER, 1, [[Directive("Z", 1, 1, True)]], [], 64, 16, 16)
    with pytest.raises(ValueError, match="directives: 0 spatial at a level"):
        evaluate("conv", LAYER, 1, [[Directive("K", 1, 1)]], [], 64, 16, 16)
    with pytest.raises(ValueError, match="directive K: size 0 and offset 1"):
        Directive("K", 0, 1)
