"""The study of one agent against several: tables and figures of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from archgym.comparison import (
    Hits,
    combined_bootstrap,
    improvement,
    stratified_bootstrap,
)
from archgym.metric import FloatArray
from archgym.statistics import Estimate, iqm, log_grid
from studies.charts import Line, LogAxis, lines
from studies.data import Run, Study
from studies.page import count, interval, percent, status, table
from studies.reach import reach_of

PAGE = "multi-agent-vs-single-agent"
SAMPLES = (100, 500, 2_000, 10_000)
REPORTED = 2_000
"""Designs that every method may evaluate, so where all are compared."""
SINGLE = ("ppo", "ppo box", "sac", "dqn")
LEARNED = ("ippo per parameter", "ippo per subsystem", "ippo-shared", "mappo")
MULTI = (*LEARNED, "multi-bandit")
ABLATION = ("ppo round-2023", "sac round-2023")
OTHERS = ("random", "genetic", "cross-entropy", "reinforce")
GROUPS: Mapping[str, Sequence[str]] = {
    "one agent": SINGLE,
    "several agents": MULTI,
    "no network": OTHERS,
    "one agent, rounded": ABLATION,
}
ENDINGS = ("optimum", "budget", "repeats", "proposals")
"""Why a run ended."""
STYLE: Mapping[str, tuple[str, str]] = {
    "ppo": ("#d55e00", ""),
    "ppo box": ("#d55e00", "7 3"),
    "ppo round-2023": ("#d55e00", "2 3"),
    "sac": ("#882255", ""),
    "sac round-2023": ("#882255", "2 3"),
    "dqn": ("#e69f00", ""),
    "ippo per parameter": ("#0072b2", ""),
    "ippo per subsystem": ("#0072b2", "7 3"),
    "ippo-shared": ("#0072b2", "2 3"),
    "mappo": ("#56b4e9", ""),
    "multi-bandit": ("#009e73", ""),
    "random": ("#999999", ""),
    "genetic": ("#000000", ""),
    "cross-entropy": ("#000000", "7 3"),
    "reinforce": ("#000000", "2 3"),
}
"""Colour by family, dash by variant."""


def regrets(
    study: Study, label: str, tasks: Sequence[str], samples: int
) -> list[FloatArray] | None:
    """Returns regret after so many designs, per task one per seed.

    None where runs are missing, or where the budget is smaller.
    """
    cells = [study.cell(task, label) for task in tasks]
    if not cells or any(not cell or cell[0].budget < samples for cell in cells):
        return None
    return [np.array([float(run.regret_after(samples)) for run in cell]) for cell in cells]


def _estimate(study: Study, label: str, tasks: Sequence[str], samples: int) -> Estimate | None:
    values = regrets(study, label, tasks, samples)
    return None if values is None else stratified_bootstrap(values)


def _shown(study: Study) -> list[tuple[str, str]]:
    """Returns group and label of each method of the study."""
    known = study.labels()
    return [(g, label) for g, labels in GROUPS.items() for label in labels if label in known]


def close_regret(study: Study, task: str) -> float:
    """Returns the regret of a design whose metric is 1 % beyond the optimum's."""
    optimum = study.task(task)["optimum"]
    return math.log(1.01) / float(optimum["score"] - optimum["median_random_score"])


def hits(runs: Sequence[Run], regret: float) -> Hits:
    """Returns when runs came to a regret, counting the first `REPORTED` designs only."""
    reached = np.array([run.reached(regret) for run in runs])
    spent = np.minimum([run.samples for run in runs], REPORTED).astype(np.float64)
    return Hits(np.where(reached <= REPORTED, reached, np.inf), spent)


def _reaching(study: Study, label: str, tasks: Sequence[str]) -> list[str]:
    """Returns the shares of runs that come to the optimum and within 1 %, and how soon."""
    cells = [(task, study.cell(task, label)) for task in tasks]
    if not cells or any(not runs for _, runs in cells):
        return ["–", "–", "–"]
    best = [hits(runs, 0.0) for _, runs in cells]
    close = [hits(runs, close_regret(study, task)) for task, runs in cells]
    shares = [
        percent(float(np.mean([np.isfinite(each.reached).mean() for each in found])))
        for found in (best, close)
    ]
    together = Hits(*(np.concatenate([getattr(h, f) for h in best]) for f in ("reached", "spent")))
    return [*shares, count(together.expected_running_time)]


