"""Tables of the command line: what is installed, what an environment offers, how runs went."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archgym.console import number, print_table, score

if TYPE_CHECKING:
    from archgym.metric import Objective
    from archgym.optimum import Optimum
    from archgym.results import AgentSummary, ExperimentResults, TaskResults
    from archgym.task import Task
    from archgym.tuning import TuningOutcome

KINDS = ("envs", "agents", "workloads", "experiments")
# Characters that the values of a parameter may take to be all listed, and how many are shown else.
_MOST_CHARACTERS, _SHOWN = 240, 4


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0] if lines else ""


def _environments() -> list[dict[str, str]]:
    from archgym.environment import environment_ids, find_environment

    return [{"name": name, "summary": find_environment(name).summary} for name in environment_ids()]


def _agents() -> list[dict[str, Any]]:
    import sys

    from archgym.agent import agent_names, find_agent
    from archgym.hyperparameters import declared

    listed = []
    for name in agent_names():
        agent = find_agent(name)
        doc = sys.modules[agent.__module__].__doc__
        listed.append(
            {
                "name": name,
                "summary": _first_line(doc),
                "multi_objective": agent.multi_objective,
                "hyperparameters": [each.describe() for each in declared(agent).values()],
            }
        )
    return listed


def _workloads(environment: str | None) -> list[dict[str, str]]:
    from archgym.environment import environment_ids, find_environment

    return [
        {"name": workload, "env": each.id, "summary": summary}
        for each in map(find_environment, [environment] if environment else environment_ids())
        for workload, summary in each.workloads().items()
    ]


def _experiments() -> list[dict[str, str]]:
    from archgym.experiment import bundled_experiments, load_experiment

    return [
        {"name": name, "summary": load_experiment(name).description}
        for name in bundled_experiments()
    ]


def listing(kind: str, environment: str | None = None) -> list[dict[str, Any]]:
    """Returns what is installed of a kind, each with `name` and `summary`.

    Args:
        kind: one of `KINDS`.
        environment: for workloads, the environment they are for; None for all.

    Raises:
        ValueError: for an unknown kind or environment, naming the closest one.
    """
    if kind == "workloads":
        return _workloads(environment)
    makers = {"envs": _environments, "agents": _agents, "experiments": _experiments}
    if kind not in makers:
        from archgym.errors import unknown

        raise unknown("list", kind, KINDS)
    return list(makers[kind]())


def print_listing(entries: Sequence[Mapping[str, Any]]) -> None:
    """Prints a listing."""
    columns = [key for key in ("name", "env", "summary") if entries and key in entries[0]]
    print_table(columns or ["name"], [[entry[key] for key in columns] for entry in entries])


def description(task: Task) -> dict[str, Any]:
    """Returns everything about a task's environment as JSON-ready data.

    Of each objective also the optimum, None where it is not known; in the default design None
    stands for a parameter that has no effect in it.
    """
    from archgym.optimum import active_values

    environment = task.environment
    active = active_values(task.space, task.default)
    return {
        "env": environment.id,
        "summary": environment.summary,
        "task": task.name,
        "options": [
            {
                "name": name,
                "value": task.options[name],
                "default": option.default_with(task.options),
                "choices": [*option.choices, *option.allowed[len(option.choices) :]],
                "doc": option.doc,
            }
            for name, option in environment.options.items()
        ],
        "fidelities": [vars(fidelity) for fidelity in task.fidelities],
        "space": task.space.describe(),
        "metrics": [metric.describe() for metric in task.metrics],
        "objectives": [_with_optimum(task, each) for each in environment.objectives],
        "workloads": dict(environment.workloads()),
        "default": {
            "design": {name: active.get(name) for name in task.space.names},
            "metrics": task.reference,
        },
    }


def _with_optimum(task: Task, objective: Objective) -> dict[str, Any]:
    """Returns an objective as data, with the best that is known of the task under it."""
    from archgym.optimum import known_optimum

    found = known_optimum(task.environment, task.options, objective, task.reference)
    return {**objective.describe(), "optimum": None if found is None else found.describe()}


def _values(values: Sequence[object]) -> str:
    """All values, or of more than a line of them the first ones and how many there are."""
    listed = " ".join(map(str, values))
    if len(listed) <= _MOST_CHARACTERS or len(values) <= _SHOWN:
        return listed
    return f"{' '.join(map(str, values[:_SHOWN]))} ... ({len(values):,} values)"


def _condition(when: Mapping[str, Sequence[object]]) -> str:
    return " and ".join(f"{key} = {'|'.join(map(str, values))}" for key, values in when.items())


def _objective(described: Mapping[str, Any]) -> str:
    text = ", ".join(described["metrics"]) + (" (Pareto)" if described["pareto"] else "")
    for budget in described["budgets"]:
        times = " x default" if budget["relative"] else ""
        text += f", with {budget['metric']} within {budget['limit']}{times}"
    return text


def print_description(told: Mapping[str, Any]) -> None:
    """Prints what `description` returns."""
    space = told["space"]
    print(f"{told['env']}: {told['summary']}\n")
    size = f"{space['size']:,} designs"
    if space["canonical_size"] != space["size"]:
        size += f", {space['canonical_size']:,} of them different"
    default = told["default"]["design"]
    print_table(
        ["parameter", "values", "unit", "default", "subsystem", "when", "meaning"],
        [
            [
                each["name"],
                _values(each["values"]),
                each["unit"],
                "no effect" if default[each["name"]] is None else default[each["name"]],
                each["subsystem"],
                _condition(each["when"]),
                each["doc"],
            ]
            for each in space["parameters"]
        ],
        title=f"Design space: {len(space['parameters'])} parameters, {size}",
    )
    for rule in space["constraints"]:
        print(f"constraint: {rule['name']}{': ' if rule['doc'] else ''}{rule['doc']}")
    print()
    print_table(
        ["metric", "unit", "better", "default design", "meaning"],
        [
            [
                each["name"],
                each["unit"],
                {"minimise": "low", "maximise": "high", "none": "-"}[each["direction"]],
                number(told["default"]["metrics"][each["name"]]),
                each["doc"],
            ]
            for each in told["metrics"]
        ],
        title=f"Metrics ({told['task']})",
        right=["default design"],
    )
    print()
    _print_objectives(told["objectives"])
    print()
    print_table(
        ["option", "default", "choices", "meaning"],
        [
            [each["name"], each["default"], " ".join(map(str, each["choices"])), each["doc"]]
            for each in told["options"]
        ],
        title="Options",
    )
    print()
    print_table(
        ["fidelity", "cost", "answers", "meaning"],
        [
            [
                each["name"],
                number(each["cost"]),
                "the task's own" if each["exact"] else "approximate",
                each["doc"],
            ]
            for each in told["fidelities"]
        ],
        title="Fidelities (cost of a design, in designs of the task's own fidelity)",
        right=["cost"],
    )
    print()
    print_table(["workload", "meaning"], list(told["workloads"].items()), title="Workloads")


def _print_objectives(objectives: Sequence[Mapping[str, Any]]) -> None:
    """Prints objectives, and, where it is known of any, the best score and what none exceeds."""
    from archgym.optimum import KINDS

    known = any(each["optimum"] for each in objectives)
    rows = []
    for each in objectives:
        found = each["optimum"] or {"score": None, "bound": None, "kind": None}
        best = [score(found["score"]), KINDS.get(found["kind"], "-"), score(found["bound"])]
        rows.append([each["name"], _objective(each), *(best if known else []), each["doc"]])
    columns = ["best score", "how it is known", "bound"] if known else []
    print_table(
        ["objective", "what counts", *columns, "meaning"],
        rows,
        title="Objectives (the first is the default)",
        right=columns[::2],
    )
    if known:
        print("best score: 0 is the default design; no design exceeds the bound.")


def result_headers(task: TaskResults) -> list[str]:
    """Returns the headers of a task's result table."""
    return [
        "agent",
        "best score",
        "95% interval",
        *(["regret"] if task.optimum else []),
        *(["hv regret"] if task.optimum and task.optimum.front else []),
        "x default",
        *task.shown_metrics,
        "samples/s",
        *(["runs"] if any(agent.state for agent in task.agents) else []),
    ]


