"""Figures: escaped, complete, to scale."""

import xml.etree.ElementTree as ElementTree

import pytest

from archgym.cost_models.accelerator.figures import (
    Bar,
    RooflinePoint,
    Span,
    bars_svg,
    mapping_svg,
    roofline_svg,
    schedule_svg,
    short,
)

EVIL = "<b>&'\"x"


def boxes(svg: str):
    """Widths of the coloured boxes with a hint, by hint."""
    found = {}
    for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect"):
        for title in each:
            found[title.text] = float(each.get("width"))
    return found


def test_names_are_escaped_and_kept() -> None:
    svgs = [
        roofline_svg(EVIL, [RooflinePoint(EVIL, 1.0, 1e9, 1.0, EVIL)], 1e12, {EVIL: 1e9}),
        bars_svg(EVIL, [(EVIL, [Bar(EVIL, {EVIL: 1.0})])]),
        mapping_svg(EVIL, EVIL, [(EVIL, 10.0, {"weights": 5.0})]),
        schedule_svg(EVIL, [EVIL], [Span(EVIL, EVIL, 0, 0.0, 5.0)]),
    ]
    for svg in svgs:
        words = [each.text for each in ElementTree.fromstring(svg).iter() if each.text]
        assert EVIL in words and "<b>" not in svg


def test_bars_are_as_long_as_their_parts() -> None:
    bars = [Bar("one", {"a": 1.0, "b": 3.0}), Bar("two", {"a": 2.0})]
    found = boxes(bars_svg("t", [("in s", bars)]))
    assert found["one, b: 3 (50.0%)"] == pytest.approx(3 * found["one, a: 1 (16.7%)"], rel=1e-3)
    assert found["two, a: 2 (33.3%)"] == pytest.approx(220, rel=1e-3)
    many = [Bar(f"row {i}", {"a": float(i + 1)}) for i in range(10)]
    few = boxes(bars_svg("t", [("n", many)], most=4, total=False))
    assert list(few) == ["row 7, a: 8", "row 8, a: 9", "row 9, a: 10", "7 others, a: 28"]


def test_points_lie_below_the_roofs() -> None:
    points = [RooflinePoint("p", 10.0, 1e10, 0.5, "x"), RooflinePoint("q", 1e3, 1e12, 0.5, "x")]
    svg = roofline_svg("t", points, 1e12, {"DRAM": 1e9})
    tree = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    roof = [
        tuple(map(float, p.split(","))) for p in tree.find(f"{space}polyline").get("points").split()
    ]
    dots = [
        (float(c.get("cx")), float(c.get("cy")))
        for c in tree.iter(f"{space}circle")
        if c.find(f"{space}title") is not None
    ]
    on_slope, on_corner = sorted(dots)
    slope = (roof[1][1] - roof[0][1]) / (roof[1][0] - roof[0][0])
    expected = roof[0][1] + slope * (on_slope[0] - roof[0][0])
    assert on_slope[1] == pytest.approx(expected, abs=0.5)
    assert on_corner == pytest.approx(roof[1], abs=0.5)


def test_schedules_are_to_scale_and_long_names_short() -> None:
    spans = [Span("a", "n", 0, 0.0, 50.0), Span("b", "n", 1, 50.0, 100.0)]
    found = boxes(schedule_svg("t", ["u", "v"], spans))
    assert list(found.values()) == pytest.approx([379.4, 379.4])
    assert short("abcdefghij", 5) == "ab…ij" and short("abc", 5) == "abc"
