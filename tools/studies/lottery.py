"""The study of hyperparameter settings drawn at random: tables and figures of its page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archgym.comparison import probability_of_improvement
from archgym.metric import FloatArray
from archgym.statistics import quantile
from archgym.variance import average_ranks, variance_shares
from studies.charts import LogAxis, Spread, bars, spreads
from studies.data import Run, Study
from studies.page import percent, status, table

PAGE = "hyperparameter-lottery"
SAMPLES = (100, 1_000, 10_000)
COMMON = 1_000
"""Designs that every method may evaluate."""
BASELINE = "random"
TRIALS = 20
LEAST_SETTINGS = 5
"""Complete settings below which a method is not shown."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOURS = ("#e69f00", "#009e73", "#0072b2")
PARTS = (
    ("#0072b2", "setting"),
    ("#d55e00", "task"),
    ("#cc79a7", "setting x task"),
    ("#bbbbbb", "seed"),
)


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


def _after(runs: Sequence[Run], samples: int) -> list[float]:
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
    values = [[_after(study.cell(t, label), samples) for t in tasks] for label in settings]
    standard = [_after(study.cell(t, default), samples) for t in tasks]
    return Settings(agent, tuple(tasks), np.array(values), np.array(standard))


def budget_of(study: Study, agent: str) -> int:
    """Returns the largest of `SAMPLES` that a method may evaluate."""
    label = f"{agent} default"
    budgets = [run.budget for run in study.runs if run.label == label] or [SAMPLES[0]]
    return max(n for n in SAMPLES if n <= max(budgets[0], SAMPLES[0]))


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


def _all(study: Study, samples: int | None) -> list[Settings]:
    """Returns the regrets of all methods, at the end of their budget for no number of samples."""
    found = [settings_of(study, a, samples or budget_of(study, a)) for a in methods(study)]
    return [each for each in found if each is not None]


def _per_setting(found: Settings) -> FloatArray:
    """Returns the mean regret of each setting over tasks and seeds."""
    means: FloatArray = found.random.mean(axis=(1, 2))
    return means


def spread_table(study: Study) -> str:
    """Returns how the settings of each method are spread, and how many lose to random search."""
    rows = []
    for agent in methods(study):
        for samples in SAMPLES:
            found = settings_of(study, agent, samples)
            if found is None:
                continue
            means = _per_setting(found)
            baseline = [np.array(_after(study.cell(t, BASELINE), samples)) for t in found.tasks]
            known = all(len(each) for each in baseline)
            rows.append(
                [
                    f"`{agent}`",
                    f"{samples:,}",
                    found.size,
                    *(percent(float(quantile(means, q))) for q in QUANTILES),
                    percent(float(found.default.mean())),
                    percent(float(np.mean(baseline))) if known else "–",
                    percent(worse_than_random(found, baseline)) if known else "–",
                ]
            )
    headers = [
        "method",
        "designs",
        "tasks",
        *(f"{q:.0%} of settings".replace("%", " %") for q in QUANTILES),
    ]
    return table([*headers, "default", "random search", "settings worse than random, %"], rows)


def task_table(study: Study) -> str:
    """Returns the spread of the settings on each task at the end of each method's budget."""
    rows = []
    for found in _all(study, None):
        cells = dict.fromkeys(study.tasks, "–")
        for t, task in enumerate(found.tasks):
            means = found.random[:, t].mean(axis=1)
            low, middle, high = (percent(float(quantile(means, q))) for q in (0.05, 0.5, 0.95))
            cells[task] = f"{middle} ({low} to {high})"
        rows.append([f"`{found.agent}`", f"{budget_of(study, found.agent):,}", *cells.values()])
    return table(["method", "designs", *(study.short(task) for task in study.tasks)], rows)


def shares_table(study: Study) -> str:
    """Returns what the variance of regret comes from, of ranks and of regret itself."""
    rows = []
    for samples in (COMMON, SAMPLES[-1]):
        for found in _all(study, samples):
            cells = []
            for values in (average_ranks(found.random), found.random):
                known = bool(np.isfinite(values).all())
                cells += [percent(v) for v in (shares(values) if known else [math.nan] * 4)]
            rows.append([f"`{found.agent}`", f"{samples:,}", found.size, *cells])
    names = [name for _, name in PARTS]
    return table(
        [
            "method",
            "designs",
            "tasks",
            *(f"{n}, % of ranks" for n in names),
            *(f"{n}, % of regret" for n in names),
        ],
        rows,
    )


