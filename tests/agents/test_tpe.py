import logging

import numpy as np
import optuna
import pytest

from archgym.agent import make_agent
from archgym.testing.toys import function_task, toy_task

TASK = toy_task()


def study(agent):
    return agent.get_state()["_study"]


def test_asked_designs_complete_their_trials_and_others_are_added():
    agent = make_agent("tpe", TASK.space, seed=0)
    rows = agent.ask(4)
    others = TASK.space.sample(3, np.random.default_rng(5))
    both = np.concatenate([others, rows[::-1]])
    evaluation = TASK.evaluate(both)
    agent.tell(both, evaluation)
    trials = study(agent).trials
    assert [trial.state for trial in trials] == [optuna.trial.TrialState.COMPLETE] * 7
    values = {tuple(t.params[n] for n in TASK.space.names): t.value for t in trials}
    assert values == dict(zip(map(tuple, both.tolist()), evaluation.score.tolist(), strict=True))


def test_infeasible_designs_are_told_with_a_finite_poor_value():
    space = toy_task((6, 6)).space
    task = function_task(space, lambda rows: np.where(rows[:, 0] == 0, 1.0, np.nan))
    agent = make_agent("tpe", space, seed=0)
    agent.tell(np.array([[0, 0], [3, 3]]), task.evaluate([[0, 0], [3, 3]]))
    assert [trial.value for trial in study(agent).trials] == [0.0, -10.0]


def test_repeated_suggestions_are_changed_and_told_as_what_was_evaluated():
    task = toy_task((4, 4, 3))
    agent = make_agent("tpe", task.space, seed=0, startup=1)
    seen = []
    for _ in range(16):
        rows = agent.ask(1)
        agent.tell(rows, task.evaluate(rows))
        seen.append(tuple(rows[0]))
    assert len(set(seen)) == 16
    complete = study(agent).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert [tuple(t.params.values()) for t in complete] == [*map(tuple, np.array(seen).tolist())]


@pytest.mark.parametrize("multivariate", ["on", "off"])
@pytest.mark.parametrize("constant_liar", ["on", "off"])
def test_options_reach_the_sampler(multivariate, constant_liar):
    agent = make_agent(
        "tpe", TASK.space, seed=0, multivariate=multivariate, constant_liar=constant_liar, startup=3
    )
    for _ in range(3):
        rows = agent.ask(4)
        agent.tell(rows, TASK.evaluate(rows))
    sampler = study(agent).sampler
    assert sampler._multivariate is (multivariate == "on")
    assert sampler._constant_liar is (constant_liar == "on")


def test_optunas_log_is_silent_here_and_unchanged_elsewhere(caplog, recwarn, capsys):
    before = optuna.logging.get_verbosity()
    with caplog.at_level(logging.DEBUG):
        agent = make_agent("tpe", TASK.space, seed=0, startup=2)
        for _ in range(3):
            rows = agent.ask(2)
            agent.tell(rows, TASK.evaluate(rows))
    assert optuna.logging.get_verbosity() == before
    assert not [record for record in caplog.records if record.name.startswith("optuna")]
    assert capsys.readouterr().err == ""
    assert not recwarn.list
