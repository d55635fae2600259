"""The three kinds of figures that the studies are drawn with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from archgym.cost_models.svg import GRID, figure, line, polyline, text, upright
from archgym.metric import FloatArray

WIDTH, LEFT, TOP, BOTTOM, LEGEND = 780, 70, 44, 54, 180
ZERO_SHARE = 0.07
"""Part of a logarithmic axis that is kept for zero."""
SMALLEST = 1e-6
"""Least value that a logarithmic axis tells from zero."""


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis whose first stretch stands for zero.

    Attributes:
        label: quantity and unit.
        low: least value that is told from zero.
        high: largest value; larger ones are drawn there.
        zero: whether there is a place for zero.
    """

    label: str
    low: float
    high: float
    zero: bool = True

    @classmethod
    def over(cls, label: str, values: Iterable[float]) -> LogAxis:
        """Returns an axis from power of ten to power of ten that holds the values."""
        positive = [v for v in values if SMALLEST <= v < math.inf] or [1.0]
        low = 10.0 ** math.floor(math.log10(min(positive)))
        return cls(label, low, max(10.0 * low, 10.0 ** math.ceil(math.log10(max(positive)))))

    def place(self, value: float) -> float:
        """Returns where a value lies, from 0 to 1."""
        start = ZERO_SHARE if self.zero else 0.0
        if value < self.low:
            return 0.0
        share = math.log(min(value, self.high) / self.low) / math.log(self.high / self.low)
        return start + (1.0 - start) * share

    @property
    def ticks(self) -> list[float]:
        """Zero, if it has a place, and powers of ten."""
        first, last = (round(math.log10(v)) for v in (self.low, self.high))
        powers = [10.0**power for power in range(first, last + 1)]
        return [0.0, *powers] if self.zero else powers


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: in the legend.
        colour: of the line.
        dash: its SVG dash pattern, empty for a solid line.
        x: places along the horizontal axis `(k,)`.
        y: values `(k,)`.
    """

    label: str
    colour: str
    dash: str
    x: FloatArray
    y: FloatArray


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def lines(title: str, x: LogAxis, y: LogAxis, drawn: Sequence[Line]) -> str:
    """Draws lines over two logarithmic axes, with a legend on the right."""
    height = max(420, TOP + BOTTOM + 18 * len(drawn))
    right, bottom = WIDTH - LEGEND, height - BOTTOM

    def at(horizontal: float, vertical: float) -> tuple[float, float]:
        return (
            LEFT + (right - LEFT) * x.place(horizontal),
            bottom - (bottom - TOP) * y.place(vertical),
        )

    parts = [text((LEFT + right) / 2, 24, title, "middle", 15)]
    parts.append(text((LEFT + right) / 2, height - 14, x.label, "middle"))
    parts.append(upright(16, (TOP + bottom) / 2, y.label))
    for tick in y.ticks:
        level = at(x.low, tick)[1]
        parts.append(line(LEFT, level, right, level, GRID))
        parts.append(text(LEFT - 6, level + 4, _number(tick), "end"))
    for tick in x.ticks:
        place = at(tick, 0)[0]
        parts.append(line(place, bottom, place, bottom + 5, "#444444"))
        parts.append(text(place, bottom + 19, _number(tick), "middle"))
    for i, each in enumerate(drawn):
        points = [at(float(a), float(b)) for a, b in zip(each.x, each.y, strict=True)]
        parts.append(polyline(points, each.colour, 1.8, each.dash))
        level = TOP + 10 + 18 * i
        parts.append(line(right + 14, level, right + 42, level, each.colour, 2, each.dash))
        parts.append(text(right + 48, level + 4, each.label))
    return figure(WIDTH, height, parts)


@dataclass(frozen=True)
class Spread:
    """The spread of some values.

    Attributes:
        colour: of the marks.
        quantiles: 5 %, 25 %, 50 %, 75 % and 95 %.
        mark: one more value that is marked by a cross, not a number for none.
    """

    colour: str
    quantiles: tuple[float, float, float, float, float]
    mark: float = math.nan


def spreads(
    title: str,
    x: LogAxis,
    rows: Sequence[tuple[str, Sequence[Spread]]],
    legend: Sequence[tuple[str, str]],
    note: str,
) -> str:
    """Draws a group of spreads per row: thin 5 to 95 %, thick 25 to 75 %, a dot for the median.

    Args:
        title: above the figure.
        x: the axis of the values.
        rows: label and spreads.
        legend: colour and meaning of each spread of a row.
        note: what the marks mean.
    """
    step = 16
    heights = [step * max(1, len(group)) + 12 for _, group in rows]
    left, right = 165, WIDTH - 20
    top = TOP + 22
    bottom = top + sum(heights)

    def at(value: float) -> float:
        return left + (right - left) * x.place(value)

    parts = [text(WIDTH / 2, 24, title, "middle", 15)]
    parts.append(text((left + right) / 2, bottom + 38, f"{x.label}; {note}", "middle"))
    for i, (colour, meaning) in enumerate(legend):
        parts.append(line(left + 130 * i, TOP, left + 24 + 130 * i, TOP, colour, 5))
        parts.append(text(left + 30 + 130 * i, TOP + 4, meaning))
    for tick in x.ticks:
        parts.append(line(at(tick), top, at(tick), bottom, GRID))
        parts.append(text(at(tick), bottom + 18, _number(tick), "middle"))
    level = float(top)
    for (label, group), height in zip(rows, heights, strict=True):
        parts.append(text(left - 8, level + height / 2 + 4, label, "end"))
        for i, each in enumerate(group):
            parts += _spread(each, at, level + 14 + step * i)
        level += height
    return figure(WIDTH, bottom + 50, parts)


def _spread(each: Spread, at: Callable[[float], float], level: float) -> list[str]:
    p5, p25, p50, p75, p95 = (at(q) for q in each.quantiles)
    parts = [
        line(p5, level, p95, level, each.colour, 1.5),
        line(p25, level, p75, level, each.colour, 6),
        f'<circle cx="{p50:.1f}" cy="{level:.1f}" r="4.5" fill="white" stroke="{each.colour}" '
        f'stroke-width="2"/>',
    ]
    if not math.isnan(each.mark):
        x = at(each.mark)
        for sign in (-1, 1):
            parts.append(line(x - 5, level - 5 * sign, x + 5, level + 5 * sign, "#000000", 2))
    return parts


def bars(
    title: str,
    label: str,
    rows: Sequence[tuple[str, Sequence[float]]],
    legend: Sequence[tuple[str, str]],
) -> str:
    """Draws one stacked bar per row from shares that sum to 1.

    Args:
        title: above the figure.
        label: of the horizontal axis.
        rows: label and shares.
        legend: colour and meaning of each share.
    """
    left, right, top, step = 165, WIDTH - 20, TOP + 22, 26
    bottom = top + step * len(rows)
    parts = [text(WIDTH / 2, 24, title, "middle", 15)]
    parts.append(text((left + right) / 2, bottom + 38, label, "middle"))
    for i, (colour, meaning) in enumerate(legend):
        parts.append(line(left + 140 * i, TOP, left + 24 + 140 * i, TOP, colour, 10))
        parts.append(text(left + 30 + 140 * i, TOP + 4, meaning))
    for percent in range(0, 101, 20):
        x = left + (right - left) * percent / 100
        parts.append(line(x, top, x, bottom, GRID))
        parts.append(text(x, bottom + 18, f"{percent}", "middle"))
    for i, (name, shares) in enumerate(rows):
        level, begin = top + step * (i + 0.5), float(left)
        parts.append(text(left - 8, level + 4, name, "end"))
        for (colour, _), share in zip(legend, shares, strict=True):
            end = begin + (right - left) * share
            parts.append(line(begin, level, end, level, colour, 16))
            begin = end
    return figure(WIDTH, bottom + 50, parts)
