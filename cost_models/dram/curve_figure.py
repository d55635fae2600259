"""Bandwidth-latency curves as one self-contained SVG figure, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from archgym.cost_models.dram.curve import Curve

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 60
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#999933")
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
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_WIDTH / 2, 24, title, "middle", 15),
        _text(_WIDTH / 2, _HEIGHT - 14, "bandwidth in GB/s (right edge: the data bus)", "middle"),
        f'<g transform="translate(16 {_HEIGHT / 2}) rotate(-90)">'
        + _text(0, 0, "latency of a random read in ns", "middle")
        + "</g>",
    ]
    for tick in ticks:
        parts.append(_line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "#dddddd"))
        parts.append(_text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "end"))
    for index in range(11):
        at = x(bus * index / 10)
        parts.append(_line(at, _HEIGHT - _BOTTOM, at, _HEIGHT - _BOTTOM + 5, "#444444"))
        parts.append(_text(at, _HEIGHT - _BOTTOM + 19, f"{bus * index / 10:.3g}", "middle"))
    for index, curve in enumerate(curves):
        colour = _COLOURS[index % len(_COLOURS)]
        parts += _curve(curve, colour, x, y)
        label = f"{curve.pattern}, {curve.read_fraction:.0%} reads: peak {curve.peak_gb_per_s:.4g}"
        at = _TOP + 16 * index
        parts.append(_line(_LEFT + 12, at + 8, _LEFT + 36, at + 8, colour, 2))
        parts.append(_text(_LEFT + 42, at + 12, label))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(curve: Curve) -> list[tuple[float, float]]:
    points = ((point.bandwidth_gb_per_s, point.latency_ns) for point in curve.points)
    return [(bandwidth, latency) for bandwidth, latency in points if not math.isnan(latency)]


def _curve(
    curve: Curve, colour: str, x: Callable[[float], float], y: Callable[[float], float]
) -> list[str]:
    drawn = _drawn(curve)
    peak = x(curve.peak_gb_per_s)
    parts = [_line(peak, _TOP, peak, _HEIGHT - _BOTTOM, colour, 1, "4 4")]
    if drawn:
        path = " ".join(f"{x(bandwidth):.1f},{y(latency):.1f}" for bandwidth, latency in drawn)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1, dash: str = ""
) -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashes}/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )
