"""Conformance kits for cost models and environments.

`check_cost_model(task)` and `check_environment(task)` run every check of their kind; each check can
also be called alone. A failed check raises `AssertionError` with a message that says what to mend.
"""

from __future__ import annotations

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from archgym.metric import INFEASIBLE_REWARD, Objective
from archgym.task import Evaluation, Task


def _sample(task: Task, n: int, seed: int = 0) -> Any:
    return task.space.canonical(task.space.sample(n, np.random.default_rng(seed)))


def _assert_equal(one: Evaluation, other: Evaluation, when: str) -> None:
    for name, values in one.columns().items():
        same = np.array_equal(values, other.columns()[name], equal_nan=values.dtype.kind == "f")
        assert same, f"{name} differs {when}"


def check_declared_metrics(task: Task) -> None:
    """Every declared metric is answered, and only those, one value per design."""
    evaluation = task.evaluate(_sample(task, 5))
    declared = [metric.name for metric in task.metrics]
    assert list(evaluation.metrics) == declared, (
        f"answered metrics {list(evaluation.metrics)} are not the declared {declared}"
    )
    for name, values in {**evaluation.metrics, **evaluation.breakdown}.items():
        assert values.shape == (5,), f"{name} has shape {values.shape}, not (5,)"
        assert values.dtype == np.float64, f"{name} has type {values.dtype}, not float64"


def check_units(task: Task) -> None:
    """A metric with a unit carries it at the end of its name."""
    for metric in task.metrics:
        if metric.unit:
            unit = metric.unit.lower().replace("^", "").replace("%", "percent")
            suffix = unit.replace("/", "_per_")
            assert metric.name.endswith(suffix), (
                f"metric {metric.name!r} does not end with its unit {metric.unit!r} ({suffix})"
            )


