"""Models of accelerators for neural networks: workloads, constants, arrays and rooflines.

See `docs/cost_models/accelerator.md` for the models, their sources and how far they agree with
other tools.
"""

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import (
    Conv2d,
    ConvTranspose2d,
    Gemm,
    Operator,
    Product,
)
from archgym.cost_models.accelerator.vector_operators import (
    Attention,
    Elementwise,
    Embedding,
    Layout,
    Normalisation,
    Pool,
    Scan,
    Softmax,
)

__all__ = [
    "Attention",
    "Conv2d",
    "ConvTranspose2d",
    "Elementwise",
    "Embedding",
    "Gemm",
    "Layout",
    "Network",
    "Normalisation",
    "Operator",
    "Pool",
    "Product",
    "Scan",
    "Softmax",
]
