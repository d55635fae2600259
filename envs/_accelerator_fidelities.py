"""What answers for a network on chips, by fidelity.

A fidelity is a class that takes a network and whose `costs` takes chips; `FIDELITIES` names them. A
further one, such as of mappings on loop nests, is a class here and a line in
`archgym.envs.accelerator.fidelities`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archgym.cost_models.accelerator.chip import ChipDesigns, chip_machine, dram_of
from archgym.cost_models.accelerator.chip_costs import ENERGY_PARTS, ChipModel
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.work import work_of
from archgym.metric import FloatArray


@dataclass(frozen=True)
class NetworkCosts:
    """Costs of one run of a network on chips `(d,)`.

    Attributes:
        latency_s: of the run.
        energy_j: by name of `ENERGY_PARTS`.
        dram_bytes: moved.
    """

    latency_s: FloatArray
    energy_j: Mapping[str, FloatArray]
    dram_bytes: FloatArray


class NetworkModel(Protocol):
    """A network, to be evaluated on chips."""

    def __init__(self, network: Network) -> None: ...

    def costs(self, designs: ChipDesigns) -> NetworkCosts:
        """Evaluates at least one chip."""
        ...


class SystolicNetwork:
    """Fold by fold on systolic arrays, see `archgym.cost_models.accelerator.chip_costs`."""

    def __init__(self, network: Network) -> None:
        self._model = ChipModel(network)

    def costs(self, designs: ChipDesigns) -> NetworkCosts:
        """Evaluates chips."""
        found = self._model.costs(designs)
        return NetworkCosts(found.latency_s, found.energy_j, found.dram_bytes)


class RooflineNetwork:
    """Lower bounds, see `archgym.cost_models.accelerator.roofline`.

    Its energy counts no registers; that part is 0.
    """

    def __init__(self, network: Network) -> None:
        self._work = work_of(network)

    def costs(self, designs: ChipDesigns) -> NetworkCosts:
        """Evaluates chips."""
        from archgym.cost_models.accelerator.kernels import roofline_totals

        totals = roofline_totals(self._work, chip_machine(designs))
        products, vector, sram, dram, leakage = totals["energy_j"].T
        known = {
            "products": products,
            "vector": vector,
            "sram": sram,
            "dram": dram,
            "leakage": leakage,
        }
        latency = totals["latency_s"]
        energy = {name: known.get(name, np.zeros_like(latency)) for name in ENERGY_PARTS}
        return NetworkCosts(latency, energy, dram / (1e-12 * dram_of(designs)[1]))


FIDELITIES: Mapping[str, type[NetworkModel]] = {
    "roofline": RooflineNetwork,
    "systolic": SystolicNetwork,
}
