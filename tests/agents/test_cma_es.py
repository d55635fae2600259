import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.agent import make_agent
from archgym.agents.cma_es import Encoding
from archgym.evaluator import Evaluator
from archgym.space import DesignSpace, Parameter
from archgym.testing.toys import function_task, toy_task

spaces = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6).map(
    lambda given_: DesignSpace(
        [Parameter(f"p{j}", tuple(range(c)), ordered=o) for j, (c, o) in enumerate(given_)]
    )
)


@settings(deadline=None)  # the first call imports the library
@given(spaces, st.integers(0, 2**32 - 1))
def test_every_design_survives_encoding_and_decoding(space, seed):
    encoding = Encoding(space)
    for row in space.sample(10, np.random.default_rng(seed)):
        assert np.array_equal(encoding.to_row(encoding.to_solution(row)), row)


def test_categories_are_searched_and_not_drawn_at_random():
    space = DesignSpace([Parameter(f"c{j}", tuple("abcdef")) for j in range(8)])
    task = function_task(space, lambda rows: 1.0 + (rows != 3).sum(axis=1))
    evaluator = Evaluator(task, 400)
    make_agent("cma-es", space, seed=0).search(evaluator)
    assert evaluator.trials().score.max() == np.log(9.0)  # of 1,679,616 designs


def test_correlated_ordered_parameters_are_followed():
    space = DesignSpace([Parameter(f"p{j}", tuple(range(64)), ordered=True) for j in range(4)])
    # A narrow valley along the diagonal, which single steps leave.
    task = function_task(
        space,
        lambda rows: 1.0 + 20.0 * np.var(rows, axis=1) + np.abs(rows.mean(axis=1) - 50.0),
    )
    found = []
    for seed in range(5):
        evaluator = Evaluator(task, 600)
        make_agent("cma-es", space, seed=seed).search(evaluator)
        found.append(evaluator.trials().metrics["cost_ns"].min())
    assert np.median(found) < 3.0


def test_known_designs_are_not_proposed_again_and_still_count():
    task = toy_task((4, 4, 3))
    evaluator = Evaluator(task, 48, max_repeats=200)
    make_agent("cma-es", task.space, seed=0).search(evaluator)
    assert evaluator.samples == 48
    assert evaluator.proposals < 150


def test_a_better_design_from_elsewhere_becomes_the_centre():
    task = toy_task()
    agent = make_agent("cma-es", task.space, seed=0)
    rows = agent.ask(12)
    agent.tell(rows, task.evaluate(rows))
    best = task.model.best[None]
    agent.tell(best, task.evaluate(best))
    assert np.mean(agent.ask(40) == best) > 0.55
