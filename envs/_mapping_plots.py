"""What `Mapping-v0` draws of a mapping: its loop nest with the memories, and energy by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archgym.plot import Picture, Plot, table
from archgym.space import IntArray
from archgym.task import Task

if TYPE_CHECKING:
    from archgym.envs._mapping_model import MappingModel


def mapping(task: Task, row: IntArray, part: str | None) -> Picture:
    """The loop nest, and how full memories are."""
    from archgym.cost_models.accelerator.figures import mapping_svg
    from archgym.cost_models.accelerator.loopnest.nest_text import nest_text

    model, parts = _parts(task, row, part)
    hierarchy = model.architecture.hierarchy
    nest = nest_text(hierarchy, model.mapping_space.mapping(row))
    stores = []
    for level in hierarchy.levels:
        held = {
            name.rpartition(" ")[2]: words * level.word_bits / 8
            for name, words in parts.items()
            if name.startswith(f"held_words/{level.name} ")
        }
        if held:
            stores.append((level.name, level.capacity_words * level.word_bits / 8, held))
    title = f"Mapping: {task.name}"
    rows = [
        (name, f"{room:,.0f}", f"{sum(held.values()):,.0f}", f"{sum(held.values()) / room:.1%}")
        for name, room, held in stores
    ]
    lines = [title, "", nest, "", *table(("memory", "bytes", "held", "share"), rows)]
    return Picture(title, mapping_svg(title, nest, stores), "\n".join(lines))


def breakdown(task: Task, row: IntArray, part: str | None) -> Picture:
    """Energy and traffic of every level."""
    from archgym.cost_models.accelerator.figures import Bar, bars_svg

    _, parts = _parts(task, row, part)
    levels = [name.removeprefix("energy_pj/") for name in parts if name.startswith("energy_pj/")]
    energies = [Bar(name, {"energy": parts[f"energy_pj/{name}"]}) for name in levels]
    moved = [parts.get(f"traffic_bytes/{name}", 0.0) for name in levels]
    traffic = [Bar(name, {"traffic": each}) for name, each in zip(levels, moved, strict=True)]
    title = f"Breakdown: {task.name}"
    total = sum(bar.total for bar in energies)
    rows = [
        (bar.name, f"{bar.total:,.5g}", f"{bar.total / total:.1%}", f"{each:,.0f}")
        for bar, each in zip(energies, moved, strict=True)
    ]
    panels = [("energy in pJ", energies), ("read and written in bytes", traffic)]
    lines = table(("level", "energy_pj", "share", "traffic_bytes"), rows)
    return Picture(title, bars_svg(title, panels), "\n".join(lines))


PLOTS: Mapping[str, Plot] = {
    "mapping": Plot("the loop nest and how full memories are", mapping),
    "breakdown": Plot("energy and traffic of every level", breakdown),
}


def _parts(task: Task, row: IntArray, part: str | None) -> tuple[MappingModel, dict[str, float]]:
    """The model, and the parts of the costs of one mapping."""
    from archgym.envs._mapping_model import MappingModel

    if part is not None:
        raise ValueError(f"plot: part {part!r} is not there, {task.name} has one operator")
    if not isinstance(task.model, MappingModel):
        raise ValueError(f"plot: {task.name} has no loop nest of `loopnest`")
    costs = task.model.evaluate(row[None])
    return task.model, {name: float(values[0]) for name, values in costs.breakdown.items()}
