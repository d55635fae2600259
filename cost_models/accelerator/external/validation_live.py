"""Side by side with other tools as they run here, where the user has named them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.external.maestro_model import MAESTRO, installed_maestro
from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.external.scalesim_model import (
    SCALESIM,
    Layer,
    LayerCounts,
    installed_scalesim,
)
from archgym.cost_models.accelerator.external.timeloop_model import TIMELOOP, installed_timeloop
from archgym.cost_models.accelerator.external.zigzag_model import ZIGZAG, installed_zigzag
from archgym.cost_models.accelerator.loopnest import TENSORS
from archgym.cost_models.accelerator.loopnest import evaluate as evaluate_nests
from archgym.cost_models.accelerator.loopnest.maestro import evaluate as evaluate_directives
from archgym.cost_models.accelerator.loopnest.validation_maestro import maestro_points
from archgym.cost_models.accelerator.loopnest.validation_timeloop import point, points
from archgym.cost_models.accelerator.loopnest.validation_zigzag import Point, zigzag_points
from archgym.cost_models.accelerator.loopnest.zigzag import (
    DIRECTIONS,
    OPERANDS,
    Cost,
    evaluate,
    spatial_means,
)
from archgym.cost_models.accelerator.validation_systolic import scalesim_counts, scalesim_rows
from archgym.cost_models.validation import Check, Target, compare, read_rows

_EQUAL = Target(exact=1.0)
Answer = TypeVar("Answer")

MOST_MACS = 1_000_000
"""Multiply-accumulates of the largest layers that SCALE-Sim runs here: some 0.2 s."""


def zigzag_live(path: Path) -> Iterator[Check]:
    """Every row of reference figures by ZigZag itself; none where no interpreter is named."""
    if not ZIGZAG.given():
        return
    tool, points = installed_zigzag(), zigzag_points(path)
    ours = [evaluate(*point) for point in points]
    theirs = _answers("ZigZag", (tool.evaluate(*used(point)) for point in points))
    name = f"ZigZag {tool.tool.version}, run here"
    for metric in ("energy_pj", "latency", "steps"):
        mine, its = ([getattr(cost, metric) for cost in costs] for costs in (ours, theirs))
        yield compare(name, "all", metric, mine, its, _EQUAL)
    yield compare(name, "all", "accesses", _all_accesses(ours), _all_accesses(theirs), _EQUAL)


def _answers(name: str, answers: Iterator[Answer]) -> list[Answer]:
    """All answers of a tool.

    Raises:
        ValueError: If there is none to a row, why.
    """
    found: list[Answer] = []
    try:
        found.extend(answers)
    except WorkerError as error:
        raise ValueError(f"{name}: row {len(found) + 1} of those run here: {error}") from error
    return found


def used(point: Point) -> Point:
    """A point with the parts side by side that its loops leave, as ZigZag's mapping has them."""
    accelerator, layer, temporal = point
    means = spatial_means(accelerator, layer, temporal["O"])
    unrolling = {
        array: tuple((d, math.ceil(mean - 1e-9)) for d, mean in loops)
        for array, loops in means.items()
    }
    return point._replace(accelerator=replace(accelerator, unrolling=unrolling))


def _all_accesses(costs: list[Cost]) -> list[float]:
    return [
        float(level[way])
        for cost in costs
        for op in OPERANDS
        for level in cost.accesses[op]
        for way in DIRECTIONS
    ]


def scalesim_live(path: Path) -> Iterator[Check]:
    """Small rows of reference figures by SCALE-Sim itself; none where no interpreter is named."""
    if not SCALESIM.given():
        return
    rows, shapes = scalesim_rows(path)
    small = shapes.prod(axis=0) <= MOST_MACS
    rows = [row for row, kept in zip(rows, small, strict=True) if kept]
    if not rows:
        return
    tool = installed_scalesim()
    layers = [
        _layer(row, *(int(size) for size in shape))
        for row, shape in zip(rows, shapes[:, small].T, strict=True)
    ]
    theirs = _answers("SCALE-Sim", (tool.counts(layer) for layer in layers))
    name = f"SCALE-Sim {tool.tool.version}, run here"
    for metric, ours in scalesim_counts(rows).items():
        yield compare(name, "all", metric, ours, _figures(theirs, metric), _EQUAL)


def _layer(row: dict[str, str], m: int, n: int, k: int) -> Layer:
    sizes = (int(row[name]) for name in ("ifmap_kb", "filter_kb", "ofmap_kb"))
    high, wide = int(row["array_h"]), int(row["array_w"])
    return Layer(m, n, k, high, wide, row["dataflow"], *sizes)


def _figures(counts: list[LayerCounts], metric: str) -> NDArray[np.float64]:
    return np.array([getattr(each, metric) for each in counts])


def timeloop_live(path: Path) -> Iterator[Check]:
    """Every row of reference figures by Timeloop itself; none where no program is named."""
    if not TIMELOOP.given():
        return
    tool, rows = installed_timeloop(), read_rows(path, ("cycles", "energy_uJ"))
    ours = evaluate_nests(*points(rows), compat="timeloop", counts=True)
    theirs = _answers("Timeloop", (tool.evaluate(*point(row)) for row in rows))
    name = "Timeloop, run here"
    yield compare(name, "all", "cycles", ours.cycles, [each.cycles for each in theirs], _EQUAL)
    energy = [each.energy_pj for each in theirs]
    # Two decimals of a picojoule per level and tensor.
    yield compare(name, "all", "energy", ours.energy_pj, energy, _EQUAL, tolerance=0.1)
    for counter in ("reads", "fills", "updates"):
        mine, its = [], []
        for i, each in enumerate(theirs):
            for level, tensors in enumerate(each.accesses.values()):
                for tensor, found in tensors.items():
                    counts = getattr(ours, counter)[i, level, TENSORS.index(tensor)]
                    mine.append(counts / found.instances)
                    its.append(getattr(found, counter))
        # Timeloop counts whole words of an instance.
        yield compare(name, "all", counter, mine, its, _EQUAL, tolerance=0.5)


def maestro_live(path: Path) -> Iterator[Check]:
    """Every row of reference figures by MAESTRO itself; none where no program is named."""
    if not MAESTRO.given():
        return
    tool, asked = installed_maestro(), maestro_points(path)
    ours = [evaluate_directives(*each) for each in asked]
    theirs = _answers("MAESTRO", (tool.evaluate(*each).traffic for each in asked))
    for metric in ("runtime", "writes", "computations"):
        mine, its = ([getattr(each, metric) for each in found] for found in (ours, theirs))
        yield compare("MAESTRO, run here", "all", metric, mine, its, _EQUAL)
    for tensor in ("inputs", "weights"):
        mine, its = ([each.reads[tensor] for each in found] for found in (ours, theirs))
        yield compare("MAESTRO, run here", "all", f"reads of {tensor}", mine, its, _EQUAL)
