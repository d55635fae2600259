"""The page of a leaderboard, self-contained and offline, with the same numbers as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from archgym.leaderboard import Leaderboard
from archgym.manifest import now
from archgym.store import write_atomically

# Okabe and Ito, "Color universal design" (2008), without the yellow and black that vanish on one of
# the two backgrounds; further agents repeat the colours with other dashes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def render(board: Leaderboard) -> str:
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
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": False}
    return environment.get_template("leaderboard.html").render(
        board=board.to_dict(),
        palette=PALETTE,
        written=now(),
        plotly_js=plotly.offline.get_plotlyjs(),
    )


def table(board: Leaderboard) -> str:
    """Returns a row per task and agent as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    found = [task.data["targets"] for task in board.tasks if "targets" in task.data]
    targets: list[Any] = found[0] if found else []
    ends = ("", "_low", "_high")
    writer.writerow(
        [
            *("task", "env", "budget", "agent", "method", "hyperparameters", "tuned"),
            *("planned", "complete", "partial"),
            *(f"{name}{end}" for name in ("score", "regret") for end in ends),
            *(f"expected_samples_to_{target['percent']}_percent" for target in targets),
            *("seconds", "evaluation_seconds", "samples_per_second"),
        ]
    )
    agents = {agent.label: agent for agent in board.agents}
    for task in board.tasks:
        for j, row in enumerate(task.data["agents"]):
            agent = agents[row["label"]]
            writer.writerow(
                [
                    *(task.name, task.env, task.budget, agent.label, agent.method),
                    *(json.dumps(dict(agent.hyperparameters)), agent.tuned),
                    *(row["planned"], row["complete"], row["partial"]),
                    *(x for key in ("score", "regret") for x in row.get(key) or [None] * 3),
                    *(
                        each["expected"][j] if "targets" in task.data else None
                        for each in task.data.get("targets", targets)
                    ),
                    *(row.get(key) for key in ("seconds", "evaluation_seconds", "speed")),
                ]
            )
    return out.getvalue()


def write_leaderboard(board: Leaderboard, folder: Path) -> Path:
    """Writes `index.html`, `leaderboard.json` and `leaderboard.csv` and returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(board.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_atomically(folder / "leaderboard.json", data + "\n")
    write_atomically(folder / "leaderboard.csv", table(board))
    target = folder / "index.html"
    write_atomically(target, render(board))
    return target
