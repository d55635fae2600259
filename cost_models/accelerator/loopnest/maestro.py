"""Runtime and buffer traffic of data-centric mappings as MAESTRO counts them.

MAESTRO (Kwon et al., MICRO 2019; version of commit 4eb08d1) maps dimensions with directives: a unit
of an array (a cluster, or a PE) takes `size` of a dimension, the next step or unit begins `offset`
further on. Each level of clusters goes through all combinations of first, steady and last (edge)
positions of its directives. A combination costs what is slowest of fetching, computing and handing
out, the very first one fetching and computing, as often as it occurs; computing is the runtime of
the level below. No step is shorter than bringing the buffer's first contents, or its outputs, from
or to the outside.

What a unit fetches in a combination depends on the innermost directive that moves on: a tensor that
does not depend on it stays, one that does fetches what is new in that dimension, and all of the
others, unless an inner directive begins anew. Neighbours share what their parts of the spatially
mapped dimension have in common.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

INIT, STEADY, EDGE = range(3)
# The rows or columns that a filter slides over, and what the outputs are called.
_SLIDES = {"Y": "R", "X": "S"}
_OUTPUT = {"Y": "Y'", "X": "X'"}
TENSORS = {
    "conv": {"inputs": "CYX", "weights": "KCRS", "outputs": "KYX"},
    "gemm": {"inputs": "MK", "weights": "KN", "outputs": "MN"},
}


@dataclass(frozen=True)
class Directive:
    """One directive: `size` and `offset` of a dimension, side by side if `spatial`."""

    dimension: str
    size: int
    offset: int
    spatial: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.offset < 1:
            raise ValueError(
                f"directive {self.dimension}: size {self.size} and offset {self.offset}, "
                f"expected integers >= 1"
            )


@dataclass
class Traffic:
    """What a level costs.

    Attributes:
        runtime: Cycles.
        reads: Elements read from the buffer above, per input tensor.
        writes: Outputs written to it.
        computations: Multiply-accumulates that are counted.
        skipped: Steps of the outermost level that MAESTRO leaves out, because a directive takes
            more than there is; runtime and traffic are then too small.
    """

    runtime: int = 0
    reads: dict[str, int] = field(default_factory=dict)
    writes: int = 0
    computations: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class _State:
    """A directive's position: how often it occurs, and whether units at its end have less."""

    position: int
    times: int
    unrolled: bool = False
    init_edge: bool = False
    last_is_edge: bool = False

    @property
    def edge(self) -> bool:
        return self.position == EDGE or self.init_edge


Case = dict[str, _State]

_Volume = Callable[[bool, bool], int]


def evaluate(
    kind: str,
    sizes: Mapping[str, int],
    stride: int,
    directives: Sequence[Sequence[Directive]],
    clusters: Sequence[int],
    pes: int,
    bandwidth: int,
    offchip_bandwidth: int,
) -> Traffic:
    """Cost of an operator.

    Args:
        kind: `conv` with K, C, R, S and the input's Y and X; `gemm` with M, N and K.
        sizes: Extents of the dimensions.
        stride: Input rows and columns per output.
        directives: Of every level of clusters, the outermost first.
        clusters: Units of a cluster at every level but the outermost.
        pes: PEs.
        bandwidth: Elements per cycle of the networks.
        offchip_bandwidth: Elements per cycle from outside to the buffer.

    Raises:
        ValueError: If the kind is unknown, a dimension is mapped that the operator does not have,
            the levels do not match, there are too few PEs, or a level has not one spatial
            directive.
    """
    found = Dataflow(kind, sizes, stride, directives, clusters, pes)
    traffic = found.traffic()
    return replace(traffic, runtime=found.runtime(bandwidth, offchip_bandwidth))


