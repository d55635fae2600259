"""Figures of a design and its workload: rooflines, bars by operator, loop nests; plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archgym.cost_models.svg import (
    COLOURS,
    GRID,
    circle,
    code,
    figure,
    line,
    polyline,
    rect,
    text,
    upright,
)

_DARK = "#444444"
_LABELS = 10


@dataclass(frozen=True)
class RooflinePoint:
    """An operator on a roofline.

    Attributes:
        name: Of the operator.
        intensity: Multiply-accumulates per byte of DRAM traffic.
        macs_per_s: Attained.
        share: Of the latency of all points, from 0 to 1.
        group: What bounds it.
    """

    name: str
    intensity: float
    macs_per_s: float
    share: float
    group: str


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart.

    Attributes:
        name: Of the row.
        parts: Lengths by name of the part, in order.
    """

    name: str
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """The length of the whole bar."""
        return sum(self.parts.values())


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for every name, the same for the same names in order."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}


def short(words: str, most: int) -> str:
    """A text of at most so many letters, the middle left out."""
    if len(words) <= most:
        return words
    tail = (most - 1) // 2
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def roofline_svg(
    title: str,
    points: Sequence[RooflinePoint],
    peak_macs_per_s: float,
    bandwidths: Mapping[str, float],
) -> str:
    """Attained over arithmetic intensity, both logarithmic, below the roofs of a design.

    Args:
        title: Text above.
        points: At least one; those without traffic or products are left out.
        peak_macs_per_s: The flat roof.
        bandwidths: Slanted roofs, bytes per second by name.
    """
    width, height, left, right, top, bottom = 860, 540, 78, 24, 62, 56
    shown = [
        p for p in points if p.intensity > 0 and p.macs_per_s > 0 and math.isfinite(p.intensity)
    ]
    knees = [peak_macs_per_s / bandwidth for bandwidth in bandwidths.values()]
    xs = [p.intensity for p in shown] + knees
    ys = [p.macs_per_s for p in shown] + [peak_macs_per_s]
    x_low, x_high = math.floor(math.log10(min(xs)) - 0.1), math.ceil(math.log10(max(xs)) + 0.1)
    y_low, y_high = math.floor(math.log10(min(ys)) - 0.1), math.ceil(math.log10(max(ys)) + 0.1)

    def x(value: float) -> float:
        return left + (width - left - right) * (math.log10(value) - x_low) / (x_high - x_low)

    def y(value: float) -> float:
        down = (math.log10(value) - y_low) / (y_high - y_low)
        return height - bottom - (height - top - bottom) * down

    parts = [text(width / 2, 24, title, "middle", 15)]
    for power in range(x_low, x_high + 1):
        at = x(10.0**power)
        parts += [line(at, top, at, height - bottom, GRID)]
        parts.append(text(at, height - bottom + 18, _power(power), "middle"))
    for power in range(y_low, y_high + 1):
        at = y(10.0**power)
        parts += [line(left, at, width - right, at, GRID)]
        parts.append(text(left - 6, at + 4, _power(power - 9), "end"))
    parts.append(
        text(width / 2, height - 12, "multiply-accumulates per byte of DRAM traffic", "middle")
    )
    parts.append(upright(18, height / 2, "10^9 multiply-accumulates per second"))
    parts += _roofs(peak_macs_per_s, bandwidths, x, y, (x_low, y_low, x_high))
    return figure(
        width, height, [*parts, *_dots(shown, x, y, (left, top, width - right), y(peak_macs_per_s))]
    )


