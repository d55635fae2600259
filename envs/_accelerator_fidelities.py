"""What spaces of accelerators and their models offer to the environment.

A template is a kind of chip with its design space; its models are networks on such chips, one kind
per fidelity. A further one is a class of this form and a line in `archgym.envs._accelerator_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.roofline import Machine, roofline
from archgym.cost_models.accelerator.spatial.report import OperatorReport
from archgym.cost_models.accelerator.work import work_of
from archgym.metric import FloatArray
from archgym.space import DesignSpace, IntArray, Value

Designs = TypeVar("Designs")
_Taken = TypeVar("_Taken", contravariant=True)


@dataclass(frozen=True)
class NetworkCosts:
    """Costs of one run of a network on chips `(d,)`.

    Attributes:
        latency_s: of the run; infinite where the chip cannot run it.
        energy_j: by name of the template's `energy_parts`.
        dram_bytes: moved.
        traffic_bytes: read and written, by level, where the model knows.
    """

    latency_s: FloatArray
    energy_j: Mapping[str, FloatArray]
    dram_bytes: FloatArray
    traffic_bytes: Mapping[str, FloatArray] = field(default_factory=dict)


class NetworkModel(Protocol[_Taken]):
    """A network, to be evaluated on chips."""

    def costs(self, designs: _Taken) -> NetworkCosts:
        """Evaluates at least one chip."""
        ...

    def report(self, designs: _Taken) -> tuple[OperatorReport, ...]:
        """One chip, operator by operator."""
        ...


@dataclass(frozen=True)
class Chips(Generic[Designs]):
    """Chips `(d,)` with what every model says the same of.

    Attributes:
        designs: as the models take them.
        peak_macs_per_s: multiply-accumulates that the array could do.
        dram_bytes_per_s: peak of all channels.
        memory_bytes: of the three memories.
        area_mm2: by name of the template's `area_parts`.
    """

    designs: Designs
    peak_macs_per_s: FloatArray
    dram_bytes_per_s: FloatArray
    memory_bytes: FloatArray
    area_mm2: Mapping[str, FloatArray]


class Template(Protocol[Designs]):
    """A kind of chip with its design space.

    Attributes:
        energy_parts: names of what energy is made of.
        area_parts: names of what area is made of.
        rule: broken by designs whose latency is infinite; empty where there are none.
    """

    energy_parts: tuple[str, ...]
    area_parts: tuple[str, ...]
    rule: str

    def space(self, batches: Sequence[int]) -> DesignSpace:
        """The design space; with a parameter `Batch` where there are several."""
        ...

    def default(self, baseline: str, space: DesignSpace) -> Mapping[str, Value]:
        """A baseline as a design of the space."""
        ...

    def chips(self, space: DesignSpace, rows: IntArray) -> Chips[Designs]:
        """The chips of index rows `(d, _)`."""
        ...

    def model(self, fidelity: str, network: Network) -> NetworkModel[Designs]:
        """A network on such chips at one of its fidelities."""
        ...

    def levels(self, fidelity: str) -> tuple[str, ...]:
        """Names of the levels whose traffic the models of a fidelity tell."""
        ...


class RooflineNetwork(Generic[Designs]):
    """Lower bounds, see `archgym.cost_models.accelerator.roofline`.

    Of energy it knows products, vector operations, memories, DRAM and leakage; other parts are 0.

    Args:
        network: that runs.
        machine: what chips are for a roofline, with two levels.
        dram_pj_per_byte: of chips.
        parts: names of the energy's parts.
    """

    def __init__(
        self,
        network: Network,
        machine: Callable[[Designs], Machine],
        dram_pj_per_byte: Callable[[Designs], FloatArray],
        parts: Sequence[str],
    ) -> None:
        self._work, self._parts = work_of(network), parts
        self._machine, self._dram_pj = machine, dram_pj_per_byte

    def costs(self, designs: Designs) -> NetworkCosts:
        """Evaluates chips."""
        from archgym.cost_models.accelerator.kernels import roofline_totals

        totals = roofline_totals(self._work, self._machine(designs))
        products, vector, sram, dram, leakage = totals["energy_j"].T
        known = {
            "products": products,
            "vector": vector,
            "sram": sram,
            "dram": dram,
            "leakage": leakage,
        }
        latency = totals["latency_s"]
        energy = {name: known.get(name, np.zeros_like(latency)) for name in self._parts}
        return NetworkCosts(latency, energy, dram / (1e-12 * self._dram_pj(designs)))

    def report(self, designs: Designs) -> tuple[OperatorReport, ...]:
        """One chip, operator by operator; what bounds it is the longest of its parts."""
        found = roofline(self._work, self._machine(designs))
        names = ("products", "vector", "sram", "dram", "leakage")
        reports = []
        for i, name in enumerate(self._work.names):
            count = float(self._work.count[i])
            energy = dict.fromkeys(self._parts, 0.0)
            energy |= dict(zip(names, (count * found.energy_j[0, i]).tolist(), strict=True))
            reports.append(
                OperatorReport(
                    name,
                    count,
                    count * float(self._work.macs[i]),
                    count * float(self._work.operations[i]),
                    count * float(found.time_s[0, i]),
                    energy,
                    _ROOFS[int(found.bound[0, i])],
                    {"dram": count * float(found.traffic_bytes[0, i, -1])},
                    (),
                )
            )
        return tuple(reports)


_ROOFS = ("compute", "vector unit", "buffers", "DRAM")
