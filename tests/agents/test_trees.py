"""The compiled trees and the trend that the forest agent is made of."""

import numpy as np
import pytest

from archgym.agents._trees import grow_forest
from archgym.agents._trend import fit_trend, main_effects
from archgym.space import DesignSpace, Parameter


def data(n, seed=0):
    """Returns inputs that repeat few values, and targets that interact."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 4, (n, 5)).astype(np.float32)
    targets = np.stack([inputs[:, 0] * inputs[:, 1] - inputs[:, 2], inputs[:, 3] > 1], axis=1)
    return inputs, targets.astype(np.float64)


def test_trees_repeat_what_they_were_grown_from():
    inputs, targets = data(60)
    forest = grow_forest(inputs, targets, 20, 1, 0.5, np.random.default_rng(1))
    leaves = forest.leaves(inputs)
    mean, variance = forest.at(leaves)
    assert leaves.shape == (60, 20) and mean.shape == (60, 20, 2)
    _, group = np.unique(inputs, axis=0, return_inverse=True)
    for g in np.unique(group):  # equal inputs share a leaf
        there = group.reshape(-1) == g
        expected = np.tile(targets[there].mean(axis=0), (there.sum(), 20, 1))
        assert mean[there] == pytest.approx(expected)
        assert variance[there] == pytest.approx(targets[there, 0].var(), abs=1e-12)


def test_trees_generalise_like_scikit_learn():
    from sklearn.ensemble import ExtraTreesRegressor

    inputs, targets = data(150)
    unseen, truth = data(500, seed=9)
    forest = grow_forest(inputs, targets, 60, 1, 0.6, np.random.default_rng(1))
    ours = forest.at(forest.leaves(unseen))[0].mean(axis=1)
    theirs = ExtraTreesRegressor(60, max_features=0.6, random_state=1).fit(inputs, targets)
    errors = [np.mean((each - truth) ** 2) for each in (ours, theirs.predict(unseen))]
    assert errors[0] < 0.1 * targets.var(axis=0).mean()
    assert errors[0] == pytest.approx(errors[1], rel=0.35)


def test_leaves_hold_at_least_as_many_as_asked():
    inputs, targets = data(80)
    forest = grow_forest(inputs, targets, 10, 6, 1.0, np.random.default_rng(2))
    for tree in forest.leaves(inputs).T:
        _, counts = np.unique(tree, return_counts=True)
        assert counts.min() >= 6 and len(counts) > 1


def test_trees_depend_on_the_generator_alone():
    inputs, targets = data(30)
    same = [grow_forest(inputs, targets, 4, 1, 0.5, np.random.default_rng(s)) for s in (3, 3, 4)]
    assert np.array_equal(same[0].threshold, same[1].threshold)
    assert not np.array_equal(same[0].threshold, same[2].threshold)


@pytest.mark.parametrize("n", [1, 2])
def test_few_or_equal_designs_are_one_leaf_or_two(n):
    inputs = np.zeros((n, 3), np.float32)
    forest = grow_forest(
        inputs, np.arange(n, dtype=float)[:, None], 3, 1, 1.0, np.random.default_rng(0)
    )
    mean, variance = forest.at(forest.leaves(inputs))
    assert mean == pytest.approx((n - 1) / 2)
    assert variance == pytest.approx(0.25 * (n - 1))


SPACE = DesignSpace(
    [
        Parameter("size", (1, 2, 4, 8, 16)),
        Parameter("kind", ("a", "b", "c"), ordered=False),
        Parameter("depth", (1, 2)),
        Parameter("fixed", (7,)),
    ]
)


def test_a_sum_of_effects_is_learned_from_few_designs():
    rng = np.random.default_rng(0)

    def score(rows):
        return 0.5 * rows[:, 0] + np.array([0.0, 3.0, 1.0])[rows[:, 1]] - rows[:, 2]

    rows = SPACE.sample(14, rng)
    every = SPACE.enumerate(0, SPACE.size)
    trend = fit_trend(SPACE, rows, score(rows))
    assert trend is not None
    told = trend.at(SPACE, every, trend.slopes[:, None])[:, 0] + score(rows).mean()
    assert np.corrcoef(told, score(every))[0, 1] > 0.97
    assert trend.at(SPACE, rows, trend.slopes[:, None]).mean() == pytest.approx(0.0, abs=1e-12)


def test_noise_has_no_trend():
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = SPACE.sample(12, rng)
        found += fit_trend(SPACE, rows, rng.standard_normal(12)) is not None
    assert found < 10


def test_the_penalty_is_that_of_left_out_designs():
    rng = np.random.default_rng(5)
    rows = SPACE.sample(10, rng)
    targets = rows[:, 0] + rng.standard_normal(10)
    columns = main_effects(SPACE, rows)
    trend = fit_trend(SPACE, rows, targets)
    from archgym.agents._trend import PENALTIES

    errors = []
    for penalty in PENALTIES:
        total = 0.0
        centre = columns.mean(axis=0)
        wide = np.column_stack([np.ones(10), columns - centre])
        shrink = np.diag([0.0, *[penalty] * columns.shape[1]])
        for i in range(10):
            kept = np.arange(10) != i
            a = wide[kept].T @ wide[kept] + shrink
            total += (targets[i] - wide[i] @ np.linalg.solve(a, wide[kept].T @ targets[kept])) ** 2
        errors.append(total)
    best = PENALTIES[int(np.argmin(errors))]
    wide = columns - columns.mean(axis=0)
    a = wide.T @ wide + best * np.eye(wide.shape[1])
    expected = np.linalg.solve(a, wide.T @ (targets - targets.mean()))
    assert trend.slopes == pytest.approx(expected, abs=1e-8)
    assert trend.precision == pytest.approx(a)


def test_drawn_slopes_have_the_mean_and_covariance_of_the_posterior():
    rng = np.random.default_rng(1)
    rows = SPACE.sample(20, rng)
    trend = fit_trend(SPACE, rows, rows[:, 0] + 0.3 * rng.standard_normal(20))
    drawn = trend.draw(40_000, rng)
    covariance = trend.error * np.linalg.inv(trend.precision)
    deviation = np.sqrt(covariance.diagonal())
    assert np.all(np.abs(drawn.mean(axis=1) - trend.slopes) < 0.03 * deviation)
    scale = np.outer(deviation, deviation)
    assert np.cov(drawn) / scale == pytest.approx(covariance / scale, abs=0.04)


def test_each_tree_has_offsets_of_its_own():
    inputs, targets = data(25)
    inputs += np.random.default_rng(2).random(inputs.shape).astype(np.float32)
    offsets = np.random.default_rng(3).standard_normal((6, 25))
    forest = grow_forest(inputs, targets, 6, 1, 0.5, np.random.default_rng(1), offsets)
    mean, _ = forest.at(forest.leaves(inputs))
    assert mean[:, :, 0] == pytest.approx(targets[:, :1] - offsets.T)
    assert mean[:, :, 1] == pytest.approx(np.tile(targets[:, 1:], (1, 6)))
