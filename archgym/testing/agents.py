"""Conformance kit for agents.

`check_agent("genetic")` or `check_agent(MyAgent)` runs every check; each check can also be called
alone. A failed check raises `AssertionError` with a message that says what to mend. All checks are
deterministic: an agent passes always or never.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import pickle
import re
from collections.abc import Callable

import numpy as np

from archgym.agent import Agent, LoopAgent, find_agent
from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.experiment import AgentEntry
from archgym.hyperparameters import Domain, Range, declared, documentation
from archgym.metric import FloatArray
from archgym.run import search
from archgym.space import DesignSpace, IntArray
from archgym.task import Task
from archgym.testing.loops import LOOP_CHECKS
from archgym.testing.toys import SeparableToy, conditional_task, function_task, toy_task

AgentLike = str | type[Agent]

_TAKEN = {*inspect.signature(search).parameters, *AgentEntry.model_fields} - {"hyperparameters"}

BATCHES = (1, 7, 64)
SUPERIORITY = 0.81
"""Share of pairs of runs to win against random search: with ten runs each, the Mann-Whitney test
then rejects "not better" at the level 0.01 (critical value 81 of 100)."""


def _class(agent: AgentLike) -> type[Agent]:
    return find_agent(agent) if isinstance(agent, str) else agent


def _name(agent: AgentLike) -> str:
    return agent if isinstance(agent, str) else agent.__name__


def _valid(space: DesignSpace, rows: IntArray, n: int, who: str) -> IntArray:
    """Asserts that an answer of `ask` is `n` valid rows."""
    assert isinstance(rows, np.ndarray) and rows.shape == (n, len(space)), (
        f"{who}: ask({n}) returned shape {np.shape(rows)}, not {(n, len(space))}"
    )
    try:
        space.validate(rows)
    except ValueError as error:
        raise AssertionError(f"{who}: ask({n}) returned an invalid row: {error}") from error
    return rows


def _propose(agent: Agent, task: Task, rounds: int, batch: int, who: str) -> IntArray:
    """Runs some rounds of ask and tell and returns all proposals `(rounds * batch, d)`."""
    proposed = []
    for _ in range(rounds):
        rows = _valid(task.space, agent.ask(batch), batch, who)
        proposed.append(rows.copy())
        agent.tell(rows, task.evaluate(rows))
    return np.concatenate(proposed)


def _run(agent: AgentLike, task: Task, budget: int, seed: int) -> Evaluator:
    """Runs one search to its end."""
    evaluator = Evaluator(task, budget)
    with contextlib.suppress(BudgetExhausted):
        _class(agent)(task.space, seed=seed).search(evaluator)
    return evaluator


def check_hyperparameters(agent: AgentLike) -> None:
    """Every hyperparameter has a default, a range or choice it lies in, and a line of meaning."""
    cls = _class(agent)
    documented = documentation(cls)
    for name, each in declared(cls).items():
        who = f"{_name(agent)}: hyperparameter {name!r}"
        assert name not in _TAKEN, f"{who} is named like a setting of runs"
        assert each.default is not inspect.Parameter.empty, f"{who} has no default"
        assert isinstance(each.domain, Domain), (
            f"{who} has no range: annotate it as Annotated[type, Range(low, high)] or Choice((...))"
        )
        if isinstance(each.domain, Range):
            assert each.domain.low < each.domain.high, f"{who}: its range is empty"
            assert each.domain.low > 0 or not each.domain.log, f"{who}: a log range starts above 0"
        try:
            each.check(_name(agent), each.default)
        except ValueError as error:
            raise AssertionError(f"{who}: the default is not allowed: {error}") from error
        assert re.search(rf"^\s*{name}: \S", documented, re.MULTILINE), (
            f"{who} is not explained under Args: in the class docstring"
        )


def check_seed(agent: AgentLike) -> None:
    """The same seed gives the same proposals, another seed gives others."""
    task, who = toy_task(), _name(agent)
    runs = [_propose(_class(agent)(task.space, seed=s), task, 5, 8, who) for s in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1]), f"{who}: two runs with the same seed differ"
    assert not np.array_equal(runs[0], runs[2]), f"{who}: runs with different seeds are equal"
    np.random.seed(0)  # noqa: NPY002 (the point is that the global generator does not matter)
    again = _propose(_class(agent)(task.space, seed=1), task, 5, 8, who)
    assert np.array_equal(runs[0], again), f"{who}: the global NumPy generator changes the run"
    generator = np.random.default_rng(1)
    drawn = _propose(_class(agent)(task.space, seed=generator), task, 5, 8, who)
    assert np.array_equal(runs[0], drawn), f"{who}: a generator is not used like its seed"


def check_batches(agent: AgentLike) -> None:
    """`ask(n)` returns `n` valid rows for any `n`, also if batches of many sizes are mixed."""
    who = _name(agent)
    for task in (toy_task(), conditional_task()):
        for batch in BATCHES:
            _propose(_class(agent)(task.space, seed=0), task, 2, batch, who)
        mixed = _class(agent)(task.space, seed=0)
        for batch in (3, 64, 1, 1, 17, 2):
            _propose(mixed, task, 1, batch, who)
        assert mixed.batch_size >= 1, f"{who}: batch_size is {mixed.batch_size}, not at least 1"


def check_empty_batch(agent: AgentLike) -> None:
    """`ask(0)` and telling nothing do no harm."""
    task, who = toy_task(), _name(agent)
    each = _class(agent)(task.space, seed=0)
    rows = _valid(task.space, each.ask(0), 0, who)
    each.tell(rows, task.evaluate(rows))
    _propose(each, task, 1, 4, who)


def check_ask_without_tell(agent: AgentLike) -> None:
    """Asking again before telling works, and designs may be told in another order and grouping."""
    task, who = toy_task(), _name(agent)
    each = _class(agent)(task.space, seed=0)
    rows = np.concatenate([_valid(task.space, each.ask(6), 6, who) for _ in range(4)])
    shuffled = rows[np.random.default_rng(0).permutation(len(rows))]
    for start, stop in ((0, 5), (5, 6), (6, 24)):
        each.tell(shuffled[start:stop], task.evaluate(shuffled[start:stop]))
    each.tell(rows[:3], task.evaluate(rows[:3]))
    _propose(each, task, 2, 6, who)


def check_inputs_untouched(agent: AgentLike) -> None:
    """The agent keeps no reference to arrays of its caller and does not write to them."""
    task, who = toy_task(), _name(agent)
    tidy, rude = (_class(agent)(task.space, seed=0) for _ in range(2))
    for _ in range(4):
        rows, others = tidy.ask(8), rude.ask(8)
        assert np.array_equal(rows, others), f"{who}: changing a told array changes the search"
        evaluation, before = task.evaluate(others), others.copy()
        tidy.tell(rows, task.evaluate(rows))
        rude.tell(others, evaluation)
        assert np.array_equal(others, before), f"{who}: tell changed the designs it was given"
        others[:] = 0
        evaluation.designs[:] = 0
        evaluation.score[:] = 0.0


def check_reachability(agent: AgentLike, seeds: int = 12) -> None:
    """Short searches over some seeds propose every value of every parameter."""
    who = _name(agent)
    for task in (toy_task((8, 8, 5, 5, 2, 3, 1, 12)), conditional_task()):
        seen = [np.zeros(int(c), np.bool_) for c in task.space.cardinalities]
        for seed in range(seeds):
            rows = _propose(_class(agent)(task.space, seed=seed), task, 4, 10, who)
            active = task.space.active(rows)
            for j, values in enumerate(seen):
                values[rows[active[:, j], j]] = True
        for name, values in zip(task.space.names, seen, strict=True):
            missing = np.flatnonzero(~values).tolist()
            assert not missing, (
                f"{who}: parameter {name!r}: values number {missing} were never proposed in "
                f"{seeds} searches of 40 designs"
            )


def check_state(agent: AgentLike) -> None:
    """`get_state` and `set_state` continue the search exactly, in another object too."""
    task, who = conditional_task(), _name(agent)
    original = _class(agent)(task.space, seed=3)
    _propose(original, task, 4, 8, who)
    original.ask(4)
    state = original.get_state()
    expected = _propose(original, task, 4, 8, who)
    resumed = _class(agent)(task.space, seed=99)
    resumed.set_state(state)
    assert np.array_equal(_propose(resumed, task, 4, 8, who), expected), (
        f"{who}: a search set to a saved state does not continue like the original"
    )
    original.set_state(state)
    assert np.array_equal(_propose(original, task, 4, 8, who), expected), (
        f"{who}: a saved state is changed by the search that goes on"
    )
    stored = _class(agent)(task.space, seed=98)
    stored.set_state(pickle.loads(pickle.dumps(state)))
    assert np.array_equal(_propose(stored, task, 4, 8, who), expected), (
        f"{who}: a state that was pickled does not continue like the original"
    )


def check_beats_random(agent: AgentLike, budget: int = 120, runs: int = 10) -> None:
    """At equal budget the best score on a separable toy is better than random search's."""
    task, who = toy_task(), _name(agent)
    ours = [np.max(_run(agent, task, budget, s).trials().score) for s in range(runs)]
    theirs = [np.max(_run("random", task, budget, 100 + s).trials().score) for s in range(runs)]
    difference = np.subtract.outer(ours, theirs)
    won = float(np.mean(difference > 0) + 0.5 * np.mean(difference == 0))
    assert won >= SUPERIORITY, (
        f"{who}: best score after {budget} designs beats random search in {won:.0%} of the pairs "
        f"of {runs} runs, at least {SUPERIORITY:.0%} are needed (medians {np.median(ours):.3f} and "
        f"{np.median(theirs):.3f})"
    )


