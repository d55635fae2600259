"""Number formats of neural networks, bit by bit: `parse("int4-asym").quantize(x, group=128)`.

`docs/formats.md` defines each format with its source and what is counted as its bits.
"""

from archgym.cost_models.numerics.format import Codes, Format, Parameters
from archgym.cost_models.numerics.groups import Group
from archgym.cost_models.numerics.outliers import outlier_columns
from archgym.cost_models.numerics.registry import names, parse

__all__ = [
    "Codes",
    "Format",
    "Group",
    "Parameters",
    "names",
    "outlier_columns",
    "parse",
]
