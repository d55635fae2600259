"""Number formats of neural networks, bit by bit: `parse("int4-asym").quantize(x, group=128)`.

`docs/formats.md` defines each format with its source and what is counted as its bits.
"""

from archgym.cost_models.numerics.calibration import (
    Calibration,
    ScaledWeight,
    Smoothed,
    awq,
    calibrate,
    smooth,
)
from archgym.cost_models.numerics.channels import channel_order, quantize_in_order
from archgym.cost_models.numerics.format import Codes, Format, Parameters
from archgym.cost_models.numerics.gptq import gptq
from archgym.cost_models.numerics.groups import Group
from archgym.cost_models.numerics.integers import plane_products
from archgym.cost_models.numerics.kv_cache import KvCache
from archgym.cost_models.numerics.outliers import outlier_columns
from archgym.cost_models.numerics.registry import names, parse
from archgym.cost_models.numerics.sqnr import SqnrRow, sqnr_db, sqnr_rows

__all__ = [
    "Calibration",
    "Codes",
    "Format",
    "Group",
    "KvCache",
    "Parameters",
    "ScaledWeight",
    "Smoothed",
    "SqnrRow",
    "awq",
    "calibrate",
    "channel_order",
    "gptq",
    "names",
    "outlier_columns",
    "parse",
    "plane_products",
    "quantize_in_order",
    "smooth",
    "sqnr_db",
    "sqnr_rows",
]
