import numpy as np
import pytest

from archgym.agent import make_agent
from archgym.hyperparameters import declared
from archgym.run import search
from archgym.testing.toys import toy_task

TASK = toy_task()


def test_every_member_is_told_every_trial():
    agent = make_agent("portfolio", TASK.space, members="genetic+hill-climbing", turn=4)
    rows = agent.ask(8)
    agent.tell(rows, TASK.evaluate(rows))
    others = TASK.space.sample(5, np.random.default_rng(9))
    agent.tell(others, TASK.evaluate(others))
    best = max(TASK.evaluate(rows).score.max(), TASK.evaluate(others).score.max())
    genetic, climber = agent.get_state()["_members"]
    assert genetic["_scores"].max() == climber["_best"].score == best


def test_the_budget_moves_to_the_member_that_improves():
    task = toy_task((8,) * 16)
    agent = make_agent("portfolio", task.space, seed=0, members="random+hill-climbing")
    for _ in range(40):
        rows = agent.ask(8)
        agent.tell(rows, task.evaluate(rows))
    random, climber = agent.proposals
    assert random + climber == 320
    assert climber > 3 * random


def test_it_keeps_up_with_its_best_member():
    def median(agent, **settings):
        runs = [search(TASK, agent, budget=200, seed=s, **settings) for s in range(6)]
        return np.median([run.best.score for run in runs])

    both = median("portfolio", members="random+hill-climbing")
    assert both > 0.5 * (median("random") + median("hill-climbing"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("genetic+hill-climing", "unknown name 'hill-climing'; did you mean 'hill-climbing'"),
        ("genetic", "has 1 names, at least 2 are needed"),
        ("genetic+genetic", "repeats a name"),
        ("genetic+portfolio", "unknown name 'portfolio'"),
        ("", "unknown name ''"),
    ],
)
def test_members_are_checked(members, message):
    with pytest.raises(ValueError, match=f"agent 'portfolio': members: .*{message}|{message}") as e:
        make_agent("portfolio", TASK.space, members=members)
    assert "\n" not in str(e.value)


def test_tuning_leaves_the_members_alone():
    from archgym.agents.portfolio import PortfolioAgent

    varies = {name: each.varies for name, each in declared(PortfolioAgent).items()}
    assert varies == {"members": False, "turn": True, "elite": True, "discount": True}
