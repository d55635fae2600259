import numpy as np

from archgym.agent import make_agent
from archgym.testing.toys import toy_task

TASK = toy_task()


def told(agent, rows):
    agent.tell(rows, TASK.evaluate(rows))


def test_first_generation_holds_every_value():
    agent = make_agent("genetic", TASK.space, seed=0, population=16)
    rows = np.concatenate([agent.ask(1) for _ in range(16)])
    assert [len(set(column)) for column in rows.T] == TASK.space.cardinalities.tolist()


def test_without_mutation_children_only_mix_their_parents():
    agent = make_agent("genetic", TASK.space, seed=0, population=4, mutation=0.0, tournament=1)
    parents = TASK.space.sample(4, np.random.default_rng(0))
    told(agent, parents)
    children = agent.ask(4)
    # Four of the many mixtures; a repetition would be mutated, hence a majority and not all.
    pure = [
        all(gene in column for gene, column in zip(c, parents.T, strict=True)) for c in children
    ]
    assert sum(pure) >= 3


def test_the_best_ever_stays_a_parent():
    agent = make_agent(
        "genetic", TASK.space, seed=0, population=8, elitism=0.25, tournament=16, crossover=0.0
    )
    rng = np.random.default_rng(1)
    told(agent, TASK.model.best[None])
    for _ in range(10):
        told(agent, TASK.space.sample(8, rng))
    children = agent.ask(10)
    assert np.median((children != TASK.model.best).sum(axis=1)) <= 2


def test_without_elitism_old_designs_leave():
    agent = make_agent(
        "genetic", TASK.space, seed=0, population=8, elitism=0.0, tournament=16, crossover=0.0
    )
    rng = np.random.default_rng(1)
    told(agent, TASK.model.best[None])
    told(agent, TASK.space.sample(8, rng))
    assert np.median((agent.ask(10) != TASK.model.best).sum(axis=1)) > 2


def test_a_warm_start_takes_the_place_of_the_first_generation():
    agent = make_agent("genetic", TASK.space, seed=0, population=8, mutation=0.0)
    told(agent, np.repeat(TASK.space.sample(1, np.random.default_rng(0)), 9, axis=0))
    assert len(np.unique(agent.ask(4)[:, 3])) > 1, "one design told nine times is one design"
    agent = make_agent("genetic", TASK.space, seed=0, population=8, tournament=8, crossover=0.0)
    rows = TASK.model.best + np.zeros((8, 1), np.int64)
    rows[:, 9] = np.arange(8)
    told(agent, rows)
    assert np.median((agent.ask(8) != TASK.model.best).sum(axis=1)) <= 3
