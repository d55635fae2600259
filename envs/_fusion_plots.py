"""What `Fusion-v0` draws of a design: its attention below the roofs, and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archgym.plot import Picture, Plot, table
from archgym.space import IntArray
from archgym.task import Task


def roofline(task: Task, row: IntArray, part: str | None) -> Picture:
    """The attention of the task below the roofs of its array and its DRAM.

    Other designs stand beside it: the default one, and FLAT, FuseMax and unfused attention on the
    platform's resources.
    """
    from archgym.cost_models.accelerator.figures import RooflinePoint, roofline_svg

    _whole(task, part)
    points = []
    for name, each in _beside(task, row).items():
        array, _, result, macs = each
        seconds = float(result.latency_s[0, 0])
        points.append(
            RooflinePoint(
                name, macs / float(result.dram_bytes[0, 0]), macs / seconds, 0.3, _bound(result)
            )
        )
        if name == "this design":
            peak = float(array.array[0] ** 2 * array.clock_hz[0])
            dram = float(array.dram_bytes_per_s[0])
    title = f"Roofline: {task.name}"
    rows = [
        (
            p.name,
            f"{p.intensity:,.4g}",
            f"{p.macs_per_s / 1e9:,.5g}",
            f"{p.macs_per_s / peak:.1%}",
            p.group,
        )
        for p in points
    ]
    headers = ("design", "MACs per byte", "10^9 MACs per s", "of this peak", "bound")
    lines = [
        f"array: {peak / 1e9:,.5g} x 10^9 multiply-accumulates per second, DRAM: {dram / 1e9:.4g} "
        f"GB/s, knee at {peak / dram:,.4g} per byte",
        "",
        *table(headers, rows),
    ]
    return Picture(title, roofline_svg(title, points, peak, {"DRAM": dram}), "\n".join(lines))


def breakdown(task: Task, row: IntArray, part: str | None) -> Picture:
    """Times of both arrays and of the DRAM, parts of energy and area; the baselines beside it."""
    from archgym.cost_models.accelerator.figures import Bar, bars_svg

    _whole(task, part)
    model: Any = task.model
    times: list[Bar] = []
    energies: list[Bar] = []
    areas: list[Bar] = []
    rows: list[tuple[str, ...]] = []
    for name, (_, number, result, _) in _beside(task, row).items():
        costs = model.evaluate(number[None])
        busy = {
            "square array": 1e3 * float(result.array_s[0, 0]),
            "lanes": 1e3 * float(result.lanes_s[0, 0]),
            "DRAM": 1e3 * float(result.memory_s[0, 0]),
        }
        times += [Bar(f"{name}: {unit}", {unit: value}) for unit, value in busy.items()]
        parts = {key: float(values[0]) for key, values in costs.breakdown.items()}
        for quantity, bars in (("energy_mj", energies), ("area_mm2", areas)):
            own = {k.partition("/")[2]: v for k, v in parts.items() if k.startswith(quantity)}
            bars += [Bar("", own), Bar("", {}), Bar("", {})]
        latency = float(costs.metrics["latency_ms"][0])
        rows.append(
            (
                name,
                f"{latency:,.6g}",
                *(f"{value:,.6g}" for value in (*busy.values(), *parts.values())),
            )
        )
    title = f"Breakdown: {task.name}"
    headers = ("design", "latency_ms", *(f"{unit} ms" for unit in busy), *parts)
    panels = [("busy in ms", times), ("energy in mJ", energies), ("area in mm2", areas)]
    return Picture(title, bars_svg(title, panels, total=False), "\n".join(table(headers, rows)))


PLOTS: Mapping[str, Plot] = {
    "roofline": Plot("attention below the roofs of array and DRAM", roofline),
    "breakdown": Plot("times of arrays and DRAM, parts of energy and area", breakdown),
}


def _whole(task: Task, part: str | None) -> None:
    if part is not None:
        raise ValueError(f"plot: part {part!r} is not there, {task.name} has one attention")
    if not hasattr(task.model, "result"):
        raise ValueError(f"plot: {task.name} answers from a file, the model is needed")


def _beside(task: Task, row: IntArray) -> dict[str, tuple[Any, IntArray, Any, float]]:
    """The design and the baselines: arrays, indices, costs, multiply-accumulates."""
    model: Any = task.model
    designs = {"this design": row, **model.baselines()}
    return {name: (*model.result(number), model.macs) for name, number in designs.items()}


def _bound(result: Any) -> str:
    """What the latency is: of the DRAM, an array, or of pairs that wait for each other."""
    parts = {
        "DRAM": float(result.memory_s[0, 0]),
        "square array": float(result.array_s[0, 0]),
        "lanes": float(result.lanes_s[0, 0]),
    }
    name = max(parts, key=lambda each: parts[each])
    return name if parts[name] >= 0.999 * float(result.latency_s[0, 0]) else "one after the other"
