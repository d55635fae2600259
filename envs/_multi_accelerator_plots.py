"""What `MultiAccelerator-v0` draws of a design: its schedule, and its parts by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archgym.errors import unknown
from archgym.plot import Picture, Plot, table
from archgym.space import IntArray
from archgym.task import Task


def schedule(task: Task, row: IntArray, part: str | None) -> Picture:
    """What runs where and when."""
    from archgym.cost_models.accelerator.figures import Span, schedule_svg

    model, told = _layers(task, row, part)
    spans = [Span(each.layer, each.network, each.unit, each.begin, each.end) for each in told]
    title = f"Schedule: {task.name}"
    names = model.unit_names(row)
    rows = [
        (
            each.layer,
            each.network,
            names[each.unit],
            f"{each.begin:,.0f}",
            f"{each.end:,.0f}",
            f"{each.energy:,.4g}",
        )
        for each in sorted(told, key=lambda each: each.begin)
    ]
    headers = ("layer", "network", "runs on", "begins", "ends", "energy in MACs")
    return Picture(title, schedule_svg(title, names, spans), "\n".join(table(headers, rows)))


def breakdown(task: Task, row: IntArray, part: str | None) -> Picture:
    """Cycles and energy of every layer, by the sub-accelerator that runs it."""
    from archgym.cost_models.accelerator.figures import Bar, bars_svg

    model, told = _layers(task, row, part)
    names = model.unit_names(row)
    labels = [f"{each.network}/{each.layer}" for each in told]
    cycles = [
        Bar(label, {names[each.unit]: each.end - each.begin})
        for label, each in zip(labels, told, strict=True)
    ]
    energies = [
        Bar(label, {names[each.unit]: each.energy})
        for label, each in zip(labels, told, strict=True)
    ]
    title = f"Breakdown: {task.name}"
    rows = [
        (label, names[each.unit], f"{each.end - each.begin:,.0f}", f"{each.energy:,.5g}")
        for label, each in zip(labels, told, strict=True)
    ]
    headers = ("layer", "runs on", "cycles", "energy in MACs")
    panels = [("cycles", cycles), ("energy in multiply-accumulates", energies)]
    return Picture(title, bars_svg(title, panels), "\n".join(table(headers, rows)))


PLOTS: Mapping[str, Plot] = {
    "schedule": Plot("which layer runs where and when", schedule),
    "breakdown": Plot("cycles and energy of every layer", breakdown),
}


def _layers(task: Task, row: IntArray, part: str | None) -> tuple[Any, list[Any]]:
    """The layers that are asked for: of a network, or all."""
    model: Any = task.model
    if not hasattr(model, "timeline"):
        raise ValueError(f"plot: {task.name} answers from a file, the model is needed")
    told = model.timeline(row)
    chosen = [each for each in told if part in (None, each.network, each.layer)]
    if not chosen:
        raise unknown("plot: part", part, dict.fromkeys(each.network for each in told))
    return model, chosen
