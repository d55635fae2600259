"""What `Accelerator-v0` draws of a design: roofline, breakdown by operator, mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archgym.errors import unknown
from archgym.plot import Picture, Plot, table
from archgym.space import IntArray
from archgym.task import Task

if TYPE_CHECKING:
    from archgym.cost_models.accelerator.spatial.report import OperatorReport
    from archgym.envs._accelerator_model import Accelerator

_GIGA = 1e9


def roofline(task: Task, row: IntArray, part: str | None) -> Picture:
    """Operators below the roofs of the array and of the DRAM."""
    from archgym.cost_models.accelerator.figures import RooflinePoint, roofline_svg

    model, reports = _reports(task, row, part)
    chips = model.chips_of(row)
    peak, dram = float(chips.peak_macs_per_s[0]), float(chips.dram_bytes_per_s[0])
    total = sum(each.latency_s for each in reports)
    points = [
        RooflinePoint(
            each.name,
            each.macs / each.traffic_bytes["dram"],
            each.macs / each.latency_s,
            each.latency_s / total,
            each.bound,
        )
        for each in reports
        if each.macs and each.traffic_bytes["dram"]
    ]
    title = f"Roofline: {task.name}"
    lines = [
        f"array: {peak / _GIGA:,.4g} x 10^9 multiply-accumulates per second, "
        f"DRAM: {dram / _GIGA:,.4g} GB/s, knee at {peak / dram:,.4g} per byte",
        "",
        *table(
            ("operator", "MACs", "per byte", "10^9 per s", "of peak", "of latency", "bound"),
            [
                (
                    p.name,
                    f"{each.macs:,.0f}",
                    f"{p.intensity:,.4g}",
                    f"{p.macs_per_s / _GIGA:,.4g}",
                    f"{p.macs_per_s / peak:.1%}",
                    f"{p.share:.1%}",
                    p.group,
                )
                for p, each in zip(points, (r for r in reports if _plotted(r)), strict=True)
            ],
        ),
    ]
    svg = roofline_svg(title, points, peak, {"DRAM": dram})
    return Picture(title, svg, "\n".join(lines))


def _plotted(report: OperatorReport) -> bool:
    return bool(report.macs and report.traffic_bytes["dram"])


def breakdown(task: Task, row: IntArray, part: str | None) -> Picture:
    """Time by what bounds it, and energy by part, of every operator."""
    from archgym.cost_models.accelerator.figures import Bar, bars_svg

    _, reports = _reports(task, row, part)
    times = [Bar(each.name, {each.bound: 1e3 * each.latency_s}) for each in reports]
    energies = [
        Bar(each.name, {name: 1e3 * joules for name, joules in each.energy_j.items()})
        for each in reports
    ]
    title = f"Breakdown: {task.name}"
    parts = list(reports[0].energy_j)
    rows = [
        (
            each.name,
            f"{1e3 * each.latency_s:,.5g}",
            each.bound,
            f"{1e3 * sum(each.energy_j.values()):,.5g}",
            *(f"{1e3 * each.energy_j[name]:,.3g}" for name in parts),
        )
        for each in reports
    ]
    headers = ("operator", "ms", "bound", "mJ", *parts)
    panels = [("latency in ms", times), ("energy in mJ", energies)]
    return Picture(title, bars_svg(title, panels), "\n".join(table(headers, rows)))


def mapping(task: Task, row: IntArray, part: str | None) -> Picture:
    """The loop nest of one operator, the longest unless one is asked for, and its memories."""
    from archgym.cost_models.accelerator.figures import mapping_svg
    from archgym.cost_models.accelerator.spatial.occupancy import occupancy

    model, reports = _reports(task, row, part)
    mapped = [each for each in reports if each.products]
    if not mapped:
        raise ValueError(
            f"plot: {task.name} has no mappings, those of fidelity `loopnest` have them"
        )
    longest = max(mapped, key=lambda each: each.latency_s)
    product = max(longest.products, key=lambda each: each.cycles)
    designs = model.chips_of(row).designs
    stores = [
        (each.name, each.room_bytes, each.held_bytes)
        for each in occupancy(product.mapping, designs)
    ]
    title = f"Mapping of {longest.name}: {task.name}"
    nest = product.mapping.text()
    lines = [
        title,
        f"{product.cycles:,.0f} cycles, {product.utilisation:.1%} of the processing elements at "
        f"work, bound by {longest.bound}",
        "",
        nest,
        "",
        *table(
            ("memory (half of it)", "bytes", "held", "share"),
            [
                (
                    name,
                    f"{room:,.0f}",
                    f"{sum(held.values()):,.0f}",
                    f"{sum(held.values()) / room:.1%}",
                )
                for name, room, held in stores
            ],
        ),
    ]
    return Picture(title, mapping_svg(title, nest, stores), "\n".join(lines))


PLOTS: Mapping[str, Plot] = {
    "roofline": Plot("operators below the roofs of array and DRAM", roofline),
    "breakdown": Plot("latency and energy of every operator", breakdown),
    "mapping": Plot("loop nest of an operator and how full its memories are", mapping),
}


def _reports(
    task: Task, row: IntArray, part: str | None
) -> tuple[Accelerator, list[OperatorReport]]:
    """The operators that are asked for; of several networks they are called NETWORK/OPERATOR."""
    from dataclasses import replace

    model: Any = task.model
    if not hasattr(model, "operator_reports"):
        raise ValueError(f"plot: {task.name} answers from a file, a model of the chip is needed")
    by_network = model.operator_reports(row)
    found = {
        (each.name if len(by_network) == 1 else f"{network}/{each.name}"): (network, each)
        for network, reports in by_network.items()
        for each in reports
    }
    chosen = [
        replace(each, name=name)
        for name, (network, each) in found.items()
        if part in (None, name, network)
    ]
    if not chosen:
        raise unknown("plot: part", part, [*by_network, *found])
    return model, chosen
