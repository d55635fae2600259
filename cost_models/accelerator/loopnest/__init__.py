"""Loop nests on a hierarchy of memories: accesses, cycles and energy of a mapping.

`evaluate(machines, mappings, problems)` counts a batch of points; see
`docs/cost_models/loopnest.md` for the model and how far it agrees with other tools.
"""

from archgym.cost_models.accelerator.loopnest.array_model import evaluate_arrays
from archgym.cost_models.accelerator.loopnest.arrays import Machines, Mappings, problem_rows
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.model import LoopNestResult, evaluate, evaluate_one
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, Problem

__all__ = [
    "DIMS",
    "TENSORS",
    "Hierarchy",
    "Level",
    "LevelMapping",
    "LoopNestResult",
    "Machines",
    "Mapping",
    "Mappings",
    "Problem",
    "evaluate",
    "evaluate_arrays",
    "evaluate_one",
    "problem_rows",
]
