"""A mapping: how the loops of a problem are cut up over the levels of a hierarchy."""

from __future__ import annotations

import math
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.problem import DIMS, TENSORS, Problem

# Whether factors multiply to a bound, or cover it with a smaller last tile.
FACTORS = ("perfect", "imperfect")


@dataclass(frozen=True)
class LevelMapping:
    """The loops that belong to one level.

    Attributes:
        temporal: Iterations per dimension over tiles of the next-inner level; left out is 1.
        order: Dimensions of the temporal loops from the innermost outwards, as `"SRCKPQN"`. Those
            left out come outside of them in the order of `DIMS`.
        spatial_x: Parts per dimension side by side on the columns below an instance; left out is 1.
        spatial_y: Parts on the rows below it.
        bypass: Tensors that the level does not hold; they pass between its neighbours.
    """

    temporal: Dict[str, int] = field(default_factory=dict)
    order: str = ""
    spatial_x: Dict[str, int] = field(default_factory=dict)
    spatial_y: Dict[str, int] = field(default_factory=dict)
    bypass: tuple[str, ...] = ()

    @property
    def full_order(self) -> tuple[int, ...]:
        """Indices of all seven dimensions, innermost first."""
        named = [DIMS.index(name) for name in self.order]
        return (*named, *(i for i in range(len(DIMS)) if i not in named))


@dataclass(frozen=True)
class Mapping:
    """One `LevelMapping` for every level, innermost first."""

    levels: tuple[LevelMapping, ...]

    def factors(self, dimension: str) -> list[int]:
        """Factors of a dimension, innermost first, spatial (x, y) before temporal at each level."""
        found = []
        for level in self.levels:
            for part in (level.spatial_x, level.spatial_y, level.temporal):
                found.append(int(part.get(dimension, 1)))
        return found

    def check(self, hierarchy: Hierarchy, problem: Problem, factors: str = "perfect") -> None:
        """Check that the mapping is one of this problem on this hierarchy.

        Capacities are not looked at here: `evaluate_one` does that.

        Args:
            hierarchy: The hierarchy.
            problem: The operator.
            factors: `perfect`: those of a dimension multiply to its bound; `imperfect`: to the
                bound or more, and none is larger than what is left of it needs.

        Raises:
            ValueError: If the number of levels differs, a name is unknown, a factor is not
                positive, the factors of a dimension do not multiply to its bound or cover it, a
                fan-out is too small, or a level that has to hold a tensor does not; one line that
                names it.
        """
        if len(self.levels) != len(hierarchy.levels):
            raise ValueError(
                f"mapping: {len(self.levels)} levels, the hierarchy has {len(hierarchy.levels)}"
            )
        for level, here in zip(hierarchy.levels, self.levels, strict=True):
            _check_level(level, here)
        if self.levels[-1].bypass:
            raise ValueError(
                f"mapping: the outermost level {hierarchy.levels[-1].name!r} cannot be bypassed"
            )
        for dimension, bound in zip(DIMS, problem.sizes, strict=True):
            _check_factors(dimension, self.factors(dimension), bound, factors)


def _check_factors(dimension: str, own: list[int], bound: int, factors: str) -> None:
    """Check that the factors of a dimension, innermost first, multiply to its bound or cover it."""
    product = math.prod(own)
    at = " x ".join(str(f) for f in own if f > 1) or "1"
    if product < bound or (factors == "perfect" and product != bound):
        raise ValueError(
            f"mapping: factors of {dimension} multiply to {product} ({at}), the bound is {bound}"
        )
    outermost = next((f for f in reversed(own) if f > 1), 1)
    if (outermost - 1) * (product // outermost) >= bound and outermost > 1:
        raise ValueError(
            f"mapping: factors of {dimension} ({at}) leave nothing for the last part of the "
            f"outermost, {-(-bound // (product // outermost))} parts cover the bound {bound}"
        )


def _check_level(level: Level, here: LevelMapping) -> None:
    """Check names, signs and fan-out of one level."""
    where = f"mapping, level {level.name!r}"
    for part in ("temporal", "spatial_x", "spatial_y"):
        for dimension, factor in getattr(here, part).items():
            if dimension not in DIMS:
                raise ValueError(f"{where}: {part} names {dimension!r}, none of {', '.join(DIMS)}")
            if int(factor) != factor or factor < 1:
                raise ValueError(
                    f"{where}: {part} {dimension} is {factor!r}, expected an integer >= 1"
                )
    for name in here.order:
        if name not in DIMS or here.order.count(name) > 1:
            raise ValueError(
                f"{where}: order {here.order!r}, expected each of {''.join(DIMS)} at most once"
            )
    for part, room in (("spatial_x", level.fanout_x), ("spatial_y", level.fanout_y)):
        used = math.prod(int(f) for f in getattr(here, part).values())
        if used > room:
            raise ValueError(f"{where}: {part} takes {used}, the fan-out is {room}")
    for tensor in here.bypass:
        if tensor not in TENSORS:
            raise ValueError(f"{where}: bypass {tensor!r} is none of {', '.join(TENSORS)}")
    for tensor in TENSORS:
        if tensor not in level.tensors and tensor not in here.bypass:
            raise ValueError(f"{where}: it cannot hold {tensor}, which must be bypassed")
