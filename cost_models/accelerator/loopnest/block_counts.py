"""Counting what blocks of mappings cost, with one layout on the arrays at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from archgym.cost_models.accelerator.loopnest.arrays import FloatArray
from archgym.cost_models.accelerator.loopnest.blocks import (
    FULL,
    MOVES,
    Blocks,
    Exchange,
    Setting,
    product,
)
from archgym.cost_models.accelerator.loopnest.problem import (
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    C,
    IntArray,
    P,
    Q,
    R,
    S,
)

_SUMS = np.array([C, R, S])


def blocks_of(setting: Setting, inner: IntArray, split: IntArray, layout: int) -> Blocks:
    """The blocks with one layout that may fit.

    Args:
        setting: The problem on the architecture.
        inner: Temporal loops of the innermost level (n, 7).
        split: Parts at every level (L, 7).
        layout: Its number.
    """
    below = np.cumprod(split, axis=0)
    good = (setting.sizes % (inner * below[setting.middle]) == 0).all(axis=1)
    inner = inner[good]
    for level in range(setting.middle):
        inner = inner[setting.fits(level, inner * below[level])]
    return _Counting(setting, inner, split).blocks(layout)


class _Counting:
    """Adds up what blocks with one layout cost."""

    def __init__(self, setting: Setting, inner: IntArray, split: IntArray) -> None:
        self.setting, self.inner, self.split = setting, inner, split
        below = np.cumprod(split, axis=0)
        self.at = [np.asarray(inner * below[level]) for level in range(setting.levels)]
        self.block = self.at[setting.middle]
        parts = split.prod(axis=1).astype(float)
        self.instances = [float(parts[level + 1 :].prod()) for level in range(setting.levels)]
        n, machine = len(inner), setting.machines
        self.steps = float(setting.sizes.prod() / parts.prod())
        self.total = float(setting.sizes[MOVES[OUTPUTS]].prod())
        self.known = np.full(n, float(setting.sizes.prod()) * machine.mac_pj[0])
        self.per_tile = np.zeros((2, n))
        self.exchanges: list[Exchange] = []
        self.reads = np.zeros((setting.levels, n))
        self.writes = np.zeros((setting.levels, n))
        self.rest = setting.sizes // self.block

    def blocks(self, layout: int) -> Blocks:
        """Everything counted."""
        for tensor, count in ((WEIGHTS, self._weights), (OUTPUTS, self._outputs)):
            for child, parent in self.setting.chain(tensor):
                if child < self.setting.middle:
                    count(child, parent)
        counted = Blocks(
            self.setting,
            np.full(len(self.inner), layout),
            self.inner,
            self.block,
            self.known,
            self.per_tile,
            (),
            np.zeros(len(self.inner)),
        )
        for child, parent in self.setting.chain(INPUTS):
            if child < self.setting.middle:
                self._inputs(child, parent, counted)
        return replace(counted, exchanges=tuple(self.exchanges), busy=self._busy())

    def _busy(self) -> FloatArray:
        """Cycles that the accesses counted so far need, or the iterations."""
        machine = self.setting.machines
        busy = np.full(len(self.inner), self.steps)
        for level, instances in enumerate(self.instances):
            for words, rate in (
                (self.reads[level], machine.read_bandwidth[0, level]),
                (self.writes[level], machine.write_bandwidth[0, level]),
            ):
                busy = np.maximum(busy, np.ceil(words / (instances * rate) * (1 - 1e-12)))
        return busy

    def _shares(self, tensor: int, child: int, parent: int) -> tuple[float, float]:
        """Parts below the parent that hold different tiles, and parts that add up to one tile."""
        split = self.split[child + 1 : parent + 1].prod(axis=0)
        return float(split[MOVES[tensor]].prod()), float(split[_SUMS].prod())

    def _word(self, tensor: int, level: int) -> tuple[float, float, float]:
        """Words of an element, and the energy of reading and writing it."""
        machine = self.setting.machines
        words = float(machine.words[0, level, tensor])
        return (
            words,
            words * float(machine.read_pj[0, level]),
            words * float(machine.write_pj[0, level]),
        )

    def _weights(self, child: int, parent: int) -> None:
        parts, _ = self._shares(WEIGHTS, child, parent)
        words, read_pj, _ = self._word(WEIGHTS, parent)
        if child < 0:
            every = self.instances[parent] * parts * self.steps
            self.known += every * read_pj
            self.reads[parent] += every * words
            return
        volume = self.setting.volume(WEIGHTS, self.at[child])
        read, fill = self.instances[parent] * parts * volume, self.instances[child] * volume
        own, _, fill_pj = self._word(WEIGHTS, child)
        self.per_tile[0] += read * read_pj + fill * fill_pj
        fewest = product(self.rest, MOVES[WEIGHTS])
        self.reads[parent] += read * fewest * words
        self.writes[child] += fill * fewest * own

    def _outputs(self, child: int, parent: int) -> None:
        parts, added = self._shares(OUTPUTS, child, parent)
        words, read_pj, write_pj = self._word(OUTPUTS, parent)
        started = self.total * float(self.split[parent + 1 :][:, _SUMS].prod())
        if child < 0:
            every = self.instances[parent] * parts * self.steps
            self.known += every * (write_pj + read_pj) - started * read_pj
            self.reads[parent] += (every - started) * words
            self.writes[parent] += every * words
            return
        per_tile = self.instances[parent] * parts * self.setting.volume(OUTPUTS, self.at[child])
        own, drain_pj, fill_pj = self._word(OUTPUTS, child)
        self.per_tile[1] += per_tile * (write_pj + read_pj + added * drain_pj + fill_pj)
        self.known -= started * (read_pj + fill_pj)
        handed = per_tile * product(self.rest, MOVES[OUTPUTS])
        self.reads[parent] += (handed - started) * words
        self.writes[parent] += handed * words
        self.reads[child] += handed * added * own
        self.writes[child] += (handed - started) * own

    def _inputs(self, child: int, parent: int, counted: Blocks) -> None:
        words, read_pj, _ = self._word(INPUTS, parent)
        tile = self.at[child] if child >= 0 else np.ones_like(self.inner)
        union = tile * self.split[child + 1 : parent + 1].prod(axis=0)
        instances = np.full(len(self.inner), self.instances[parent])
        if child < 0:
            # Iterations of bypassed levels may keep the parts of the union apart.
            read = instances * self.setting.volume(INPUTS, union, gaps=True) * self.steps
            counted.known[:] += read * read_pj
            self.reads[parent] += read * words
            return
        ones = np.ones_like(self.rest)
        reading = self._exchange(union, instances * read_pj)
        self.reads[parent] += instances * counted.moved(reading, ones, self.rest) * words
        instances = np.full(len(self.inner), self.instances[child])
        own, _, fill_pj = self._word(INPUTS, child)
        filling = self._exchange(tile, instances * fill_pj)
        self.writes[child] += instances * counted.moved(filling, ones, self.rest) * own
        self.exchanges += [reading, filling]

    def _exchange(self, tile: IntArray, cost: FloatArray) -> Exchange:
        pairs = ((P, R), (Q, S))
        rows = [self.setting.rows(tile[:, a], tile[:, b], i) for i, (a, b) in enumerate(pairs)]
        span = [self.setting.span(tile[:, a], tile[:, b], i) for i, (a, b) in enumerate(pairs)]
        return Exchange(cost, product(tile, FULL), np.stack(rows), np.stack(span))
