"""The optimum of all mappings of a problem on an architecture, proven by branch and bound.

A mapping is cut in two. Its block (`blocks`) is all below the loops of the middle level: temporal
loops of the innermost level and the parts on arrays. Its frame (`frames`) is the tile of the middle
level with the loops outside of it, in an order of `orders.pruned_orders`. What passes outside of
the middle level follows from the frame alone, exactly; what is known of a block follows from the
block alone. So a block and a frame together take at least the sum of two energies and the larger of
two numbers of cycles. With both sorted, most pairs are ruled out without being looked at. The
others are bounded again with the loops between block and tile, and what is left is evaluated with
every pruned order of these loops by `model.evaluate`, whose figure alone decides.

The result is the least of all mappings with all factors, layouts and orders, up to rounding (a
relative 1e-9). What is never evaluated: blocks and frames that cannot fit; pairs whose bound is not
below the best mapping found; orders for which `orders` shows another that is at least as good;
layouts that differ only in which axis holds which dimension.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from archgym.cost_models.accelerator.loopnest.architectures import Architecture
from archgym.cost_models.accelerator.loopnest.arrays import (
    AnyInt,
    BoolArray,
    FloatArray,
    Machines,
    Mappings,
    problem_rows,
)
from archgym.cost_models.accelerator.loopnest.block_counts import blocks_of
from archgym.cost_models.accelerator.loopnest.blocks import Blocks, Setting
from archgym.cost_models.accelerator.loopnest.frames import Frames, frames_of
from archgym.cost_models.accelerator.loopnest.layouts import divisors, layouts
from archgym.cost_models.accelerator.loopnest.mapper import OBJECTIVES
from archgym.cost_models.accelerator.loopnest.mapping import Mapping
from archgym.cost_models.accelerator.loopnest.model import evaluate
from archgym.cost_models.accelerator.loopnest.orders import pruned_orders
from archgym.cost_models.accelerator.loopnest.problem import IntArray, Problem

_SLACK = 1.0 - 1e-9
_CHUNK = 1 << 15
# Layouts, blocks and frames among which a good mapping is looked for first.
_BUSIEST, _FEW = 40, 2000


@dataclass(frozen=True)
class Optimum:
    """The best mapping, and how far that is proven.

    Attributes:
        mapping: It, or None if none fits.
        value: Its objective; infinite if none fits.
        bound: What no mapping undercuts: the value where it is proven.
        proven: Whether everything was evaluated or ruled out.
        blocks: Blocks that were bounded.
        frames: Frames that were bounded.
        evaluated: Mappings that were evaluated.
        seconds: CPU time that it took.
    """

    mapping: Mapping | None
    value: float
    bound: float
    proven: bool
    blocks: int
    frames: int
    evaluated: int
    seconds: float


def branch_and_bound(
    architecture: Architecture,
    problem: Problem,
    objective: str = "edp",
    *,
    free_bypass: bool = False,
    most_seconds: float = float("inf"),
) -> Optimum:
    """The best of all mappings.

    Args:
        architecture: With loops at two or three levels, and no array outside of the middle one.
        problem: The operator.
        objective: `cycles`, `energy` or `edp`, to be small.
        free_bypass: Whether mappings may bypass what is optional; else all of it is held.
        most_seconds: CPU time after which what is found is returned with the bound that is proven.

    Raises:
        ValueError: If the objective is unknown or the architecture is another one.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective: {objective!r} is none of {', '.join(OBJECTIVES)}")
    _check(architecture)
    held: list[tuple[tuple[str, str], ...]] = [()]
    for each in architecture.optional if free_bypass else ():
        held += [(*others, each) for others in held]
    start = time.process_time()
    search = _Search(architecture, problem, objective, start + most_seconds)
    for bypassed in held:
        search.run(np.array(architecture.keeps(bypassed)))
    bound = min(search.best, search.open)
    return Optimum(
        search.mapping,
        search.best,
        bound,
        bound >= search.best,
        search.blocks,
        search.frames,
        search.evaluated,
        time.process_time() - start,
    )


def _check(architecture: Architecture) -> None:
    """Refuse architectures whose mappings cannot be cut in two."""
    levels = architecture.loop_levels
    if not 2 <= len(levels) <= 3:
        raise ValueError(f"{architecture.name}: loops at {len(levels)} levels, expected 2 or 3")
    for axis in architecture.axes:
        if len(levels) == 3 and architecture.level(axis.level) > levels[1]:
            raise ValueError(
                f"{architecture.name}: level {axis.level!r} has an array, expected none outside "
                f"of {architecture.names[levels[1]]!r}"
            )


