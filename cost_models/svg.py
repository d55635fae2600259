"""Elements of plain SVG figures: text and lines on a white ground, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#999933")
"""Told apart by colour-blind readers too (Okabe and Ito, "Color universal design", 2008)."""
GRID = "#dddddd"


def figure(width: float, height: float, parts: Sequence[str]) -> str:
    """Returns a whole figure of that size in pixels."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


def line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1, dash: str = ""
) -> str:
    """Returns a straight line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashes}/>'
    )


def polyline(
    points: Sequence[tuple[float, float]], colour: str, width: float = 2, dash: str = ""
) -> str:
    """Returns a line through several points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
    )


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    """Returns one line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(words)}</text>"
    )


def upright(x: float, y: float, words: str) -> str:
    """Returns a line of text that reads from the bottom up, centred on the point."""
    return f'<g transform="translate({x} {y}) rotate(-90)">' + text(0, 0, words, "middle") + "</g>"


def rect(x: float, y: float, width: float, height: float, colour: str, hint: str = "") -> str:
    """Returns a filled box, with words that show where a pointer rests on it."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.2f}" height="{height:.1f}" '
        f'fill="{colour}">{title}</rect>'
    )


def circle(x: float, y: float, radius: float, colour: str, hint: str = "") -> str:
    """Returns a dot that what is behind shines through, with words as of `rect`."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.65" '
        f'stroke="{colour}">{title}</circle>'
    )


def code(x: float, y: float, words: str, size: int = 11) -> str:
    """Returns one line of text in a fixed width that keeps its spaces."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="monospace" font-size="{size}" '
        f'xml:space="preserve">{escape(words)}</text>'
    )
