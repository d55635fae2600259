"""Warm starts: agents that are told of known designs before they search.

Such designs cost no budget and are no trials of the run. An agent that proposes one again has it
evaluated like any other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.agent import Agent, LoopAgent
from archgym.task import Evaluation, Task

if TYPE_CHECKING:
    from archgym.dataset import Dataset


@dataclass(frozen=True)
class WarmStart:
    """What an agent is told before it searches.

    Attributes:
        path: of the dataset.
        dataset: its digest.
        evaluation: the designs, each once, scored by the task's objective.
    """

    path: str
    dataset: str
    evaluation: Evaluation

    def describe(self) -> dict[str, Any]:
        """Returns what a run's manifest holds of it."""
        told = hashlib.sha256(self.evaluation.designs.astype("<i8").tobytes())
        told.update(self.evaluation.score.astype("<f8").tobytes())
        return {
            "path": self.path,
            "dataset": self.dataset,
            "designs": len(self.evaluation),
            "told": told.hexdigest()[:16],
        }


def check_can_be_told(name: str, agent: type[Agent]) -> None:
    """Refuses agents that cannot be told of designs.

    Args:
        name: the agent's name.
        agent: its class.

    Raises:
        ValueError: for a method that owns its loop.
    """
    if issubclass(agent, LoopAgent):
        raise ValueError(
            f"agent {name!r}: owns its loop and cannot be told of designs, leave out warm_start"
        )


def load_warm_start(source: Dataset | str | Path, task: Task) -> WarmStart:
    """Reads what a dataset knows of a task's problem, under whatever objective it was found.

    Args:
        source: a dataset, or its folder.
        task: what will be searched.

    Raises:
        ValueError: if it is no dataset, was changed, or has no trial of this problem, design space
            and cost model.
    """
    from archgym.dataset import Dataset, load_dataset
    from archgym.known import known_evaluation, trials_of

    dataset = source if isinstance(source, Dataset) else load_dataset(source)
    try:
        known = trials_of(dataset, task).unique()
    except ValueError as error:
        raise ValueError(f"warm_start: {error}") from None
    if len(known) == 0:
        raise ValueError(f"warm_start: {dataset.path}: nothing of it is selected")
    return WarmStart(str(dataset.path), dataset.digest, known_evaluation(known, task))