class _Search:
    """The best mapping so far, and what is ruled out."""

    def __init__(
        self, architecture: Architecture, problem: Problem, objective: str, deadline: float
    ) -> None:
        self.middle = architecture.loop_levels[1]
        self.objective, self.deadline = objective, deadline
        self.machines, self.problem = Machines.of([architecture.hierarchy]), problem_rows([problem])
        self.sizes = np.array(problem.sizes, np.int64)
        self.window = _coprime(problem)
        laid = layouts(architecture, self.sizes)
        self.columns = np.stack([each.columns for each in laid]).astype(np.int32)
        self.rows = np.stack([each.rows for each in laid]).astype(np.int32)
        axes = np.meshgrid(*(divisors(size) for size in problem.sizes), indexing="ij")
        self.vectors = np.stack([axis.ravel() for axis in axes], axis=1).astype(np.int64)
        self.best = self.open = np.inf
        self.mapping: Mapping | None = None
        self.blocks = self.frames = self.evaluated = 0

    def run(self, keep: BoolArray) -> None:
        """Go through the mappings in which levels hold `keep` (L, 3)."""
        setting = Setting(self.machines, keep, self.sizes, self.window, self.middle)
        frames = frames_of(setting, self.problem, self.vectors)
        self.frames += len(frames)
        if not len(frames):
            return
        frames = frames.take(np.argsort(self.value(frames.energy, frames.busy), kind="stable"))
        inner = self.vectors[setting.fits(0, self.vectors)]
        parts = (self.columns * self.rows).prod(axis=(1, 2))
        busiest = np.argsort(-parts, kind="stable")[:_BUSIEST]
        promising = self.bounded(setting, inner, busiest, frames, _FEW)
        self.join(promising, frames.take(np.arange(min(_FEW, len(frames)))), np.inf)
        blocks = self.bounded(setting, inner, np.arange(len(parts)), frames)
        self.blocks += len(parts) * len(inner)
        self.join(blocks, frames, self.deadline)

    def value(self, energy: FloatArray, cycles: FloatArray) -> FloatArray:
        """The objective."""
        if self.objective == "energy":
            return energy
        return cycles if self.objective == "cycles" else energy * cycles

    def within(self, bound: FloatArray) -> BoolArray:
        """Whether something better may be behind a bound."""
        within: BoolArray = bound < self.best * _SLACK
        return within

    def bounded(
        self,
        setting: Setting,
        inner: IntArray,
        chosen: IntArray,
        frames: Frames,
        most: int | None = None,
    ) -> _Bounded:
        """Blocks of some layouts that may be part of something better, best bounds first."""
        energy, busy = float(frames.energy.min()), float(frames.busy.min())
        parts, energies, values = [], [], []
        for layout in chosen:
            split = self.columns[layout] * self.rows[layout]
            found = blocks_of(setting, inner, split.astype(np.int64), int(layout))
            rest = self.sizes // found.block
            alone = found.bound(np.ones_like(rest), rest)
            value = self.value(alone + energy, np.maximum(found.busy, busy))
            near = self.within(value)
            parts.append(found.take(near))
            energies.append(alone[near])
            values.append(value[near])
        ranked = np.argsort(np.concatenate(values), kind="stable")[:most]
        return _Bounded(Blocks.joined(parts).take(ranked), np.concatenate(energies)[ranked])

    def join(self, bounded: _Bounded, frames: Frames, deadline: float) -> None:
        """Evaluate all pairs of blocks and frames that may be better than the best so far."""
        if not len(bounded.blocks):
            return
        pairs = _Pairs(self, bounded.blocks, frames)
        for own in _by_tile(frames):
            least, busy = float(frames.energy[own].min()), float(frames.busy[own].min())
            value = self.value(bounded.energy + least, np.maximum(bounded.blocks.busy, busy))
            which = np.flatnonzero(self.within(value))
            if not len(which):
                continue
            if time.process_time() > deadline:
                self.open = min(self.open, float(value[which].min()))
                continue
            tile = frames.tile[own[0]]
            for d in np.flatnonzero(tile < self.sizes):
                which = which[tile[d] % bounded.blocks.block[which, d] == 0]
            if len(which):
                pairs.add(which, own)
        pairs.evaluate()

    def take(self, values: FloatArray, mappings: Mappings) -> None:
        """Keep the best of evaluated mappings."""
        self.evaluated += len(values)
        i = int(values.argmin())
        if values[i] < self.best:
            self.best, self.mapping = float(values[i]), mappings.at(i)