class Dataflow:
    """An operator in directives on PEs, whose runtime then follows for any bandwidth.

    Args:
        kind: See `evaluate`.
        sizes: Likewise.
        stride: Likewise.
        directives: Likewise.
        clusters: Likewise.
        pes: Likewise.

    Raises:
        ValueError: As `evaluate`.
    """

    def __init__(
        self,
        kind: str,
        sizes: Mapping[str, int],
        stride: int,
        directives: Sequence[Sequence[Directive]],
        clusters: Sequence[int],
        pes: int,
    ) -> None:
        if kind not in TENSORS:
            raise ValueError(f"kind: {kind!r} is none of {', '.join(TENSORS)}")
        if len(directives) != len(clusters) + 1:
            raise ValueError(f"directives: {len(directives)} levels, expected {len(clusters) + 1}")
        unit = math.prod(clusters)
        if pes < unit:
            raise ValueError(f"pes: {pes}, a cluster takes {unit}")
        counts = [pes // unit, *clusters]
        self._levels: list[_Level] = []
        extent = dict(sizes)
        for i, (listed, units) in enumerate(zip(directives, counts, strict=True)):
            full = _complete(listed, self._levels[-1].directives if i else [], extent)
            if stride > 1:
                full = [_strided(d, sizes, stride, i == 0) for d in full]
            self._levels.append(_Level(kind, full, extent, units))
            extent = {d.dimension: min(d.size, extent[d.dimension]) for d in full}
        self._sizes, self._unit = dict(sizes), unit
        top = self._levels[0]
        first = top.cases(self._sizes)[0]
        held = sum(_fetched(top, name, first) for name in ("inputs", "weights"))
        self._held = max(held, _outputs(top, first))
        # Of equal parts of the dimensions only one is looked at.
        self._steps: dict[tuple[int, tuple[int, ...]], list[_Step]] = {}

    @property
    def useful_pes(self) -> int:
        """PEs beyond which more change nothing, as all that is side by side fits on them."""
        top = self._levels[0]
        d, extent = top.spatial, self._sizes[top.spatial.dimension]
        units = 1 if extent < d.size else (extent - d.size) // d.offset + 2
        return units * self._unit

    def traffic(self) -> Traffic:
        """What is moved and computed; runtime 0."""
        level, total = self._levels[0], Traffic(reads=dict.fromkeys(("inputs", "weights"), 0))
        for case in level.cases(self._sizes):
            times = math.prod(state.times for state in case.values())
            total.writes += times * _outputs(level, case)
            if _critical_sums(level, case) <= 0:
                total.skipped += times
                continue
            total.computations += times * _all_sums(level, case)
            for name in total.reads:
                total.reads[name] += times * _fetched(level, name, case)
        return total

    def runtime(self, bandwidth: int, offchip_bandwidth: int) -> int:
        """Cycles; arguments as of `evaluate`."""
        refill = self._held // offchip_bandwidth
        return self._runtime(0, self._sizes, bandwidth, refill, {})

    def _runtime(
        self,
        index: int,
        extent: dict[str, int],
        bandwidth: int,
        refill: int,
        known: dict[tuple[int, tuple[int, ...]], int],
    ) -> int:
        """Of one level of clusters on an extent of the dimensions."""
        key = (index, tuple(extent.values()))
        if key in known:
            return known[key]
        if key not in self._steps:
            self._steps[key] = self._look(index, extent)
        total = 0
        for step in self._steps[key]:
            compute = step.sums
            if step.inner:
                compute = max(
                    self._runtime(index + 1, part, bandwidth, 0, known) for part in step.inner
                )
            # A transfer begins in the cycle in which it is decided on.
            fetch = -(-step.fetched // bandwidth) - 1
            hand_out = -(-step.handed_out // bandwidth) - 1
            delay = compute + fetch if step.first else max(compute, fetch, hand_out)
            total += step.times * max(delay, refill)
        known[key] = total
        return total

    def _look(self, index: int, extent: dict[str, int]) -> list[_Step]:
        """The steps of one level of clusters, without those that are skipped."""
        level, found = self._levels[index], []
        for case in level.cases(extent):
            sums = _critical_sums(level, case)
            if sums <= 0:
                continue
            below = index + 1 < len(self._levels)
            found.append(
                _Step(
                    math.prod(state.times for state in case.values()),
                    all(state.position == INIT for state in case.values()),
                    sums,
                    sum(_fetched(level, name, case) for name in ("inputs", "weights")),
                    _outputs(level, case),
                    [level.inner_extent(case, last) for last in _kinds_of_unit(level, case)]
                    if below
                    else [],
                )
            )
        return found


@dataclass(frozen=True)
class _Step:
    """A combination of positions, as often as it occurs.

    Attributes:
        times: That it occurs.
        first: Whether it is the very first.
        sums: Multiply-accumulates of the busiest unit.
        fetched: Elements that all units fetch.
        handed_out: Outputs of all units.
        inner: What a unit takes of every dimension, for every kind of unit; none in PEs.
    """

    times: int
    first: bool
    sums: int
    fetched: int
    handed_out: int
    inner: list[dict[str, int]]


def _complete(
    listed: Sequence[Directive], outer: Sequence[Directive], extent: Mapping[str, int]
) -> list[Directive]:
    """Directives of a level; for the rest those of the level above it, or whole dimensions."""
    found = list(listed)
    for d in found:
        if d.dimension not in extent:
            raise ValueError(
                f"directive {d.dimension}: the operator has {', '.join(sorted(extent))}"
            )
    for d in outer:
        if all(d.dimension != own.dimension for own in found):
            found.insert(0, replace(d, spatial=False))
    for name in sorted(extent):
        if all(name != own.dimension for own in found):
            found.append(Directive(name, extent[name], extent[name]))
    return found


def _strided(d: Directive, sizes: Mapping[str, int], stride: int, outermost: bool) -> Directive:
    """A directive over the input's rows with a stride: rows that no output needs are left out."""
    if d.dimension not in _SLIDES:
        return d
    window = sizes[_SLIDES[d.dimension]]
    if d.size < window:
        return d
    outputs = (d.size + stride - window) // stride
    size = outputs * min(stride, window) + max(window - stride, 0)
    step = window if not outermost and window < stride else stride
    return replace(d, size=size, offset=outputs * step)


def _quotient(a: int, b: int) -> int:
    """Division that rounds towards zero."""
    return -(-a // b) if a < 0 else a // b


class _Level:
    """One level of clusters: its directives, and how much of a dimension a unit takes."""

    def __init__(
        self, kind: str, directives: list[Directive], extent: dict[str, int], units: int
    ) -> None:
        self.tensors = TENSORS[kind]
        self.directives = directives
        self.units = units
        spatial = [d for d in directives if d.spatial]
        if len(spatial) not in (1, 2):
            raise ValueError(f"directives: {len(spatial)} spatial at a level, expected 1 or 2")
        self.spatial = spatial[0]
        self.edge_units = _edge_units(self.spatial, extent[self.spatial.dimension], units)
        self.mapped: dict[str, int] = {}
        self.mapped_edge: dict[str, int] = {}
        self.unique: dict[str, int] = {}
        self.unique_edge: dict[str, int] = {}
        for d in directives:
            self._sizes(d, extent[d.dimension])
        for d in directives:
            if d.dimension in _SLIDES:
                out, window = _OUTPUT[d.dimension], _SLIDES[d.dimension]
                self.mapped[out] = self.mapped[d.dimension] - self.mapped[window] + 1
                self.unique[out] = min(d.offset, d.size)
                edge = self.mapped_edge[d.dimension] - self.mapped_edge[window] + 1
                self.mapped_edge[out] = edge
                self.unique_edge[out] = min(d.offset, edge)

    def _sizes(self, d: Directive, extent: int) -> None:
        name = d.dimension
        steady = max(0, _quotient(extent - d.size, d.offset))
        has_edge = steady * d.offset + d.size < extent or d.size > extent
        self.mapped[name] = d.size
        self.unique[name] = min(d.size, d.offset)
        if not d.spatial and extent <= d.size:
            self.unique[name] = 0
        edge = extent - (steady + 1) * d.offset
        edge = extent if edge < 0 else edge
        self.mapped_edge[name] = edge if has_edge else d.size
        self.unique_edge[name] = max(d.offset - (d.size - edge), 0)

    def at_end(self, case: Case, among: str) -> tuple[bool, bool, bool]:
        """Whether one of these dimensions is spatial, is at its end, and ends within a unit."""
        states = [case[d.dimension] for d in self.directives if d.spatial and d.dimension in among]
        edge = any(state.edge for state in states)
        return bool(states), edge, bool(states) and states[-1].last_is_edge

    def cases(self, extent: Mapping[str, int]) -> list[Case]:
        """All combinations of positions."""
        states = [
            self._spatial_states(d, extent[d.dimension])
            if d.spatial
            else _temporal_states(d, extent[d.dimension])
            for d in self.directives
        ]
        names = [d.dimension for d in self.directives]
        return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*states)]

    def _spatial_states(self, d: Directive, extent: int) -> list[_State]:
        coverage = d.size + d.offset * (self.units - 1)
        starved = extent < coverage
        found = [_State(INIT, 1, extent <= coverage, starved, starved)]
        steady = _quotient(_quotient(extent - d.size, d.offset) + 1, self.units) - 1
        if coverage < extent and steady > 0:
            found.append(_State(STEADY, steady))
        reach = d.offset * self.units
        has_edge = (
            extent > coverage
            and (steady + 1) * reach + coverage > extent
            and steady * reach + coverage != extent
        )
        left = extent - (steady + 1) * reach
        active = 1 if left < d.size else (left - d.size) // d.offset + 1
        if has_edge:
            partly = (active - 1) * d.offset + d.size < left
            found.append(_State(EDGE, 1, last_is_edge=partly))
        return found

    def inner_extent(self, case: Case, last: bool) -> dict[str, int]:
        """What a unit takes of every dimension; `last` for the unit at the end."""
        found = {}
        for d in self.directives:
            name, state = d.dimension, case[d.dimension]
            less = state.edge and (not d.spatial or self.edge_units == 1 or last)
            found[name] = self.mapped_edge[name] if less else self.mapped[name]
        return found


def _edge_units(d: Directive, extent: int, units: int) -> int:
    """Units in use at the end of the spatially mapped dimension."""
    if extent <= d.size:
        return 1
    if extent > d.offset * (units - 1) + d.size:
        steady = (_quotient(extent - d.size, d.offset) + 1) // units - 1
        left = extent - (steady + 1) * d.offset * units
        return 1 if left < d.size else (left - d.size) // d.offset + 1
    found = (extent - d.size) // d.offset + 1
    return found + (d.offset * (found - 1) + d.size < extent)


def _temporal_states(d: Directive, extent: int) -> list[_State]:
    found = [_State(INIT, 1, extent <= d.size, extent < d.size)]
    steady = _quotient(extent - d.size, d.offset)
    if d.size < extent and steady > 0:
        found.append(_State(STEADY, steady))
    if extent >= d.size and steady * d.offset + d.size < extent:
        found.append(_State(EDGE, 1))
    return found


def _kinds_of_unit(level: _Level, case: Case) -> tuple[bool, ...]:
    """Whether units with the end of the dimension, and others, are in use."""
    state = case[level.spatial.dimension]
    if state.edge and state.last_is_edge:
        return (True, False) if level.edge_units > 1 else (True,)
    return (False,)


def _over_units(level: _Level, tensor: str, case: Case, volume: _Volume) -> int:
    """Sum over the units of what each has that those before it have not."""
    spatial, edge, partly = level.at_end(case, level.tensors[tensor])
    if not spatial:
        return volume(True, False)
    if not edge:
        return volume(True, False) + (level.units - 1) * volume(False, False)
    units = level.edge_units
    found = volume(True, units == 1 and partly)
    if units > 1:
        found += max(0, units - partly - 1) * volume(False, False)
        found += partly * volume(False, True)
    return found


def _all_mapped(level: _Level, tensor: str, case: Case, first_unit: bool, end_unit: bool) -> int:
    """Elements of a unit's part of a tensor."""
    volume = 1
    for d in level.directives:
        if d.dimension not in level.tensors[tensor]:
            continue
        edge = case[d.dimension].edge
        if d.spatial and edge and level.edge_units == 1:
            volume *= level.mapped_edge[d.dimension] if first_unit or end_unit else 1
        elif edge and (end_unit or not d.spatial):
            volume *= level.mapped_edge[d.dimension]
        else:
            volume *= level.mapped[d.dimension]
    return volume


def _fetched(level: _Level, tensor: str, case: Case) -> int:
    """Elements of an input tensor that all units together fetch in a case."""
    moving = [i for i, d in enumerate(level.directives) if case[d.dimension].position != INIT]
    innermost = moving[-1] if moving else -1
    coupled = level.tensors[tensor]
    anew = any(
        d.dimension in coupled and not case[d.dimension].unrolled
        for d in level.directives[innermost + 1 :]
    )

    def volume(first_unit: bool, end_unit: bool) -> int:
        if innermost < 0:
            return _all_mapped(level, tensor, case, first_unit, end_unit)
        found, changing = 1, False
        for i, d in enumerate(level.directives):
            if d.dimension not in coupled:
                continue
            changing = changing or i == innermost
            found *= _part(level, d, case, i, innermost, anew, first_unit, end_unit)
        return found if changing else 0

    return _over_units(level, tensor, case, volume)


def _part(
    level: _Level,
    d: Directive,
    case: Case,
    index: int,
    innermost: int,
    anew: bool,
    first_unit: bool,
    end_unit: bool,
) -> int:
    """How much of one dimension a unit fetches."""
    name, state = d.dimension, case[d.dimension]
    if not d.spatial:
        if state.position == INIT:
            return level.mapped_edge[name] if state.edge else level.mapped[name]
        if index == innermost and not anew:
            return max(level.unique[name], 1)
        return level.mapped[name]
    shared = index > innermost if state.position == INIT else index == innermost and not anew
    if shared and not first_unit:
        return level.unique_edge[name] if end_unit else level.unique[name]
    return level.mapped_edge[name] if end_unit else level.mapped[name]


def _handed_out(
    level: _Level,
    case: Case,
    first_unit: bool,
    end_unit: bool,
    *,
    sums: bool = False,
    reuse_at_edge: bool = True,
) -> int:
    """Outputs of a unit in a case, or all multiply-accumulates for them."""
    found = 1
    coupled = level.tensors["outputs"]
    for d in level.directives:
        inner = d.dimension not in coupled
        if inner and not sums:
            continue
        name = d.dimension if inner else _OUTPUT.get(d.dimension, d.dimension)
        state = case[d.dimension]
        if not d.spatial:
            found *= level.mapped_edge[name] if state.edge else level.mapped[name]
        elif state.position == EDGE and level.edge_units == 1:
            # Of the input's rows here, not of the outputs'.
            found *= level.mapped_edge[d.dimension] if first_unit or end_unit else 1
        elif end_unit and state.edge:
            unique = state.position == EDGE or (reuse_at_edge and not inner)
            unique = unique and not (state.position == INIT and level.edge_units == 1)
            found *= level.unique_edge[name] if unique else level.mapped_edge[name]
        elif first_unit:
            found *= level.mapped[name]
        else:
            found *= level.unique[name] or 1
    return found


def _outputs(level: _Level, case: Case) -> int:
    """Outputs that all units hand out in a case."""
    return _over_units(
        level, "outputs", case, lambda first, end: _handed_out(level, case, first, end)
    )


def _critical_sums(level: _Level, case: Case) -> int:
    """Multiply-accumulates of the unit that has most."""
    _, edge, partly = level.at_end(case, level.tensors["outputs"])
    end = edge and partly and level.edge_units == 1
    return _handed_out(level, case, True, end, sums=True)


def _all_sums(level: _Level, case: Case) -> int:
    """Multiply-accumulates of all units."""
    _, edge, partly = level.at_end(case, "".join(case))
    whole = _handed_out(level, case, True, False, sums=True)
    if not edge:
        return level.units * whole
    units = level.edge_units
    if units == 1:
        return _handed_out(level, case, True, partly, sums=True)
    end = _handed_out(level, case, False, True, sums=True, reuse_at_edge=False)
    return whole + max(0, units - partly - 1) * whole + partly * end
