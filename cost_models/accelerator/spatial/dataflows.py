"""Dataflows: which dimensions a spatial array unrolls, and which tensor stays in it, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.loopnest.problem import DIMS
from archgym.cost_models.accelerator.spatial.pricing import CLUSTER, COLUMNS, ROWS
from archgym.cost_models.accelerator.spatial.tiling import (
    INPUTS_STAY,
    OUTPUTS_STAY,
    WEIGHTS_STAY,
    FloatArray,
)
from archgym.cost_models.jit import apart

FLOWS = ("os", "ws", "is", "rs", "flexible")
FLEXIBLE = FLOWS.index("flexible")
# Dimensions that go side by side in a cluster, on rows and on columns, in the order in which they
# fill it. A cluster adds its products up, so that it takes what is summed. The first four are those
# of the dataflows: as systolic arrays have them (Samajdar et al., SCALE-Sim, ISPASS 2020), and
# filter rows times output rows as in Eyeriss (Chen, Emer and Sze, ISCA 2016). A flexible array
# fills what these leave idle with other dimensions; the last is output rows times columns, after
# ShiDianNao (Du et al., ISCA 2015).
_FILLS = (
    ("CRS", "QPN", "K"),
    ("CRS", "CRS", "K"),
    ("CRS", "CRS", "QPN"),
    ("C", "RCK", "PKN"),
    ("CRS", "QPNK", "KQPN"),
    ("CRS", "CRSQPN", "KQPN"),
    ("CRS", "CRSK", "QPNK"),
    ("C", "RCKQ", "PKNQ"),
    ("CRS", "QPNK", "PQNK"),
)
ROW_STATIONARY = (3, 7)
TEMPLATES, _LONGEST = len(_FILLS), 6
FILLS: NDArray[np.int64] = np.full((TEMPLATES, 3, _LONGEST), -1, np.int64)
for _t, _axes in enumerate(_FILLS):
    for _a, _dims in enumerate(_axes):
        FILLS[_t, _a, : len(_dims)] = [DIMS.index(_d) for _d in _dims]
# What stays while the array goes through a tile of the buffers.
STAYS = (OUTPUTS_STAY, WEIGHTS_STAY, INPUTS_STAY, WEIGHTS_STAY)


@apart
def unroll(layer: FloatArray, chip: FloatArray, fills: NDArray[np.int64], cuts: FloatArray) -> None:
    """Fill clusters, rows and columns with parts of dimensions.

    Args:
        layer: `(LAYER_CELLS,)`.
        chip: `(CHIP_CELLS,)`.
        fills: Dimensions by axis, -1 for none `(3, _)`.
        cuts: `(CUTS, 7)`, of which the parts are set.
    """
    for axis in range(3):
        for d in range(7):
            cuts[axis, d] = 1.0
    for axis in range(3):
        room = chip[CLUSTER] if axis == 0 else (chip[ROWS] if axis == 1 else chip[COLUMNS])
        for i in range(fills.shape[1]):
            d = fills[axis, i]
            if d < 0 or room <= 1.0:
                break
            left = np.ceil(layer[d] / (cuts[0, d] * cuts[1, d] * cuts[2, d]))
            part = min(room, left)
            cuts[axis, d] *= part
            room = np.floor(room / part)