def check_warm_start(agent: AgentLike, told: int = 64) -> None:
    """Designs it never asked for are learned from: later proposals resemble the good ones."""
    task, who = toy_task(), _name(agent)
    best = SeparableToy(tuple(task.space.cardinalities)).best
    alike: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rows = task.space.sample(told, rng)
        # Designs at one changed parameter from the optimum, which itself is not told.
        rows[::8] = best
        places = np.arange(0, told, 8)
        genes = rng.choice(len(best), len(places), replace=False)
        rows[places, genes] = (best[genes] + 1) % task.space.cardinalities[genes]
        for warm in (True, False):
            each = _class(agent)(task.space, seed=seed)
            if warm:
                each.tell(rows, task.evaluate(rows))
            proposed = _propose(each, task, 3, 8, who)
            alike[warm].append(float(np.mean(proposed == best)))
    gain = float(np.mean(alike[True]) - np.mean(alike[False]))
    assert gain > 0.05, (
        f"{who}: telling good designs it never asked for does not lead the search towards them "
        f"(share of optimal values rises by {gain:.3f}, expected over 0.05)"
    )


def check_infeasible(agent: AgentLike) -> None:
    """Infeasible designs and metrics that are no numbers are survived and learned from."""
    who = _name(agent)
    task = toy_task((6, 6, 4, 4), forbidden=True)
    evaluator = _run(agent, task, 60, 0)
    assert evaluator.trials().feasible.any(), f"{who}: found no feasible design"

    def partly_broken(rows: IntArray) -> FloatArray:
        return np.where(rows[:, 0] == 0, 1.0 + rows.sum(axis=1), np.nan)

    broken = function_task(toy_task((6, 6, 4, 4)).space, partly_broken)
    trials = _run(agent, broken, 60, 0).trials()
    assert len(trials) == 60, f"{who}: stopped after {len(trials)} of 60 designs, most infeasible"
    hopeless = function_task(broken.space, lambda rows: np.where(rows.any(axis=1), np.nan, 1.0))
    assert len(_run(agent, hopeless, 40, 0).trials()) == 40, (
        f"{who}: stopped early where nearly every design is infeasible"
    )


