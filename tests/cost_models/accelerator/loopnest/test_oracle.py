"""The kernel against a walk through the loops that shares no code with it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    TENSORS,
    Hierarchy,
    Level,
    LevelMapping,
    Mapping,
    Problem,
    evaluate_one,
    oracle,
)

LEVELS = 3
WIDE = Hierarchy(tuple(Level(str(i), fanout_x=10**6, fanout_y=10**6) for i in range(LEVELS)))
STEPS = st.sampled_from((1, 1, 2, 3))


@st.composite
def points(draw: st.DrawFn, most: int = 150) -> tuple[Problem, Mapping]:
    """A mapping of few iterations: factors of 2 or 3 anywhere, any order and bypass."""
    factors = {
        (part, level): dict.fromkeys(DIMS, 1) for part in range(3) for level in range(LEVELS)
    }
    volume = 1
    for _ in range(draw(st.integers(1, 8))):
        factor = draw(st.sampled_from((2, 2, 3)))
        part, level = draw(st.integers(0, 2)), draw(st.integers(0, LEVELS - 1))
        if volume * factor <= most:
            factors[part, level][draw(st.sampled_from(DIMS))] *= factor
            volume *= factor
    levels = tuple(
        LevelMapping(
            factors[0, level],
            "".join(draw(st.permutations(DIMS))),
            factors[1, level],
            factors[2, level],
            tuple(t for t in TENSORS if level < LEVELS - 1 and draw(st.integers(0, 3)) == 0),
        )
        for level in range(LEVELS)
    )
    sizes = {d.lower(): math.prod(part[d] for part in factors.values()) for d in DIMS}
    names = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    return Problem(**sizes, **{name: draw(STEPS) for name in names}), Mapping(levels)


def assert_equal(problem: Problem, mapping: Mapping) -> None:
    result = evaluate_one(WIDE, mapping, problem)
    walked = oracle.count(problem, mapping)
    for level in range(LEVELS):
        for t, tensor in enumerate(TENSORS):
            for counter in ("reads", "fills", "updates"):
                ours = getattr(result, counter)[0, level, t]
                assert ours == walked.get((level, tensor, counter), 0), (level, tensor, counter)
    assert result.steps[0] == oracle.cycles(problem, mapping)


@given(points())
@settings(max_examples=60, deadline=None)
def test_accesses_equal_those_of_a_walk(point: tuple[Problem, Mapping]) -> None:
    assert_equal(*point)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("order", ["PR", "RP"])
def test_windows_with_and_without_gaps(stride: int, dilation: int, order: str) -> None:
    problem = Problem(p=12, r=3, stride_h=stride, dilation_h=dilation)
    inner = LevelMapping({"P": 2}, spatial_x={"R": 3})
    middle = LevelMapping({"P": 3}, order, spatial_x={"P": 2})
    assert_equal(problem, Mapping((inner, middle, LevelMapping())))


def test_a_bypassed_level_keeps_the_parts_on_the_array_apart() -> None:
    problem = Problem(p=12, r=3, c=2)
    inner = LevelMapping({"P": 3, "R": 3}, bypass=("inputs",))
    middle = LevelMapping({"C": 2}, spatial_x={"P": 4})
    assert_equal(problem, Mapping((inner, middle, LevelMapping())))


def test_a_walk_counts_as_by_hand() -> None:
    # Three output rows one after another, each of two input rows: 2 + 1 + 1 to fetch.
    mapping = Mapping((LevelMapping({"R": 2}), LevelMapping({"P": 3})))
    found = oracle.count(Problem(p=3, r=2), mapping)
    assert found[0, "inputs", "fills"] == 4
    assert found[0, "inputs", "reads"] == 6
    assert found[0, "weights", "fills"] == 2
    assert found[1, "outputs", "updates"] == 3
    assert found[1, "outputs", "reads"] == 0
    assert found[0, "outputs", "updates"] == 6
    # Three second additions, and three sums handed in.
    assert found[0, "outputs", "reads"] == 6
