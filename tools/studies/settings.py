"""Statistics of hyperparameter settings drawn at random: spread, shares of variance, tuning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archgym.comparison import probability_of_improvement
from archgym.metric import FloatArray
from archgym.variance import variance_shares
from studies.data import Run, Study

SAMPLES = (100, 1_000, 10_000)
"""Numbers of designs after which methods are compared, as far as their budgets go."""
TRIALS = 20
LEAST_SETTINGS = 5
"""Complete settings below which a method is not shown."""


@dataclass(frozen=True)
class Settings:
    """The regrets of one method.

    Attributes:
        agent: the method.
        tasks: names of the tasks (t).
        random: regrets of the settings drawn at random `(settings, t, seeds)`.
        default: of its default setting `(t, seeds)`.
    """

    agent: str
    tasks: tuple[str, ...]
    random: FloatArray
    default: FloatArray

    @property
    def size(self) -> str:
        """Numbers of settings and tasks."""
        return f"{len(self.random)} x {len(self.tasks)}"


def methods(study: Study) -> list[str]:
    """Returns the methods of which settings were drawn."""
    agents = dict.fromkeys(study.meta["labels"].values())
    return [agent for agent in agents if len(study.labels(agent)) > 1]


def after(runs: Sequence[Run], samples: int) -> list[float]:
    """Returns the regret of each run after so many designs."""
    return [float(run.regret_after(samples)) for run in runs]


def _block(study: Study, drawn: Sequence[str], default: str) -> tuple[list[str], list[str]]:
    """Returns the tasks and settings of the largest block whose runs are all complete.

    That is everything once the study is complete. Until then settings are a random choice in the
    order in which they were drawn, so the first ones stand for all.
    """
    begun = study.complete_tasks([default])
    blocks = []
    for k in range(len(begun), 0, -1):
        tasks = begun[:k]
        blocks.append((tasks, [s for s in drawn if all(study.cell(t, s) for t in tasks)]))
    return max(blocks, key=lambda block: len(block[0]) * len(block[1]), default=([], []))


def settings_of(study: Study, agent: str, samples: int) -> Settings | None:
    """Returns the regrets of a method after so many designs.

    None where too few of its settings are complete, or where its budget is smaller.
    """
    default = f"{agent} default"
    drawn = [label for label in study.labels(agent) if label != default]
    tasks, settings = _block(study, drawn, default)
    if len(settings) < LEAST_SETTINGS or study.cell(tasks[0], default)[0].budget < samples:
        return None
    values = [[after(study.cell(t, label), samples) for t in tasks] for label in settings]
    standard = [after(study.cell(t, default), samples) for t in tasks]
    return Settings(agent, tuple(tasks), np.array(values), np.array(standard))


def position(value: float, others: FloatArray) -> float:
    """Returns the share of others that are smaller, equal ones counting half."""
    return float(((others < value) + 0.5 * (others == value)).mean())


def worse_than_random(found: Settings, baseline: Sequence[FloatArray]) -> float:
    """Returns the share of settings that random search is more likely to beat than not.

    Args:
        found: of a method.
        baseline: regrets of random search on the same tasks, per task one per seed.
    """
    return float(np.mean([probability_of_improvement(r, baseline) < 0.5 for r in found.random]))


def shares(values: FloatArray) -> tuple[float, float, float, float]:
    """Returns the shares of setting, task, setting x task and seed in the variance.

    The seed's is all that differs between runs of one setting on one task: a seed means something
    else in every run. With one task, the task's shares are not known (NaN), and that of setting
    times task is in the setting's.

    Args:
        values: `(settings, tasks, seeds)`.
    """
    if values.shape[1] == 1:
        found = variance_shares(values[:, 0], within=1)
        return found[(0,)], math.nan, math.nan, found[(1,)]
    found = variance_shares(values, within=2)
    return found[(0,)], found[(1,)], found[(0, 1)], found[(2,)]


@dataclass(frozen=True)
class Tuning:
    """What choosing among a few settings is worth on a task that was not tuned on.

    Regrets are means over held-out tasks and seeds.

    Attributes:
        default: regret of the default setting.
        median: median over the settings of their regret.
        tuned: mean regret of the chosen setting.
        best: least regret of a setting, chosen with hindsight.
        standing: mean position of the chosen setting among all, 0 is the best.
        default_standing: that of the default setting.
    """

    default: float
    median: float
    tuned: float
    best: float
    standing: float
    default_standing: float

    @property
    def recovered(self) -> float:
        """Part of the way from the default to the best setting; NaN without such a way."""
        way = self.default - self.best
        return (self.default - self.tuned) / way if way > 0 else math.nan


def tune(
    found: Settings, *, trials: int = TRIALS, with_default: bool = False, resamples: int = 1_000
) -> Tuning:
    """Simulates tuning: the best of a few settings on all tasks but one, with one seed.

    For every task held out and every seed of the tuning, settings are drawn without replacement;
    the one with the least mean regret on the other tasks is taken, as by `archgym tune`, and
    measured on the held-out task with the other seeds.

    Args:
        found: of a method, with two tasks and two seeds at least.
        trials: settings that are tried.
        with_default: whether the first of them is the default, as in `archgym tune`.
        resamples: draws per held-out task and seed.
    """
    count, tasks, seeds = found.random.shape
    everything = np.concatenate([found.random, found.default[None]])
    rng = np.random.default_rng(0)
    tuned, standing, default_standing = [], [], []
    for task in range(tasks):
        for seed in range(seeds):
            criterion = np.delete(everything, task, axis=1)[:, :, seed].mean(axis=1)
            result = np.delete(everything[:, task], seed, axis=1).mean(axis=1)
            tried = np.argsort(rng.random((resamples, count)), axis=1)[:, :trials]
            if with_default:
                tried[:, 0] = count
            chosen = tried[np.arange(resamples), criterion[tried].argmin(axis=1)]
            places = np.array([position(value, result[:-1]) for value in result])
            tuned.append(result[chosen].mean())
            standing.append(places[chosen].mean())
            default_standing.append(places[-1])
    overall = found.random.mean(axis=(1, 2))
    return Tuning(
        default=float(found.default.mean()),
        median=float(np.median(overall)),
        tuned=float(np.mean(tuned)),
        best=float(overall.min()),
        standing=float(np.mean(standing)),
        default_standing=float(np.mean(default_standing)),
    )


def blocks(study: Study) -> Iterator[tuple[int, Settings]]:
    """Yields the regrets of every method after each number of designs that it may evaluate."""
    for samples in SAMPLES:
        for agent in methods(study):
            found = settings_of(study, agent, samples)
            if found is not None:
                yield samples, found


def per_setting(found: Settings) -> FloatArray:
    """Returns the mean regret of each setting over tasks and seeds."""
    means: FloatArray = found.random.mean(axis=(1, 2))
    return means
