"""An environment and an agent of another package, found through entry points like any other."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from archgym.agents.random import RandomAgent
from archgym.cost_model import Costs
from archgym.environment import Environment, Option
from archgym.metric import Metric, Objective
from archgym.testing.toys import SeparableToy, fidelity_task


class Model(SeparableToy):
    """The separable toy with one more metric that may be infinite, and ways to misbehave."""

    def __init__(self, workload: str, mode: str, fidelity: str = "full") -> None:
        super().__init__((4, 3, 3, 8, 2, 2), forbidden=True)
        if workload.startswith("file:"):
            workload = Path(workload.removeprefix("file:")).read_text().strip()
        if workload not in ("walk", "run"):
            raise ValueError(f"workload: unknown name {workload!r}. Allowed: run, walk.")
        self.metrics = (*self.metrics, Metric("spare_mw", "mW", "none", "infinite for some"))
        self.mode = mode
        self.calls = 0

    def evaluate(self, designs):
        self.calls += len(designs) > 0
        if self.calls > 1 and len(designs):
            if self.mode == "fail":
                raise RuntimeError("the model\nbroke")
            if self.mode == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.mode == "slow":
                time.sleep(0.05)
        costs = super().evaluate(designs)
        spare = np.where(designs[:, 4] == 0, np.inf, costs.metrics["cost_ns"] / 3.0)
        return Costs({**costs.metrics, "spare_mw": spare}, {"p5 is 1": designs[:, 5] == 1})


class Loud(RandomAgent):
    """Random search that prints, which must not disturb the worker's answers."""

    @property
    def batch_size(self) -> int:
        return 7

    def ask(self, n):
        print("asked for", n)
        return super().ask(n)


ENVIRONMENT = Environment(
    id="Outside-v0",
    summary="an environment of another package",
    build=Model,
    options={
        "workload": Option("walk", "what is run"),
        "mode": Option("ok", "how it behaves", ("ok", "fail", "die", "slow")),
        "fidelity": Option("full", "what answers", ("full",), prefixes=("proxy:",)),
    },
    objectives=(
        Objective("fast", ("cost_ns",)),
        Objective("both", ("cost_ns", "area_mm2"), pareto=True),
    ),
    workloads=lambda: {"walk": "slow and <b>steady</b>", "run": "fast"},
)

GRADED = fidelity_task().environment
