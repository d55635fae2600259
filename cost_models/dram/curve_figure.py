"""Bandwidth-latency curves as one self-contained SVG figure, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from archgym.cost_models.dram.curve import Curve
from archgym.cost_models.svg import COLOURS, GRID, figure, line, polyline, text, upright

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 60
_TICKS_NS = tuple(step * 10**power for power in range(5) for step in (1, 2, 5))

CSV_HEADER = (
    "pattern,read_fraction,offered_gb_per_s,bandwidth_gb_per_s,bus_share,latency_ns,latency_p99_ns"
)


def to_csv(curves: Sequence[Curve]) -> str:
    """One line per point; an empty field where there is no figure (latency at the peak)."""
    lines = [CSV_HEADER]
    for curve in curves:
        for point in curve.points:
            figures = (
                point.offered_gb_per_s,
                point.bandwidth_gb_per_s,
                point.bandwidth_gb_per_s / curve.bus_gb_per_s,
                point.latency_ns,
                point.latency_p99_ns,
            )
            texts = (f"{value:.6g}" if math.isfinite(value) else "" for value in figures)
            lines.append(",".join((curve.pattern, f"{curve.read_fraction:g}", *texts)))
    return "\n".join(lines) + "\n"


def to_svg(curves: Sequence[Curve], title: str) -> str:
    """Latency over bandwidth, a line per curve, its peak dashed.

    Args:
        curves: At least one curve of one device.
        title: Text above the figure.
    """
    plotted = [curve for curve in curves if _drawn(curve)]
    latencies = [y for curve in plotted for _, y in _drawn(curve)] or [10.0, 100.0]
    ticks = [tick for tick in _TICKS_NS if min(latencies) / 2 < tick < max(latencies) * 2]
    low, high = math.log(min(ticks[0], min(latencies))), math.log(max(ticks[-1], max(latencies)))
    bus = max(curve.bus_gb_per_s for curve in curves)

    def x(bandwidth: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * bandwidth / bus

    def y(latency: float) -> float:
        height = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - height * (math.log(latency) - low) / (high - low)

    parts = [
        text(_WIDTH / 2, 24, title, "middle", 15),
        text(_WIDTH / 2, _HEIGHT - 14, "bandwidth in GB/s (right edge: the data bus)", "middle"),
        upright(16, _HEIGHT / 2, "latency of a random read in ns"),
    ]
    for tick in ticks:
        parts.append(line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), GRID))
        parts.append(text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "end"))
    for index in range(11):
        at = x(bus * index / 10)
        parts.append(line(at, _HEIGHT - _BOTTOM, at, _HEIGHT - _BOTTOM + 5, "#444444"))
        parts.append(text(at, _HEIGHT - _BOTTOM + 19, f"{bus * index / 10:.3g}", "middle"))
    for index, curve in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        parts += _curve(curve, colour, x, y)
        label = f"{curve.pattern}, {curve.read_fraction:.0%} reads: peak {curve.peak_gb_per_s:.4g}"
        at = _TOP + 16 * index
        parts.append(line(_LEFT + 12, at + 8, _LEFT + 36, at + 8, colour, 2))
        parts.append(text(_LEFT + 42, at + 12, label))
    return figure(_WIDTH, _HEIGHT, parts)


def _drawn(curve: Curve) -> list[tuple[float, float]]:
    points = ((point.bandwidth_gb_per_s, point.latency_ns) for point in curve.points)
    return [(bandwidth, latency) for bandwidth, latency in points if not math.isnan(latency)]


def _curve(
    curve: Curve, colour: str, x: Callable[[float], float], y: Callable[[float], float]
) -> list[str]:
    drawn = _drawn(curve)
    peak = x(curve.peak_gb_per_s)
    parts = [line(peak, _TOP, peak, _HEIGHT - _BOTTOM, colour, 1, "4 4")]
    if drawn:
        parts.append(polyline([(x(bandwidth), y(latency)) for bandwidth, latency in drawn], colour))
    return parts