_HEADERS = [
    *("method", *(f"{n:,} designs" for n in SAMPLES)),
    *("optimum reached", "within 1 %", "designs to the optimum"),
]


def regret_table(study: Study, tasks: Sequence[str]) -> str:
    """Returns regrets and hits of every method over some tasks."""
    rows, last = [], ""
    for group, label in _shown(study):
        if group != last:
            rows.append([f"*{group}*", *[""] * (len(_HEADERS) - 1)])
            last = group
        cells = [interval(_estimate(study, label, tasks, n)) for n in SAMPLES]
        rows.append([f"`{label}`", *cells, *_reaching(study, label, tasks)])
    return table(_HEADERS, rows)


def pooled(
    study: Study, labels: Sequence[str], tasks: Sequence[str], samples: int
) -> list[FloatArray] | None:
    """Returns `regrets` of several methods, per task `(methods, seeds)`.

    None where one of them has none.
    """
    found = [regrets(study, label, tasks, samples) for label in labels]
    known = [each for each in found if each is not None]
    if len(known) < len(labels):
        return None
    return [np.stack(runs) for runs in zip(*known, strict=True)]


def improvement_table(study: Study, tasks: Sequence[str], samples: int) -> str:
    """Returns how likely each method of several agents beats each method of one."""
    several = {"*the four with networks*": LEARNED} | {f"`{k}`": (k,) for k in MULTI}
    one = {"*the first four*": SINGLE} | {f"`{k}`": (k,) for k in (*SINGLE, *ABLATION)}
    rows = []
    for ours, our_labels in several.items():
        cells = []
        for their_labels in one.values():
            pair = [pooled(study, each, tasks, samples) for each in (our_labels, their_labels)]
            cells.append(interval(improvement(pair[0], pair[1]) if pair[0] and pair[1] else None))
        rows.append([ours, *cells])
    return table([f"at {samples:,} designs, in %", *one], rows)


def endings(study: Study) -> str:
    """Returns how the runs ended and what they used, over all complete runs."""
    rows = []
    for _, label in _shown(study):
        runs = [run for task in study.tasks for run in study.cell(task, label)]
        if not runs:
            continue
        reasons = [run.stop_reason for run in runs]
        shares = [percent(reasons.count(r) / len(runs)) for r in ENDINGS]
        samples = np.array([run.samples for run in runs])
        low, high = samples.min(), samples.max()
        proposals = np.median([run.proposals / run.samples for run in runs])
        cost = np.median([1e3 * run.agent_seconds / run.samples for run in runs])
        rows.append(
            [
                *(f"`{label}`", str(len(runs)), f"{runs[0].budget:,}", *shares),
                f"{np.median(samples):,.0f} ({low:,} to {high:,})",
                *(f"{proposals:.2f}", f"{cost:.2g}" if cost < 10 else f"{cost:.0f}"),
            ]
        )
    headers = ["method", "runs", "budget", "ended at the optimum, %"]
    headers += [f"by {reason}, %" for reason in ENDINGS[1:]]
    headers += ["unique designs, median (range)", "proposals per design", "agent ms per design"]
    return table(headers, rows)


def reach_table(study: Study) -> str:
    """Returns what the rounding decoder can reach of each task."""
    rows = []
    for task in study.tasks:
        reach = reach_of(study.task(task)["spec"])
        rows.append(
            [
                study.short(task),
                f"{math.exp(reach.optimum):.3f}",
                f"{reach.optimal:,}",
                percent(reach.close),
                percent(reach.reachable),
                f"{reach.reachable_optimal:,}",
                percent(reach.least_regret),
            ]
        )
    headers = ["task", "optimum, times default", "optimal designs", "within 1 %, % of designs"]
    headers += ["reached by rounding, % of designs", "optimal ones among them"]
    return table([*headers, "least regret with rounding, %"], rows)