def result_row(task: TaskResults, agent: AgentSummary) -> list[str]:
    """Returns one agent's row of a task's result table, as text."""
    estimate = agent.score
    better = agent.times_better
    volume = agent.hypervolume_regret
    return [
        agent.label,
        score(estimate.value if estimate else None),
        f"{score(estimate.low)} to {score(estimate.high)}" if estimate else "-",
        *([regret(agent.regret.value if agent.regret else None)] if task.optimum else []),
        *(
            [regret(volume.value if volume else None)]
            if task.optimum and task.optimum.front
            else []
        ),
        f"{better:.3g}" if better is not None else "-",
        *(number(agent.metrics.get(name)) for name in task.shown_metrics),
        number(agent.median_of("samples_per_second"), 3),
        *([agent.state or "all"] if any(each.state for each in task.agents) else []),
    ]


def regret(value: float | None) -> str:
    """Formats a normalised regret for a table; only the optimum itself is 0."""
    if value is None or value == 0:
        return "-" if value is None else "0"
    return f"{value:.4f}" if abs(value) >= 0.0001 else "<0.0001"


def optimum_line(task: TaskResults) -> str:
    """Returns what is known about a task's optimum in one line, empty if nothing is."""
    return "" if task.optimum is None else f"optimum: {optimum_text(task.optimum)}"


