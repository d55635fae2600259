"""Every registered agent passes the conformance kit."""

import pytest

from archgym.agent import agent_names, find_agent
from archgym.run import search
from archgym.testing.agents import BASELINE_EXEMPT, checks_of
from archgym.testing.toys import toy_task

CASES = [
    (name, check)
    for name in agent_names()
    for check in checks_of(name)
    if not (name == "random" and check in BASELINE_EXEMPT)
]


@pytest.mark.parametrize(("agent", "check"), CASES)
def test_conformance(agent, check):
    checks_of(agent)[check](agent)


@pytest.mark.parametrize("agent", agent_names())
def test_agents_that_claim_several_goals_learn_from_all_of_them(agent):
    task = toy_task(pareto=True)
    if not find_agent(agent).multi_objective:
        with pytest.raises(
            ValueError, match=f"agent '{agent}': searches one goal, task 'Toy-v0"
        ) as e:
            search(task, agent, budget=5)
        assert "\n" not in str(e.value)
    else:
        assert len(search(task, agent, budget=60).evaluation) == 60
