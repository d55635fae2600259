"""A network on one systolic chip, operator by operator."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.chip import ChipDesigns, systolic_designs
from archgym.cost_models.accelerator.chip_costs import ChipModel, costs_of
from archgym.cost_models.accelerator.spatial.report import OperatorReport
from archgym.cost_models.accelerator.work import Products, Work

_Arrays = TypeVar("_Arrays", Work, Products)
BOUNDS = ("compute", "DRAM", "vector unit")


def chip_report(model: ChipModel, designs: ChipDesigns) -> tuple[OperatorReport, ...]:
    """A network on one chip, operator by operator; the figures add up to those of `model.costs`.

    Of traffic there is the DRAM's, of products no mapping: the array has none beside its folds.

    Args:
        model: The network.
        designs: One chip.

    Raises:
        ValueError: If there is not exactly one chip.
    """
    if len(designs.rows) != 1:
        raise ValueError(f"designs: {len(designs.rows)} chips, expected one")
    return tuple(_operator(model, designs, i) for i in range(len(model.work.names)))


def _operator(model: ChipModel, designs: ChipDesigns, number: int) -> OperatorReport:
    work = _part(model.work, np.array([number]))
    products = _part(
        model.products,
        np.flatnonzero(np.array([name == work.names[0] for name in model.products.names])),
    )
    costs = costs_of(work, products, designs, model.array)
    count = float(work.count[0])
    return OperatorReport(
        work.names[0],
        count,
        count * float(work.macs[0]),
        count * float(work.operations[0]),
        float(costs.latency_s[0]),
        {name: float(values[0]) for name, values in costs.energy_j.items()},
        _bound(model, work, products, designs),
        {"dram": float(costs.dram_bytes[0])},
        (),
    )


def _bound(model: ChipModel, work: Work, products: Products, designs: ChipDesigns) -> str:
    """What takes longest: the array's cycles, waiting for the DRAM, or the vector unit."""
    found = model.array(products, systolic_designs(designs))
    array, whole = float(found.compute_cycles[0].sum()), float(found.cycles[0].sum())
    vector = float(work.operations[0]) / float(designs.vector_lanes[0])
    if vector > whole:
        return "vector unit"
    # Where waiting takes as long as computing, the array is idle for half of the time.
    return "DRAM" if whole - array > array or not array else "compute"


def _part(arrays: _Arrays, chosen: NDArray[np.int64]) -> _Arrays:
    """Some of the operators or products."""
    values = {name: values[chosen] for name, values in vars(arrays).items() if name != "names"}
    return replace(arrays, names=tuple(arrays.names[i] for i in chosen), **values)
