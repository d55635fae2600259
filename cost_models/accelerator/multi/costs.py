"""Costs of layers on sub-accelerators, and their area, as MAESTRO counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.loopnest.maestro import Dataflow
from archgym.cost_models.accelerator.multi.layers import Convolution, Layer
from archgym.cost_models.accelerator.multi.templates import template

FloatArray = NDArray[np.float64]
Array = Any

MAC = "energy of a multiply-accumulate"
"""The unit of energies, as in MAESTRO."""


class SubAccelerators:
    """Layers to be run on sub-accelerators, each cost counted when it is first asked for.

    Args:
        layers: Of all networks, in order.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._shapes = tuple(dict.fromkeys(conv for each in layers for conv, _ in each.parts))
        # `(l, s)` how often a layer runs a shape.
        self._runs = np.zeros((len(self._layers), len(self._shapes)))
        for i, layer in enumerate(self._layers):
            for conv, runs in layer.parts:
                self._runs[i, self._shapes.index(conv)] += runs
        self._dataflows: dict[tuple[str, Convolution, int], Dataflow] = {}
        self._useful: dict[tuple[str, Convolution], int] = {}
        self._cycles: dict[tuple[str, int, int], FloatArray] = {}
        self._energies: dict[tuple[str, int], FloatArray] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._layers)

    def cycles(self, dataflow: str, pes: int, bandwidth: int) -> FloatArray:
        """Runtime `(l,)` of every layer alone.

        Args:
            dataflow: One of `templates.DATAFLOWS`.
            pes: Processing elements.
            bandwidth: Elements per cycle of the network between buffer and PEs, and from outside to
                the buffer.
        """
        key = (dataflow, pes, bandwidth)
        with self._lock:
            if key not in self._cycles:
                each = [
                    self._dataflow(dataflow, conv, pes).runtime(bandwidth, bandwidth)
                    for conv in self._shapes
                ]
                self._cycles[key] = self._runs @ np.array(each, np.float64)
            return self._cycles[key]

    def energies(self, dataflow: str, pes: int) -> FloatArray:
        """Energy `(l,)` of every layer, in energies of a multiply-accumulate."""
        with self._lock:
            if (dataflow, pes) not in self._energies:
                each = [
                    energy_macs(conv, self._dataflow(dataflow, conv, pes)) for conv in self._shapes
                ]
                self._energies[dataflow, pes] = self._runs @ np.array(each, np.float64)
            return self._energies[dataflow, pes]

    def _dataflow(self, dataflow: str, conv: Convolution, pes: int) -> Dataflow:
        """A shape on PEs; as more than the useful ones change nothing, those stand for more."""
        useful = self._useful.get((dataflow, conv))
        if useful is None:
            useful = template(dataflow, conv, pes).useful_pes
            self._useful[dataflow, conv] = useful
        key = (dataflow, conv, min(pes, useful))
        if key not in self._dataflows:
            self._dataflows[key] = template(*key)
        return self._dataflows[key]


def accesses(conv: Convolution, dataflow: Dataflow) -> Mapping[str, int]:
    """Accesses to the buffers as MAESTRO counts them.

    A multiply-accumulate reads an input, a weight and a sum from the PE's buffer (L1) and writes a
    sum; what the PEs fetch is read from the shared buffer (L2) and written to theirs. All inputs
    and weights are written to the shared buffer once, outputs whenever PEs hand them out; all
    outputs (MAESTRO's as if the stride were 1) are read from it once.
    """
    found = dataflow.traffic()
    macs, fetched = found.computations, sum(found.reads.values())
    outputs = conv.k * (conv.y - conv.r + 1) * (conv.x - conv.s + 1)
    held = conv.c * conv.y * conv.x + conv.k * conv.c * conv.r * conv.s
    return {
        "macs": macs,
        "l1": 4 * macs + fetched,
        "l2": fetched + held + outputs + found.writes,
    }


def energy_macs(conv: Convolution, dataflow: Dataflow) -> float:
    """Energy of a convolution, in energies of a multiply-accumulate."""
    counts, each = accesses(conv, dataflow), constants()["maestro_energy"]
    return counts["macs"] + each["l1"] * counts["l1"] + each["l2"] * counts["l2"]


def area_um2(pes: Array, bandwidth: Array) -> Array:
    """Area of a sub-accelerator as MAESTRO has it, without its buffers.

    Args:
        pes: Processing elements.
        bandwidth: Elements per cycle of its network.
    """
    each = constants()["maestro_area"]
    return (
        each["pe_squared"] * pes**2
        + each["pe"] * pes
        + each["pe_bandwidth"] * pes * bandwidth
        + each["bandwidth"] * bandwidth
        - each["less"]
    )
