from pathlib import Path

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    LevelMapping,
    Mapping,
    Problem,
    evaluate_one,
)
from archgym.cost_models.accelerator.loopnest.validation_timeloop import timeloop


def test_every_counter_and_cycle_of_timeloop(reference_dir: Path) -> None:
    path = reference_dir / "accel" / "timeloop_fixed_mappings.csv"
    checks = [check for check in timeloop(path) if check.target]
    assert len(checks) == 40
    assert [check for check in checks if not check.passed] == []


def test_neighbours_on_the_array_hand_on_columns() -> None:
    """Figures of `timeloop-model` of December 2022, a 3 x 3 layer on an array of 8 x 8.

    Of the columns that an instance needs next its neighbour has loaded some just before; the parent
    is read less, and the registers are filled and read more.
    """
    array = {"fanout_x": 8, "fanout_y": 8}
    hierarchy = Hierarchy((Level("RF", 64), Level("GLB", 65536, **array), Level("DRAM")))
    mapping = Mapping(
        (
            LevelMapping({"C": 4, "K": 2, "S": 3}, "RSCNQPK"),
            LevelMapping({"C": 16, "R": 3}, "QRSNCPK", {"P": 8}, {"Q": 8}),
            LevelMapping({"K": 32, "P": 7, "Q": 7}, "SRKNQCP"),
        )
    )
    problem = Problem(k=64, c=64, p=56, q=56, r=3, s=3)
    result = evaluate_one(hierarchy, mapping, problem, compat="timeloop")
    assert result.reads is not None and result.fills is not None
    assert result.reads[0, 0, 1] / 64 == 2_333_184
    assert result.fills[0, 0, 1] / 64 == 903_168
    assert result.reads[0, 1, 1] == 24_084_480
    # The tile of the buffer stays for all 32 steps of K, then moves: none of it is kept.
    assert result.fills[0, 1, 1] == 313_600


@pytest.mark.parametrize("compat", ["ideal", "timeloop"])
def test_without_windows_both_modes_agree(compat: str) -> None:
    hierarchy = Hierarchy((Level("RF"), Level("GLB", fanout_x=4), Level("DRAM")))
    mapping = Mapping(
        (
            LevelMapping({"C": 4}),
            LevelMapping({"P": 8}, spatial_x={"K": 4}),
            LevelMapping({"C": 2, "K": 2}),
        )
    )
    result = evaluate_one(hierarchy, mapping, Problem.gemm(8, 8, 8), compat=compat)
    assert result.fills is not None
    np.testing.assert_array_equal(result.fills[0, :, 1], [4 * 8 * 4 * 4, 2 * 32, 0])
