"""Inner blocks of mappings, and what no mapping around a block can undercut.

A block is everything below the loops of the middle level: the temporal loops of the innermost level
and the parts on the arrays. The loops around it, `middle` at the middle level and `outer` at the
outermost, have `sizes / block` iterations per dimension together.

With a block, these are known whatever is around it: accesses of MAC units, instances, their tiles,
the number of iterations. What passes between a memory of the block and one outside of it is counted
per tile of the memory; how many tiles there are depends on the loops around. Those are bounded from
below (see `orders` for the groups). The innermost loop around is of one group, so that at most one
tensor stays for iterations that do not move it, and the other two are exchanged in every iteration
of all loops. With a window, an instance is at least brought what the tiles of all iterations of one
dimension cover, each as far from the next as its loops step.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import BoolArray, FloatArray, Machines
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

# Dimensions that move each tensor.
MOVES = [np.flatnonzero(row) for row in RELEVANT]
# Iterations over these bring inputs that share nothing with the ones before.
FULL = np.array([N, C])


def covered(p: IntArray, r: IntArray, stride: int, dilation: int, gaps: bool) -> FloatArray:
    """Input rows that p output rows and r filter rows need, or fewer where that has no closed form.

    A sum of two sets of p and r integers has at least p + r - 1 members.
    """
    least = np.asarray(p + r - 1, np.float64)
    if gaps:
        return least
    # Runs of consecutive rows: r (or p) of them `stride` (or `dilation`) apart.
    if dilation == 1:
        exact = np.where(r >= stride, (p - 1) * stride + r, p * r)
    elif stride == 1:
        exact = np.where(p >= dilation, (r - 1) * dilation + p, p * r)
    else:
        exact = np.where((p == 1) | (r == 1), p * r, least)
    return np.asarray(exact, np.float64)


def spread_over(
    rows: FloatArray, span: FloatArray, times: FloatArray, step: FloatArray
) -> FloatArray:
    """Rows that `times` copies of a set cover that lie `step` apart, or fewer."""
    solid = rows + (times - 1) * np.minimum(step, rows)
    loose = np.where(step >= span, rows * times, rows)
    return np.where(rows == span, solid, loose)


def product(values: IntArray, dims: IntArray) -> FloatArray:
    """Product over some dimensions of the last axis."""
    return np.asarray(values[..., dims].prod(axis=-1), np.float64)


@dataclass(frozen=True)
class Setting:
    """A problem on an architecture, as arrays.

    Attributes:
        machines: The hierarchy.
        keep: Whether a level holds a tensor (L, 3).
        sizes: Bounds (7,).
        window: Strides and dilations of coprime steps.
        middle: The middle level with loops; the outermost where there is none.
    """

    machines: Machines
    keep: BoolArray
    sizes: IntArray
    window: tuple[int, int, int, int]
    middle: int

    @property
    def slides(self) -> bool:
        """Whether tiles of the inputs can overlap."""
        return bool(self.sizes[R] > 1 or self.sizes[S] > 1)

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.keep)

    def chain(self, tensor: int) -> list[tuple[int, int]]:
        """Pairs (child, parent) of a tensor; the MAC units are level -1."""
        held = [-1, *np.flatnonzero(self.keep[:, tensor])]
        return [(int(a), int(b)) for a, b in itertools.pairwise(held)]

    def rows(self, p: IntArray, r: IntArray, axis: int, gaps: bool = False) -> FloatArray:
        """`covered` on an axis, 0 rows and 1 columns."""
        return covered(p, r, self.window[axis], self.window[2 + axis], gaps)

    def span(self, p: IntArray, r: IntArray, axis: int) -> FloatArray:
        """Rows from the first to the last that is needed."""
        reach = (p - 1) * self.window[axis] + (r - 1) * self.window[2 + axis] + 1
        return np.asarray(reach, np.float64)

    def volume(self, tensor: int, tile: IntArray, gaps: bool = False) -> FloatArray:
        """Elements of tiles (n, 7); of inputs fewer where there is no closed form, or for gaps."""
        if tensor != INPUTS:
            return product(tile, MOVES[tensor])
        rows = self.rows(tile[:, P], tile[:, R], 0, gaps)
        columns = self.rows(tile[:, Q], tile[:, S], 1, gaps)
        return np.asarray(rows * columns * product(tile, FULL))

    def fits(self, level: int, tile: IntArray) -> BoolArray:
        """Whether tiles (n, 7) may fit a level; surely not where false."""
        need = np.zeros(len(tile))
        for tensor in range(3):
            if self.keep[level, tensor]:
                need += self.volume(tensor, tile) * self.machines.words[0, level, tensor]
        fitting: BoolArray = (
            need * self.machines.copies[0, level] <= self.machines.capacity[0, level]
        )
        return fitting


@dataclass(frozen=True)
class Exchange:
    """An exchange of inputs between two levels, of n blocks.

    Attributes:
        cost: Energy of an element, all instances together, in pJ (n,).
        lead: Images times channels of what moves (n,).
        rows: Input rows and columns of what moves (2, n).
        span: Rows and columns from its first to its last (2, n).
    """

    cost: FloatArray
    lead: FloatArray
    rows: FloatArray
    span: FloatArray


@dataclass(frozen=True)
class Blocks:
    """Blocks and their bounds.

    Attributes:
        setting: The problem on the architecture.
        layout: Number of the layout on the arrays (n,).
        inner: Temporal loops of the innermost level (n, 7).
        block: Iterations of the block (n, 7).
        known: Energy of what is known, in pJ (n,).
        per_tile: Energy of every tile of weights (0) and outputs (1) exchanged (2, n).
        exchanges: Exchanges of inputs, each a fill or a read.
        busy: Cycles that are at least needed (n,).
    """

    setting: Setting
    layout: IntArray
    inner: IntArray
    block: IntArray
    known: FloatArray
    per_tile: FloatArray
    exchanges: tuple[Exchange, ...]
    busy: FloatArray

    def __len__(self) -> int:
        return len(self.block)

    def take(self, which: IntArray | BoolArray) -> Blocks:
        """Some of them."""
        return Blocks(
            self.setting,
            self.layout[which],
            self.inner[which],
            self.block[which],
            self.known[which],
            self.per_tile[:, which],
            tuple(
                Exchange(e.cost[which], e.lead[which], e.rows[:, which], e.span[:, which])
                for e in self.exchanges
            ),
            self.busy[which],
        )

    @classmethod
    def joined(cls, parts: list[Blocks]) -> Blocks:
        """Several as one."""
        columns = zip(*(part.exchanges for part in parts), strict=True)
        return cls(
            parts[0].setting,
            np.concatenate([part.layout for part in parts]),
            np.concatenate([part.inner for part in parts]),
            np.concatenate([part.block for part in parts]),
            np.concatenate([part.known for part in parts]),
            np.concatenate([part.per_tile for part in parts], axis=1),
            tuple(
                Exchange(
                    np.concatenate([e.cost for e in each]),
                    np.concatenate([e.lead for e in each]),
                    np.concatenate([e.rows for e in each], axis=1),
                    np.concatenate([e.span for e in each], axis=1),
                )
                for each in columns
            ),
            np.concatenate([part.busy for part in parts]),
        )

    def moved(self, exchange: Exchange, middle: IntArray, outer: IntArray) -> FloatArray:
        """Fewest elements (n,) that an exchange moves with the loops around."""
        again = product(middle, FULL)
        dead = again > 1
        # Behind a loop over N or C of the middle level, every outer iteration begins anew.
        around = np.where(dead[:, None], middle, middle * outer).astype(np.float64)
        times = np.where(dead, again * outer.prod(axis=1), product(outer, FULL))
        found = exchange.lead * times
        for axis, (out, taps) in enumerate(((P, R), (Q, S))):
            rows, span = exchange.rows[axis], exchange.span[axis]
            by_out = product(self.block, np.array([out])) * self.setting.window[axis]
            by_taps = product(self.block, np.array([taps])) * self.setting.window[2 + axis]
            found = found * np.maximum(
                spread_over(rows, span, around[:, out], by_out),
                spread_over(rows, span, around[:, taps], by_taps),
            )
        return found

    def bound(self, middle: IntArray, outer: IntArray) -> FloatArray:
        """Energy in pJ (n,) that no order of these loops undercuts.

        What passes outside of the middle level is not in it.

        Args:
            middle: Iterations at the middle level (n, 7), or ones where only `outer` is known.
            outer: Iterations outside of it (n, 7); with unknown `middle`, all iterations.
        """
        beyond = outer.prod(axis=1)
        everything = np.asarray(middle.prod(axis=1) * beyond, np.float64)
        stay, full = [], []
        for cost, tensor in zip(self.per_tile, (WEIGHTS, OUTPUTS), strict=True):
            moving = product(middle, MOVES[tensor])
            tiles = np.where(moving > 1, beyond, product(outer, MOVES[tensor]))
            stay.append(cost * moving * tiles)
            full.append(cost * everything)
        inputs, inputs_full = np.zeros(len(self)), np.zeros(len(self))
        for each in self.exchanges:
            moved = each.cost * self.moved(each, middle, outer)
            inputs += moved
            if self.setting.slides:
                inputs_full += moved
            else:
                inputs_full += each.cost * each.lead * each.rows.prod(axis=0) * everything
        best = np.minimum(stay[0] + full[1], full[0] + stay[1]) + inputs_full
        return np.asarray(self.known + np.minimum(best, full[0] + full[1] + inputs))
