import numpy as np
import pytest

from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import toy_task
from archgym.views import BoxView, MultiDiscreteView, OneKnobView, OptunaView, make_view

SPACES = [
    DesignSpace([Parameter(f"p{j}", tuple(range(n)), ordered=j % 2 == 0) for j, n in enumerate(c)])
    for c in [(4, 3, 3, 8, 2, 2, 4, 4, 3, 8), (1, 2), (1000,), (7, 1, 97)]
]


def one_row_per_value(space: DesignSpace) -> np.ndarray:
    """Rows that together use every value of every parameter."""
    return np.arange(space.cardinalities.max())[:, None] % space.cardinalities


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_multi_discrete_and_box_round_trip_every_value(space: DesignSpace) -> None:
    rows = one_row_per_value(space)
    for view in (MultiDiscreteView(space), BoxView(space)):
        actions = view.to_actions(rows)
        assert all(view.action_space.contains(action) for action in actions)
        assert np.array_equal(view.to_rows(actions), rows)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_box_bins_are_equal(space: DesignSpace) -> None:
    view = BoxView(space)
    points = np.linspace(0, 1, 4001)
    for j, count in enumerate(space.cardinalities):
        grid = np.zeros((len(points), len(space)))
        grid[:, j] = points
        values, hits = np.unique(view.to_rows(grid)[:, j], return_counts=True)
        assert values.tolist() == list(range(count))
        assert hits.max() - hits.min() <= 2
    corners = np.array([np.zeros(len(space)), np.ones(len(space))])
    assert view.to_rows(corners).tolist() == [[0] * len(space), (space.cardinalities - 1).tolist()]


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf])
def test_box_refuses_points_outside(bad: float) -> None:
    with pytest.raises(ValueError, match=r"coordinate 1 \('p1'\) is .*outside \[0, 1\]"):
        BoxView(SPACES[1]).to_rows(np.array([[0.5, bad]]))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_one_knob_reaches_every_value_and_leaves_the_rest(space: DesignSpace) -> None:
    view = OneKnobView(space)
    assert view.action_space.n == space.cardinalities.sum()
    start = np.zeros((1, len(space)), np.int64)
    for j, count in enumerate(space.cardinalities):
        for value in range(count):
            action = view.to_actions(np.array([j]), np.array([value]))
            expected = start.copy()
            expected[0, j] = value
            assert np.array_equal(view.to_rows(action, start), expected)
    with pytest.raises(ValueError, match="outside"):
        view.to_rows(np.array([view.action_space.n]), start)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_optuna_round_trips_every_value(space: DesignSpace) -> None:
    view = OptunaView(space)
    rows = one_row_per_value(space)
    params = view.to_params(rows)
    for each in params:
        for name, distribution in view.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(each[name]))
    assert np.array_equal(view.to_rows(params), rows)


def test_unknown_view_names_the_closest() -> None:
    with pytest.raises(ValueError, match="did you mean 'box'"):
        make_view("boxx", SPACES[0])


def test_rounding_reaches_three_values_of_a_parameter_and_5_9_percent_of_the_2023_grid():
    sizes = (4, 3, 3, 8, 2, 2, 4, 4, 3, 8)
    view = make_view("round-2023", toy_task(sizes).space)
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (4000, len(sizes)))
    rows = view.to_rows(points, np.zeros((0, 0), np.int64))
    reached = [len(np.unique(column)) for column in rows.T]
    assert reached == [min(3, size) for size in sizes]
    assert np.prod(reached) / np.prod(sizes) == pytest.approx(0.0593, abs=5e-4)
    with pytest.raises(TypeError, match="cannot express every design"):
        view.to_actions(rows)