def check_tiny_space(agent: AgentLike) -> None:
    """A space of three designs, or of one, is used up and does not hang the search."""
    who = _name(agent)
    for cardinalities in ((3,), (1,), (1, 3, 1)):
        task = toy_task(cardinalities)
        evaluator = Evaluator(task, 50, max_repeats=30)
        each = _class(agent)(task.space, seed=0)
        while not evaluator.exhausted:
            rows = _valid(task.space, each.ask(5), 5, who)
            each.tell(rows, evaluator.evaluate(rows))
        assert evaluator.samples == task.space.size, (
            f"{who}: evaluated {evaluator.samples} of the {task.space.size} designs of a tiny space"
        )


def check_huge_space(agent: AgentLike) -> None:
    """A space of over 1e18 designs is searched like any other."""
    task, who = toy_task((8,) * 24), _name(agent)
    assert task.space.size > 10**18
    _propose(_class(agent)(task.space, seed=0), task, 4, 9, who)


def check_budget_under_population(agent: AgentLike) -> None:
    """A budget of a few designs is spent exactly."""
    for budget in (1, 3, 10):
        samples = _run(agent, toy_task(), budget, 0).samples
        assert samples == budget, f"{_name(agent)}: spent {samples} of a budget of {budget}"


def check_conditional(agent: AgentLike) -> None:
    """Conditions are coped with: the budget is spent, and inert values may be anything."""
    task, who = conditional_task(), _name(agent)
    evaluator = _run(agent, task, 60, 0)
    assert evaluator.samples == 60, (
        f"{who}: stopped after {evaluator.samples} of 60 designs, having proposed nothing new for "
        f"{evaluator.max_repeats} proposals; compare designs by space.canonical"
    )
    each = _class(agent)(task.space, seed=0)
    inert = task.space.sample(24, np.random.default_rng(0))
    inert[:, 0] = 0
    each.tell(inert, task.evaluate(inert))
    _propose(each, task, 2, 8, who)


