import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.space import Constraint, DesignSpace, Parameter

CONDITIONAL = DesignSpace(
    [
        Parameter("arbiter", ("simple", "fifo", "reorder")),
        Parameter("active", (1, 2, 4, 8), ordered=True, when={"arbiter": ("fifo", "reorder")}),
        Parameter("deep", (False, True), when={"active": (4, 8)}),
        Parameter("size", (0.5, 1.0, 2.0), ordered=True, unit="KiB"),
    ],
    [Constraint("size 2 needs fifo", lambda c: (c["size"] != 2.0) | (c["arbiter"] == "fifo"))],
)


@st.composite
def spaces(draw: st.DrawFn) -> DesignSpace:
    counts = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    parameters = []
    for j, count in enumerate(counts):
        when = {}
        if j and draw(st.booleans()):
            parent = draw(st.integers(0, j - 1))
            allowed = draw(st.sets(st.integers(0, counts[parent] - 1), min_size=1))
            when = {f"p{parent}": tuple(sorted(allowed))}
        ordered = draw(st.booleans())
        parameters.append(Parameter(f"p{j}", tuple(range(count)), ordered=ordered, when=when))
    return DesignSpace(parameters)


@given(spaces(), st.integers(0, 2**32))
def test_every_value_survives_encode_and_decode(space: DesignSpace, seed: int) -> None:
    for row in space.sample(5, np.random.default_rng(seed)):
        assert np.array_equal(space.encode(space.decode(row)), space.canonical(row)[0])


@given(spaces(), st.integers(0, 2**32))
def test_enumerate_is_the_inverse_of_index(space: DesignSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = int(rng.integers(0, space.size))
    stop = min(space.size, start + 50)
    rows = space.enumerate(start, stop)
    assert space.index(rows) == list(range(start, stop))
    assert np.array_equal(space.validate(rows), rows)


def test_enumerate_counts_beyond_64_bits() -> None:
    space = DesignSpace([Parameter(f"p{j}", tuple(range(10))) for j in range(40)])
    start = 10**39 + 123
    rows = space.enumerate(start, start + 1000)
    assert space.index(rows) == list(range(start, start + 1000))
    with pytest.raises(ValueError, match=r"not within 0\.\."):
        space.enumerate(0, 10**40 + 1)


@given(spaces())
def test_canonical_size_counts_the_canonical_designs(space: DesignSpace) -> None:
    if space.size <= 20_000:
        everything = space.canonical(space.enumerate(0, space.size))
        assert len(np.unique(everything, axis=0)) == space.canonical_size


@given(spaces(), st.integers(0, 2**32))
def test_canonical_is_idempotent_and_keeps_active_values(space: DesignSpace, seed: int) -> None:
    rows = space.sample(20, np.random.default_rng(seed))
    canonical = space.canonical(rows)
    assert np.array_equal(space.canonical(canonical), canonical)
    active = space.active(rows)
    assert np.array_equal(canonical[active], rows[active])
    assert not canonical[~active].any()


def test_conditions_chain_through_inert_parents() -> None:
    row = CONDITIONAL.encode({"arbiter": "simple", "size": 1.0})
    assert CONDITIONAL.decode(row) == {"arbiter": "simple", "active": 1, "deep": False, "size": 1.0}
    inert = CONDITIONAL.canonical(np.array([[0, 3, 1, 1]]))
    assert inert.tolist() == [[0, 0, 0, 1]]
    assert CONDITIONAL.canonical_size == 3 + 2 * (2 * 1 + 2 * 2) * 3


def test_encode_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="parameter 'active' is missing"):
        CONDITIONAL.encode({"arbiter": "fifo", "size": 1.0})
    with pytest.raises(ValueError, match=r"'size': value 3 is not one of 0\.5, 1\.0, 2\.0"):
        CONDITIONAL.encode({"arbiter": "simple", "size": 3})
    with pytest.raises(ValueError, match="unknown name 'arbitr'; did you mean 'arbiter'"):
        CONDITIONAL.encode({"arbitr": "simple"})
    with pytest.raises(ValueError, match="value True is not one of"):
        CONDITIONAL.encode({"arbiter": "fifo", "active": True, "size": 1.0})


def test_validate_names_row_and_parameter() -> None:
    with pytest.raises(ValueError, match=r"row 1, parameter 'active': index 4 is outside 0\.\.3"):
        CONDITIONAL.validate(np.array([[0, 0, 0, 0], [1, 4, 0, 0]]))
    with pytest.raises(ValueError, match=r"shape \(2, 3\) is not \(n, 4\)"):
        CONDITIONAL.validate(np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="float64 is not an integer type"):
        CONDITIONAL.validate(np.zeros((2, 4)))


def test_violations_are_named() -> None:
    rows = np.array([[0, 0, 0, 2], [1, 0, 0, 2], [0, 0, 0, 0]])
    assert CONDITIONAL.violations(rows)["size 2 needs fifo"].tolist() == [True, False, False]


@given(spaces(), st.integers(0, 2**32))
def test_neighbours_differ_and_are_canonical(space: DesignSpace, seed: int) -> None:
    row = space.canonical(space.sample(1, np.random.default_rng(seed)))[0]
    for neighbour in space.neighbours(row):
        assert not np.array_equal(neighbour, row)
        assert np.array_equal(space.canonical(neighbour)[0], neighbour)


def test_neighbours_step_once_along_ordered_parameters() -> None:
    row = CONDITIONAL.encode({"arbiter": "fifo", "active": 2, "size": 1.0})
    moved = {tuple(neighbour) for neighbour in CONDITIONAL.neighbours(row).tolist()}
    assert moved == {
        (0, 0, 0, 1),
        (2, 1, 0, 1),
        (1, 0, 0, 1),
        (1, 2, 0, 1),
        (1, 1, 0, 0),
        (1, 1, 0, 2),
    }


def test_bad_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="values is empty"):
        Parameter("a", ())
    with pytest.raises(ValueError, match="repeat a value"):
        Parameter("a", (1, 1.0))
    with pytest.raises(ValueError, match="repeat a name"):
        DesignSpace([Parameter("a", (1,)), Parameter("a", (1,))])
    with pytest.raises(ValueError, match="not an earlier parameter"):
        DesignSpace([Parameter("a", (1,), when={"b": (1,)}), Parameter("b", (1,))])


def test_fingerprint_follows_the_meaning_of_rows() -> None:
    one = DesignSpace([Parameter("a", (1, 2))])
    same = DesignSpace([Parameter("a", (1, 2))])
    other = DesignSpace([Parameter("a", (2, 1))])
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_conditions_that_are_not_linked_are_counted_apart() -> None:
    parameters = []
    for layer in range(30):
        parameters.append(Parameter(f"format{layer}", ("fp16", "int8", "int4")))
        when = {f"format{layer}": ("int8", "int4")}
        parameters.append(Parameter(f"group{layer}", (16, 32, 64, 128), when=when))
    space = DesignSpace([*parameters, Parameter("free", (1, 2))])
    assert space.canonical_size == 2 * (1 + 4 + 4) ** 30
    pair = DesignSpace(space.parameters[:4])
    rows = pair.canonical(pair.enumerate(0, pair.size))
    assert pair.canonical_size == len(np.unique(rows, axis=0)) == 81
