"""A mapping to read."""

from archgym.cost_models.accelerator.loopnest import Hierarchy, Level, LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.nest_text import nest_text


def test_loops_from_the_outermost_inwards() -> None:
    hierarchy = Hierarchy((Level("RF", 64), Level("GLB", 4096, fanout_x=8), Level("DRAM")))
    mapping = Mapping(
        (
            LevelMapping({"R": 3, "S": 3, "C": 4}, "SRC"),
            LevelMapping({"C": 16, "Q": 7, "N": 1}, "QC", spatial_x={"K": 8}),
            LevelMapping({"K": 8}),
        )
    )
    assert [line.strip() for line in nest_text(hierarchy, mapping).splitlines()] == [
        "for K in 8  [DRAM]",
        "for C in 16  [GLB]",
        "for Q in 7  [GLB]",
        "side by side K in 8  [columns below GLB]",
        "for C in 4  [RF]",
        "for R in 3  [RF]",
        "for S in 3  [RF]",
    ]
    indents = [
        len(line) - len(line.lstrip()) for line in nest_text(hierarchy, mapping).splitlines()
    ]
    assert indents == [2 * i for i in range(7)]
    empty = Mapping((LevelMapping(), LevelMapping(), LevelMapping()))
    assert nest_text(hierarchy, empty) == "one multiply-accumulate"
