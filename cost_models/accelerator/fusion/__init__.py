"""Attention on a square array and a vector array: cascade, binding, tiling and buffer.

`fusion(sizes, designs, mapping)` evaluates a batch; see `docs/cost_models/fusion.md` for the model
and how far it agrees with the figures published with FuseMax.
"""

from archgym.cost_models.accelerator.fusion.model import fusion
from archgym.cost_models.accelerator.fusion.types import (
    BINDINGS,
    PASSES,
    AttentionSizes,
    Fusion,
    FusionDesigns,
    RowMapping,
    binding_number,
    designs_of,
    sizes_of,
)

__all__ = [
    "BINDINGS",
    "PASSES",
    "AttentionSizes",
    "Fusion",
    "FusionDesigns",
    "RowMapping",
    "binding_number",
    "designs_of",
    "fusion",
    "sizes_of",
]
