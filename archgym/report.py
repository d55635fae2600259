"""The HTML report of an experiment: one self-contained page that works offline."""

from __future__ import annotations

import html
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archgym import tables
from archgym.console import number
from archgym.manifest import now
from archgym.results import AgentSummary, ExperimentResults, RunResult, TaskResults
from archgym.store import write_atomically

# Okabe and Ito, "Color universal design" (2008), without the yellow and black that vanish on one of
# the two backgrounds; further agents repeat the colours with other dashes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_DASHES = ("solid", "dash", "dot", "dashdot")
_VISIBLE_CURVES = 12
_LEAST_REGRET = 1e-4  # a logarithmic axis has no 0


def _plotted(values: np.ndarray[Any, Any]) -> list[float | None]:
    """Returns values for a figure; `-inf` (nothing feasible yet) is left out."""
    return [value if math.isfinite(value) else None for value in values.round(6).tolist()]


def _traces(agent: AgentSummary, place: int) -> list[dict[str, Any]]:
    """Returns one agent's median line and quartile band."""
    curve = agent.curve
    if curve is None:
        return []
    colour = PALETTE[place % len(PALETTE)]
    visible: bool | str = True if place < _VISIBLE_CURVES else "legendonly"
    # Plotly reads some HTML in names, so they are escaped for it as well.
    shared = {
        "legendgroup": str(place),
        "visible": visible,
        "name": html.escape(agent.label),
        "mode": "lines",
    }
    # The best so far only changes at a sample, hence steps.
    line = {"color": colour, "width": 2, "dash": _DASHES[place // len(PALETTE) % len(_DASHES)]}
    edge = {
        **shared,
        "line": {"width": 0, "shape": "hv"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    x = curve.samples[known].tolist()
    return [
        {**edge, "x": x, "y": _plotted(curve.low[known])},
        {
            **edge,
            "x": x,
            "y": _plotted(curve.high[known]),
            "fill": "tonexty",
            "fillcolor": f"rgba({red},{green},{blue},0.22)",
        },
        {
            **shared,
            "x": curve.samples.tolist(),
            "y": _plotted(curve.middle),
            "line": {**line, "shape": "hv"},
            "hovertemplate": "%{y:.3f} after %{x} samples",
        },
    ]


def _as_regret(task: TaskResults, traces: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Turns curves of the score into curves of the regret, where the optimum is known."""
    optimum = task.optimum
    if optimum is None:
        return None

    def regret(score: float | None) -> float | None:
        return None if score is None else max(optimum.regret(score), _LEAST_REGRET)

    return [
        {
            **trace,
            "y": _plotted(np.array([regret(y) for y in trace["y"]], np.float64)),
            **(
                {"hovertemplate": "%{y:.4f} after %{x} samples"} if "hovertemplate" in trace else {}
            ),
        }
        for trace in traces
    ]


def _figure(task: TaskResults) -> list[dict[str, Any]]:
    # By label, so that an agent keeps its colour from task to task whatever its rank.
    labels = sorted(agent.label for agent in task.agents)
    return [
        trace
        for agent in sorted(task.agents, key=lambda each: each.label)
        for trace in _traces(agent, labels.index(agent.label))
    ]


def _score_range(task: TaskResults) -> list[float] | None:
    """Returns the scores that the figure shows: those after a tenth of the samples.

    First designs can be worse by orders of magnitude and would flatten everything that matters.
    """
    curves = [agent.curve for agent in task.agents if agent.curve is not None]
    low = [v for c in curves for v in c.low[c.samples >= c.samples[-1] / 10] if np.isfinite(v)]
    high = [v for c in curves for v in c.high if np.isfinite(v)]
    if not low or min(low) >= max(high):
        return None
    margin = 0.05 * (max(high) - min(low))
    return [float(min(low) - margin), float(max(high) + margin)]


def _design_rows(task: TaskResults, best: RunResult) -> list[dict[str, Any]]:
    """Returns the best design beside the default one, parameter by parameter."""
    default = task.design(best.manifest["default"])
    found = task.design(best.design)

    def text(value: object) -> str:
        return "no effect" if value is None else str(value)

    return [
        {
            "name": p.name,
            "doc": p.doc,
            "unit": p.unit,
            "default": text(default[p.name]),
            "best": text(found[p.name]),
            "changed": default[p.name] != found[p.name],
        }
        for p in task.space.parameters
    ]


def _change(metric: Mapping[str, str], default: float, best: float) -> dict[str, str]:
    """Says by how much a metric changed, and whether for the better."""
    if not (math.isfinite(default) and math.isfinite(best)) or default == 0:
        return {"text": "-", "kind": ""}
    share = best / default - 1.0
    if abs(share) < 0.0005:
        return {"text": "0.0%", "kind": ""}
    kind = ""
    if metric["direction"] != "none":
        kind = "better" if (share < 0) == (metric["direction"] == "minimise") else "worse"
    return {"text": f"{100 * share:+.1f}%", "kind": kind}


def _metric_rows(task: TaskResults, best: RunResult) -> list[dict[str, Any]]:
    reference: Mapping[str, float] = best.manifest["reference"]
    return [
        {
            **metric,
            "counted": metric["name"] in task.counted,
            "default": number(reference[metric["name"]], 5),
            "best": number(best.metrics[metric["name"]], 5),
            "change": _change(metric, reference[metric["name"]], best.metrics[metric["name"]]),
        }
        for metric in task.metrics
    ]


def _section(task: TaskResults, place: int) -> dict[str, Any]:
    """Returns everything that the page shows of one task."""
    best = task.best
    traces = _figure(task)
    return {
        "id": f"task-{place}",
        "name": task.name,
        "doc": best.manifest["task"]["objective"].get("doc", "") if best else "",
        "headers": tables.result_headers(task),
        "rows": [tables.result_row(task, agent) for agent in task.agents],
        "hidden_curves": max(0, len(task.agents) - _VISIBLE_CURVES),
        "optimum": tables.optimum_line(task),
        "front": bool(task.optimum and task.optimum.front),
        "figure": {
            "traces": traces,
            "range": _score_range(task),
            "regret": _as_regret(task, traces),
        },
        "best": {
            "agent": best.spec.label,
            "seed": best.spec.seed,
            "score": f"{best.best:.3f}",
            "sample": int(np.argmax(best.scores)) + 1,
            "design": _design_rows(task, best),
            "metrics": _metric_rows(task, best),
        }
        if best is not None and math.isfinite(best.best)
        else None,
    }


def _distinct(runs: Sequence[RunResult], key: str) -> list[Any]:
    """Returns the different values that a manifest field has over the runs."""
    values = [run.manifest.get(key) for run in runs]
    return [value for i, value in enumerate(values) if value not in values[:i]]


def _git(state: Mapping[str, Any] | None) -> str:
    if state is None:
        return "installed package"
    return f"{state['commit'][:12]}{'' if state['clean'] else ' with uncommitted changes'}"


def _methods(results: ExperimentResults) -> list[tuple[str, list[str]]]:
    """Returns what is needed to judge and repeat the experiment, as named lists of lines."""
    runs = [run for task in results.tasks for agent in task.agents for run in agent.runs]
    experiment = results.experiment
    folder = shlex.quote(str(results.folder))
    started = min((run.manifest["started"] for run in runs), default="-")
    finished = max((run.manifest.get("finished", "") for run in runs), default="") or "-"
    agents = {agent.label: agent.hyperparameters for t in results.tasks for agent in t.agents}
    return [
        ("Budget", [f"{experiment['budget']['samples']:,} different designs per run"]),
        ("Seeds", [", ".join(map(str, experiment["seeds"]))]),
        (
            "Agents",
            [
                ": ".join([label, ", ".join(f"{k} {v}" for k, v in given.items()) or "no settings"])
                for label, given in agents.items()
            ],
        ),
        ("Run", [f"{started} to {finished}"]),
        (
            "Versions",
            [
                ", ".join(f"{k} {v}" for k, v in each.items())
                for each in _distinct(runs, "versions")
            ],
        ),
        ("Source", [_git(each) for each in _distinct(runs, "git")]),
        (
            "Machine",
            [
                f"{each['system']}, {each['cpus']} cores, Python {each['python']}"
                for each in _distinct(runs, "host")
            ],
        ),
        ("Repeat it with", [f"archgym run {folder}/experiment.yaml -o another-folder"]),
    ]


def render(results: ExperimentResults) -> str:
    """Returns the page as text; everything that comes from the results is escaped."""
    import jinja2
    import plotly.offline

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("archgym"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [_section(task, i) for i, task in enumerate(results.tasks)]
    return environment.get_template("report.html").render(
        name=results.experiment["name"],
        description=results.experiment.get("description", ""),
        planned=results.planned,
        complete=results.complete,
        sections=sections,
        figures={section["id"]: section["figure"] for section in sections},
        methods=_methods(results),
        written=now(),
        plotly_js=plotly.offline.get_plotlyjs(),
    )


def write_report(results: ExperimentResults, folder: Path | None = None) -> Path:
    """Writes the report.

    Args:
        results: what to report.
        folder: where to; `report` in the results folder if left out.

    Returns:
        The page's path.
    """
    target = (results.folder / "report" if folder is None else folder) / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, render(results))
    return target
