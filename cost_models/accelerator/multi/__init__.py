"""Several sub-accelerators, each with a dataflow of its own, that run networks side by side.

What a layer costs on a sub-accelerator is MAESTRO's count (`loopnest.maestro`); which layer runs
where is a schedule (`multi.schedule`). See `docs/multi_accelerator.md`.
"""

from archgym.cost_models.accelerator.multi.costs import (
    MAC,
    SubAccelerators,
    area_um2,
)
from archgym.cost_models.accelerator.multi.layers import Layer, layers_of
from archgym.cost_models.accelerator.multi.templates import DATAFLOWS, template

__all__ = ["DATAFLOWS", "MAC", "Layer", "SubAccelerators", "area_um2", "layers_of", "template"]
