"""The memory hierarchy of an accelerator, from the level next to the MAC units outwards."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archgym.cost_models.accelerator.loopnest.problem import TENSORS

BUFFERINGS = ("overlapped", "double", "single")


@dataclass(frozen=True)
class Level:
    """One level of memory; all its instances are alike.

    Attributes:
        name: Its name, in messages and results.
        capacity_words: Words of one instance; infinite for a level that holds everything.
        read_words_per_cycle: Read bandwidth of one instance.
        write_words_per_cycle: Write bandwidth of one instance.
        read_pj: Energy of reading a word.
        write_pj: Energy of writing a word.
        word_bits: Bits of a word; a tensor element of other width takes a fraction or several.
        fanout_x: Columns of next-inner instances (MAC units, of the innermost level) below each
            one.
        fanout_y: Rows of them.
        tensors: Tensors that the level can hold.
        buffering: `overlapped`: one tile, whose exchange never costs time (what Timeloop assumes);
            `double`: two tiles, exchanged in the background; `single`: one tile, and nothing
            computes while it is exchanged.

    Raises:
        ValueError: If a value is out of range.
    """

    name: str
    capacity_words: float = math.inf
    read_words_per_cycle: float = math.inf
    write_words_per_cycle: float = math.inf
    read_pj: float = 0.0
    write_pj: float = 0.0
    word_bits: int = 16
    fanout_x: int = 1
    fanout_y: int = 1
    tensors: tuple[str, ...] = TENSORS
    buffering: str = "overlapped"

    def __post_init__(self) -> None:
        where = f"level {self.name!r}"
        for name in ("capacity_words", "read_words_per_cycle", "write_words_per_cycle"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{where}: {name} is {getattr(self, name)}, expected more than 0")
        for name in ("read_pj", "write_pj"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{where}: {name} is {getattr(self, name)}, expected 0 or more")
        for name in ("word_bits", "fanout_x", "fanout_y"):
            if int(getattr(self, name)) != getattr(self, name) or getattr(self, name) < 1:
                raise ValueError(
                    f"{where}: {name} is {getattr(self, name)}, expected an integer >= 1"
                )
        for tensor in self.tensors:
            if tensor not in TENSORS:
                raise ValueError(f"{where}: tensor {tensor!r} is none of {', '.join(TENSORS)}")
        if self.buffering not in BUFFERINGS:
            raise ValueError(
                f"{where}: buffering {self.buffering!r} is none of {', '.join(BUFFERINGS)}"
            )


@dataclass(frozen=True)
class Hierarchy:
    """Levels from the innermost to the outermost, of which there is one, and the MAC units.

    Attributes:
        levels: The levels; the last holds all tensors.
        mac_pj: Energy of a multiply-accumulate.
        bits: Widths of weights, inputs and outputs (partial sums have the outputs').

    Raises:
        ValueError: If there is no level, two share a name, or the outermost cannot hold everything.
    """

    levels: tuple[Level, ...]
    mac_pj: float = 0.0
    bits: tuple[int, int, int] = (16, 16, 16)

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("hierarchy: levels is empty, expected at least one")
        names = [level.name for level in self.levels]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"hierarchy: two levels are called {name!r}")
        outer = self.levels[-1]
        for tensor in TENSORS:
            if tensor not in outer.tensors:
                raise ValueError(
                    f"hierarchy: the outermost level {outer.name!r} cannot hold {tensor}, it must"
                )
        if not 0 <= self.mac_pj < math.inf:
            raise ValueError(f"hierarchy: mac_pj is {self.mac_pj}, expected 0 or more")
        if len(self.bits) != 3 or min(self.bits) < 1:
            raise ValueError(f"hierarchy: bits is {self.bits}, expected three integers >= 1")

    @property
    def macs(self) -> int:
        """MAC units."""
        return math.prod(level.fanout_x * level.fanout_y for level in self.levels)