@dataclass(frozen=True)
class _Bounded:
    """Blocks, and the energy in pJ that nothing around them undercuts (n,)."""

    blocks: Blocks
    energy: FloatArray


class _Pairs:
    """Pairs of blocks and frames on their way to be evaluated."""

    def __init__(self, search: _Search, blocks: Blocks, frames: Frames) -> None:
        self._search, self._blocks, self._frames = search, blocks, frames
        self._waiting: list[tuple[IntArray, IntArray, AnyInt]] = []
        self._size = 0

    def add(self, which: IntArray, own: IntArray) -> None:
        """Add pairs of blocks and frames of one tile, with all pruned orders between them."""
        search, frames, chosen = self._search, self._frames, self._blocks.take(which)
        tile = frames.tile[own[0]]
        middle = tile // chosen.block
        energy = chosen.bound(middle, np.broadcast_to(search.sizes // tile, middle.shape))
        block, frame = np.divmod(np.arange(len(which) * len(own)), len(own))
        frame = own[frame]
        busy = np.maximum(chosen.busy[block], frames.busy[frame])
        near = search.within(search.value(energy[block] + frames.energy[frame], busy))
        block, frame = block[near], frame[near]
        kinds = (middle[block] > 1) @ (1 << np.arange(7))
        for kind in np.unique(kinds):
            alike = np.flatnonzero(kinds == kind)
            loops = frozenset(d for d in range(7) if kind >> d & 1)
            orders = pruned_orders(loops, self._blocks.setting.slides)
            blocks = np.repeat(which[block[alike]], len(orders))
            shaped = np.tile(orders, (len(alike), 1))
            self._waiting.append((blocks, np.repeat(frame[alike], len(orders)), shaped))
            self._size += len(blocks)
        if self._size >= _CHUNK:
            self.evaluate()

    def evaluate(self) -> None:
        """Evaluate what waits."""
        if not self._waiting:
            return
        block, frame, order = (np.concatenate(c) for c in zip(*self._waiting, strict=True))
        self._waiting, self._size = [], 0
        for start in range(0, len(block), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._chunk(block[part], frame[part], order[part])

    def _chunk(self, block: IntArray, frame: IntArray, order: AnyInt) -> None:
        search, blocks, setting = self._search, self._blocks, self._blocks.setting
        shape = (len(block), setting.levels, 7)
        temporal, orders = np.ones(shape, np.int32), np.empty(shape, np.uint8)
        orders[:] = np.arange(7)
        tile = self._frames.tile[frame]
        temporal[:, 0] = blocks.inner[block]
        temporal[:, setting.middle] = tile // blocks.block[block]
        orders[:, setting.middle] = order
        if setting.middle < setting.levels - 1:
            temporal[:, -1] = search.sizes // tile
            orders[:, -1] = self._frames.order[frame]
        layout = blocks.layout[block]
        columns, rows = search.columns[layout], search.rows[layout]
        mappings = Mappings(temporal, orders, columns, rows, setting.keep[None])
        found = evaluate(search.machines, mappings, search.problem, checked=False)
        values = OBJECTIVES[search.objective](found)
        search.take(np.where(found.feasible, values, np.inf), mappings)


def _coprime(problem: Problem) -> tuple[int, int, int, int]:
    """Strides and dilations without rows or columns that nothing needs."""
    height = np.gcd(problem.stride_h, problem.dilation_h)
    width = np.gcd(problem.stride_w, problem.dilation_w)
    return (
        problem.stride_h // int(height),
        problem.stride_w // int(width),
        problem.dilation_h // int(height),
        problem.dilation_w // int(width),
    )


def _by_tile(frames: Frames) -> list[IntArray]:
    """Frames of every tile; the tiles in the order of their first frames."""
    _, first, number = np.unique(frames.tile, axis=0, return_index=True, return_inverse=True)
    grouped = np.argsort(number.reshape(-1), kind="stable")
    groups = np.split(grouped, np.cumsum(np.bincount(number.reshape(-1)))[:-1])
    return [groups[tile] for tile in np.argsort(first, kind="stable")]
