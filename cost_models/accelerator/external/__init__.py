"""Other tools as cost models: in interpreters of their own as worker processes, or as programs."""

from archgym.cost_models.accelerator.external.binary import Program
from archgym.cost_models.accelerator.external.maestro_model import (
    MAESTRO,
    Maestro,
    MaestroResult,
    installed_maestro,
)
from archgym.cost_models.accelerator.external.process import Worker, WorkerError
from archgym.cost_models.accelerator.external.scalesim_array import ScaleSimArray, layer_of
from archgym.cost_models.accelerator.external.scalesim_model import (
    SCALESIM,
    Layer,
    LayerCounts,
    ScaleSim,
    installed_scalesim,
)
from archgym.cost_models.accelerator.external.timeloop_files import (
    check_expressible as check_timeloop,
)
from archgym.cost_models.accelerator.external.timeloop_model import (
    TIMELOOP,
    Timeloop,
    TimeloopResult,
    installed_timeloop,
)
from archgym.cost_models.accelerator.external.tool import RunningTool, Tool, installed
from archgym.cost_models.accelerator.external.zigzag_model import ZIGZAG, ZigZag, installed_zigzag
from archgym.cost_models.accelerator.loopnest.zigzag_mapping import (
    check_expressible as check_zigzag,
)

__all__ = [
    "MAESTRO",
    "SCALESIM",
    "TIMELOOP",
    "ZIGZAG",
    "Layer",
    "LayerCounts",
    "Maestro",
    "MaestroResult",
    "Program",
    "RunningTool",
    "ScaleSim",
    "ScaleSimArray",
    "Timeloop",
    "TimeloopResult",
    "Tool",
    "Worker",
    "WorkerError",
    "ZigZag",
    "check_timeloop",
    "check_zigzag",
    "installed",
    "installed_maestro",
    "installed_scalesim",
    "installed_timeloop",
    "installed_zigzag",
    "layer_of",
]
