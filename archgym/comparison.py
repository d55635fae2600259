"""Statistics that compare agents over runs and tasks; every value is a regret, lower is better.

A comparison is over `values`: one array `(runs,)` per task, in the same order of tasks for every
agent. Regret may be infinite (nothing feasible found), which ranks behind everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.statistics import Estimate, Statistic, iqm, quantile

LEAST_TASKS = 10
"""Tasks below which mean ranks say too little for a critical difference (Demšar, section 3.2)."""


def stratified_bootstrap(
    values: Sequence[FloatArray],
    statistic: Statistic = iqm,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Returns a statistic over the runs of all tasks with its percentile bootstrap interval.

    Runs are resampled within each task, as the tasks are fixed and the seeds are random (Agarwal et
    al., "Deep reinforcement learning at the edge of the statistical precipice", 2021, section 4.1).

    Args:
        values: per task, one value per run `(runs,)`.
        statistic: of all values together.
        level: probability that the interval is meant to cover.
        resamples: number of bootstrap samples.
        seed: of the resampling, so that the same results give the same interval.

    Raises:
        ValueError: without tasks, or for a task without runs.
    """
    return combined_bootstrap(
        [values], lambda found: found[0], statistic, level=level, resamples=resamples, seed=seed
    )


def combined_bootstrap(
    groups: Sequence[Sequence[FloatArray]],
    combine: Callable[[FloatArray], FloatArray],
    statistic: Statistic = iqm,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Returns what several agents' statistics combine to, with its percentile bootstrap interval.

    Args:
        groups: per agent what `stratified_bootstrap` takes; agents are resampled independently.
        combine: maps the statistics of the agents `(agents, ...)` to one number each `(...)`, such
            as the ratio of two differences.
        statistic: of all values of an agent together.
        level: probability that the interval is meant to cover.
        resamples: number of bootstrap samples.
        seed: of the resampling, so that the same results give the same interval.

    Raises:
        ValueError: for an agent without tasks, or with a task without runs.
    """
    if any(not values or any(len(each) == 0 for each in values) for values in groups):
        raise ValueError("stratified_bootstrap: every task needs at least one run")
    rng = np.random.default_rng(seed)
    drawn = [statistic(_resampled(values, resamples, rng)) for values in groups]
    found = [statistic(np.concatenate(values)) for values in groups]
    value = float(combine(np.array(found)))
    return _interval(value, combine(np.array(drawn)), level)


def _resampled(
    values: Sequence[FloatArray], resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Draws the runs of each task with replacement: `(resamples, runs of all tasks)`."""
    drawn = [each[rng.integers(len(each), size=(resamples, len(each)))] for each in values]
    return np.concatenate(drawn, axis=1)


def _interval(value: float, drawn: FloatArray, level: float) -> Estimate:
    tail = (1.0 - level) / 2.0
    return Estimate(value, float(quantile(drawn, tail)), float(quantile(drawn, 1.0 - tail)))


def probability_of_improvement(ours: Sequence[FloatArray], theirs: Sequence[FloatArray]) -> float:
    """Returns how likely a run of ours is better than one of theirs, on a task drawn at random.

    Per task the share of pairs that we win, ties counting half (the Mann-Whitney statistic over the
    number of pairs), then the mean over tasks (Agarwal et al., 2021, section 4.3).

    Args:
        ours: per task, one regret per run.
        theirs: the same for the other agent.
    """
    shares = []
    for here, there in zip(ours, theirs, strict=True):
        ordered = np.sort(there)
        worse = len(there) - np.searchsorted(ordered, here, side="right")
        not_better = len(there) - np.searchsorted(ordered, here, side="left")
        shares.append(float((worse + not_better).mean()) / (2.0 * len(there)))
    return float(np.mean(shares))


def improvement(
    ours: Sequence[FloatArray],
    theirs: Sequence[FloatArray],
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Returns `probability_of_improvement` with its stratified percentile bootstrap interval.

    Args:
        ours: per task, one regret per run `(runs,)`, or `(methods, runs)` where several methods are
            pooled, each of which is then resampled on its own.
        theirs: the same for the other agent.
        level: probability that the interval is meant to cover.
        resamples: number of bootstrap samples.
        seed: of the resampling, so that the same results give the same interval.
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros(resamples)
    for here, there in zip(ours, theirs, strict=True):
        mine, other = (
            _resampled(list(np.atleast_2d(each)), resamples, rng) for each in (here, there)
        )
        a, b = mine[:, :, None], other[:, None, :]
        drawn += ((a < b).mean(axis=(1, 2)) + 0.5 * (a == b).mean(axis=(1, 2))) / len(ours)
    flat = ([each.ravel() for each in side] for side in (ours, theirs))
    return _interval(probability_of_improvement(*flat), drawn, level)


def performance_profile(values: Sequence[FloatArray], thresholds: npt.ArrayLike) -> FloatArray:
    """Returns the share of runs with a regret of at most each threshold, every task weighing alike.

    (Dolan and Moré, "Benchmarking optimization software with performance profiles", 2002; over runs
    instead of tasks as in Agarwal et al., 2021, section 4.2.)
    """
    limits = np.asarray(thresholds, np.float64)
    shares = [np.searchsorted(np.sort(each), limits, side="right") / len(each) for each in values]
    return np.asarray(np.mean(shares, axis=0))


@dataclass(frozen=True)
class Hits:
    """When the runs of one agent reached a target.

    Attributes:
        reached: samples that each run took, infinite for those that ended before `(runs,)`.
        spent: samples that each run evaluated in all `(runs,)`.
    """

    reached: FloatArray
    spent: FloatArray

    @property
    def expected_running_time(self) -> float:
        """Samples until the target is reached when the agent is started again after each failure.

        All samples spent before the target over the number of runs that reached it, infinite if
        none did (Hansen et al., "COCO: performance assessment", 2016, section 4.4.2).
        """
        hit = np.isfinite(self.reached)
        if not hit.any():
            return math.inf
        return float(np.where(hit, self.reached, self.spent).sum() / hit.sum())

    def ecdf(self, samples: npt.ArrayLike) -> FloatArray:
        """Returns the share of runs that have reached the target after so many samples."""
        found = np.searchsorted(np.sort(self.reached), np.asarray(samples), side="right")
        return np.asarray(found / len(self.reached))


def first_hit(best: FloatArray, target: float) -> float:
    """Returns after how many samples a best-so-far curve `(n,)` reaches a score, else infinity."""
    at = int(np.searchsorted(best, target, side="left"))
    return float(at + 1) if at < len(best) else math.inf


@dataclass(frozen=True)
class Ranks:
    """Friedman's test over tasks with Nemenyi's critical difference.

    Attributes:
        mean: mean rank of each agent, 1 is the best `(k,)`.
        chi_square: Friedman's statistic, corrected for ties.
        p_value: that the agents do not differ at all.
        critical_difference: two mean ranks that differ by less do not differ at the 5 % level.
        tasks: number of them.
    """

    mean: FloatArray
    chi_square: float
    p_value: float
    critical_difference: float
    tasks: int


def rank_over_tasks(regret: npt.ArrayLike) -> Ranks | None:
    """Ranks agents on every task and says which mean ranks differ.

    (Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.)

    Args:
        regret: `(tasks, agents)`.

    Returns:
        None for fewer than `LEAST_TASKS` tasks or three agents.
    """
    import scipy.special

    table = np.asarray(regret, np.float64)
    tasks, agents = table.shape
    if tasks < LEAST_TASKS or agents < 3:
        return None
    worse = (table[:, :, None] > table[:, None, :]).sum(axis=2)
    equal = (table[:, :, None] == table[:, None, :]).sum(axis=2)
    ranks = worse + (equal + 1) / 2.0
    mean = ranks.mean(axis=0)
    centre = (agents + 1) / 2.0
    spread = float(((ranks - centre) ** 2).sum()) / (tasks * (agents - 1))
    chi_square = float(tasks * ((mean - centre) ** 2).sum() / spread) if spread > 0 else 0.0
    q = studentized_range(agents) / math.sqrt(2.0)
    return Ranks(
        mean=mean,
        chi_square=chi_square,
        p_value=float(scipy.special.chdtrc(agents - 1, chi_square)),
        critical_difference=q * math.sqrt(agents * (agents + 1) / (6.0 * tasks)),
        tasks=tasks,
    )


def studentized_range(groups: int, level: float = 0.95) -> float:
    """Returns the quantile of the range of independent standard normal variables.

    P(range <= q) = k * integral of phi(z) * (Phi(z) - Phi(z - q))^(k - 1) over z.
    (`scipy.stats` has it as well, but takes seconds to import.)

    Args:
        groups: number of variables, k.
        level: probability.
    """
    from scipy.special import ndtr

    z = np.linspace(-8.0, 8.0, 4001)
    density = np.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi) * (z[1] - z[0])
    low, high = 0.0, 20.0
    for _ in range(60):
        q = (low + high) / 2.0
        covered = groups * float((density * (ndtr(z) - ndtr(z - q)) ** (groups - 1)).sum())
        low, high = (q, high) if covered < level else (low, q)
    return (low + high) / 2.0


def parameter_importance(count: FloatArray, total: FloatArray, squares: FloatArray) -> float | None:
    """Returns the share of a score's variance that the values of one parameter explain.

    Epsilon squared, the correlation ratio without its bias towards parameters of many values
    (Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935), and 0 where that is negative.

    Args:
        count: number of designs with each value `(k,)`.
        total: sum of their scores `(k,)`.
        squares: sum of their squared scores `(k,)`.

    Returns:
        None where there are too few designs, or all scores are equal.
    """
    used = count > 0
    n, k = float(count.sum()), int(used.sum())
    if n <= k:
        return None
    mean = total.sum() / n
    overall = float(squares.sum() - n * mean**2)
    if overall <= 1e-12 * max(1.0, float(squares.sum())):
        return None
    between = float((total[used] ** 2 / count[used]).sum() - n * mean**2)
    return max(0.0, 1.0 - (overall - between) / (n - k) * (n - 1) / overall)