def _power(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 <= exponent <= 4 else f"10^{exponent}"


Scale = Callable[[float], float]


def _roofs(
    peak: float, bandwidths: Mapping[str, float], x: Scale, y: Scale, ends: tuple[int, int, int]
) -> list[str]:
    """The flat roof and the slanted ones that lead to it."""
    x_low, y_low, x_high = ends
    parts = []
    for bandwidth in bandwidths.values():
        start = max(10.0**x_low, 10.0**y_low / bandwidth)
        knee = peak / bandwidth
        corners = [(x(start), y(start * bandwidth)), (x(knee), y(peak)), (x(10.0**x_high), y(peak))]
        parts.append(polyline(corners, _DARK, 2))
    parts.append(text(x(10.0**x_high) - 4, y(peak) - 8, f"array: {_number(peak / 1e9)}", "end", 11))
    for name, bandwidth in bandwidths.items():
        start = max(10.0**x_low, 10.0**y_low / bandwidth)
        at = math.sqrt(start * peak / bandwidth)
        label = f"{name}: {bandwidth / 1e9:.4g} GB/s"
        parts.append(text(x(at) - 6, y(at * bandwidth) - 8, label, "end", 11))
    return parts


def _dots(
    points: Sequence[RooflinePoint],
    x: Scale,
    y: Scale,
    corner: tuple[float, float, float],
    roof: float,
) -> list[str]:
    """Points as large as their share, named where there is room, and what their colours mean."""
    left, top, end = corner
    paint = colours([p.group for p in points])
    parts: list[str] = []
    for p in sorted(points, key=lambda each: -each.share):
        hint = (
            f"{p.name}: {p.intensity:.4g} per byte, {p.macs_per_s / 1e9:.4g} x 10^9 per s, "
            f"{p.share:.1%} of the latency, {p.group}"
        )
        radius = 3.0 + 14.0 * math.sqrt(p.share)
        parts.append(circle(x(p.intensity), y(p.macs_per_s), radius, paint[p.group], hint))
    taken: list[tuple[float, float]] = []
    for p in sorted(points, key=lambda each: -each.share)[:_LABELS]:
        at, up = x(p.intensity) + 5.0 + 14.0 * math.sqrt(p.share), y(p.macs_per_s) + 4.0
        words = short(p.name, 26)
        anchor = "start"
        up += 12.0 if abs(up - 4.0 - roof) < 6.0 else 0.0
        if at + 6.5 * len(words) > end:
            at, anchor = x(p.intensity) - 5.0 - 14.0 * math.sqrt(p.share), "end"
        if all(abs(at - a) > 150 or abs(up - b) > 12 for a, b in taken):
            taken.append((at, up))
            parts.append(text(at, up, words, anchor, 10))
    for i, (name, colour) in enumerate(paint.items()):
        at = left + 8 + 135 * i
        parts += [circle(at, top - 14, 5, colour), text(at + 10, top - 10, name, "start", 11)]
    return parts


def bars_svg(
    title: str,
    panels: Sequence[tuple[str, Sequence[Bar]]],
    most: int = 60,
    *,
    total: bool = True,
) -> str:
    """Horizontal bars made of parts, panels side by side with the same rows.

    Args:
        title: Text above.
        panels: Name with unit, and the bars; all panels have the same rows in the same order.
        most: Rows; of more, the shortest of the first panel are added up as `others`.
        total: Whether rows are parts of a whole, whose size is told.
    """
    panels = [(name, _fewer(bars, panels[0][1], most)) for name, bars in panels]
    names, wide, high = [bar.name for bar in panels[0][1]], 440, 17
    left, top = 200, 96
    height = top + high * len(names) + 44
    width = left + len(panels) * (wide + 40)
    parts = [text(width / 2, 24, title, "middle", 15)]
    for row, name in enumerate(names):
        parts.append(text(left - 6, top + high * row + 12, short(name, 30), "end", 11))
    for i, (name, bars) in enumerate(panels):
        parts += _panel(name, bars, (left + i * (wide + 40), top, wide, high), total)
    return figure(width, height, parts)


def _fewer(bars: Sequence[Bar], by: Sequence[Bar], most: int) -> list[Bar]:
    """The longest rows of `by` in their order, the others added up."""
    if len(bars) <= most:
        return list(bars)
    order = sorted(range(len(by)), key=lambda i: -by[i].total)
    kept = sorted(order[: most - 1])
    rest: dict[str, float] = {}
    for i in order[most - 1 :]:
        for name, value in bars[i].parts.items():
            rest[name] = rest.get(name, 0.0) + value
    return [*(bars[i] for i in kept), Bar(f"{len(bars) - most + 1} others", rest)]


def _panel(
    name: str, bars: Sequence[Bar], box: tuple[float, float, float, float], whole: bool
) -> list[str]:
    left, top, wide, high = box
    most = max(bar.total for bar in bars) or 1.0
    paint = colours([part for bar in bars for part in bar.parts])
    total = sum(bar.total for bar in bars)
    told = f"{name}: {_number(total)} in all" if whole else name
    parts = [text(left, 50, told, "start", 13)]
    at = left
    for part, colour in paint.items():
        parts += [rect(at, 62, 10, 10, colour), text(at + 14, 71, part, "start", 11)]
        at += 26 + 7.2 * len(part)
    bottom = top + high * len(bars)
    for tick in _ticks(most):
        x = left + wide * tick / most
        parts.append(line(x, top - 4, x, bottom, GRID))
        parts.append(text(x, bottom + 14, _number(tick), "middle", 10))
    for row, bar in enumerate(bars):
        x = left
        for part, value in bar.parts.items():
            length = wide * value / most
            hint = f"{bar.name}, {part}: {value:.4g}"
            hint += f" ({value / total:.1%})" if whole and total else ""
            parts.append(rect(x, top + high * row + 2, length, high - 4, paint[part], hint))
            x += length
    return parts


def _number(value: float) -> str:
    """Four digits, of large numbers all before the point."""
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 to a largest one, about five."""
    step = 10.0 ** math.floor(math.log10(most / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if most / (step * factor) <= 6)
    return [step * i for i in range(int(most / step) + 1)]


def mapping_svg(
    title: str, nest: str, stores: Sequence[tuple[str, float, Mapping[str, float]]]
) -> str:
    """A loop nest as text, and how full memories are.

    Args:
        title: Text above.
        nest: A line per loop.
        stores: Name, capacity in bytes, and bytes by tensor of each memory.
    """
    lines, left, wide, high = nest.splitlines(), 24, 420, 26
    top = 60 + 16 * len(lines) + 30
    width = 760
    height = top + high * len(stores) + 40
    parts = [text(width / 2, 24, title, "middle", 15)]
    parts += [code(left, 60 + 16 * i, words, 12) for i, words in enumerate(lines)]
    paint = colours(["weights", "inputs", "outputs"])
    at = left + 170.0
    for tensor, colour in paint.items():
        parts += [rect(at, top - 22, 10, 10, colour), text(at + 14, top - 13, tensor, "start", 11)]
        at += 90
    for row, (name, capacity, held) in enumerate(stores):
        y, x = top + high * row, left + 170.0
        parts.append(text(x - 8, y + 15, name, "end", 12))
        parts.append(rect(x, y + 2, wide, high - 8, "#eeeeee"))
        for tensor, size in held.items():
            length = wide * size / capacity
            hint = f"{tensor}: {size:,.0f} of {capacity:,.0f} bytes"
            parts.append(rect(x, y + 2, length, high - 8, paint[tensor], hint))
            x += length
        used = sum(held.values())
        words = f"{used:,.0f} of {capacity:,.0f} B ({used / capacity:.0%})"
        parts.append(text(left + 170 + wide + 6, y + 15, words, "start", 11))
    return figure(width + 60, height, parts)


@dataclass(frozen=True)
class Span:
    """A layer in a schedule.

    Attributes:
        name: Of the layer.
        group: Of the network.
        row: Number of the unit that runs it.
        begin: In cycles.
        end: Likewise.
    """

    name: str
    group: str
    row: int
    begin: float
    end: float


def schedule_svg(title: str, rows: Sequence[str], spans: Sequence[Span]) -> str:
    """What runs where and when, a row per unit.

    Args:
        title: Text above.
        rows: Names of the units.
        spans: At least one.
    """
    left, top, wide, high = 200, 84, 760, 44
    last = max(span.end for span in spans)
    paint = colours([span.group for span in spans])
    width, height = left + wide + 40, top + high * len(rows) + 50
    parts = [text(width / 2, 24, title, "middle", 15)]
    at = float(left)
    for name, colour in paint.items():
        parts += [rect(at, 48, 10, 10, colour), text(at + 14, 57, name, "start", 11)]
        at += 30 + 7.2 * len(name)
    bottom = top + high * len(rows)
    for tick in _ticks(last):
        x = left + wide * tick / last
        parts += [
            line(x, top - 4, x, bottom, GRID),
            text(x, bottom + 16, _number(tick), "middle", 11),
        ]
    parts.append(text(left + wide / 2, bottom + 36, "cycles", "middle"))
    for row, name in enumerate(rows):
        parts.append(text(left - 8, top + high * row + 24, short(name, 30), "end", 12))
    for span in spans:
        x, y = left + wide * span.begin / last, top + high * span.row + 4
        length = wide * (span.end - span.begin) / last
        hint = f"{span.group}, {span.name}: {span.begin:,.0f} to {span.end:,.0f}"
        parts.append(rect(x, y, length - 0.6, high - 8, paint[span.group], hint))
        if length > 7 * len(span.name):
            parts.append(text(x + 4, y + 21, span.name, "start", 10))
    return figure(width, height, parts)
