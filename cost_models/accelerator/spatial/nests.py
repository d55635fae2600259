"""Mappings of a spatial array as loop nests: to read, and for the model of loop nests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    Hierarchy,
    Level,
    LevelMapping,
    Mapping,
    Problem,
)
from archgym.cost_models.accelerator.operators import Product
from archgym.cost_models.accelerator.spatial.search import ARRAY_STAYS, BUFFER_STAYS, TEMPLATE
from archgym.cost_models.accelerator.spatial.tiling import (
    IN_BUFFER,
    IN_CLUSTER,
    IN_FILE,
    ON_COLUMNS,
    ON_ROWS,
    FloatArray,
)

# Orders from the innermost loop outwards in which weights, inputs or outputs stay.
ORDERS = ("QPNCRSK", "KQPNCRS", "CRSKQPN")
_TENSORS = ("weights", "inputs", "outputs")
_PLACES = ("cluster", "rows", "columns")


@dataclass(frozen=True)
class Loop:
    """A loop of more than one iteration, or parts side by side.

    Attributes:
        place: `DRAM` (over tiles of the buffers), `buffers` (over tiles of the array), `columns`,
            `rows`, `register files` or `cluster`.
        dimension: One of `DIMS`.
        count: Iterations or parts; of whole tiles around it, a last one may have fewer.
        tile: Size of what an iteration takes of the dimension.
        even: Whether all tiles have this size.
    """

    place: str
    dimension: str
    count: int
    tile: int
    even: bool

    @property
    def parallel(self) -> bool:
        """Whether it is in space."""
        return self.place in _PLACES


@dataclass(frozen=True)
class SpatialMapping:
    """A mapping of a product.

    Attributes:
        product: Which one.
        in_cluster: Parts by dimension in the order of `DIMS`, side by side in a cluster.
        on_rows: Likewise on rows.
        on_columns: Likewise on columns.
        in_file: Iterations within the register files.
        in_buffer: Size of the buffers' tile.
        array_stays: Tensor that stays while the array goes through the buffers' tile.
        buffer_stays: Tensor that stays in its buffer from tile to tile.
        template: Number of the way to unroll, see `dataflows`.
    """

    product: Product
    in_cluster: tuple[int, ...]
    on_rows: tuple[int, ...]
    on_columns: tuple[int, ...]
    in_file: tuple[int, ...]
    in_buffer: tuple[int, ...]
    array_stays: str
    buffer_stays: str
    template: int

    @classmethod
    def of(cls, product: Product, row: FloatArray) -> SpatialMapping:
        """A row of `costs.Mapped.mappings`."""

        def sizes(part: int) -> tuple[int, ...]:
            return tuple(int(value) for value in row[part * 7 : part * 7 + 7])

        return cls(
            product,
            sizes(IN_CLUSTER),
            sizes(ON_ROWS),
            sizes(ON_COLUMNS),
            sizes(IN_FILE),
            sizes(IN_BUFFER),
            _TENSORS[int(row[ARRAY_STAYS])],
            _TENSORS[int(row[BUFFER_STAYS])],
            int(row[TEMPLATE]),
        )

    @property
    def bounds(self) -> tuple[int, ...]:
        """Loop bounds in the order of `DIMS`."""
        return Problem.of(self.product).sizes

    @property
    def in_array(self) -> tuple[int, ...]:
        """Size of the array's tile by dimension."""
        parts = (self.in_cluster, self.on_rows, self.on_columns, self.in_file)
        return tuple(math.prod(each) for each in zip(*parts, strict=True))

    @property
    def even(self) -> bool:
        """Whether no tile is smaller than others of its kind."""
        sizes = zip(self.bounds, self.in_buffer, self.in_array, strict=True)
        return all(bound % tile == 0 and tile % array == 0 for bound, tile, array in sizes)

    def loops(self) -> tuple[Loop, ...]:
        """The loop nest from the outermost loop inwards."""
        found = []
        array, held, whole = self.in_array, self.in_buffer, self.bounds
        file = tuple(f * c for f, c in zip(self.in_file, self.in_cluster, strict=True))
        sides = (self.on_columns, self.on_rows)
        for stays, place, outer, inner in (
            (self.buffer_stays, "DRAM", whole, held),
            (self.array_stays, "buffers", held, array),
        ):
            order = [DIMS.index(d) for d in ORDERS[_TENSORS.index(stays)]]
            for d in reversed(order):
                found.append(_loop(place, d, outer[d], min(inner[d], outer[d])))
        for place, parts in zip(("columns", "rows"), sides, strict=True):
            for d, part in enumerate(parts):
                found.append(Loop(place, DIMS[d], part, file[d], True))
        for d, turns in enumerate(self.in_file):
            found.append(Loop("register files", DIMS[d], turns, self.in_cluster[d], True))
        for d, part in enumerate(self.in_cluster):
            found.append(Loop("cluster", DIMS[d], part, 1, True))
        return tuple(loop for loop in found if loop.count > 1)

    def text(self) -> str:
        """The loop nest, a line per loop, with the place where its tiles are held."""
        lines = []
        for depth, loop in enumerate(self.loops()):
            word = "side by side" if loop.parallel else "for"
            rest = "" if loop.even else ", the last smaller"
            size = f" of {loop.tile}{rest}" if loop.tile > 1 else ""
            lines.append(
                f"{'  ' * depth}{word} {loop.dimension} in {loop.count}{size}  [{loop.place}]"
            )
        return "\n".join(lines)


def _loop(place: str, d: int, outer: int, inner: int) -> Loop:
    return Loop(place, DIMS[d], -(-outer // inner), inner, outer % inner == 0)


def as_loopnest(
    mapping: SpatialMapping, shape: Sequence[int]
) -> tuple[Hierarchy, Mapping, Problem]:
    """An even mapping on a hierarchy of register files, three buffers and DRAM.

    The hierarchy has no costs: it is for counts. The buffers stand one outside of the other, each
    for one tensor.

    Args:
        mapping: Without smaller tiles at the end.
        shape: Rows, columns and elements of a cluster.

    Raises:
        ValueError: For a mapping with smaller tiles: the loop nests there have exact factors.
    """
    if not mapping.even:
        raise ValueError("mapping: its last tiles are smaller, loop nests have exact factors")
    rows, columns, cluster = shape
    levels = (
        Level("registers", fanout_x=cluster),
        Level("weights", fanout_x=columns, fanout_y=rows, tensors=("weights",)),
        Level("inputs", tensors=("inputs",)),
        Level("outputs", tensors=("outputs",)),
        Level("DRAM"),
    )

    def named(sizes: Sequence[int]) -> dict[str, int]:
        return {d: size for d, size in zip(DIMS, sizes, strict=True) if size > 1}

    array, held, whole = mapping.in_array, mapping.in_buffer, mapping.bounds
    turns = [t // a for t, a in zip(held, array, strict=True)]
    tiles = [b // t for b, t in zip(whole, held, strict=True)]
    inner = ORDERS[_TENSORS.index(mapping.array_stays)]
    outer = ORDERS[_TENSORS.index(mapping.buffer_stays)]
    sides = (named(mapping.on_columns), named(mapping.on_rows))
    nest = Mapping(
        (
            LevelMapping(named(mapping.in_file), "", named(mapping.in_cluster)),
            LevelMapping(named(turns), inner, *sides, bypass=("inputs", "outputs")),
            LevelMapping(bypass=("weights", "outputs")),
            LevelMapping(bypass=("weights", "inputs")),
            LevelMapping(named(tiles), outer),
        )
    )
    return Hierarchy(levels), nest, Problem.of(mapping.product)
