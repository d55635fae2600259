"""The kernel against a walk through the loops that shares no code with it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    TENSORS,
    Hierarchy,
    Level,
    LevelMapping,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    evaluate_one,
    oracle,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.mapping import FACTORS

LEVELS = 3
WIDE = Hierarchy(tuple(Level(str(i), fanout_x=10**6, fanout_y=10**6) for i in range(LEVELS)))
STEPS = st.sampled_from((1, 1, 2, 3))


@st.composite
def points(draw: st.DrawFn, most: int = 150, perfect: bool = True) -> tuple[Problem, Mapping]:
    """A mapping of few iterations: factors of 2 or 3 anywhere, any order and bypass.

    Bounds are their products, or if not perfect any for which the outermost parts are needed.
    """
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
    mapping = Mapping(levels)
    sizes = {}
    for d in DIMS:
        own = mapping.factors(d)
        outermost = next((f for f in reversed(own) if f > 1), 1)
        least = math.prod(own) // outermost * (outermost - 1) + 1
        sizes[d.lower()] = math.prod(own) if perfect else draw(st.integers(least, math.prod(own)))
    names = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    return Problem(**sizes, **{name: draw(STEPS) for name in names}), mapping


def assert_equal(problem: Problem, mapping: Mapping, factors: str = "perfect") -> None:
    result = evaluate_one(WIDE, mapping, problem, factors=factors)
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


@given(points(perfect=False))
@settings(max_examples=100, deadline=None)
def test_accesses_with_smaller_last_tiles_equal_those_of_a_walk(
    point: tuple[Problem, Mapping],
) -> None:
    assert_equal(*point, factors="imperfect")


@given(points(perfect=False), st.sampled_from(TENSORS))
@settings(max_examples=40, deadline=None)
def test_a_level_takes_the_time_of_its_first_instance(
    point: tuple[Problem, Mapping], tensor: str
) -> None:
    problem, mapping = point
    walked = oracle.count(problem, mapping, first=True)
    machines, rows = Machines.of([WIDE]), problem_rows([problem])
    alone = dataclasses.replace(machines, words=machines.words * (np.array(TENSORS) == tensor))
    for port, counters in (("read", ("reads",)), ("write", ("fills", "updates"))):
        # Which of those that add up to a sum fetches it is not told.
        if port == "write" and tensor == "outputs":
            continue
        one = {f"{port}_bandwidth": np.ones_like(machines.capacity)}
        narrow = dataclasses.replace(alone, **one)
        found = evaluate(narrow, Mappings.of([mapping]), rows, factors="imperfect")
        expected = [
            sum(walked.get((level, tensor, counter), 0) for counter in counters)
            for level in range(LEVELS)
        ]
        assert found.level_cycles[0].tolist() == expected


@given(points())
@settings(max_examples=40, deadline=None)
def test_perfect_factors_are_imperfect_ones_without_a_rest(point: tuple[Problem, Mapping]) -> None:
    problem, mapping = point
    wide = dataclasses.replace(
        WIDE,
        levels=tuple(
            dataclasses.replace(
                level, read_words_per_cycle=2.0, write_words_per_cycle=0.5, read_pj=1.5
            )
            for level in WIDE.levels
        ),
    )
    perfect, imperfect = (
        evaluate_one(wide, mapping, problem, factors=factors) for factors in FACTORS
    )
    for name, value in vars(perfect).items():
        np.testing.assert_array_equal(value, getattr(imperfect, name), name)


@pytest.mark.parametrize("bypass", [(), ("inputs",)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (4, 1), (1, 3), (3, 2)])
def test_windows_with_smaller_last_tiles(
    stride: int, dilation: int, bypass: tuple[str, ...]
) -> None:
    problem = Problem(p=13, r=5, k=3, stride_h=stride, dilation_h=dilation)
    inner = LevelMapping({"P": 2, "R": 2})
    middle = LevelMapping({"K": 2, "R": 3}, "RK", spatial_x={"P": 2}, bypass=bypass)
    outer = LevelMapping({"P": 2, "K": 2}, "PK", spatial_x={"P": 2})
    assert_equal(problem, Mapping((inner, middle, outer)), "imperfect")


def test_a_smaller_last_tile_counts_as_by_hand() -> None:
    # Seven channels on three units: 3 + 3 + 1, twice, one after another.
    inner = LevelMapping(spatial_x={"K": 3})
    mapping = Mapping((inner, LevelMapping({"K": 3, "P": 2}, "KP"), LevelMapping()))
    problem = Problem(k=7, p=2)
    found = evaluate_one(WIDE, mapping, problem, factors="imperfect")
    assert found.reads is not None and found.updates is not None
    assert found.steps[0] == 6
    assert found.reads[0, 0].tolist() == [14, 6, 14]
    assert found.updates[0, 0, 2] == 14
    # The tile of three becomes one of one: with it, weights are fetched again for the next row.
    assert_equal(problem, mapping, "imperfect")
    with pytest.raises(ValueError, match=r"factors of K multiply to 9 \(3 x 3\), the bound is 7"):
        evaluate_one(WIDE, mapping, problem)


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