def explained(
    study: Study, method: str, tasks: Sequence[str], samples: int
) -> tuple[Estimate, Estimate | None] | None:
    """Returns the gap of a rounded method to the several agents, and what decoding explains of it.

    With R the interquartile mean regret over tasks and seeds, the gap is R(round-2023) - R(several
    agents with a network, pooled), and the share (R(round-2023) - R(box)) / gap. The share is None
    where the interval of the gap reaches zero: then there is nothing to explain.
    """
    plain = {"ppo": "ppo box", "sac": "sac"}[method]
    labels = ((f"{method} round-2023",), (plain,), LEARNED)
    rounded, binned, several = (pooled(study, each, tasks, samples) for each in labels)
    if not rounded or not binned or not several:
        return None
    # Every method on every task is resampled on its own.
    groups = [[row for each in side for row in each] for side in (rounded, binned, several)]
    gap = combined_bootstrap([groups[0], groups[2]], lambda r: r[0] - r[1])
    if gap.low <= 0:
        return gap, None
    return gap, combined_bootstrap(groups, _share)


def _share(regret: FloatArray) -> FloatArray:
    """Returns (round - box) / (round - several) of regrets `(3, ...)`, infinite without a gap."""
    gap = regret[0] - regret[2]
    share = np.full(gap.shape, np.inf)
    np.divide(regret[0] - regret[1], gap, out=share, where=gap > 0)
    return share


def decoding_table(study: Study, tasks: Sequence[str]) -> str:
    """Returns what the decoding explains of the gap between one rounded agent and several."""
    rows = []
    for method in ("ppo", "sac"):
        for samples in (n for n in SAMPLES if n <= REPORTED):
            cells = ["–", "–"]
            told = explained(study, method, tasks, samples)
            if told is not None:
                gap, share = told
                cells = [interval(gap), interval(share) if share else "no gap"]
            rows.append([f"`{method}`", f"{samples:,}", *cells])
    return table(["method", "designs", "gap in regret, %", "explained by decoding, %"], rows)


def curves(study: Study, task: str) -> str | None:
    """Draws the interquartile mean of regret against designs, None without a complete method."""
    drawn = []
    for _, label in _shown(study):
        runs = study.cell(task, label)
        if runs:
            samples = log_grid(runs[0].budget, 120)
            samples = samples[samples >= 10]
            middle = iqm(np.stack([run.regret_after(samples) for run in runs], axis=-1))
            drawn.append(Line(label, *STYLE[label], samples.astype(np.float64), middle))
    if not drawn:
        return None
    y = LogAxis.over("regret (0 optimum, 1 median random design)", (v for e in drawn for v in e.y))
    x = LogAxis("unique designs", 10.0, max(float(each.x[-1]) for each in drawn), zero=False)
    return lines(f"{study.short(task)}: interquartile mean of {study.seeds} runs", x, y, drawn)


def image_of(study: Study, task: str) -> str:
    """Returns the file name of a task's figure."""
    return f"multi-agent-{study.short(task).replace(' ', '-')}.svg"


def draw(study: Study) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the generated parts of the page and the figures, both by name."""
    tasks = study.complete_tasks()
    images: dict[str, str] = {}
    each_task = []
    for task in study.tasks:
        figure = curves(study, task)
        if figure is None:
            continue
        name = study.short(task)
        images[image_of(study, task)] = figure
        shown = f"![regret against designs, {name}](images/{image_of(study, task)})"
        each_task.append(f"### {name}\n\n{shown}\n\n{regret_table(study, [task])}")
    none = "No task has all of its runs yet.\n"
    pairs = [improvement_table(study, tasks, n) for n in (500, REPORTED)]
    parts = {
        "status": status(study),
        "reach": reach_table(study),
        "overall": regret_table(study, tasks) if tasks else none,
        "improvement": "\n".join(pairs) if tasks else none,
        "decoding": decoding_table(study, tasks) if tasks else none,
        "endings": endings(study),
        "tasks": "\n".join(each_task) or none,
    }
    return parts, images
