"""Other tools as cost models, run in interpreters of their own as worker processes."""

from archgym.cost_models.accelerator.external.process import Worker, WorkerError
from archgym.cost_models.accelerator.external.scalesim_array import ScaleSimArray, layer_of
from archgym.cost_models.accelerator.external.scalesim_model import (
    Layer,
    LayerCounts,
    ScaleSim,
    installed_scalesim,
)

__all__ = [
    "Layer",
    "LayerCounts",
    "ScaleSim",
    "ScaleSimArray",
    "Worker",
    "WorkerError",
    "installed_scalesim",
    "layer_of",
]
