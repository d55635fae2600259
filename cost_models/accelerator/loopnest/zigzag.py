"""Energy and latency of uneven mappings as ZigZag counts them.

ZigZag (Mei et al., IEEE TC 2021; latency: DATE 2022; version 3.9.1) lets every operand cut up the
same temporal loops over memories of its own. Per operand and memory, each of four directions moves
a fixed amount per period: up from and down to the next inner side (`low`), up to and down from the
next outer side (`high`).

- Loops at the bottom of a memory that do not move its operand belong to the memory below it: it can
  stay there meanwhile; at the innermost memory, in the output latch of the memory.
- An amount takes ceil(bits / least access) accesses of least size, each the share of a full word's
  energy that its width is of the word's. Spatial parts are averages here: bounds / iterations, not
  rounded.
- A transfer may take its period if twice the operand's live data fits the memory, else only the
  part of the period in which the outermost loops do not hold it still. What it takes beyond that,
  over all periods but the first, stalls; ports shared by several transfers add what their common
  window lacks.
- Before the first and after the last cycle data moves through all memories, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OPERANDS = ("O", "W", "I")
DIRECTIONS = ("rd_low", "wr_low", "rd_high", "wr_high")
# Loop dimensions that do not move an operand, and those that slide over the input in pairs.
STILL = {"W": ("B", "OX", "OY"), "I": ("K",), "O": ("C", "FX", "FY")}
_AXES = (("OY", "FY"), ("OX", "FX"))
Loop = tuple[str, int]


@dataclass(frozen=True)
class Memory:
    """One memory, for some of the operands.

    Attributes:
        name: Its name.
        size: Bits.
        read_pj: Energy of reading a full word.
        write_pj: Energy of writing a full word.
        width: Bits of a full word, moved per cycle.
        least: Least bits of an access.
        serves: Dimensions of the array below one instance; the others multiply its instances.
        ports: Transfers that share a port, as (operand, direction).
    """

    name: str
    size: float
    read_pj: float
    write_pj: float
    width: float
    least: int
    serves: tuple[str, ...]
    ports: tuple[tuple[tuple[str, str], ...], ...]

    @property
    def operands(self) -> set[str]:
        """Operands that it holds."""
        return {operand for port in self.ports for operand, _ in port}


@dataclass(frozen=True)
class Accelerator:
    """An array of MAC units and its memories, the innermost first.

    Attributes:
        mac_pj: Energy of a multiply-accumulate.
        memories: The memories.
        unrolling: Loops side by side on each dimension of the array.
    """

    mac_pj: float
    memories: tuple[Memory, ...]
    unrolling: Mapping[str, tuple[Loop, ...]]

    def of(self, operand: str) -> list[Memory]:
        """Memories of an operand, innermost first."""
        return [memory for memory in self.memories if operand in memory.operands]


@dataclass(frozen=True)
class Layer:
    """Loop bounds by ZigZag's names, stride, and bits of operands.

    Attributes:
        sizes: Bounds of B, K, C, OY, OX, FY, FX.
        stride: Input rows, and columns, from one output to the next.
        bits: Bits of W, I and O, the last of partial sums.
        final_bits: Bits of finished outputs.
        dilation: Input rows, and columns, from one filter tap to the next.
    """

    sizes: Mapping[str, int]
    stride: tuple[int, int]
    bits: Mapping[str, int]
    final_bits: int
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Transfers:
    """The four directions of an operand at one memory.

    Attributes:
        amount: Elements per period.
        bits: Bits of an element.
        period: Cycles of a period.
        count: Periods; 0 where nothing moves.
        window: Cycles of a period in which data may move without a second buffer.
    """

    amount: dict[str, float]
    bits: dict[str, int]
    period: dict[str, int]
    count: dict[str, int]
    window: dict[str, int]


@dataclass(frozen=True)
class Cost:
    """What a mapping costs.

    Attributes:
        energy_pj: Energy of memories and multiply-accumulates.
        level_pj: Energy per operand and memory.
        accesses: Accesses per operand, memory and direction, in full words.
        steps: Iterations of the temporal loops.
        stalls: Cycles lost to transfers that do not fit their windows.
        latency: Cycles with stalls, loading and offloading.
    """

    energy_pj: float
    level_pj: dict[str, list[float]]
    accesses: dict[str, list[dict[str, int]]]
    steps: int
    stalls: float
    latency: float


def evaluate(
    accelerator: Accelerator, layer: Layer, temporal: Mapping[str, Sequence[Sequence[Loop]]]
) -> Cost:
    """Cost of a layer.

    Args:
        accelerator: The hardware with its spatial mapping.
        layer: The operator.
        temporal: Per operand and memory, innermost first, the loops that it holds, innermost first.

    Raises:
        ValueError: If an operand has other memories than the accelerator, or the operands' loops
            multiply to different bounds.
    """
    check(accelerator, temporal)
    even = {op: _Operand(accelerator, layer, op, temporal, average=True) for op in OPERANDS}
    whole = {op: _Operand(accelerator, layer, op, temporal, average=False) for op in OPERANDS}
    accesses = {op: even[op].accesses() for op in OPERANDS}
    level_pj = {
        op: [
            words["rd_low"] * m.read_pj
            + words["rd_high"] * m.read_pj
            + (words["wr_low"] + words["wr_high"]) * m.write_pj
            for m, words in zip(accelerator.of(op), accesses[op], strict=True)
        ]
        for op in OPERANDS
    }
    macs = math.prod(layer.sizes.values())
    energy = accelerator.mac_pj * macs + sum(sum(level) for level in level_pj.values())
    steps = whole["O"].total
    stalls = _stalls(accelerator, whole, _double_buffers(accelerator, even))
    cycles = _transfer_cycles(accelerator, whole, steps + stalls)
    latency = steps + stalls + _loading(accelerator, cycles) + _offloading(accelerator, cycles)
    return Cost(energy, level_pj, accesses, steps, stalls, latency)


class _Operand:
    """One operand's loops, data and transfers at all its memories."""

    def __init__(
        self,
        accelerator: Accelerator,
        layer: Layer,
        operand: str,
        temporal: Mapping[str, Sequence[Sequence[Loop]]],
        *,
        average: bool,
    ) -> None:
        self.operand, self.layer = operand, layer
        self.memories = accelerator.of(operand)
        self.still, levels = _sink(temporal[operand], STILL[operand])
        spatial = _spatial(accelerator, layer, self.memories, temporal[operand], average=average)
        sizes = [math.prod(f for _, f in loops) for loops in levels]
        cycles = [math.prod(sizes[: i + 1]) for i in range(len(sizes))]
        self.total = cycles[-1]
        self.cycles = [self.still if operand != "O" else 1, *cycles]
        # Elements under one instance of a memory, and parts of the array below it that differ.
        inside = [[*levels[i], *spatial[i]] for i in range(len(levels))]
        self.data = [1, *(round(self._elements(inside[: i + 1])) for i in range(len(inside)))]
        parts = [self._elements(spatial[: i + 1]) for i in range(len(levels))]
        self.boost = [round(a / b) for a, b in zip(parts, [1.0, *parts], strict=False)]
        units = [math.prod(f for _, f in loops) for loops in spatial]
        self.units = [round(round(math.prod(units[i + 1 :]), 3)) for i in range(len(units))]
        # Whether loops outside of a memory's inner side still add to the sums.
        adding = [[], *levels]
        both = [[*adding[i], *(spatial[i] if i < len(spatial) else [])] for i in range(len(adding))]
        added = [any(d in STILL["O"] and f > 1 for d, f in loops) for loops in both]
        self.partial = [any(added[i + 1 :]) for i in range(len(levels))] + [False]
        self.top_still = [1, *(_top(loops, STILL[operand]) for loops in levels)]
        self.top_moving = [1, *(_top(loops, self._moving()) for loops in levels)]
        self.transfers = [self._transfers(i) for i in range(len(levels))]

    def _moving(self) -> tuple[str, ...]:
        """Dimensions that move the operand without sliding."""
        return {"W": ("K", "C", "FX", "FY"), "I": ("B", "C"), "O": ("B", "K", "OX", "OY")}[
            self.operand
        ]

    def _elements(self, levels: Sequence[Sequence[tuple[str, float]]]) -> float:
        """Elements of the operand that all loops together touch."""
        size = dict.fromkeys(("B", "K", "C", "OY", "OX", "FY", "FX"), 1.0)
        for loops in levels:
            for d, f in loops:
                size[d] *= f
        if self.operand != "I":
            return math.prod(size[d] for d in self._moving())
        rows, columns = (
            _rows(self.layer, axis, size[out], size[tap]) for axis, (out, tap) in enumerate(_AXES)
        )
        return size["B"] * size["C"] * rows * columns

    def bits_at(self, level: int) -> int:
        """Bits of an element at a memory's inner side."""
        if self.operand == "O" and not self.partial[level]:
            return self.layer.final_bits
        return self.layer.bits[self.operand]

    def _transfers(self, level: int) -> Transfers:
        """Transfers at a memory; the outermost exchanges nothing with what is outside of it."""
        low, high = ("wr_low", "rd_high") if self.operand == "O" else ("rd_low", "wr_high")
        active = {low: level, high: level + 1}
        if self.operand == "O":
            if self.partial[level]:
                active["rd_low"] = level
            if self.partial[level + 1]:
                active["wr_high"] = level + 1
        if level == len(self.memories) - 1:
            active = {d: at for d, at in active.items() if at == level}
        zero = dict.fromkeys(DIRECTIONS, 0)
        amount = dict.fromkeys(DIRECTIONS, 0.0)
        found = Transfers(amount, *(zero.copy() for _ in range(4)))
        for direction, at in active.items():
            found.amount[direction] = self.data[at] * (self.boost[at] if at == level else 1)
            found.bits[direction] = self.bits_at(at)
            found.period[direction] = self.cycles[at]
            found.count[direction] = self.total // self.cycles[at]
            found.window[direction] = self.cycles[at] // self.top_still[at]
        return found

    def accesses(self) -> list[dict[str, int]]:
        """Accesses of all instances of every memory, in full words."""
        return [
            {
                d: int(
                    math.ceil(t.amount[d] * t.bits[d] / m.least)
                    * (m.least / m.width)
                    * t.count[d]
                    * units
                )
                for d in DIRECTIONS
            }
            for m, t, units in zip(self.memories, self.transfers, self.units, strict=True)
        ]

    def real(self, level: int, direction: str) -> int:
        """Cycles that a transfer takes per period."""
        t = self.transfers[level]
        return math.ceil(t.amount[direction] * t.bits[direction] / self.memories[level].width)

    def live(self, level: int) -> float:
        """Share of a memory that holds the operand's data in use."""
        bits = self.data[level + 1] * self.bits_at(level + 1) // self.top_moving[level + 1]
        return bits / self.memories[level].size