def check_determinism(task: Task, n: int = 16) -> None:
    """The same designs give the same metrics in any order, batch and thread."""
    rows = _sample(task, n)
    whole = task.evaluate(rows)
    _assert_equal(whole, task.evaluate(rows), "when the same batch is evaluated twice")
    order = np.random.default_rng(1).permutation(n)
    _assert_equal(whole.take(order), task.evaluate(rows[order]), "when the batch is reordered")
    for i in range(0, n, max(1, n // 4)):
        _assert_equal(whole.take([i]), task.evaluate(rows[i : i + 1]), "when a design is alone")
    with ThreadPoolExecutor(4) as pool:
        for i, alone in enumerate(pool.map(lambda i: task.evaluate(rows[[i]]), range(n))):
            _assert_equal(whole.take([i]), alone, "when evaluated in another thread")


def check_inputs_untouched(task: Task) -> None:
    """Evaluating does not write to the batch it was given."""
    rows = _sample(task, 8)
    before = rows.copy()
    task.evaluate(rows)
    assert np.array_equal(rows, before), "evaluate changed its input"


def check_empty_batch(task: Task) -> None:
    """A batch of no designs gives empty arrays."""
    evaluation = task.evaluate(np.zeros((0, len(task.space)), np.int64))
    assert len(evaluation) == 0
    for name, values in evaluation.columns().items():
        assert len(values) == 0, f"{name} is not empty for an empty batch"


def check_default_design(task: Task) -> None:
    """The default design is feasible and scores 0 on every objective without a missed budget."""
    evaluation = task.evaluate(task.default[None])
    assert evaluation.feasible[0], f"the default design breaks {evaluation.violated(0)}"
    if not task.objective.budgets:
        assert evaluation.score[0] == 0.0, f"the default design scores {evaluation.score[0]}, not 0"


def check_ranking(task: Task, n: int = 64) -> None:
    """Every single-metric objective ranks designs exactly as its metric does."""
    evaluation = task.evaluate(_sample(task, n))
    keep = np.flatnonzero(evaluation.feasible)
    for metric in task.metrics:
        values = evaluation.metrics[metric.name][keep]
        positive = np.append(values, task.reference[metric.name]) > 0
        usable = np.isfinite(values).all() and positive.all()
        if metric.direction == "none" or not usable:
            continue
        objective = Objective("single", (metric.name,))
        single = Task(task.environment, task.options, objective, task.model)
        score = single.evaluate(evaluation.designs[keep]).score
        better = values if metric.direction == "maximise" else -values
        order = np.argsort(better, kind="stable")
        assert (np.diff(score[order]) >= 0).all(), f"scores do not follow metric {metric.name!r}"
        ties = np.diff(better[order]) == 0
        assert (np.diff(score[order])[ties] == 0).all(), f"equal {metric.name!r} score differently"


def check_every_value(task: Task) -> None:
    """Every value of every parameter can be evaluated and leaves the rest of the batch alone."""
    for j, count in enumerate(task.space.cardinalities):
        rows = np.repeat(task.default[None], int(count), axis=0)
        rows[:, j] = np.arange(count)
        evaluation = task.evaluate(rows)
        for name, values in evaluation.metrics.items():
            finite = ~np.isnan(values) | ~evaluation.feasible | np.isnan(task.reference[name])
            assert finite.all(), f"{name} is NaN for a feasible value of {task.space.names[j]!r}"


def check_breakdown(task: Task, tolerance: float = 1e-9) -> None:
    """Parts named `quantity/component` add up to the metric `quantity`, where there is one."""
    evaluation = task.evaluate(_sample(task, 16))
    sums: dict[str, Any] = {}
    for name, values in evaluation.breakdown.items():
        quantity = name.partition("/")[0]
        sums[quantity] = sums.get(quantity, 0.0) + values
    for quantity, total in sums.items():
        if quantity in evaluation.metrics:
            whole = evaluation.metrics[quantity][evaluation.feasible]
            parts = total[evaluation.feasible]
            assert np.allclose(parts, whole, rtol=tolerance, atol=0), (
                f"the parts of {quantity!r} do not add up to it"
            )


def check_cost_model(task: Task) -> None:
    """Runs every check of a task's cost model."""
    for check in (
        check_declared_metrics,
        check_units,
        check_determinism,
        check_inputs_untouched,
        check_empty_batch,
        check_default_design,
        check_ranking,
        check_every_value,
        check_breakdown,
    ):
        check(task)


def check_gymnasium(task: Task) -> None:
    """Gymnasium's own checker finds nothing, for every episode and action encoding."""
    from gymnasium.utils.env_checker import check_env

    from archgym.gym import DesignEnv

    class Compared(DesignEnv):
        """Without metrics that are NaN, as of an infeasible design: NaN is not equal to itself."""

        def step(self, action: Any) -> Any:
            *answer, info = super().step(action)
            for name in ("metrics", "breakdown"):
                info[name] = {key: value for key, value in info[name].items() if value == value}
            return (*answer, info)

    encodings = itertools.product(("single", "refine"), ("multi-discrete", "box", "one-knob"))
    for episode, action in [*encodings, ("layerwise", None), ("layerwise", "box")]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*not able to test alternative render.*")
            env = Compared(task=task, episode=episode, action=action, render_mode="ansi")
            check_env(env, skip_render_check=True)


def check_vector_equals_single(task: Task, n: int = 8) -> None:
    """A vector step answers as `n` single steps do."""
    from archgym.gym import DesignEnv, DesignVectorEnv

    for episode in ("single", "refine", "layerwise"):
        vector = DesignVectorEnv(n, task=task, episode=episode, horizon=None)
        vector.action_space.seed(0)
        actions = vector.action_space.sample()
        observations, _ = vector.reset(seed=0)
        answers = vector.step(actions)
        stepped = answers[4].get("final_obs", answers[0])
        for i in range(n):
            env = DesignEnv(task=task, episode=episode)
            first, _ = env.reset(seed=0)
            assert np.array_equal(first, observations[i])
            observation, gained, terminated, truncated, info = env.step(actions[i])
            assert np.array_equal(observation, stepped[i]), "observations differ"
            assert gained == answers[1][i], "rewards differ"
            assert (terminated, truncated) == (answers[2][i], answers[3][i]), "episode ends differ"
            assert info["score"] == answers[4]["score"][i], "scores differ"


def check_infeasible_is_worst(task: Task, n: int = 256) -> None:
    """No infeasible design outranks a feasible one, in score or in reward."""
    evaluation = task.evaluate(_sample(task, n))
    good, bad = evaluation.feasible, ~evaluation.feasible
    if good.any() and bad.any():
        assert evaluation.score[bad].max() < evaluation.score[good].min()
        assert evaluation.reward[bad].max() <= evaluation.reward[good].min()
    assert (evaluation.reward[bad] == INFEASIBLE_REWARD).all()
    assert np.isfinite(evaluation.reward).all()


def check_fidelities(task: Task, n: int = 16) -> None:
    """Declared fidelities can be asked, cost ever more, and agree on space, rules and metrics.

    Costs are not measured again: that would depend on the machine.
    """
    ladder = task.fidelities
    names = [each.name for each in ladder]
    assert len(set(names)) == len(names), f"fidelities {names} repeat a name"
    costs = [each.cost for each in ladder]
    assert costs[0] > 0 and all(a < b for a, b in itertools.pairwise(costs)), (
        f"fidelities {names}: costs {costs} do not rise from above 0"
    )
    assert costs[-1] == 1.0, f"the task's own fidelity {names[-1]!r} costs {costs[-1]}, not 1"
    assert ladder[-1].exact, f"the task's own fidelity {names[-1]!r} is not marked as exact"
    rows = _sample(task, n)
    own = task.evaluate(rows)
    for fidelity in ladder:
        assert fidelity.doc, f"fidelity {fidelity.name!r} has no line of meaning"
        answer = task.at(fidelity.name).evaluate(rows)
        again = task.at(fidelity.name).evaluate(rows[::-1]).take(np.arange(n)[::-1])
        _assert_equal(answer, again, f"when the batch is reordered at {fidelity.name!r}")
        assert np.array_equal(task.at(fidelity.name).default, task.default), (
            f"fidelity {fidelity.name!r} has another default design"
        )
        for rule in (rule.name for rule in task.space.constraints):
            assert np.array_equal(answer.violations[rule], own.violations[rule]), (
                f"fidelity {fidelity.name!r} judges {rule!r} differently"
            )
        if fidelity.exact:
            assert np.array_equal(answer.score, own.score), (
                f"fidelity {fidelity.name!r} is declared exact, its scores differ"
            )


def check_environment(task: Task) -> None:
    """Runs every check of a task's environments."""
    for check in (
        check_gymnasium,
        check_vector_equals_single,
        check_infeasible_is_worst,
        check_fidelities,
    ):
        check(task)
