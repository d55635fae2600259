import sys

import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.agents._acquisition import (
    Chooser,
    fresh,
    level_with_best,
    log_expected_improvement,
    log_not_level,
    ranked,
    unseen_sample,
    warped,
)
from archgym.agents._operators import Seen
from archgym.testing.toys import function_task, toy_task

# log(phi(z) + z Phi(z)), computed with mpmath in 60 digits.
EXPECTED = {
    5.0: 1.6094379231264313,
    1.0: 0.0800262188493070,
    0.0: -0.9189385332046727,
    -1.0: -2.4851210257126413,
    -5.0: -16.74430116266099,
    -20.0: -206.9178385094251,
    -50.0: -1258.7441828684605,
    -1e4: -50000019.33961928,
    -1e9: -5.0e17,
}


def test_log_expected_improvement_has_all_its_digits():
    z = np.array([*EXPECTED])
    found = log_expected_improvement(z, np.ones(len(z)), 0.0)
    assert found == pytest.approx([*EXPECTED.values()], rel=1e-12)


def test_log_expected_improvement_scales_and_rises():
    z = np.concatenate([-np.geomspace(1e6, 1e-3, 400), np.geomspace(1e-3, 30.0, 100)])
    assert (np.diff(log_expected_improvement(z, np.ones(500), 0.0)) > 0).all()
    scaled = log_expected_improvement(np.array([3.0, 5.5]), np.array([3.0, 0.5]), 3.0)
    assert scaled == pytest.approx([EXPECTED[0.0] + np.log(3.0), EXPECTED[5.0] + np.log(0.5)])


