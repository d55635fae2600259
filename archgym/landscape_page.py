"""A landscape as text and as one self-contained page with figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archgym.console import number, print_table
from archgym.landscape import Landscape
from archgym.manifest import now
from archgym.optimum import KINDS
from archgym.store import write_atomically

_SHOWN_PAIRS = 8
_BLUE, _ORANGE = "#0072B2", "#E69F00"  # Okabe and Ito, as in leaderboards


def percent(share: float | None) -> str:
    """Formats a share; rounding errors of a sum of squares are 0."""
    if share is None:
        return "-"
    if abs(share) < 1e-12:
        return "0%"
    return f"{100 * share:.2f}%" if abs(share) >= 0.0001 else "<0.01%"


def summary_rows(told: Landscape) -> list[tuple[str, str]]:
    """Returns the single numbers of a landscape as (name, text) rows."""
    best = told.optimum
    rows = [
        ("source", told.source),
        ("designs", f"{told.designs:,} different, {told.feasible:,} feasible"),
        (
            "distinct outcomes",
            f"{told.distinct_outcomes:,}, with {told.distinct_scores:,} different scores",
        ),
        ("optimum", f"score {best.score:.4f}, {best.count:,} designs ({KINDS[best.kind]})"),
        ("median random design", f"score {best.median_random_score:.4f}"),
    ]
    rows += [
        (
            f"within {each}% of the optimum",
            f"{percent(share)} of designs, {percent(told.chance[each])} of random draws",
        )
        for each, share in told.within.items()
    ]
    if told.plateaus is not None:
        flat = told.plateaus
        rows += [
            ("neighbours with equal score", percent(flat.equal_share)),
            ("plateaus", f"{flat.count:,}, the largest of {flat.largest:,} designs"),
            (
                "plateaus of the optimum",
                f"{flat.optima:,}, the largest of {flat.largest_optimum:,} designs",
            ),
            (
                "local optima",
                f"{flat.local_optima:,} plateaus without a better neighbour, "
                f"{flat.local_optimum_designs:,} designs",
            ),
        ]
    if told.distance_correlation is not None:
        rows.append(("fitness-distance correlation", f"{told.distance_correlation:.3f}"))
    if told.plateaus is not None:
        rows.append(("inert parameters", ", ".join(told.inert) or "none"))
    if best.front is not None:
        text = f"{len(best.front.designs):,} points, hypervolume {best.front.hypervolume:.4f}"
        rows.append(("Pareto front", text))
    return rows


def effect_rows(told: Landscape) -> list[list[str]]:
    """Returns a row per parameter, what explains most first."""
    return [
        [
            effect.name,
            percent(effect.explained),
            percent(effect.outcome_changes),
            percent(effect.score_changes),
        ]
        for effect in sorted(told.effects, key=lambda each: -each.explained)
    ]


EFFECT_HEADERS = ["parameter", "variance explained", "outcome changes", "score changes"]


def pair_rows(told: Landscape) -> list[list[str]]:
    """Returns a row per pair of parameters with the largest interactions."""
    shown = [pair for pair in told.pairs[:_SHOWN_PAIRS] if pair.interaction >= 0.0005]
    return [[" x ".join(pair.names), percent(pair.interaction)] for pair in shown]


def quantile_rows(told: Landscape) -> tuple[list[str], list[list[str]]]:
    """Returns headers and rows of the quantiles of score and metrics."""
    columns = {"score": told.quantiles, **told.metric_quantiles}
    rows = [
        [f"{100 * q:g}%", *(number(values[q]) for values in columns.values())]
        for q in told.quantiles
    ]
    return ["quantile", *columns], rows


def print_landscape(told: Landscape) -> None:
    """Prints a landscape."""
    print(f"{told.task}\nPercentages to the optimum are of {told.measure}.\n")
    print_table(["landscape", ""], summary_rows(told))
    print()
    print_table(["optimum", "value"], [[k, str(v)] for k, v in told.optimum.design.items()])
    print()
    print_table(EFFECT_HEADERS, effect_rows(told), right=EFFECT_HEADERS[1:])
    pairs = pair_rows(told)
    if pairs:
        print()
        print_table(["pair", "interaction"], pairs, right=["interaction"])
    print()
    headers, rows = quantile_rows(told)
    print_table(headers, rows, right=headers)


def _cumulative(told: Landscape) -> list[dict[str, Any]]:
    return [
        {
            "x": list(told.curve),
            "y": np.linspace(0.0, 100.0, len(told.curve)).tolist(),
            "mode": "lines",
            "line": {"color": _BLUE},
            "hovertemplate": "%{y:.3g}% of designs score at most %{x:.3f}<extra></extra>",
            "showlegend": False,
        }
    ]


def _bars(told: Landscape) -> list[dict[str, Any]]:
    ordered = sorted(told.effects, key=lambda each: each.explained)
    return [
        {
            "type": "bar",
            "orientation": "h",
            "x": [100 * effect.explained for effect in ordered],
            "y": [effect.name for effect in ordered],
            "marker": {"color": _BLUE},
            "hovertemplate": "%{y}: %{x:.3g}%<extra></extra>",
        }
    ]


def _heatmap(told: Landscape) -> list[dict[str, Any]]:
    names = [effect.name for effect in told.effects]
    grid = np.full((len(names), len(names)), math.nan)
    for effect in told.effects:
        grid[names.index(effect.name), names.index(effect.name)] = 100 * effect.explained
    for pair in told.pairs:
        a, b = (names.index(name) for name in pair.names)
        grid[b, a] = 100 * pair.interaction
    return [
        {
            "type": "heatmap",
            "x": names,
            "y": names,
            "z": [[None if math.isnan(v) else round(v, 4) for v in row] for row in grid.tolist()],
            "colorscale": "Blues",
            "reversescale": True,
            "hoverongaps": False,
            "hovertemplate": "%{y} x %{x}: %{z:.3g}%<extra></extra>",
            "colorbar": {"title": {"text": "%"}, "thickness": 12},
        }
    ]


def _distances(told: Landscape) -> list[dict[str, Any]]:
    steps = [each[0] for each in told.by_distance]
    shared = {"x": steps, "mode": "lines", "showlegend": False}
    band = {**shared, "line": {"width": 0}, "hoverinfo": "skip"}
    low, middle, high = ([each[k] for each in told.by_distance] for k in (2, 3, 4))
    return [
        {**band, "y": low},
        {**band, "y": high, "fill": "tonexty", "fillcolor": "rgba(230,159,0,0.25)"},
        {
            **shared,
            "y": middle,
            "mode": "lines+markers",
            "line": {"color": _ORANGE},
            "hovertemplate": "%{x} steps: median score %{y:.3f}<extra></extra>",
        },
    ]


def figures(told: Landscape) -> dict[str, Mapping[str, Any]]:
    """Returns the figures of the page by id, each with title, axes and Plotly traces."""
    found: dict[str, Mapping[str, Any]] = {
        "scores": {
            "title": "Share of feasible designs up to a score",
            "x": "score",
            "y": "% of designs",
            "traces": _cumulative(told),
        },
        "effects": {
            "title": "Variance of the score explained by one parameter",
            "x": "% of variance",
            "y": "",
            "traces": _bars(told),
        },
        "pairs": {
            "title": "Variance explained: alone on the diagonal, interaction of pairs below",
            "x": "",
            "y": "",
            "traces": _heatmap(told),
        },
    }
    if told.by_distance:
        found["distance"] = {
            "title": "Score against steps to the nearest optimum (median and quartiles)",
            "x": "one-parameter steps",
            "y": "score",
            "traces": _distances(told),
        }
    return found


def write_page(told: Landscape, folder: Path) -> Path:
    """Writes `index.html` into a folder and returns its path."""
    import jinja2
    import plotly.offline

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("archgym"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    headers, rows = quantile_rows(told)
    text = environment.get_template("landscape.html").render(
        task=told.task,
        measure=told.measure,
        tables=[
            {"title": "Landscape", "headers": ["", ""], "rows": summary_rows(told)},
            {
                "title": "Optimum",
                "headers": ["parameter", "value"],
                "rows": list(told.optimum.design.items()),
            },
            {"title": "Parameters", "headers": EFFECT_HEADERS, "rows": effect_rows(told)},
            {
                "title": "Interactions",
                "headers": ["pair", "variance explained beyond both"],
                "rows": pair_rows(told),
            },
            {"title": "Quantiles", "headers": headers, "rows": rows},
        ],
        figures=figures(told),
        written=now(),
        plotly_js=plotly.offline.get_plotlyjs(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "index.html"
    write_atomically(target, text)
    return target
