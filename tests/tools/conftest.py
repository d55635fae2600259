"""Studies made up of runs with known regrets."""

import numpy as np
import pytest

from studies.data import Run, Study


@pytest.fixture
def made_up():
    """Builds a study from `regret(task number, label, seed) -> [(samples, regret), ...]`."""

    def build(regret, labels, *, budget=10_000, seeds=3, tasks=("gcc", "sort"), budgets=None):
        names = [f"DramController-v0 {task} space=archgym2023 low-latency" for task in tasks]
        runs = []
        for t, name in enumerate(names):
            for label in labels:
                for seed in range(seeds):
                    steps = regret(t, label, seed)
                    limit = (budgets or {}).get(label, budget)
                    runs.append(
                        Run(
                            task=name,
                            label=label,
                            hyperparameters={},
                            seed=seed,
                            budget=limit,
                            samples=limit,
                            proposals=2 * limit,
                            stop_reason="budget",
                            agent_seconds=1.0,
                            steps=np.array([n for n, _ in steps], np.float64),
                            regrets=np.array([value for _, value in steps], np.float64),
                        )
                    )
        spec = {"env": "DramController-v0", "space": "archgym2023", "fidelity": "table"}
        meta = {
            "seeds": seeds,
            "labels": dict(labels),
            "tasks": [
                {
                    "name": name,
                    "spec": spec | {"workload": task, "objective": "low-latency"},
                    "optimum": {"score": 0.5, "median_random_score": -0.5},
                }
                for name, task in zip(names, tasks, strict=True)
            ],
            "seconds": {"wall": 7200.0, "agent": 60.0, "evaluation": 120.0},
        }
        return Study(meta, tuple(runs))

    return build
