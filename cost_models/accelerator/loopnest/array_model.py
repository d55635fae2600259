"""The counts of the kernel once more, as operations on whole arrays of points.

The same source runs on every library of the array API standard that array-api-compat knows: NumPy,
torch on a CPU or a CUDA device, and JAX. All counts are those of `evaluate` in the mode `ideal`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import Machines, Mappings
from archgym.cost_models.accelerator.loopnest.problem import (
    INPUTS,
    OUTPUTS,
    RELEVANT,
    WEIGHTS,
    C,
    IntArray,
    N,
    P,
    Q,
    R,
    S,
)

Array = Any
_REDUCED = (C, R, S)


def evaluate_arrays(
    machines: Machines, mappings: Mappings, problems: IntArray, *, like: Array | None = None
) -> dict[str, Array]:
    """Evaluate n points with operations on arrays.

    Args:
        machines: Hierarchies.
        mappings: Mappings, checked before.
        problems: Bounds, strides and dilations (n or 1, 11).
        like: An array of the library and on the device to compute with; None for NumPy.

    Returns:
        `cycles`, `steps` and `energy_pj` (n,), `level_cycles` and `overflow_words` (n, L), `reads`,
        `fills`, `updates` and `held` (n, L, 3), as in `LoopNestResult`.

    Raises:
        ValueError: If the library has no double precision, as JAX where it is not switched on; or
            an input's rows have to be marked one by one: stride and dilation, without what they
            have in common, both above 1, or a bypassed loop over a window between parts of it.
    """
    _check_windows(mappings, problems)
    return _Points(machines, mappings, problems, like).result()


def _check_windows(mappings: Mappings, problems: IntArray) -> None:
    steps = problems[:, 7:9] // np.gcd(problems[:, 7:9], problems[:, 9:11])
    others = problems[:, 9:11] // np.gcd(problems[:, 7:9], problems[:, 9:11])
    if ((steps > 1) & (others > 1)).any():
        raise ValueError("problems: stride and dilation are both above 1, use `evaluate`")
    split = mappings.spatial_x * mappings.spatial_y
    slides = np.repeat(_slides(problems), 2, axis=1)
    loose = np.ones_like(split[:, 0])
    held = mappings.keep[..., INPUTS]
    for level in range(split.shape[1]):
        gap = (loose > 1) & (split[:, level] > 1)
        if (gap[:, [P, R, Q, S]] & slides).any():
            raise ValueError("mappings: a bypassed loop parts a window, use `evaluate`")
        kept = held[:, level, np.newaxis]
        loose = np.where(kept, 1, np.maximum(loose, mappings.temporal[:, level]))


def _slides(problems: IntArray) -> np.ndarray:
    """Whether neighbouring outputs share inputs, of rows and of columns (n or 1, 2)."""
    return (problems[:, [P, Q]] > 1) & (problems[:, [R, S]] > 1)


class _Points:
    """One evaluation: factors in the order of loops, and what the counts share."""

    def __init__(
        self, machines: Machines, mappings: Mappings, problems: IntArray, like: Array | None
    ) -> None:
        import array_api_compat

        self.xp: ModuleType = array_api_compat.array_namespace(np.ones(1) if like is None else like)
        device = None if like is None else array_api_compat.device(like)
        self.device = device
        if "float64" not in self.xp.__array_namespace_info__().dtypes(kind="real floating"):
            raise ValueError(
                f"like: {self.xp.__name__} has no double precision, counts need it; in JAX it is "
                "switched on by jax.enable_x64 or JAX_ENABLE_X64=1"
            )
        n = max(len(a) for a in (problems, *vars(machines).values(), *vars(mappings).values()))
        self.n, self.levels = n, mappings.temporal.shape[1]
        self.machines = {name: self._array(value) for name, value in vars(machines).items()}
        self.keep = self._array(np.broadcast_to(mappings.keep, (n, self.levels, 3)).astype(float))
        shape = (n, self.levels, 7)
        wide = mappings.spatial_x.astype(np.int64) * mappings.spatial_y
        split = np.broadcast_to(wide, shape)
        temporal = np.broadcast_to(mappings.temporal.astype(np.int64), shape)
        order = np.broadcast_to(mappings.order.astype(np.int64), shape)
        steps, tile, before = [], [], np.ones((n, 7), np.int64)
        for level in range(self.levels):
            before = before * split[:, level]
            steps.append(np.take_along_axis(before, order[:, level], axis=1))
            before = before * temporal[:, level]
            tile.append(before)
        self.split, self.tile = self._array(split), self._array(np.stack(tile, axis=1))
        flat = (n, self.levels * 7)
        ordered = np.take_along_axis(temporal, order, axis=2).reshape(flat)
        self.factor = self._array(ordered)
        dims = order.reshape(flat)
        self.far = self._array(((dims == N) | (dims == C)).astype(float))
        self.moves = {
            t: self._array((RELEVANT[t][dims] & (ordered > 1)).astype(float))
            for t in (WEIGHTS, OUTPUTS)
        }
        unit = np.gcd(problems[:, 7:9], problems[:, 9:11])
        pace = np.zeros((len(problems), 2, 7), np.int64)
        for axis, (out, window) in enumerate(((P, R), (Q, S))):
            pace[:, axis, out] = problems[:, 7 + axis] // unit[:, axis]
            pace[:, axis, window] = problems[:, 9 + axis] // unit[:, axis]
        pace = np.broadcast_to(pace, (n, 2, 7))
        step = np.stack(steps, axis=1).reshape(flat)
        self.shift = [
            self._array(step * np.take_along_axis(pace[:, axis], dims, axis=1)) for axis in (0, 1)
        ]
        self.pace = self._array(pace)
        self.slides = self._array(np.broadcast_to(_slides(problems), (n, 2)))
        self.macs = self._array(problems[:, :7].astype(float).prod(axis=1))
        self.outside = self._outside()

    def _array(self, values: np.ndarray) -> Array:
        kind = self.xp.float64
        return self.xp.asarray(
            np.ascontiguousarray(values, np.float64), dtype=kind, device=self.device
        )

    def _outside(self) -> list[Array]:
        """Iterations of all loops from each outwards, the last for none."""
        found = [self.xp.ones_like(self.factor[:, 0])]
        for i in range(self.levels * 7 - 1, -1, -1):
            found.insert(0, found[0] * self.factor[:, i])
        return found

    def _tiles(self, tensor: int, start: int) -> Array:
        """Tiles of weights or outputs that the loops from `start` outwards bring."""
        found = self.xp.ones_like(self.macs * self.factor[:, 0])
        for i in range(self.levels * 7 - 1, start - 1, -1):
            found = self.xp.where(self.moves[tensor][:, i] > 0, self.outside[i], found)
        return found

    def _volume(self, tensor: int, level: int) -> Array:
        found = self.xp.ones_like(self.outside[0])
        for d in range(7):
            if RELEVANT[tensor][d]:
                found = found * self.tile[:, level, d]
        return found

    def result(self) -> dict[str, Array]:
        """All figures."""
        xp = self.xp
        zero = xp.zeros_like(self.outside[0])
        self.reads = [[zero] * 3 for _ in range(self.levels)]
        self.fills = [[zero] * 3 for _ in range(self.levels)]
        self.updates = [[zero] * 3 for _ in range(self.levels)]
        self.drains = [zero] * self.levels
        self.instances = [xp.ones_like(zero)]
        for level in range(self.levels - 1, 0, -1):
            self.instances.insert(0, self.instances[0] * xp.prod(self.split[:, level], axis=1))
        for tensor in (WEIGHTS, INPUTS, OUTPUTS):
            # Every pair of levels that may be neighbours; what is bypassed counts nothing.
            for parent in range(self.levels):
                for child in range(-1, parent):
                    self._exchange(tensor, child, parent)
        return self._costs()

    def _pair(self, tensor: int, child: int, parent: int) -> Array:
        """1 where both levels hold a tensor, and none between them."""
        found = self.keep[:, parent, tensor]
        if child >= 0:
            found = found * self.keep[:, child, tensor]
        for level in range(child + 1, parent):
            found = found * (1.0 - self.keep[:, level, tensor])
        return found

    def _parts(self, child: int, parent: int, dims: tuple[int, ...]) -> Array:
        found = self.xp.ones_like(self.outside[0])
        for level in range(child + 1, parent + 1):
            for d in dims:
                found = found * self.split[:, level, d]
        return found

    def _exchange(self, tensor: int, child: int, parent: int) -> None:
        used = self._pair(tensor, child, parent)
        start = 7 * (child + 1)
        if tensor == INPUTS:
            moved, union = self._moved(child, parent, start)
            moved, union = moved * self.instances[max(child, 0)], union * self.instances[parent]
            self._add(self.reads, parent, tensor, used * union)
            if child >= 0:
                self._add(self.fills, child, tensor, used * moved)
            return
        volume, tiles = self.xp.ones_like(self.outside[0]), self.outside[0]
        if child >= 0:
            volume, tiles = self._volume(tensor, child), self._tiles(tensor, start)
        inner = tuple(d for d in range(7) if RELEVANT[tensor][d])
        moved = self.instances[parent] * self._parts(child, parent, inner) * volume * tiles
        if tensor == WEIGHTS:
            self._add(self.reads, parent, tensor, used * moved)
            if child >= 0:
                self._add(self.fills, child, tensor, used * self.instances[child] * volume * tiles)
            return
        started = self._parts(parent, self.levels - 1, _REDUCED)
        fetched = moved - self._volume(tensor, self.levels - 1) * started
        self._add(self.updates, parent, tensor, used * moved)
        self._add(self.reads, parent, tensor, used * fetched)
        if child >= 0:
            handed = used * moved * self._parts(child, parent, _REDUCED)
            self._add(self.reads, child, tensor, handed)
            self._add(self.fills, child, tensor, used * fetched)
            self.drains[child] = self.drains[child] + handed

    @staticmethod
    def _add(counts: list[list[Array]], level: int, tensor: int, amount: Array) -> None:
        counts[level][tensor] = counts[level][tensor] + amount

    def _set(self, axis: int, child: int, parent: int) -> tuple[Array, Array, Array]:
        """Runs, their length and period of the rows under `child`'s instances below `parent`."""
        xp = self.xp
        out, window = ((P, R), (Q, S))[axis]
        p, r = self._parts(child, parent, (out,)), self._parts(child, parent, (window,))
        if child >= 0:
            p, r = p * self.tile[:, child, out], r * self.tile[:, child, window]
        a, b = self.pace[:, axis, out], self.pace[:, axis, window]
        alone = self.slides[:, axis] == 0
        swapped = (b != 1) & (r > 1)
        runs, length = xp.where(swapped, r, p), xp.where(swapped, p, r)
        period = xp.where(swapped, b, a)
        joined = (runs > 1) & (length >= period)
        length = xp.where(joined, length + (runs - 1) * period, length)
        length = xp.where(alone, p * r, length)
        return xp.where(joined | alone, xp.ones_like(runs), runs), length, period

    def _overlap(self, rows: tuple[Array, Array, Array], shift: Array) -> Array:
        """Members of a set of rows that it shares with itself, moved."""
        xp = self.xp
        runs, length, period = rows
        shift, zero = xp.abs(shift), xp.zeros_like(shift)
        whole = xp.where(runs > 1, xp.floor(shift / period), zero)
        rest = shift - whole * period
        shared = xp.maximum(zero, length - rest) * xp.maximum(zero, runs - whole)
        more = xp.maximum(zero, length + rest - period) * xp.maximum(zero, runs - whole - 1)
        return shared + xp.where(runs > 1, more, zero)

    def _moved(self, child: int, parent: int, start: int) -> tuple[Array, Array]:
        """Inputs that come to a tile of the child, and to all tiles below a parent."""
        rest = self.xp.ones_like(self.outside[0])
        if child >= 0:
            rest = self.tile[:, child, N] * self.tile[:, child, C]
        outer = rest * self._parts(child, parent, (N, C))
        union = [self._set(axis, child, parent) for axis in (0, 1)]
        whole = outer * union[0][0] * union[0][1] * union[1][0] * union[1][1]
        if child < 0:
            return rest, whole * self.outside[0]
        tile = [self._set(axis, child, child) for axis in (0, 1)]
        volume = rest * tile[0][0] * tile[0][1] * tile[1][0] * tile[1][1]
        moved, moved_union = volume, whole
        back = [self.xp.zeros_like(rest), self.xp.zeros_like(rest)]
        near = self.xp.ones_like(rest)
        for i in range(start, self.levels * 7):
            f = self.factor[:, i]
            near = near * (1.0 - self.far[:, i] * (f > 1))
            times = (f - 1.0) * self.outside[i + 1]
            by = [self.shift[axis][:, i] - back[axis] for axis in (0, 1)]
            # What slides over nothing shares nothing with what it is not.
            by = [
                self.xp.where((self.slides[:, axis] == 0) & (by[axis] != 0), 2.0**60, by[axis])
                for axis in (0, 1)
            ]
            same = near * self._overlap(tile[0], by[0]) * self._overlap(tile[1], by[1])
            moved = moved + times * (volume - rest * same)
            same = near * self._overlap(union[0], by[0]) * self._overlap(union[1], by[1])
            moved_union = moved_union + times * (whole - outer * same)
            back = [back[axis] + (f - 1.0) * self.shift[axis][:, i] for axis in (0, 1)]
        return moved, moved_union

    def _held(self) -> Array:
        levels = []
        for level in range(self.levels):
            rows, columns = (self._set(axis, level, level) for axis in (0, 1))
            inputs = self.tile[:, level, N] * self.tile[:, level, C]
            inputs = inputs * rows[0] * rows[1] * columns[0] * columns[1]
            row = [self._volume(WEIGHTS, level), inputs, self._volume(OUTPUTS, level)]
            levels.append(self.xp.stack(row, axis=1))
        return self.xp.stack(levels, axis=1) * self.keep

    def _costs(self) -> dict[str, Array]:
        xp, m = self.xp, self.machines
        reads, fills, updates = (
            xp.stack([xp.stack(row, axis=1) for row in counts], axis=1)
            for counts in (self.reads, self.fills, self.updates)
        )
        instances = xp.stack(self.instances, axis=1)
        steps = self.outside[0]
        read = xp.sum(reads * m["words"], axis=2)
        filled = xp.sum(fills * m["words"], axis=2)
        written = filled + xp.sum(updates * m["words"], axis=2)
        drained = xp.stack(self.drains, axis=1) * m["words"][..., OUTPUTS]
        per_read, per_write = instances * m["read_bandwidth"], instances * m["write_bandwidth"]
        busy = xp.maximum(xp.ceil(read / per_read), xp.ceil(written / per_write))
        stalls = xp.ceil(filled / per_write) + xp.ceil(drained / per_read)
        cycles = xp.maximum(steps, xp.max(busy, axis=1))
        cycles = cycles + xp.sum((1.0 - m["overlapped"]) * stalls, axis=1)
        energy = xp.sum(read * m["read_pj"] + written * m["write_pj"], axis=1)
        held = self._held()
        room = xp.sum(held * m["words"], axis=2) * m["copies"] - m["capacity"]
        return {
            "cycles": cycles,
            "steps": steps,
            "energy_pj": energy + self.macs * m["mac_pj"],
            "level_cycles": busy,
            "overflow_words": xp.maximum(room, xp.zeros_like(room)),
            "reads": reads,
            "fills": fills,
            "updates": updates,
            "held": held,
        }
