"""One run's files held against its task: every row recomputed, the best and some more replayed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archgym import pareto
from archgym.cost_model import Costs
from archgym.digest import field_digests, trials_digest
from archgym.manifest import proxy_digest
from archgym.optimum import score_to_stop_at
from archgym.screening import budget_spent
from archgym.space import BoolArray, IntArray
from archgym.task import UNUSABLE, Evaluation, Task
from archgym.trialfile import plain_json

if TYPE_CHECKING:
    import polars

TOLERANCE = 1e-9
"""Relative difference below which numbers agree: processors differ in the last digits."""
_NEAR_ZERO = 1e-12


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        run: the run's folder, relative to the results folder; empty for the whole of it.
        file: the file it is in.
        field: what of it, such as `score` or `metrics.power_mw`.
        problem: what is wrong with it.
        trial: number of the trial, None where it is about more than one.
    """

    run: str
    file: str
    field: str
    problem: str
    trial: int | None = None

    def __str__(self) -> str:
        place = f"{self.run}/{self.file}" if self.run else self.file
        trial = "" if self.trial is None else f"trial {self.trial}: "
        return " ".join(f"{place}: {trial}{self.field}: {self.problem}".split())


@dataclass(frozen=True)
class Record:
    """A run's files in memory.

    Attributes:
        run: the run's folder, relative to the results folder.
        file: name of its trial file.
        manifest: of the run.
        trials: in the form of `archgym.store.trials_frame`, columns and types checked.
        screened: see `archgym.screening.load_screened`, columns and types checked.
    """

    run: str
    file: str
    manifest: Mapping[str, Any]
    trials: polars.DataFrame
    screened: polars.DataFrame | None = None

    def wrong(self, field: str, problem: str, trial: int | None = None) -> Finding:
        """Returns a finding in the trial file."""
        return Finding(self.run, self.file, field, problem, trial)

    def told(self, field: str, problem: str) -> Finding:
        """Returns a finding in the manifest."""
        return Finding(self.run, "run.json", field, problem)

    @property
    def rows(self) -> IntArray:
        """The designs `(n, d)`."""
        if len(self.trials) == 0:
            return np.zeros((0, len(self.manifest["default"])), np.int64)
        rows: IntArray = self.trials["design"].to_numpy().astype(np.int64)
        return rows

    def columns(self, names: Any) -> dict[str, npt.NDArray[np.float64]]:
        """Returns some of the columns as numbers."""
        return {name: self.trials[name].to_numpy().astype(np.float64) for name in names}


def first_difference(here: Any, there: Any, field: str = "") -> tuple[str, Any, Any] | None:
    """Returns field and both values of the first difference of plain data, None if there is none.

    Numbers agree within `TOLERANCE`; NaN agrees with itself.
    """
    if isinstance(here, dict) and isinstance(there, dict):
        pairs = [(f"{field}.{k}".lstrip("."), here.get(k), there.get(k)) for k in {**here, **there}]
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        pairs = [(f"{field}[{i}]", *p) for i, p in enumerate(zip(here, there, strict=True))]
    elif isinstance(here, float) and isinstance(there, int | float) and not isinstance(there, bool):
        return (
            None if _agree(np.array(here), np.array(float(there))).all() else (field, here, there)
        )
    else:
        same = type(here) is type(there) and here == there
        return None if same else (field, here, there)
    return next((found for pair in pairs if (found := first_difference(*pair[1:], pair[0]))), None)


