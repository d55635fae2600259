"""ArchGym: design-space exploration for computer architects.

Fair search over design spaces of memory controllers, accelerators and number formats, scored by
fast cost models that say how right they are. Start with `make_task` and `search`, or run an
experiment file with the `archgym` command.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archgym.registration import register_when_imported

if TYPE_CHECKING:
    from archgym.agent import Agent, agent_names, find_agent, make_agent
    from archgym.cost_model import CostModel, Costs
    from archgym.dataset import Dataset, load_dataset
    from archgym.environment import (
        Environment,
        Fidelity,
        Option,
        environment_ids,
        find_environment,
    )
    from archgym.errors import BudgetExhausted
    from archgym.evaluator import Evaluator
    from archgym.external import external_runs, open_run
    from archgym.hyperparameters import Choice, Range
    from archgym.metric import Budget, Metric, Objective
    from archgym.parallel import parallel_env
    from archgym.run import SearchResult, Trial, search
    from archgym.space import Constraint, DesignSpace, Parameter
    from archgym.store import TrialStore, load_times, load_trials
    from archgym.task import Evaluation, Task, make_task

__version__ = "0.1.0"

# Names are imported at first use, so that `import archgym` costs milliseconds.
_HOME = {
    "agent": ("Agent", "agent_names", "find_agent", "make_agent"),
    "cost_model": ("CostModel", "Costs"),
    "dataset": ("Dataset", "load_dataset"),
    "environment": ("Environment", "Fidelity", "Option", "environment_ids", "find_environment"),
    "errors": ("BudgetExhausted",),
    "evaluator": ("Evaluator",),
    "external": ("external_runs", "open_run"),
    "hyperparameters": ("Choice", "Range"),
    "metric": ("Budget", "Metric", "Objective"),
    "parallel": ("parallel_env",),
    # Not called `search`: a submodule of that name would take the place of the function.
    "run": ("SearchResult", "Trial", "search"),
    "space": ("Constraint", "DesignSpace", "Parameter"),
    "store": ("TrialStore", "load_times", "load_trials"),
    "task": ("Evaluation", "Task", "make_task"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022 (grouped by module)
    "Agent",
    "agent_names",
    "find_agent",
    "make_agent",
    "CostModel",
    "Costs",
    "Dataset",
    "load_dataset",
    "Environment",
    "Fidelity",
    "Option",
    "environment_ids",
    "find_environment",
    "BudgetExhausted",
    "Evaluator",
    "external_runs",
    "open_run",
    "Choice",
    "Range",
    "Budget",
    "Metric",
    "Objective",
    "parallel_env",
    "SearchResult",
    "Trial",
    "search",
    "Constraint",
    "DesignSpace",
    "Parameter",
    "TrialStore",
    "load_times",
    "load_trials",
    "Evaluation",
    "Task",
    "make_task",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'archgym' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"archgym.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_imported()
