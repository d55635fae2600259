"""The study of hyperparameter settings drawn at random: tables and figures of its page."""

from __future__ import annotations

import math

import numpy as np

from archgym.statistics import quantile
from archgym.variance import average_ranks
from studies.charts import LogAxis, Spread, bars, spreads
from studies.data import Study
from studies.page import percent, status, table
from studies.settings import (
    SAMPLES,
    TRIALS,
    Settings,
    after,
    blocks,
    methods,
    per_setting,
    position,
    settings_of,
    shares,
    tune,
    worse_than_random,
)

PAGE = "hyperparameter-lottery"
COMMON = 1_000
"""Designs that every method may evaluate."""
BASELINE = "random"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOURS = ("#e69f00", "#009e73", "#0072b2")
PARTS = (
    ("#0072b2", "setting"),
    ("#d55e00", "task"),
    ("#cc79a7", "setting x task"),
    ("#bbbbbb", "seed"),
)
_ABOUT = ("designs", "method", "settings x tasks")


def _about(samples: int, found: Settings) -> list[str]:
    return [f"{samples:,}", f"`{found.agent}`", found.size]


def spread_table(study: Study) -> str:
    """Returns how the settings of each method are spread, and how many lose to random search."""
    rows = []
    for samples, found in blocks(study):
        means = per_setting(found)
        baseline = [np.array(after(study.cell(t, BASELINE), samples)) for t in found.tasks]
        known = all(len(each) for each in baseline)
        rows.append(
            [
                *_about(samples, found),
                *(percent(float(quantile(means, q))) for q in QUANTILES),
                percent(float(found.default.mean())),
                percent(float(np.mean(baseline))) if known else "–",
                percent(worse_than_random(found, baseline)) if known else "–",
            ]
        )
    quantiles = [f"{100 * q:.0f} % of settings" for q in QUANTILES]
    last = ["default", "random search", "settings worse than random, %"]
    return table([*_ABOUT, *quantiles, *last], rows)


def task_table(study: Study) -> str:
    """Returns the spread of the settings on each task."""
    rows = []
    for samples, found in blocks(study):
        cells = dict.fromkeys(study.tasks, "–")
        for t, task in enumerate(found.tasks):
            means = found.random[:, t].mean(axis=1)
            low, middle, high = (percent(float(quantile(means, q))) for q in (0.05, 0.5, 0.95))
            cells[task] = f"{middle} ({low} to {high})"
        rows.append([*_about(samples, found), *cells.values()])
    return table([*_ABOUT, *(study.short(task) for task in study.tasks)], rows)


def shares_table(study: Study) -> str:
    """Returns what the variance of regret comes from, of ranks and of regret itself."""
    rows = []
    for samples, found in blocks(study):
        cells = []
        for values in (average_ranks(found.random), found.random):
            known = bool(np.isfinite(values).all())
            cells += [percent(v) for v in (shares(values) if known else [math.nan] * 4)]
        rows.append([*_about(samples, found), *cells])
    kinds = [f"{name}, % of {what}" for what in ("ranks", "regret") for _, name in PARTS]
    return table([*_ABOUT, *kinds], rows)


def tuning_table(study: Study) -> str:
    """Returns what tuning with a few trials is worth."""
    rows = []
    for samples, found in blocks(study):
        if len(found.tasks) < 2 or len(found.random) < TRIALS:
            continue
        plain, kept = tune(found), tune(found, with_default=True)
        rows.append(
            [
                *_about(samples, found),
                *(percent(v) for v in (plain.default, plain.median)),
                *(percent(v) for v in (plain.tuned, kept.tuned, plain.best, plain.recovered)),
                *(percent(v) for v in (plain.default_standing, plain.standing, kept.standing)),
            ]
        )
    if not rows:
        return "No method has enough runs on two tasks yet: one to tune on and one to test.\n"
    headers = [*_ABOUT, "default", "median setting", f"best of {TRIALS} tried"]
    headers += [f"best of default and {TRIALS - 1}", "best setting, with hindsight", "recovered, %"]
    headers += ["standing of default, %", f"of best of {TRIALS}, %"]
    return table([*headers, f"of best of default and {TRIALS - 1}, %"], rows)


def default_table(study: Study) -> str:
    """Returns how each method's default does, on average and where it does worst."""
    rows = []
    for samples, found in blocks(study):
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
                *_about(samples, found),
                percent(float(regret.mean())),
                f"{percent(float(regret[worst]))} ({study.short(found.tasks[worst])})",
                percent(float(places.mean())),
                f"{percent(float(places[last]))} ({study.short(found.tasks[last])})",
            ]
        )
    headers = [*_ABOUT, "regret of default, %", "on its worst task, %"]
    return table([*headers, "settings that are better, %", "on its worst task, %"], rows)


def spread_figure(study: Study) -> str:
    """Draws the spread of the settings of each method after several numbers of designs."""
    rows = []
    for agent in methods(study):
        group = []
        for samples, colour in zip(SAMPLES, COLOURS, strict=True):
            found = settings_of(study, agent, samples)
            if found is not None:
                means = per_setting(found)
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
    for found in (each for at, each in blocks(study) if at == samples):
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