def _agree(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> BoolArray:
    """Returns where numbers are equal, close enough, or both NaN."""
    if one.dtype != np.float64:
        return np.asarray(one == other)
    return np.asarray(
        (one == other) | np.isclose(one, other, TOLERANCE, _NEAR_ZERO, equal_nan=True)
    )


def manifest_findings(record: Record, task: Task) -> Iterator[Finding]:
    """Compares what the manifest says of its task with the task as it is built now."""
    manifest = record.manifest
    now = {
        # Options that came later have defaults that change nothing, or replay tells.
        "task": {name: value for name, value in task.spec.items() if name in manifest["task"]},
        "task_name": task.name,
        "proxy": proxy_digest(task),
        "parameters": [parameter.describe() for parameter in task.space.parameters],
        "space": task.space.fingerprint,
        "default": task.default.tolist(),
        "metrics": [metric.describe() for metric in task.metrics],
        "reference": task.reference,
    }
    for name, value in now.items():
        found = first_difference(manifest.get(name), plain_json(value), name)
        if found:
            yield record.told(found[0], f"is {short(found[1])}, the task has {short(found[2])}")


def count_findings(record: Record) -> Iterator[Finding]:
    """Compares the number of trials with the budget and with what the manifest says."""
    manifest, count = record.manifest, len(record.trials)
    budget, spent = manifest["budget"], float(budget_spent(count, record.screened)[-1])
    held = f"{record.file} holds {count} trials"
    if record.screened is not None:
        held += f", with {len(record.screened)} designs at cheaper fidelities {spent:.9g} samples"
    if budget is not None and spent > budget + 1e-6:
        yield record.told("budget", f"is {budget}, {held}")
    samples = record.trials["sample"].to_numpy() if count else np.zeros(0, np.int64)
    wrong = np.flatnonzero(samples != np.arange(1, count + 1))
    if len(wrong):
        i = int(wrong[0])
        yield record.wrong("sample", f"is {samples[i]} in row {i + 1}, expected {i + 1}", i + 1)
    if manifest["status"] != "complete":
        return
    if manifest.get("samples") != count:
        told = short(manifest.get("samples"))
        yield record.told("samples", f"is {told}, {record.file} holds {count} trials")
    elif manifest.get("stop_reason") == "budget" and budget is not None and spent <= budget - 1:
        yield record.told("budget", f"is {budget} and spent, {held}")


def stop_findings(record: Record, task: Task) -> Iterator[Finding]:
    """Checks that a run which stops at the optimum has ended with the first optimal design."""
    manifest = record.manifest
    asked = manifest.get("stop_at_optimum", False)
    ended = manifest.get("stop_reason") == "optimum"
    if not asked:
        if ended:
            yield record.told("stop_reason", "is 'optimum', the run does not stop there")
        return
    try:
        least = score_to_stop_at(task)
    except ValueError as error:
        yield record.told("stop_at_optimum", f"is true, {error}")
        return
    scores = record.trials["score"].to_numpy() if len(record.trials) else np.zeros(0)
    optimal = np.flatnonzero(scores >= least)
    if len(optimal) and optimal[0] != len(record.trials) - 1:
        problem = f"is optimal, the run goes on to trial {len(record.trials)}"
        yield record.wrong("score", problem, int(optimal[0]) + 1)
    if manifest["status"] == "complete" and ended != bool(len(optimal)):
        told = f"trial {optimal[0] + 1} is optimal" if len(optimal) else "no trial is optimal"
        yield record.told("stop_reason", f"is {short(manifest.get('stop_reason'))}, {told}")


def screening_findings(record: Record, task: Task) -> Iterator[Finding]:
    """Compares the designs at cheaper fidelities with what the task declares and the manifest says.

    They are claims about the budget alone, so they are not evaluated again.
    """
    screened, told = record.screened, record.manifest.get("spent")
    if record.manifest["status"] == "complete":
        spent = None if screened is None else budget_spent(len(record.trials), screened)[-1]
        if first_difference(told, None if spent is None else float(spent)):
            yield record.told(
                "spent", f"is {short(told)}, the run's files add up to {short(spent)}"
            )
    if screened is None:
        return
    file = record.file.replace("trials", "screened")
    costs = {each.name: each.cost for each in task.fidelities[:-1]}
    asked = screened.select("fidelity", "fidelity_cost").unique(maintain_order=True)
    for name, cost in asked.iter_rows():
        if costs.get(name) != cost:
            problem = f"is {cost} for {name!r}, the task has {costs.get(name, 'no such fidelity')}"
            yield Finding(record.run, file, "fidelity_cost", problem)
    if not screened["trials_before"].is_between(0, len(record.trials)).all():
        yield Finding(record.run, file, "trials_before", f"is outside 0..{len(record.trials)}")
    if screened.select("fidelity", "design").is_duplicated().any():
        yield Finding(record.run, file, "design", "is there twice at one fidelity")


def design_findings(record: Record, task: Task) -> Iterator[Finding]:
    """Finds designs that are outside the space, not canonical, or there twice."""
    rows, names = record.rows, task.space.names
    outside = (rows < 0) | (rows >= task.space.cardinalities)
    for i, j in np.argwhere(outside):
        last = task.space.cardinalities[j] - 1
        problem = f"index {rows[i, j]} is outside 0..{last}"
        yield record.wrong(f"design.{names[j]}", problem, int(i) + 1)
    inside = np.flatnonzero(~outside.any(axis=1))
    for k, j in np.argwhere(task.space.canonical(rows[inside]) != rows[inside]):
        i = int(inside[k])
        problem = f"index {rows[i, j]} of a parameter without effect, expected 0"
        yield record.wrong(f"design.{names[j]}", problem, i + 1)
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    earlier = first[inverse.reshape(-1)] if len(rows) else first
    for i in np.flatnonzero(earlier != np.arange(len(rows))):
        yield record.wrong("design", f"repeats that of trial {earlier[i] + 1}", int(i) + 1)


def recomputed(record: Record, task: Task) -> Evaluation:
    """Returns the trials as an evaluation whose scores and feasibility are computed anew.

    The rules of the space, and whether metrics can be scored, are checked again; of the rules of
    the cost model the recorded answer is taken.
    """
    rows = record.rows
    empty = task.evaluate(np.zeros((0, len(task.space)), np.int64))
    metrics, breakdown = record.columns(empty.metrics), record.columns(empty.breakdown)
    listed = record.trials["violations"].to_list() if len(rows) else []
    violations = {
        name: np.array([name in each for each in listed], np.bool_) for name in empty.violations
    }
    violations |= task.space.violations(rows)
    violations.pop(UNUSABLE)
    broken = np.logical_or.reduce([np.zeros(len(rows), np.bool_), *violations.values()])
    violations[UNUSABLE] = task.unusable(metrics) & ~broken
    with np.errstate(invalid="ignore", divide="ignore"):
        return task.judge(rows, Costs(metrics, violations, breakdown))


def row_findings(record: Record, evaluation: Evaluation) -> Iterator[Finding]:
    """Compares every row's rules, feasibility and score with those computed from its metrics."""
    trials = record.trials
    for i, listed in enumerate(trials["violations"].to_list()):
        if sorted(listed) != sorted(evaluation.violated(i)):
            now = ", ".join(evaluation.violated(i)) or "none"
            problem = f"lists {short(', '.join(listed)) if listed else 'none'}, computed {now}"
            yield record.wrong("violations", problem, i + 1)
    for name in ("feasible", "score"):
        there, now = trials[name].to_numpy(), getattr(evaluation, name)
        for k in np.flatnonzero(~_agree(there, now)):
            problem = f"is {there[k]}, computed {now[k]} from the metrics"
            yield record.wrong(name, problem, int(k) + 1)


def chosen_rows(
    evaluation: Evaluation, scores: npt.NDArray[Any], sample: int | None, rng: np.random.Generator
) -> IntArray:
    """Returns which trials are replayed: each that was the best so far, the front, and a sample.

    Args:
        evaluation: the trials.
        scores: as recorded `(n,)`.
        sample: number of further trials drawn at random; None for all.
        rng: to draw with.
    """
    count = len(evaluation)
    if sample is None or sample >= count:
        return np.arange(count)
    kept = [rng.choice(count, sample, replace=False)]
    for each in (scores, evaluation.score):
        before = np.concatenate(([-np.inf], np.maximum.accumulate(each)[:-1]))
        kept.append(np.flatnonzero(each > before))
        kept.append(np.flatnonzero(each == np.max(each))[:1])
    if evaluation.objectives.shape[1] > 1:
        kept.append(pareto.front(evaluation.objectives))
    chosen: IntArray = np.unique(np.concatenate(kept)).astype(np.int64)
    return chosen


def replay_findings(
    record: Record, task: Task, evaluation: Evaluation, chosen: IntArray
) -> dict[int, Finding]:
    """Evaluates trials again and returns the first difference of each that differs, by position."""
    recorded = evaluation.take(chosen).columns()
    columns = task.evaluate(evaluation.designs[chosen]).columns()
    found: dict[int, Finding] = {}
    # A metric explains the score that follows from it; objectives are computed from metrics.
    order = sorted(columns, key=lambda key: not key.startswith("metrics:"))
    for key in (key for key in order if key != "objectives"):
        values = recorded[key]
        name = key.replace(":", ".", 1)
        for k in np.flatnonzero(~_agree(values, columns[key]).reshape(len(chosen), -1).all(axis=1)):
            i = int(chosen[k])
            problem = f"is {short(values[k])}, replay gives {short(columns[key][k])}"
            found.setdefault(i, record.wrong(name, problem, i + 1))
    return dict(sorted(found.items()))


def digest_findings(record: Record) -> Iterator[Finding]:
    """Compares trials and manifest with the digests that the run's end wrote."""
    digest = record.manifest["digest"]
    written = digest.get("fields") if isinstance(digest, dict) else None
    if not isinstance(written, dict):
        yield record.told("digest", f"is {short(digest)}, expected trials and fields")
        return
    now = field_digests(record.manifest)
    for name in {**written, **now}:
        if written.get(name) != now.get(name):
            yield record.told(name, "was changed after the run (its digest differs)")
    screened = None if record.screened is None else trials_digest(record.screened)
    if digest.get("screened") != screened:
        yield record.told("digest", "of designs at cheaper fidelities is not that of their file")
    if digest.get("trials") != trials_digest(record.trials):
        yield record.wrong("digest", "the trials were changed after the run (run.json has another)")


def rerun_findings(record: Record, task: Task) -> Iterator[Finding]:
    """Repeats the run with its seed and compares trial by trial, to the last digit."""
    from archgym.run import search
    from archgym.store import trials_frame
    from archgym.warm import load_warm_start

    manifest = record.manifest
    if manifest["budget"] is None:
        yield record.told("budget", "is null, such a run cannot be repeated")
        return
    warm = manifest["warm_start"]
    if warm is not None:
        try:
            now = load_warm_start(str(warm.get("path")), task).describe()
        except ValueError as error:
            text = " ".join(str(error).split())
            yield record.told("warm_start", f"the run cannot be repeated ({text})")
            return
        if now != warm:
            yield record.told("warm_start", "the run cannot be repeated, the dataset differs now")
            return
    try:
        with contextlib.redirect_stdout(sys.stderr):  # agents may print
            result = search(
                task,
                manifest["agent"],
                budget=manifest["budget"],
                max_repeats=manifest["max_repeats"],
                max_proposals=manifest["max_proposals"],
                stop_at_optimum=manifest.get("stop_at_optimum", False),
                warm_start=warm and warm["path"],
                seed=manifest["seed"],
                **manifest["hyperparameters"],
            )
    except (ValueError, TypeError) as error:
        yield record.told("agent", f"the run cannot be repeated ({' '.join(str(error).split())})")
        return
    again = trials_frame(result.evaluation)
    if trials_digest(again) == trials_digest(record.trials):
        spent = budget_spent(len(again), record.screened)
        if not np.array_equal(spent, result.spent):
            yield record.told("spent", "the repeated run has other designs at cheaper fidelities")
        return
    for i in range(min(len(again), len(record.trials))):
        one, other = record.trials.row(i, named=True), again.row(i, named=True)
        for name in again.columns:
            there, now = one[name], other[name]
            if there != now and not (there != there and now != now):
                problem = f"is {short(there)}, the repeated run has {short(now)}"
                yield record.wrong(name, problem, i + 1)
                return
    problem = f"holds {len(record.trials)} trials, the repeated run has {len(again)}"
    yield record.wrong("sample", problem)


def short(value: Any) -> str:
    """Returns a value as a short text of one line."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