def optimum_text(optimum: Optimum) -> str:
    """Returns an optimum's score, how it is known, and what it is compared with."""
    from archgym.optimum import KINDS

    many = f", reached by {optimum.count:,} designs" if optimum.count > 1 else ""
    bound = "" if optimum.bound is None else f"; no design exceeds {optimum.bound:.4f}"
    return (
        f"score {optimum.score:.4f}{many} ({KINDS[optimum.kind]}; {optimum.source})"
        f"{bound}; median random design: {optimum.median_random_score:.3f}"
    )


def print_results(results: ExperimentResults) -> None:
    """Prints the result table of every task, the best agent first."""
    for task in results.tasks:
        headers = result_headers(task)
        print_table(
            headers,
            [result_row(task, agent) for agent in task.agents],
            title=task.name,
            right=[h for h in headers if h not in ("agent", "runs")],
            optional=[*(n for n in task.shown_metrics if n not in task.counted), "x default"],
        )
        if task.optimum:
            print(optimum_line(task))
        print()
    print("best score: median over seeds of the best design's score; 0 is the default design.")
    if any(task.optimum for task in results.tasks):
        print("regret: 0 is the optimum, 1 is what a random design gives in the median.")
        if any(task.optimum.kind == "best-known" for task in results.tasks if task.optimum):
            print("Where it is not proven, 0 is the best design known; below 0 is a better one.")
    if results.complete < results.planned:
        print(f"partial: {results.complete} of {results.planned} runs are complete.")


def print_checks(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints what a validation found: a table for each run of rows of one kind."""
    for at, (keys, group) in enumerate(itertools.groupby(rows, key=tuple)):
        if at:
            print()
        if "median_error" in keys:
            _print_comparisons(list(group))
        else:
            _print_rows(keys, list(group))


def _print_rows(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows of any one kind, `passed` in words."""
    words = {True: "pass", False: "FAIL", None: "not shown"}

    def cell(key: str, value: Any) -> Any:
        if key == "passed":
            return words[value]
        return number(value) if value is None or isinstance(value, float) else value

    titles = {key: "result" if key == "passed" else key.replace("_", " ") for key in keys}
    numeric = [
        titles[key]
        for key in keys
        if key != "passed" and all(isinstance(row[key], int | float | None) for row in rows)
    ]
    cells = [[cell(key, row[key]) for key in keys] for row in rows]
    print_table(list(titles.values()), cells, right=numeric)


def _print_comparisons(checks: Sequence[Mapping[str, Any]]) -> None:
    """Prints comparisons with reference figures."""
    words = {True: "pass", False: "FAIL", None: "-"}

    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f}%"

    headers = ["check", "subject", "metric", "n", "exact", "median err", "p95 err", "max err"]
    headers += ["spearman", "target", "result"]
    print_table(
        headers,
        [
            [
                each["check"],
                each["subject"],
                each["metric"],
                each["n"],
                share(each["exact"]),
                *(share(each[f"{name}_error"]) for name in ("median", "p95", "max")),
                number(each["spearman"]),
                each["target"] or "-",
                words[each["passed"]],
            ]
            for each in checks
        ],
        right=["n", "exact", "median err", "p95 err", "max err", "spearman"],
    )


def print_tuning(outcome: TuningOutcome) -> None:
    """Prints what tuning found, and where the presets are."""
    rows = [
        [
            each.label,
            score(each.default_value),
            score(each.value),
            ", ".join(f"{k}={v}" for k, v in each.preset.hyperparameters.items()),
            str(each.file),
        ]
        for each in outcome.agents
    ]
    print_table(
        ["agent", "default", "tuned", "hyperparameters", "preset"],
        rows,
        title=f"{outcome.rounds} settings per agent; minus regret or score, higher is better",
        right=("default", "tuned"),
    )
    if outcome.without:
        print(f"without hyperparameters: {', '.join(outcome.without)}")