def test_targets_keep_the_order_and_bound_poor_scores():
    scores = np.concatenate([np.linspace(0.0, 1.0, 20), [-1000.0, -5.0, 0.5]])
    targets = warped(scores)
    assert (np.argsort(targets, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert targets.mean() == pytest.approx(0.0, abs=1e-12)
    assert targets.std() == pytest.approx(1.0)
    assert targets.min() > -4.0
    better = scores > np.median(scores)
    assert np.corrcoef(scores[better], targets[better])[0, 1] == pytest.approx(1.0)
    assert np.array_equal(warped(np.full(5, 3.0)), np.zeros(5))
    assert targets[scores == 0.5].std() == pytest.approx(0.0)


def test_targets_by_rank_depend_on_the_order_only():
    scores = np.array([3.0, -7.0, 3.0, 5.0, 0.0])
    targets = ranked(scores)
    assert targets[0] == targets[2]
    assert (np.argsort(targets, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert targets.mean() == pytest.approx(0.0, abs=1e-12)
    assert targets.std() == pytest.approx(1.0)
    assert np.array_equal(targets, ranked(np.exp(scores)))
    assert np.array_equal(ranked(np.full(5, 3.0)), np.zeros(5))


def test_unseen_designs_come_first_then_repeats():
    space = toy_task((3, 2)).space
    rng, seen = np.random.default_rng(0), Seen()
    seen.add(np.array([[0, 0], [1, 1]]))
    rows = unseen_sample(space, 7, seen, rng)
    assert len(rows) == 7
    assert len(fresh(rows, seen)) == 4
    seen.add(rows)
    assert len(unseen_sample(space, 3, seen, rng)) == 3
    assert unseen_sample(space, 0, seen, rng).shape == (0, 2)


class Known:
    """A surrogate that knows the truth, and counts what it was asked."""

    def __init__(self, truth):
        self._truth, self._rows, self.chosen = truth, [], []

    def add(self, rows):
        self._rows += rows.tolist()

    def values(self, first=0):
        return self._truth(np.array(self._rows[first:]))

    def believe(self, i):
        self.chosen.append(self._rows[i])


@pytest.mark.parametrize("cardinalities", [(4, 3, 3), (8,) * 8])
def test_choices_are_the_best_designs_that_were_not_seen(cardinalities):
    task = toy_task(cardinalities)
    seen = Seen()
    seen.add(task.model.best[None])

    def truth(rows):
        return task.evaluate(rows).score if len(rows) else np.zeros(0)

    surrogate = Known(truth)
    chooser = Chooser(task.space, 64, 3)
    good = task.space.sample(2, np.random.default_rng(1))
    rows = chooser.choose(4, task.space, surrogate, good, seen, np.random.default_rng(0))
    assert rows.tolist() == surrogate.chosen
    assert len(fresh(rows, seen)) == 4
    if len(cardinalities) == 3:
        every = task.space.enumerate(0, task.space.size)
        ordered = np.sort(truth(every))[::-1]
        assert truth(rows) == pytest.approx(ordered[1:5])
    else:
        # Climbing reaches the neighbourhood of the optimum among 16 million designs.
        assert (rows[0] != task.model.best).sum() <= 2


def test_a_local_choice_is_the_best_new_design_near_the_good_ones():
    task = toy_task((8,) * 8)
    good = task.space.sample(12, np.random.default_rng(1))
    seen = Seen()
    seen.add(good)
    surrogate = Known(lambda rows: task.evaluate(rows).score)
    args = (task.space, surrogate, good, seen, np.random.default_rng(0))
    rows = Chooser(task.space, 64, 3).choose(4, *args, local=True)
    # The nearest eight only, at most three changes away, and all their neighbours are looked at.
    steps = (rows[:, None] != good[None, :8]).sum(axis=2).min(axis=1)
    assert (steps >= 1).all()
    assert (steps <= 3).all()
    near = np.concatenate([task.space.neighbours(row) for row in good[:8]])
    assert task.evaluate(rows[:1]).score >= task.evaluate(near).score.max()
    assert len(fresh(rows, seen)) == 4


def test_a_local_choice_with_too_few_designs_left_looks_everywhere():
    task = toy_task((3, 3))
    every = task.space.enumerate(0, task.space.size)
    near = task.space.neighbours(every[0])
    seen = Seen()
    seen.add(every[(every != every[0]).sum(axis=1) < 2])
    surrogate = Known(lambda rows: -1.0 * rows.sum(axis=1))
    args = (task.space, surrogate, every[:1], seen, np.random.default_rng(0))
    rows = Chooser(task.space, 16, 2).choose(4, *args, local=True)
    assert len(near) > 0
    assert sorted(rows.tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_a_space_that_is_used_up_leaves_nothing_to_choose():
    task = toy_task((2, 2))
    seen = Seen()
    seen.add(task.space.enumerate(0, 3))
    surrogate = Known(lambda rows: np.zeros(len(rows)))
    args = (task.space, surrogate, np.zeros((0, 2), np.int64), seen, np.random.default_rng(0))
    assert Chooser(task.space, 16, 2).choose(3, *args).tolist() == [[1, 1]]


def test_designs_are_level_with_the_best_from_the_second_one_on():
    scores = np.array([1.0, 3.0, -np.inf, 3.0, 2.0, 3.0])
    assert np.flatnonzero(level_with_best(scores)).tolist() == [3, 5]
    assert not level_with_best(scores[:3]).any()


def test_a_plateau_leaves_little_but_not_nothing_of_an_improvement():
    left = np.exp(log_not_level(np.linspace(0.0, 1.0, 11)))
    assert left[[0, -1]] == pytest.approx([1.0, 0.02])
    assert (np.diff(left) < 0).all()


@pytest.mark.parametrize("agent", ["gp", "random-forest"])
def test_what_is_level_with_the_best_is_learned(agent, monkeypatch):
    """The score rises with p0 up to 3 and is the same from there on: there the plateau is."""
    task = function_task(
        toy_task((8, 4, 4)).space, lambda r: 10.0 + np.maximum(0, 3 - r[:, 0]) + (r[:, 1] == 3)
    )
    rows = task.space.sample(60, np.random.default_rng(0))
    each = make_agent(agent, task.space, seed=0)
    each.tell(rows, task.evaluate(rows))
    module, heard = sys.modules[type(each).__module__], []
    monkeypatch.setattr(module, "log_not_level", lambda p: (heard.append(p), log_not_level(p))[1])
    added, surrogate = [], module._Improvement
    add = surrogate.add
    monkeypatch.setattr(surrogate, "add", lambda self, r: (added.append(r), add(self, r))[1])
    each.ask(1)
    on_plateau = (added[0][:, 0] >= 3) & (added[0][:, 1] < 3)
    probability = heard[0][: len(on_plateau)]
    assert np.median(probability[on_plateau]) > 0.7
    assert np.median(probability[~on_plateau]) < 0.3
