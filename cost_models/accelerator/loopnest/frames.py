"""Frames of mappings: tiles of the middle level, the loops outside of them, and what these cost.

What passes between the middle level, or one outside of it, and the next outer one depends on
nothing inside: it is counted exactly, by evaluating a mapping that does all of a tile at the
innermost level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import AnyInt, FloatArray, Mappings
from archgym.cost_models.accelerator.loopnest.blocks import MOVES, Setting
from archgym.cost_models.accelerator.loopnest.model import evaluate
from archgym.cost_models.accelerator.loopnest.orders import pruned_orders
from archgym.cost_models.accelerator.loopnest.problem import OUTPUTS, IntArray

_CHUNK = 1 << 15


@dataclass(frozen=True)
class Frames:
    """Tiles of the middle level and the loops outside.

    Attributes:
        tile: Iterations of the tile (n, 7).
        order: Order of the loops outside (n, 7).
        energy: Of what passes outside of the middle level, in pJ (n,).
        busy: Cycles that this takes (n,).
    """

    tile: IntArray
    order: AnyInt
    energy: FloatArray
    busy: FloatArray

    def __len__(self) -> int:
        return len(self.tile)

    def take(self, which: IntArray) -> Frames:
        """Some of them."""
        return Frames(self.tile[which], self.order[which], self.energy[which], self.busy[which])


def frames_of(setting: Setting, problem: IntArray, tiles: IntArray) -> Frames:
    """All frames that may fit, with pruned orders.

    Args:
        setting: The problem on the architecture.
        problem: The problem as a row of `problem_rows` (1, 11).
        tiles: Iterations of all tiles (n, 7).
    """
    outermost = setting.levels - 1
    none = np.zeros(1)
    if setting.middle == outermost:
        return Frames(setting.sizes[None], np.arange(7, dtype=np.uint8)[None], none, none)
    for level in range(setting.middle, outermost):
        tiles = tiles[setting.fits(level, tiles)]
    number: list[IntArray] = [np.zeros(0, np.int64)]
    orders: list[AnyInt] = [np.zeros((0, 7), np.uint8)]
    for i, outer in enumerate(setting.sizes // tiles):
        found = pruned_orders(frozenset(np.flatnonzero(outer > 1).tolist()), setting.slides)
        number.append(np.full(len(found), i))
        orders.append(found)
    tile, order = tiles[np.concatenate(number)], np.concatenate(orders)
    energy, busy = np.zeros(len(tile)), np.zeros(len(tile))
    for start in range(0, len(tile), _CHUNK):
        part = slice(start, start + _CHUNK)
        energy[part], busy[part] = _outside(setting, problem, tile[part], order[part])
    return Frames(tile, order, energy, busy)


def _outside(
    setting: Setting, problem: IntArray, tile: IntArray, order: AnyInt
) -> tuple[FloatArray, FloatArray]:
    """Energy and cycles of what passes outside of the middle level."""
    shape = (len(tile), setting.levels, 7)
    temporal, orders = np.ones(shape, np.int32), np.zeros(shape, np.uint8)
    orders[:] = np.arange(7)
    temporal[:, 0], temporal[:, -1], orders[:, -1] = tile, setting.sizes // tile, order
    alone = np.ones((1, *shape[1:]), np.int32)
    mappings = Mappings(temporal, orders, alone, alone, setting.keep[None])
    machine = setting.machines
    found = evaluate(machine, mappings, problem, counts=True, checked=False)
    assert found.reads is not None and found.fills is not None and found.updates is not None
    reads, writes = np.zeros((len(tile), setting.levels)), np.zeros((len(tile), setting.levels))
    outputs = float(setting.sizes[MOVES[OUTPUTS]].prod())
    for tensor in range(3):
        words = machine.words[0, :, tensor]
        for child, parent in setting.chain(tensor):
            if child < setting.middle:
                continue
            if tensor == OUTPUTS:
                handed = found.updates[:, parent, tensor]
                reads[:, child] += handed * words[child]
                writes[:, parent] += handed * words[parent]
                reads[:, parent] += (handed - outputs) * words[parent]
                writes[:, child] += (handed - outputs) * words[child]
            else:
                reads[:, parent] += found.reads[:, parent, tensor] * words[parent]
                writes[:, child] += found.fills[:, child, tensor] * words[child]
    energy = (reads * machine.read_pj[0] + writes * machine.write_pj[0]).sum(axis=1)
    busy = np.maximum(reads / machine.read_bandwidth[0], writes / machine.write_bandwidth[0])
    # Less than a rounding error, so that what comes out whole stays whole.
    return energy, np.ceil(busy * (1 - 1e-12)).max(axis=1)