CHECKS: dict[str, Callable[[AgentLike], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_hyperparameters,
        check_seed,
        check_batches,
        check_empty_batch,
        check_ask_without_tell,
        check_inputs_untouched,
        check_reachability,
        check_state,
        check_beats_random,
        check_warm_start,
        check_infeasible,
        check_tiny_space,
        check_huge_space,
        check_budget_under_population,
        check_conditional,
    )
}
"""The checks by name."""

BASELINE_EXEMPT = ("beats_random", "warm_start")
"""Checks that a method which learns nothing, such as random search, cannot pass."""


def checks_of(agent: AgentLike) -> dict[str, Callable[[AgentLike], None]]:
    """Returns the checks of an agent by name: those of `LOOP_CHECKS` if it owns its loop."""
    cls = _class(agent)
    if not issubclass(cls, LoopAgent):
        return CHECKS
    return {"hyperparameters": check_hyperparameters} | {
        name: functools.partial(lambda check, _: check(cls), check)
        for name, check in LOOP_CHECKS.items()
    }


def check_agent(agent: AgentLike, skip: tuple[str, ...] = ()) -> None:
    """Runs every check.

    Args:
        agent: the class, or a registered name.
        skip: names of checks to leave out, such as `BASELINE_EXEMPT`.

    Raises:
        AssertionError: if a check fails.
        ValueError: for an unknown name in `skip`.
    """
    checks = checks_of(agent)
    for name in skip:
        if name not in checks:
            raise ValueError(f"skip: unknown check {name!r}. Allowed: {', '.join(checks)}.")
    for name, check in checks.items():
        if name not in skip:
            check(agent)