def check(accelerator: Accelerator, temporal: Mapping[str, Sequence[Sequence[Loop]]]) -> None:
    """Check that loops are for the memories of an accelerator.

    Raises:
        ValueError: If an operand has other memories than the accelerator, or the operands' loops
            multiply to different bounds.
    """
    products = {}
    for operand in OPERANDS:
        levels = temporal[operand]
        if len(levels) != len(accelerator.of(operand)):
            raise ValueError(
                f"temporal: {operand} has {len(levels)} memories, the accelerator has "
                f"{len(accelerator.of(operand))}"
            )
        products[operand] = math.prod(f for loops in levels for _, f in loops)
    if len(set(products.values())) != 1:
        raise ValueError(
            f"temporal: the operands' loops multiply to {products}, expected one number"
        )


def _sink(levels: Sequence[Sequence[Loop]], still: Sequence[str]) -> tuple[int, list[list[Loop]]]:
    """Move loops at the bottom of a memory that do not move its operand to the one below.

    Returns:
        Iterations for which the innermost memory's output stays; the loops of every memory.
    """
    flat = [(loop, level) for level, loops in enumerate(levels) for loop in loops]
    found: list[list[Loop]] = [[] for _ in levels]
    for i, (loop, level) in enumerate(flat):
        below = level
        while below > 0 and loop[0] in still and not _moves(flat[:i], below, still):
            below -= 1
        found[below].append(loop)
    latch = 1
    for d, f in found[0]:
        if d not in still:
            break
        latch *= f
    return latch, found


