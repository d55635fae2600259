"""Equal tuning effort: as many settings for every agent, on tasks and seeds that are not reported.

Tuning goes in rounds. In each, every agent gets one more setting of its hyperparameters, proposed
by Optuna from the values of the earlier ones, and the round is an experiment like any other: tuning
tasks x agents x tuning seeds, run by `archgym.runner` into `rounds/NUMBER` of the folder. The first
round holds the defaults. The best setting of each agent is written as a preset.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym import yamlfile
from archgym.agent import find_agent
from archgym.experiment import (
    AgentEntry,
    Experiment,
    ExperimentError,
    Tuning,
    parse_experiment,
)
from archgym.hyperparameters import Choice, Hyperparameter, Range, declared, resolve
from archgym.manifest import git_state, now, package_versions
from archgym.metric import reward
from archgym.pareto import hypervolume
from archgym.plan import RunSpec
from archgym.preset import Preset, problem_of
from archgym.results import AgentSummary, RunResult, load_results
from archgym.runner import Listener, run_experiment
from archgym.store import write_atomically
from archgym.workspace import check_same, run_status

if TYPE_CHECKING:
    import optuna

PARETO_REFERENCE = -1.0
"""Where the hypervolume of a task with unknown optimum starts: the default design's metrics, each
worse by a factor of e."""


@dataclass(frozen=True)
class Tuned:
    """What tuning found for one agent.

    Attributes:
        label: names the agent and its preset file.
        file: the preset.
        preset: its content.
        default_value: mean value of the default setting, see `run_value`.
        value: mean value of the chosen setting.
    """

    label: str
    file: Path
    preset: Preset
    default_value: float
    value: float


@dataclass(frozen=True)
class TuningOutcome:
    """How tuning ended.

    Attributes:
        folder: where its rounds and presets are.
        rounds: number of complete rounds.
        agents: one per agent that has hyperparameters; empty unless every round is complete.
        without: names of agents that have none to tune.
        failures: runs that failed, with the reason in one line.
        interrupted: whether it was stopped by Ctrl-C.
    """

    folder: Path
    rounds: int
    agents: tuple[Tuned, ...]
    without: tuple[str, ...]
    failures: tuple[tuple[RunSpec, str], ...]
    interrupted: bool


class _Rounds:
    """Counts the runs of all rounds as one and passes the rest on."""

    def __init__(self, listener: Listener | None, total: int, before: int) -> None:
        self._listener = listener
        self._total, self._before = total, before
        self._started = False

    def note(self, text: str) -> None:
        if self._listener is not None and not self._started:
            self._listener.note(text)

    def start(self, total: int, complete: int) -> None:
        if self._listener is not None and not self._started:
            self._listener.start(self._total, self._before + complete)
        self._started = True

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        if self._listener is not None:
            self._listener.ended(spec, failure)


CHECKPOINTS = (4, 2, 1)
"""A run is judged after its budget divided by each of these, so that of two settings that both find
the optimum the faster one is better. Earlier, most of what was found is luck."""


def run_value(run: RunResult, summary: AgentSummary) -> float:
    """Returns how well a run did, higher is better: the mean of its values at `CHECKPOINTS`.

    A value is minus the regret of what was found so far where the optimum is known, else the best
    score so far, which is a log ratio to the default design as well. Of Pareto objectives, minus
    the share of the true front's hypervolume that is missing, or the hypervolume beyond
    `PARETO_REFERENCE`.
    """
    counts = [
        max(1, int(np.searchsorted(run.spent, run.spec.budget / part, side="right")))
        for part in CHECKPOINTS
    ]
    return float(np.mean([_value_after(run, summary, count) for count in counts]))


def _value_after(run: RunResult, summary: AgentSummary, count: int) -> float:
    """Returns the value of the first `count` trials."""
    optimum = summary.optimum
    if run.objectives is not None:
        found = run.objectives[:count]
        if optimum is not None and optimum.front is not None:
            return -optimum.front.regret(found)
        return hypervolume(found, np.full(found.shape[1], PARETO_REFERENCE))
    best = float(reward(run.scores[:count].max(keepdims=True))[0])
    return best if optimum is None else -optimum.regret(best)


def _free(entry: AgentEntry) -> list[Hyperparameter]:
    """Returns the hyperparameters that tuning may choose."""
    table = declared(find_agent(entry.name))
    return [
        each for each in table.values() if each.varies and each.name not in entry.hyperparameters
    ]


def _entries(experiment: Experiment) -> tuple[dict[str, AgentEntry], tuple[str, ...]]:
    """Returns what is tuned by label, and the agents that have nothing to tune.

    Raises:
        ExperimentError: for sweeps, and for entries that would share a label.
    """
    problems, found, without = [], {}, []
    for i, entry in enumerate(experiment.agents):
        if entry.external:
            problems.append(f"agents[{i}]: is external, its loop is not archgym's to tune")
            continue
        if entry.sweep or entry.sample is not None:
            problems.append(f"agents[{i}]: has a sweep or sample, which leaves nothing to tune")
            continue
        if not _free(entry):
            without.append(entry.name)
            continue
        given = entry.hyperparameters
        plain = AgentEntry(name=entry.name, **given)
        label = " ".join([entry.name, *(f"{key}={value}" for key, value in given.items())])
        found[label] = plain
    if not found and not problems:
        problems.append("agents: none has hyperparameters to tune")
    if problems:
        raise ExperimentError(problems)
    return found, tuple(dict.fromkeys(without))


def _checked(experiment: Experiment) -> Tuning:
    """Returns how to tune; the tasks and seeds are not those that are reported.

    Raises:
        ExperimentError: if they are, or the experiment does not say how.
    """
    tuning = experiment.tuning
    if tuning is None:
        raise ExperimentError(["tuning: is missing, it must give trials, tasks and seeds"])
    plain = {"agents": [AgentEntry(name="random")], "tuning": None}
    reported = {problem_of(spec.task_name) for spec in experiment.model_copy(update=plain).runs()}
    used = experiment.model_copy(update={**plain, "tasks": tuning.tasks})
    try:
        names = list(dict.fromkeys(spec.task_name for spec in used.runs()))
    except ExperimentError as error:
        raise ExperimentError([f"tuning.{line}" for line in error.problems]) from None
    problems = [
        f"tuning.tasks: task {name!r} is also reported, tune on other tasks"
        for name in names
        if problem_of(name) in reported
    ]
    shared = sorted(set(tuning.seeds) & set(experiment.seeds))
    if shared:
        some = ", ".join(map(str, shared[:5])) + (", ..." if len(shared) > 5 else "")
        problems.append(f"tuning.seeds: {some} are also reported, tune on other seeds")
    if problems:
        raise ExperimentError(problems)
    return tuning


def _distribution(each: Hyperparameter) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if not isinstance(each.domain, Range):
        values = each.domain.values if isinstance(each.domain, Choice) else (False, True)
        return distributions.CategoricalDistribution(values)
    low, high, log = each.domain.low, each.domain.high, each.domain.log
    if each.kind is int:
        return distributions.IntDistribution(int(low), int(high), log=log)
    return distributions.FloatDistribution(low, high, log=log)


def _proposed(
    free: Sequence[Hyperparameter],
    tried: Sequence[tuple[Mapping[str, Any], float | None]],
    seed: int,
) -> dict[str, Any]:
    """Returns the next setting by Optuna's TPE, a function of the earlier ones and the seed."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed + len(tried))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = {each.name: _distribution(each) for each in free}
        for setting, value in tried:
            params = {name: setting[name] for name in space}
            states = optuna.trial.TrialState
            state = states.FAIL if value is None else states.COMPLETE
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=space, value=value, state=state
                )
            )
        params = study.ask(space).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {each.name: _rounded(each, params[each.name]) for each in free}


