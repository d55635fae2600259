"""A mapping as a loop nest to read."""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy
from archgym.cost_models.accelerator.loopnest.mapping import Mapping
from archgym.cost_models.accelerator.loopnest.problem import DIMS


def nest_text(hierarchy: Hierarchy, mapping: Mapping) -> str:
    """A line per loop of more than one iteration, from the outermost loop inwards.

    Each line names the level whose loop it is; parts side by side are those below the level.
    """
    lines: list[str] = []

    def add(words: str) -> None:
        lines.append("  " * len(lines) + words)

    for level, here in zip(hierarchy.levels[::-1], mapping.levels[::-1], strict=True):
        for d in reversed(here.full_order):
            count = int(here.temporal.get(DIMS[d], 1))
            if count > 1:
                add(f"for {DIMS[d]} in {count}  [{level.name}]")
        for axis, parts in (("columns", here.spatial_x), ("rows", here.spatial_y)):
            for dimension in DIMS:
                count = int(parts.get(dimension, 1))
                if count > 1:
                    add(f"side by side {dimension} in {count}  [{axis} below {level.name}]")
    return "\n".join(lines) or "one multiply-accumulate"