def _moves(inner: Sequence[tuple[Loop, int]], level: int, still: Sequence[str]) -> bool:
    """Whether a loop of that memory inside of this one moves the operand."""
    return any(at == level and loop[0] not in still for loop, at in inner)


def _rows(layer: Layer, axis: int, outputs: float, filters: float) -> int:
    """Different rows (or columns) of the input under some of outputs and filter, rounded down.

    With dilation, few outputs count too many, as in ZigZag, up to those of the whole layer.
    """
    common = math.gcd(layer.stride[axis], layer.dilation[axis])
    stride, dilation = layer.stride[axis] // common, layer.dilation[axis] // common

    def count(outputs: int, filters: int) -> int:
        return outputs * filters - max(0, filters - stride) * (outputs - dilation)

    # Products of averages fall short of a whole number by rounding alone.
    here = count(int(outputs + 1e-9), int(filters + 1e-9))
    return min(here, count(*(layer.sizes[d] for d in _AXES[axis])))


def _top(loops: Sequence[Loop], dimensions: Sequence[str]) -> int:
    """Iterations of the outermost loops of a memory over some dimensions."""
    product = 1
    for d, f in reversed(loops):
        if d not in dimensions:
            break
        product *= f
    return product


def spatial_means(
    accelerator: Accelerator, layer: Layer, temporal: Sequence[Sequence[Loop]]
) -> dict[str, tuple[tuple[str, float], ...]]:
    """What lies side by side on each dimension of the array on average.

    Bounds that an array does not divide leave parts of it idle at times.

    Args:
        accelerator: With its spatial mapping.
        layer: The operator.
        temporal: Loops of one operand, of all its memories.
    """
    excess = {d: 1.0 / size for d, size in layer.sizes.items()}
    for loops in (*temporal, *accelerator.unrolling.values()):
        for d, f in loops:
            excess[d] *= f
    return {
        array: tuple((d, f / excess[d]) for d, f in loops)
        for array, loops in accelerator.unrolling.items()
    }


