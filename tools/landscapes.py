"""Writes docs/landscapes.md: optima and landscapes of the shipped tables.

Usage: python tools/landscapes.py > docs/landscapes.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import archgym
from archgym.envs import dram_controller
from archgym.envs._dram_metrics import OBJECTIVES
from archgym.landscape import Landscape, landscape_of
from archgym.landscape_page import percent
from archgym.optimum import Optimum, active_values
from archgym.task import Task

ENV = "DramController-v0"
SPACE = "archgym2023"
DETAILED = ("low-latency", "energy-delay", "high-bandwidth")

HEAD = f"""\
# Landscapes of the shipped tables

Every different design of the 2023 grid (`space={SPACE}`: 166,464, of them 156,672 with refresh) was
simulated on {{device}} for each of these workloads: {{workloads}}.
So the optimum of any objective on them is known and proven, and a search is scored by its regret:
(optimum - best score) / (optimum - median random design), 0 at the optimum, 1 for what one random
design gives in the median. `task.optimum` has it, `archgym show` and the report print it, for
`fidelity="simulator"` and `fidelity="table"` alike.

This page is written by `python tools/landscapes.py > docs/landscapes.md`. One landscape with its
figures: `archgym landscape {ENV} --space {SPACE} --workload sort -o folder`.

## The tables

`fidelity="table"` answers a task from its table: the same metrics and breakdown, bit for bit, in
about a microsecond per design. A test recomputes random rows of each with the simulator. Each was
made with

```sh
archgym tabulate {ENV} --workload NAME --space {SPACE} \\
  --set allow_no_refresh=true --compact -o {SPACE}-NAME.parquet
```

which takes about eight minutes of one core. Both settings of `allow_no_refresh` are served. A row
of the file is an outcome with the list of the designs that lead to it, as mixed-radix numbers
(`DesignSpace.enumerate`); without `--compact` a row is a design. A table of your own, of any
workload or device, is used with `fidelity=table:PATH`.
"""

WORDS = """\
## Landscapes

Score: log ratio to the default design. "Within 1 %" counts feasible designs by the metric itself,
the product of the metrics for `energy-delay`. Neighbours differ in one parameter, ordered ones by
one step; a plateau is a connected set of neighbours with equal score; a local optimum is a plateau
without a better neighbour. The correlation is that of score with steps to the nearest optimum: -1
leads there, 0 tells nothing. "Explained" is eta squared over the feasible grid, "interaction" what
a pair explains beyond both.
"""


OPTIMA = """\
## Optima

Of designs with refresh, all proven. Of several optimal designs the one nearest to the default is
shown. "Median random" is the median score of feasible designs drawn uniformly.
"""

FRONTS = """\
### Pareto fronts of `latency-power`

Objectives are log ratios to the default design. The hypervolume is measured from the reference
point, the median of each objective over random designs.
"""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def changes(task: Task, optimum: Optimum) -> str:
    """Returns where the optimum differs from the default design."""
    default = active_values(task.space, task.default)
    found = [f"{k}={v}" for k, v in optimum.design.items() if default.get(k) != v]
    return ", ".join(found) or "the default design"


def task_of(workload: str, objective: str) -> Task:
    """Returns a task answered from its table."""
    return archgym.make_task(
        ENV, workload=workload, space=SPACE, fidelity="table", objective=objective
    )


def optima(workload: str) -> str:
    """Returns the table of optima of a workload."""
    rows = []
    for objective in OBJECTIVES:
        task = task_of(workload, objective.name)
        optimum = task.optimum
        assert optimum is not None
        rows.append(
            [
                f"`{objective.name}`",
                f"{optimum.score:.4f}",
                f"{math.exp(optimum.score):.3f}",
                f"{optimum.median_random_score:.3f}",
                f"{optimum.count:,}",
                changes(task, optimum),
            ]
        )
    headers = ["objective", "optimum", "x default", "median random", "designs", "differs in"]
    return table(headers, rows)


def fronts(workloads: Sequence[str]) -> str:
    """Returns the table of Pareto fronts."""
    rows = []
    for workload in workloads:
        optimum = task_of(workload, "latency-power").optimum
        assert optimum is not None and optimum.front is not None
        front = optimum.front
        ends = [
            f"{m['read_latency_ns']:,.1f} ns at {m['power_mw']:,.0f} mW"
            for m in (front.metrics[0], front.metrics[-1])
        ]
        reference = ", ".join(f"{value:.4f}" for value in front.reference)
        rows.append(
            [workload, str(len(front.designs)), *ends, reference, f"{front.hypervolume:.5f}"]
        )
    headers = ["workload", "points", "fastest", "least power", "reference", "hypervolume"]
    return table(headers, rows)


def summary(told: Sequence[tuple[str, Landscape]]) -> str:
    """Returns the table of single numbers, a row per workload."""
    rows = []
    for workload, each in told:
        flat = each.plateaus
        assert flat is not None and each.distance_correlation is not None
        rows.append(
            [
                workload,
                f"{each.distinct_scores:,}",
                percent(each.within[1]),
                percent(each.within[5]),
                percent(flat.equal_share),
                f"{flat.largest_optimum:,}",
                f"{flat.local_optima:,}",
                f"{each.distance_correlation:.3f}",
                ", ".join(each.inert) or "none",
            ]
        )
    headers = ["workload", "scores", "within 1 %", "within 5 %", "equal neighbours"]
    headers += ["optimal plateau", "local optima", "correlation", "inert"]
    return table(headers, rows)


def effects(told: Sequence[tuple[str, Landscape]]) -> str:
    """Returns the table of explained variance, a row per parameter and for the largest pairs."""
    names = [effect.name for effect in told[0][1].effects]
    rows = [
        [name, *(percent(each.effects[j].explained) for _, each in told)]
        for j, name in enumerate(names)
    ]
    for place in range(2):
        pairs = [each.pairs[place] for _, each in told]
        cells = [f"{' x '.join(p.names)}: {percent(p.interaction)}" for p in pairs]
        rows.append([f"interaction {place + 1}", *cells])
    return table(["explained", *(workload for workload, _ in told)], rows)


def page() -> str:
    """Returns the whole page."""
    prefix = f"{SPACE}-"
    names = [name for name in dram_controller.shipped_tables() if name.startswith(prefix)]
    workloads = [name.removeprefix(prefix).removesuffix(".parquet") for name in names]
    device = dram_controller.ENVIRONMENT.resolve({"space": SPACE})["device"]
    listed = ", ".join(f"`{workload}`" for workload in workloads)
    parts = [HEAD.format(device=f"`{device}`", workloads=listed)]
    sizes = []
    for name, workload in zip(names, workloads, strict=True):
        first = landscape_of(ENV, {"workload": workload, "space": SPACE}, "low-latency")
        size = (dram_controller.TABLES / name).stat().st_size / 1e6
        sizes.append([workload, f"{first.distinct_outcomes:,}", f"{size:.2f}"])
    parts.append(table(["workload", "distinct outcomes with refresh", "MB"], sizes))
    parts.append(OPTIMA)
    parts += [f"### `{workload}`\n\n{optima(workload)}" for workload in workloads]
    parts.append(FRONTS)
    parts += [fronts(workloads), WORDS]
    for objective in DETAILED:
        told = [
            (w, landscape_of(ENV, {"workload": w, "space": SPACE}, objective)) for w in workloads
        ]
        parts.append(f"### `{objective}`\n\n{summary(told)}\n{effects(told)}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
