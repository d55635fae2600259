"""What a leaderboard keeps of one run: its improvements and best designs, not its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray
from archgym.pareto import front
from archgym.plan import RunSpec
from archgym.results import trial_objectives
from archgym.space import IntArray
from archgym.statistics import best_so_far

if TYPE_CHECKING:
    from archgym.results import RunFiles

KEPT = 20
"""Best designs that are kept of every run."""
KEPT_OF_FRONT = 100
"""Further designs of its front that are kept of a run with several goals."""


@dataclass(frozen=True)
class Progress:
    """The best score so far of a run as its steps.

    Attributes:
        samples: after which the score rose `(k,)`; fractions where a part was spent at cheaper
            fidelities.
        seconds: of search and evaluation until then `(k,)`.
        scores: from then on `(k,)`.
        spent: samples in all.
        duration: seconds in all.
    """

    samples: FloatArray
    seconds: FloatArray
    scores: FloatArray
    spent: float
    duration: float

    @property
    def best(self) -> float:
        """The highest score, `-inf` where nothing feasible was found."""
        return float(self.scores[-1]) if len(self.scores) else -math.inf

    def _at(self, steps: npt.NDArray[Any], places: npt.ArrayLike) -> FloatArray:
        values = np.concatenate([[-np.inf], self.scores])
        return np.asarray(values[np.searchsorted(steps, np.asarray(places), side="right")])

    def after_samples(self, samples: npt.ArrayLike) -> FloatArray:
        """Returns the best score after so many samples, the last one beyond the run's end."""
        # Sums of fractions of samples are rounded.
        return self._at(self.samples, np.asarray(samples, np.float64) + 1e-6)

    def after_seconds(self, seconds: npt.ArrayLike) -> FloatArray:
        """Returns the best score after so many seconds, the last one beyond the run's end."""
        return self._at(self.seconds, seconds)

    def reached(self, score: float) -> float:
        """Returns after how many samples a score was reached, infinite if never."""
        at = int(np.searchsorted(self.scores, score))
        return float(self.samples[at]) if at < len(self.samples) else math.inf


def spread(values: IntArray, count: int) -> IntArray:
    """Returns at most `count` of some values, evenly spread over their order."""
    if len(values) <= count:
        return values
    return values[np.linspace(0, len(values) - 1, count).round().astype(np.int64)]


def progress_of(scores: FloatArray, seconds: FloatArray, spent: FloatArray) -> Progress:
    """Finds the steps of a run.

    Args:
        scores: of every trial `(n,)`.
        seconds: until each was known `(n,)`.
        spent: samples until each was known, and in all `(n + 1,)`.
    """
    best = best_so_far(scores)
    steps = np.flatnonzero(best > np.concatenate([[-np.inf], best[:-1]]))
    duration = float(seconds[-1]) if len(seconds) else 0.0
    return Progress(spent[steps], seconds[steps], best[steps], float(spent[-1]), duration)


@dataclass(frozen=True)
class Design:
    """One of the best designs of a run.

    Attributes:
        row: its indices.
        score: of it.
        metrics: of it.
        label: of the agent that found it.
        seed: of the run.
        sample: at which it was found.
    """

    row: tuple[int, ...]
    score: float
    metrics: Mapping[str, float]
    label: str
    seed: int
    sample: int


@dataclass(frozen=True)
class RunSummary:
    """One run that has at least one trial.

    Attributes:
        spec: what was run.
        label: the agent's name on the leaderboard.
        complete: whether it ran to its end.
        manifest: of the run.
        progress: of its best score.
        evaluation_seconds: that the cost model took.
        designs: the best ones by score, and of Pareto objectives those of the front.
        rows: every feasible design `(n, d)`, dropped as soon as the task is summarised.
        scores: of these `(n,)`.
        objectives: of every trial `(t, m)` for Pareto objectives.
        spent: samples until each trial was known `(t,)`.
    """

    spec: RunSpec
    label: str
    complete: bool
    manifest: Mapping[str, Any]
    progress: Progress
    evaluation_seconds: float
    designs: tuple[Design, ...]
    rows: IntArray
    scores: FloatArray
    objectives: FloatArray | None
    spent: FloatArray


def summarise_run(spec: RunSpec, label: str, files: RunFiles) -> RunSummary:
    """Summarises one run.

    Args:
        spec: what was run.
        label: the agent's name on the leaderboard.
        files: of the run, with at least one trial.
    """
    manifest, trials, times, spent = files
    scores = trials["score"].to_numpy().astype(np.float64)
    feasible = np.isfinite(scores)
    columns = [metric["name"] for metric in manifest["metrics"]]
    order = np.argsort(-scores, kind="stable")[: min(KEPT, int(feasible.sum()))]
    objectives = trial_objectives(manifest, trials)
    if objectives is not None:
        on_front = front(objectives)
        on_front = on_front[~np.isin(on_front, order)]
        order = np.concatenate([order, spread(on_front, KEPT_OF_FRONT)])
    rows = trials["design"].to_numpy()
    values = {name: trials[name].to_numpy()[order].astype(np.float64).tolist() for name in columns}
    designs = tuple(
        Design(
            tuple(rows[i].tolist()),
            float(scores[i]),
            {name: values[name][place] for name in columns},
            label,
            spec.seed,
            int(i) + 1,
        )
        for place, i in enumerate(order)
    )
    seconds, evaluation = _seconds(times, len(scores))
    return RunSummary(
        spec=spec,
        label=label,
        complete=manifest["status"] == "complete",
        manifest=manifest,
        progress=progress_of(scores, seconds, spent),
        evaluation_seconds=evaluation,
        designs=designs,
        rows=rows[feasible].astype(np.int32),
        scores=scores[feasible],
        objectives=objectives,
        spent=spent[:-1],
    )


def _seconds(times: Any, count: int) -> tuple[FloatArray, float]:
    """Returns the seconds until each trial `(n,)`, and those of all evaluations."""
    seconds = np.zeros(count)
    if "count" not in times.columns:
        return seconds, 0.0
    evaluation = times["evaluation_seconds"].to_numpy()
    spent = np.cumsum(times["agent_seconds"].to_numpy() + evaluation)
    # Trials of a batch are all known at its end.
    known = np.repeat(spent, times["count"].to_numpy())[:count]
    seconds[: len(known)] = known
    seconds[len(known) :] = known[-1] if len(known) else 0.0
    return seconds, float(evaluation.sum())