def _spatial(
    accelerator: Accelerator,
    layer: Layer,
    memories: Sequence[Memory],
    temporal: Sequence[Sequence[Loop]],
    *,
    average: bool,
) -> list[list[tuple[str, float]]]:
    """Loops on the array below every memory and not below the one before; averages if asked for."""
    unrolling = spatial_means(accelerator, layer, temporal)
    found: list[list[tuple[str, float]]] = []
    served: set[str] = set()
    for memory in memories:
        here: list[tuple[str, float]] = []
        for array, loops in unrolling.items():
            if array in memory.serves and array not in served:
                here += [(d, mean if average else int(mean + 1e-9)) for d, mean in loops]
        found.append(here)
        served |= set(memory.serves)
    return found


def _double_buffers(
    accelerator: Accelerator, operands: Mapping[str, _Operand]
) -> dict[str, list[bool]]:
    """Whether an operand has room for a second copy, per side: MAC units, then memories."""
    shared = {
        m.name: sum(operands[op].live(accelerator.of(op).index(m)) for op in m.operands)
        for m in accelerator.memories
    }
    found: dict[str, list[bool]] = {}
    for op in OPERANDS:
        found[op] = [False]
        for level, memory in enumerate(accelerator.of(op)):
            live = operands[op].live(level)
            if shared[memory.name] <= 0.5:
                found[op].append(True)
            elif live <= 1 - shared[memory.name]:
                found[op].append(True)
                shared[memory.name] += live
            else:
                found[op].append(False)
    return found


def _stalls(
    accelerator: Accelerator, operands: Mapping[str, _Operand], double: Mapping[str, list[bool]]
) -> float:
    """Cycles that the port stalls that stalls most; ports of all memories work side by side."""
    worst = 0.0
    for memory in accelerator.memories:
        for port in memory.ports:
            duties = []
            for op, direction in port:
                level = accelerator.of(op).index(memory)
                t = operands[op].transfers[level]
                if t.count[direction] == 0:
                    continue
                side = level if direction.endswith("low") else level + 1
                window = t.period[direction] if double[op][side] else t.window[direction]
                real = operands[op].real(level, direction)
                duties.append((real, window, t.period[direction], t.count[direction]))
            worst = max(worst, _port_stall(duties))
    return worst


def _port_stall(duties: Sequence[tuple[int, int, int, int]]) -> float:
    """Stall of a port by its transfers: cycles taken and allowed per period, period and count."""
    late = [(real - window) * (count - 1) for real, window, _, count in duties]
    if len(duties) == 1:
        return late[0]
    if not duties:
        return 0
    slack = sum(min(0, s) for s in late)
    windows = sum(window * (count - 1) for _, window, _, count in duties)
    return sum(max(0, s) for s in late) + max(0, slack + windows - _union(duties))


