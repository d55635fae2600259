"""The agent on BoTorch, where the extra is installed, and what is said where it is not."""

import importlib.util

import numpy as np
import pytest

from archgym import search
from archgym.agent import find_agent, make_agent
from archgym.testing.toys import toy_task

TASK = toy_task((6, 4, 3))


def installed():
    if importlib.util.find_spec("botorch") is None:
        pytest.skip("the extra botorch is not installed")


def test_a_missing_extra_is_named_with_its_command_before_the_run(monkeypatch):
    monkeypatch.setattr(find_agent("botorch"), "needs", ("no_such_module",))
    message = (
        "agent 'botorch': needs the extra 'botorch' (no_such_module is missing): "
        "pip install 'archgym[botorch]'"
    )
    for use in (
        lambda: search(TASK, "botorch", budget=5),
        lambda: make_agent("botorch", TASK.space),
    ):
        with pytest.raises(ValueError) as error:
            use()
        assert str(error.value) == message


@pytest.mark.parametrize("trust_region", ["off", "on"])
def test_one_goal(trust_region):
    installed()
    task = toy_task((6, 4, 3), forbidden=True)
    result = search(task, "botorch", budget=24, seed=0, startup=8, trust_region=trust_region)
    assert len(result.evaluation) == 24
    first = result.evaluation.score[:8].max()
    assert result.best.score > first or first == result.evaluation.score.max()
    assert np.isfinite(result.best.score)


def test_several_goals():
    installed()
    task = toy_task((6, 4, 3), pareto=True)
    result = search(task, "botorch", budget=20, seed=0, startup=8)
    assert len(np.unique(result.evaluation.designs, axis=0)) == 20


def test_several_goals_are_told_from_a_sum_by_the_score():
    rows = TASK.space.sample(12, np.random.default_rng(0))
    for pareto, columns in ((True, 2), (False, 1)):
        task = toy_task((6, 4, 3), pareto=pareto)
        agent = find_agent("botorch")(task.space, seed=0)
        agent.tell(rows, task.evaluate(rows))
        assert agent._values().shape[1] == columns