def tuning_table(study: Study) -> str:
    """Returns what tuning with a few trials is worth at the end of each method's budget."""
    rows = []
    for found in _all(study, None):
        if len(found.tasks) < 2 or len(found.random) < TRIALS:
            continue
        plain, kept = tune(found), tune(found, with_default=True)
        rows.append(
            [
                f"`{found.agent}`",
                f"{budget_of(study, found.agent):,}",
                *(percent(v) for v in (plain.default, plain.median)),
                *(percent(v) for v in (plain.tuned, kept.tuned, plain.best, plain.recovered)),
                *(percent(v) for v in (plain.default_standing, plain.standing, kept.standing)),
            ]
        )
    if not rows:
        return "No method has enough runs on two tasks yet: one to tune on and one to test.\n"
    headers = ["method", "designs", "default", "median setting", f"best of {TRIALS} tried"]
    headers += [f"best of default and {TRIALS - 1}", "best setting, with hindsight", "recovered, %"]
    headers += ["standing of default, %", f"of best of {TRIALS}, %"]
    return table([*headers, f"of best of default and {TRIALS - 1}, %"], rows)


def default_table(study: Study) -> str:
    """Returns how each method's default does, on average and where it does worst."""
    rows = []
    for found in _all(study, None):
        regret = found.default.mean(axis=1)
        places = np.array(
            [
                position(float(regret[t]), found.random[:, t].mean(axis=1))
                for t in range(len(found.tasks))
            ]
        )
        worst, last = int(regret.argmax()), int(places.argmax())
        rows.append(
            [
                f"`{found.agent}`",
                f"{budget_of(study, found.agent):,}",
                found.size,
                percent(float(regret.mean())),
                f"{percent(float(regret[worst]))} ({study.short(found.tasks[worst])})",
                percent(float(places.mean())),
                f"{percent(float(places[last]))} ({study.short(found.tasks[last])})",
            ]
        )
    headers = [
        "method",
        "designs",
        "settings x tasks",
        "regret of default, %",
        "on its worst task, %",
    ]
    return table([*headers, "settings that are better, %", "on its worst task, %"], rows)


def spread_figure(study: Study) -> str:
    """Draws the spread of the settings of each method after several numbers of designs."""
    rows = []
    for agent in methods(study):
        group = []
        for samples, colour in zip(SAMPLES, COLOURS, strict=True):
            found = settings_of(study, agent, samples)
            if found is not None:
                means = _per_setting(found)
                places = tuple(float(quantile(means, q)) for q in QUANTILES)
                group.append(Spread(colour, places, float(found.default.mean())))  # type: ignore[arg-type]
        if group:
            rows.append((agent, group))
    values = (v for _, group in rows for each in group for v in (*each.quantiles, each.mark))
    axis = LogAxis.over("mean regret of a setting", values)
    legend = [(c, f"{n:,} designs") for n, c in zip(SAMPLES, COLOURS, strict=True)]
    return spreads(
        "Spread over hyperparameter settings",
        axis,
        rows,
        legend,
        "cross: default; 5, 25, 50, 75, 95 %",
    )


def shares_figure(study: Study, samples: int) -> str:
    """Draws what the variance of ranks comes from, a bar per method."""
    rows = []
    for found in _all(study, samples):
        told = shares(average_ranks(found.random))
        rows.append((found.agent, [0.0 if math.isnan(share) else share for share in told]))
    title = f"Where the rank of a run after {samples:,} designs comes from"
    return bars(title, "share of the variance of ranks in %", rows, PARTS)


def draw(study: Study) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the generated parts of the page and the figures, both by name."""
    images = {
        "lottery-spread.svg": spread_figure(study),
        "lottery-shares.svg": shares_figure(study, COMMON),
    }
    parts = {
        "status": status(study),
        "spread": f"![spread over settings](images/lottery-spread.svg)\n\n{spread_table(study)}",
        "spread-by-task": task_table(study),
        "shares": f"![shares of the variance](images/lottery-shares.svg)\n\n{shares_table(study)}",
        "tuning": tuning_table(study),
        "defaults": default_table(study),
    }
    return parts, images
