"""The temporal loops of a mapping in a row, as the kernel looks at them."""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.arrays import FloatArray
from archgym.cost_models.accelerator.loopnest.problem import OUTPUTS, RELEVANT, WEIGHTS, IntArray
from archgym.cost_models.jit import inlined

# Columns of the table of loops.
L_FACTOR, L_STEP, L_CELLS = range(3)
# Which loops move which tensor.
MOVES = RELEVANT


@inlined
def list_loops(
    temporal: IntArray,
    order: IntArray,
    split: IntArray,
    tile: IntArray,
    dims: IntArray,
    loops: IntArray,
    outside: FloatArray,
    first: IntArray,
) -> int:
    """List the temporal loops of more than one iteration, innermost first; their number.

    Fills `tile` (levels, 7): what a level holds; `first` (levels + 1): the first loop of a level;
    `outside` (loops + 1, 3): iterations of all loops from there outwards, and from the next one
    outwards that moves the weights or the outputs: so many tiles of them.
    """
    n = 0
    for level in range(temporal.shape[0]):
        first[level] = n
        for d in range(7):
            tile[level, d] = (tile[level - 1, d] if level > 0 else 1) * split[level, d]
        for k in range(7):
            # Written without a branch, which would be taken at random.
            d = order[level, k]
            f = temporal[level, d]
            dims[n] = d
            loops[n, L_FACTOR] = f
            loops[n, L_STEP] = tile[level, d]
            tile[level, d] *= f
            n += f > 1
    first[temporal.shape[0]] = n
    outside[n] = 1.0
    for i in range(n - 1, -1, -1):
        d = dims[i]
        steps = outside[i + 1, 0] * loops[i, L_FACTOR]
        outside[i, 0] = steps
        outside[i, 1] = steps if MOVES[WEIGHTS, d] else outside[i + 1, 1]
        outside[i, 2] = steps if MOVES[OUTPUTS, d] else outside[i + 1, 2]
    return n