def _union(duties: Sequence[tuple[int, int, int, int]]) -> int:
    """Cycles in which at least one of the transfers may use the port.

    Each may at the beginning of its periods, which divide each other.
    """
    for _, window, period, count in duties:
        if window == period:
            return period * count
    nested = sorted({(period, window) for _, window, period, _ in duties})
    count = max(duties, key=lambda duty: duty[2])[3]
    return _covered(nested, nested[-1][0]) * count


def _covered(nested: Sequence[tuple[int, int]], until: int) -> int:
    """Cycles before `until` within the windows of (period, window) pairs, the last the longest."""
    if not nested:
        return 0
    period, window = nested[-1]
    whole, rest = divmod(until, period)
    inner = nested[:-1]

    def one(end: int) -> int:
        if end <= window:
            return end
        return window + _covered(inner, end) - _covered(inner, window)

    return (whole * one(period) if whole else 0) + one(rest)


def _transfer_cycles(
    accelerator: Accelerator, operands: Mapping[str, _Operand], latency: float
) -> dict[tuple[str, int, str], float]:
    """Cycles before or after all iterations that every operand, level and direction takes.

    A transfer of one period need not be over before the first iteration, nor wait for the last: it
    is cut down by what its port has to spare in between, to no less than the innermost memory's
    data.
    """
    found: dict[tuple[str, int, str], float] = {}
    for memory in accelerator.memories:
        for port in memory.ports:
            once, needed = [], 0.0
            for op, direction in port:
                level = accelerator.of(op).index(memory)
                t = operands[op].transfers[level]
                inward = op == "O" and direction in ("rd_low", "wr_high")
                if inward or t.count[direction] == 0:
                    continue
                taken = operands[op].real(level, direction)
                found[op, level, direction] = taken
                if t.count[direction] == 1:
                    least = operands[op].data[1] * operands[op].bits_at(1)
                    once.append((taken, math.ceil(least / memory.width), (op, level, direction)))
                else:
                    needed += t.amount[direction] * t.bits[direction] / t.period[direction]
            spare = max(0.0, (memory.width - needed) / memory.width * latency)
            found.update(_cut_down(once, spare))
    return found


def _cut_down(
    transfers: Sequence[tuple[int, int, tuple[str, int, str]]], spare: float
) -> dict[tuple[str, int, str], float]:
    """Take spare cycles from transfers of (cycles, least cycles, name), the longest first.

    From the longest its excess, then from the two longest the second's, and so on.
    """
    ordered = sorted(transfers, key=lambda transfer: -transfer[0])
    cycles = [float(taken) for taken, _, _ in ordered]
    for i, (_, least, _) in enumerate(ordered):
        cut = max(0.0, min(cycles[i] - least, spare))
        cycles[i] -= cut
        spare -= cut
    return {name: taken for taken, (_, _, name) in zip(cycles, ordered, strict=True)}


def _loading(accelerator: Accelerator, cycles: Mapping[tuple[str, int, str], float]) -> float:
    """Cycles until the first inputs and weights have gone through all memories.

    Where both come through the same ports they wait for each other.
    """
    alone, half, common = ({"W": 0.0, "I": 0.0} for _ in range(3))
    for op in ("W", "I"):
        memories = accelerator.of(op)
        for level in range(len(memories) - 1):
            taken = max(cycles[op, level, "wr_high"], cycles[op, level + 1, "rd_low"])
            shares = [
                _serves_both(memories[level], op, "wr_high"),
                _serves_both(memories[level + 1], op, "rd_low"),
            ]
            if all(shares):
                common[op] += taken
            elif not any(shares):
                alone[op] += taken
            else:
                half[op] = taken
    both = []
    for first, second in (("W", "I"), ("I", "W")):
        after = common[second] + half[second] + alone[second]
        both.append(common[first] + max(after, half[first] + alone[first]))
    return min(both)


def _serves_both(memory: Memory, operand: str, direction: str) -> bool:
    """Whether the port of a transfer serves weights and inputs."""
    for port in memory.ports:
        if (operand, direction) in port:
            return {"W", "I"} <= {op for op, _ in port}
    return False


def _offloading(accelerator: Accelerator, cycles: Mapping[tuple[str, int, str], float]) -> float:
    """Cycles in which the last outputs leave, from one memory to the next."""
    return sum(
        max(cycles["O", level, "rd_high"], cycles["O", level + 1, "wr_low"])
        for level in range(len(accelerator.of("O")) - 1)
    )