def _rounded(each: Hyperparameter, value: Any) -> Any:
    """Keeps four digits of a float, as sampled settings do, within the range."""
    if each.kind is not float or not isinstance(each.domain, Range):
        return value
    return min(max(float(f"{value:.4g}"), each.domain.low), each.domain.high)


@dataclass
class _Agent:
    """One agent while it is tuned."""

    label: str
    entry: AgentEntry
    free: list[Hyperparameter]
    tried: list[tuple[dict[str, Any], float | None]]

    def next(self, seed: int) -> dict[str, Any]:
        """Returns the hyperparameters of the next round, the defaults in the first."""
        chosen = _proposed(self.free, self.tried, seed) if self.tried else {}
        agent = find_agent(self.entry.name)
        return resolve(self.entry.name, agent, {**self.entry.hyperparameters, **chosen})


def _round(experiment: Experiment, tuning: Tuning, agents: Sequence[_Agent]) -> Experiment:
    """Returns the experiment of the next round."""
    entries = [
        AgentEntry(name=each.entry.name, label=each.label, **each.next(tuning.sampler_seed))
        for each in agents
    ]
    number = len(agents[0].tried)
    return Experiment(
        version=1,
        name=f"{experiment.name[:50]}-tuning-{number:03d}",
        budget=experiment.budget.model_copy(
            update={"samples": tuning.samples or experiment.budget.samples}
        ),
        seeds=tuning.seeds,
        tasks=tuning.tasks,
        agents=entries,
    )


