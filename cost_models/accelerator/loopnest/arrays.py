"""Points as arrays: hierarchies, mappings and problems, each one per point or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, IntArray, Problem

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
AnyInt = NDArray[np.integer[Any]]

# Columns of the counts of a level and tensor; drains are some of the reads.
READS, FILLS, UPDATES, DRAINS, COUNTS = range(5)
# Columns of the totals.
CYCLES, STEPS, ENERGY, TOTALS = range(4)


@dataclass(frozen=True)
class Machines:
    """Hierarchies of L levels, innermost first; every array has a leading axis of n or 1.

    Attributes:
        capacity: Words of an instance (., L).
        read_bandwidth: Words per cycle of an instance (., L).
        write_bandwidth: Words per cycle of an instance (., L).
        read_pj: Energy of a word (., L).
        write_pj: Energy of a word (., L).
        words: Words that an element of a tensor takes (., L, 3).
        copies: Tiles of a tensor that a level holds (., L).
        overlapped: Whether tiles are exchanged in the background (., L).
        fanout: Columns and rows below an instance (., L, 2).
        mac_pj: Energy of a multiply-accumulate (.,).
    """

    capacity: FloatArray
    read_bandwidth: FloatArray
    write_bandwidth: FloatArray
    read_pj: FloatArray
    write_pj: FloatArray
    words: FloatArray
    copies: FloatArray
    overlapped: BoolArray
    fanout: IntArray
    mac_pj: FloatArray

    @classmethod
    def of(cls, hierarchies: Sequence[Hierarchy]) -> Machines:
        """The arrays of hierarchies with equally many levels."""
        depths = {len(h.levels) for h in hierarchies}
        if len(depths) != 1:
            raise ValueError(f"hierarchies: they have {sorted(depths)} levels, expected one number")
        levels = [h.levels for h in hierarchies]

        def column(name: str) -> FloatArray:
            return np.array([[getattr(x, name) for x in row] for row in levels], np.float64)

        return cls(
            column("capacity_words"),
            column("read_words_per_cycle"),
            column("write_words_per_cycle"),
            column("read_pj"),
            column("write_pj"),
            np.array([[[b / x.word_bits for b in h.bits] for x in h.levels] for h in hierarchies]),
            np.array([[2.0 if x.buffering == "double" else 1.0 for x in row] for row in levels]),
            np.array([[x.buffering != "single" for x in row] for row in levels]),
            np.array([[[x.fanout_x, x.fanout_y] for x in row] for row in levels], np.int64),
            np.array([h.mac_pj for h in hierarchies], np.float64),
        )


@dataclass(frozen=True)
class Mappings:
    """Mappings over L levels, innermost first; every array has a leading axis of n or 1.

    Factors are best int32 and orders uint8: other types are converted for every evaluation.

    Attributes:
        temporal: Iterations (., L, 7), dimensions in the order of `DIMS`.
        order: Dimensions from the innermost loop outwards (., L, 7).
        spatial_x: Parts on the columns below a level (., L, 7).
        spatial_y: Parts on the rows below a level (., L, 7).
        keep: Whether a level holds a tensor (., L, 3); the last level holds all.
    """

    temporal: AnyInt
    order: AnyInt
    spatial_x: AnyInt
    spatial_y: AnyInt
    keep: BoolArray

    @classmethod
    def of(cls, mappings: Sequence[Mapping]) -> Mappings:
        """The arrays of mappings with equally many levels; nothing else is checked."""
        depths = {len(m.levels) for m in mappings}
        if len(depths) != 1:
            raise ValueError(f"mappings: they have {sorted(depths)} levels, expected one number")
        levels = [m.levels for m in mappings]

        def factors(name: str) -> AnyInt:
            rows = [[[getattr(x, name).get(d, 1) for d in DIMS] for x in row] for row in levels]
            return np.array(rows, np.int32)

        return cls(
            factors("temporal"),
            np.array([[x.full_order for x in row] for row in levels], np.uint8),
            factors("spatial_x"),
            factors("spatial_y"),
            np.array([[[t not in x.bypass for t in TENSORS] for x in row] for row in levels]),
        )

    def at(self, i: int) -> Mapping:
        """One of them; what is not kept is bypassed."""

        def pick(array: NDArray[Any]) -> NDArray[Any]:
            picked: NDArray[Any] = array[i if len(array) > 1 else 0]
            return picked

        def factors(values: AnyInt) -> dict[str, int]:
            return {d: int(f) for d, f in zip(DIMS, values, strict=True) if f > 1}

        parts = (self.temporal, self.order, self.spatial_x, self.spatial_y, self.keep)
        return Mapping(
            tuple(
                LevelMapping(
                    factors(temporal),
                    "".join(DIMS[d] for d in order),
                    factors(columns),
                    factors(rows),
                    tuple(t for t, kept in zip(TENSORS, keep, strict=True) if not kept),
                )
                for temporal, order, columns, rows, keep in zip(*map(pick, parts), strict=True)
            )
        )

    def check(self, machines: Machines, problems: IntArray, factors: str = "perfect") -> int:
        """Number of points that the arrays describe, after a check of shapes, signs and products.

        Args:
            machines: Hierarchies.
            problems: Bounds, strides and dilations (n or 1, 11).
            factors: Whether factors are `perfect` or `imperfect`, see `Mapping.check`.

        Raises:
            ValueError: If the shapes disagree, a factor is below 1, factors do not multiply to the
                bounds or cover them, an order is no permutation, a fan-out is too small or the
                outermost level does not hold everything; the message names the first such point.
        """
        n = _points(self, machines, problems)
        levels = self.temporal.shape[1]
        for name in ("temporal", "spatial_x", "spatial_y"):
            _first((getattr(self, name) < 1).any(axis=(1, 2)), f"{name}: a factor is below 1")
        _first((problems < 1).any(1), "problems: a size is below 1")
        permutation = np.sort(self.order, axis=2) == np.arange(len(DIMS))
        _first(
            ~permutation.all(axis=(1, 2)), "order: a level's is no permutation of the dimensions"
        )
        _first(~self.keep[:, -1].all(1), "keep: the outermost level does not hold every tensor")
        for axis, name in enumerate(("spatial_x", "spatial_y")):
            wide = getattr(self, name).prod(axis=2, dtype=np.int64) > machines.fanout[:, :, axis]
            _first(wide.any(1), f"{name}: more parts than the fan-out")
        product, below = np.ones((2, 1, len(DIMS)), np.int64)
        for level in range(levels):
            for part in (self.spatial_x, self.spatial_y, self.temporal):
                if factors == "imperfect":
                    below = np.where(part[:, level] > 1, product, below)
                product = product * part[:, level]
        bounds = problems[:, : len(DIMS)]
        if factors == "imperfect":
            _first((product < bounds).any(1), "factors of a dimension do not cover its bound")
            # All parts but the last of the outermost loop.
            idle = (product > 1) & (product - below >= bounds)
            _first(
                idle.any(1), "factors of a dimension leave nothing for the outermost's last part"
            )
        else:
            message = "factors of a dimension do not multiply to its bound"
            _first((product != bounds).any(1), message)
        return n


def problem_rows(problems: Sequence[Problem]) -> IntArray:
    """Loop bounds, strides and dilations `(n, 11)`."""
    return np.array([(*p.sizes, *p.window) for p in problems], np.int64)


def _points(mappings: Mappings, machines: Machines, problems: IntArray) -> int:
    """Common length of all leading axes."""
    levels = mappings.temporal.shape[1]
    shapes = {
        "temporal": (mappings.temporal, (levels, 7)),
        "order": (mappings.order, (levels, 7)),
        "spatial_x": (mappings.spatial_x, (levels, 7)),
        "spatial_y": (mappings.spatial_y, (levels, 7)),
        "keep": (mappings.keep, (levels, 3)),
        "capacity": (machines.capacity, (levels,)),
        "read_bandwidth": (machines.read_bandwidth, (levels,)),
        "write_bandwidth": (machines.write_bandwidth, (levels,)),
        "read_pj": (machines.read_pj, (levels,)),
        "write_pj": (machines.write_pj, (levels,)),
        "words": (machines.words, (levels, 3)),
        "copies": (machines.copies, (levels,)),
        "overlapped": (machines.overlapped, (levels,)),
        "fanout": (machines.fanout, (levels, 2)),
        "mac_pj": (machines.mac_pj, ()),
        "problems": (problems, (11,)),
    }
    lengths = {array.shape[0] for array, _ in shapes.values()}
    n = int(max(lengths))
    for name, (array, rest) in shapes.items():
        if array.shape[1:] != rest or array.shape[0] not in (1, n):
            raise ValueError(f"{name}: shape {array.shape}, expected ({n} or 1, {rest})")
    return n


def _first(bad: ArrayLike, message: str) -> None:
    """Raise the message with the first bad point, if there is one."""
    if np.any(bad):
        raise ValueError(f"point {int(np.argmax(bad))}: {message}")
