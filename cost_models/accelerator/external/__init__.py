"""Other tools as cost models, run in interpreters of their own as worker processes."""

from archgym.cost_models.accelerator.external.process import Worker, WorkerError
from archgym.cost_models.accelerator.external.scalesim_array import ScaleSimArray, layer_of
from archgym.cost_models.accelerator.external.scalesim_model import (
    SCALESIM,
    Layer,
    LayerCounts,
    ScaleSim,
    installed_scalesim,
)
from archgym.cost_models.accelerator.external.tool import RunningTool, Tool, installed
from archgym.cost_models.accelerator.external.zigzag_model import ZIGZAG, ZigZag, installed_zigzag

__all__ = [
    "SCALESIM",
    "ZIGZAG",
    "Layer",
    "LayerCounts",
    "RunningTool",
    "ScaleSim",
    "ScaleSimArray",
    "Tool",
    "Worker",
    "WorkerError",
    "ZigZag",
    "installed",
    "installed_scalesim",
    "installed_zigzag",
    "layer_of",
]