def _recorded(folder: Path) -> Experiment | None:
    """Returns the experiment of a round that was begun before."""
    file = folder / "experiment.yaml"
    return parse_experiment(yamlfile.read(file)) if file.is_file() else None


def _learn(folder: Path, agents: Sequence[_Agent]) -> int:
    """Adds the settings of a round with their values; returns how many runs are complete."""
    results = load_results(folder)
    for each in agents:
        summaries = [a for task in results.tasks for a in task.agents if a.label == each.label]
        values = [run_value(run, a) for a in summaries for run in a.runs if run.complete]
        whole = all(a.complete == a.planned for a in summaries)
        setting = dict(summaries[0].hyperparameters)
        each.tried.append((setting, float(np.mean(values)) if whole else None))
    return results.complete


def _presets(
    experiment: Experiment, tuning: Tuning, agents: Sequence[_Agent], root: Path, tasks: list[str]
) -> list[Tuned]:
    """Writes the best setting of each agent, of equals the earliest."""
    found = []
    for each in agents:
        values = [-np.inf if value is None else value for _, value in each.tried]
        best = int(np.argmax(values))
        if not np.isfinite(values[best]):
            continue  # no setting ran to its end; the failures say why
        provenance = {
            "seeds": list(tuning.seeds),
            "samples": tuning.samples or experiment.budget.samples,
            "settings": len(values),
            "chosen": best,
            "value": values[best],
            "default_value": values[0],
            "sampler": f"Optuna {importlib.metadata.version('optuna')} TPESampler",
            "sampler_seed": tuning.sampler_seed,
            "experiment": experiment.name,
            "versions": dict(package_versions()),
            "git": git_state(),
            "written": now(),
        }
        preset = Preset(each.entry.name, each.tried[best][0], tuple(tasks), provenance)
        name = re.sub(r"[^A-Za-z0-9._=+-]+", "_", each.label)
        file = root / "presets" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, preset.dump())
        found.append(Tuned(each.label, file, preset, values[0], values[best]))
    return found


def _open(experiment: Experiment, root: Path, resume: bool) -> None:
    """Checks what the folder holds and writes the experiment.

    Raises:
        ValueError: if it holds something else, or this and `resume` is false.
    """
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: is a file, choose another folder with -o")
    if root.exists() and any(root.iterdir()):
        if not (root / "experiment.yaml").is_file() or (root / "runs.json").exists():
            raise ValueError(f"{root}: holds other files, choose an empty or new folder with -o")
        check_same(experiment, root, "tune")
        if not resume and (root / "rounds").exists():
            raise ValueError(
                f"{root}: holds rounds of this tuning; continue it with --resume, or choose "
                f"another folder with -o"
            )
    root.mkdir(parents=True, exist_ok=True)
    write_atomically(root / "experiment.yaml", yamlfile.dump(experiment.dump()))


def tune(
    experiment: Experiment,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    listener: Listener | None = None,
) -> TuningOutcome:
    """Tunes every agent of an experiment with the same number of settings.

    Args:
        experiment: with a section `tuning`; presets that its agents name are not read.
        folder: where rounds and presets go; `results/NAME-tuning` if left out.
        resume: whether to go on with a tuning that the folder already holds.
        workers: number of processes, see `run_experiment`.
        listener: who is told about the progress.

    Returns:
        How it ended; a failed or interrupted run does not raise.

    Raises:
        ValueError: before anything runs, for names and values that do not exist, tasks or seeds
            that are also reported, or a folder that holds something else.
    """
    tuning = _checked(experiment)
    entries, without = _entries(experiment)
    agents = [_Agent(label, entry, _free(entry), []) for label, entry in entries.items()]
    first = _round(experiment, tuning, agents).runs()
    tasks = list(dict.fromkeys(spec.task_name for spec in first))
    root = Path("results") / f"{experiment.name}-tuning" if folder is None else Path(folder)
    _open(experiment, root, resume)
    complete = 0
    heard: _Rounds | None = None
    failures: list[tuple[RunSpec, str]] = []
    for number in range(tuning.trials):
        place = root / "rounds" / f"{number:03d}"
        planned = _recorded(place) or _round(experiment, tuning, agents)
        if any(run_status(place, spec) != "complete" for spec in planned.runs()):
            heard = heard or _Rounds(listener, tuning.trials * len(first), complete)
            outcome = run_experiment(planned, place, resume=True, workers=workers, listener=heard)
            failures += outcome.failures
            if outcome.interrupted:
                return TuningOutcome(root, number, (), without, tuple(failures), True)
        complete += _learn(place, agents)
    found = _presets(experiment, tuning, agents, root, tasks)
    return TuningOutcome(root, tuning.trials, tuple(found), without, tuple(failures), False)
