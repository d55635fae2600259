"""The cost model of `MultiAccelerator-v0`: networks on sub-accelerators, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.accelerator.multi import (
    DATAFLOWS,
    Layer,
    SubAccelerators,
    area_um2,
    layers_of,
)
from archgym.cost_models.accelerator.multi.schedule import schedule, timeline
from archgym.cost_models.accelerator.network import Network
from archgym.envs._multi_accelerator_metrics import BANDWIDTHS, BASELINES, METRICS, PES
from archgym.metric import FloatArray, Metric
from archgym.space import (
    BoolArray,
    Columns,
    Constraint,
    DesignSpace,
    IntArray,
    Parameter,
    Value,
)


@dataclass(frozen=True)
class ScheduledLayer:
    """A layer of a network on a design.

    Attributes:
        layer: its name.
        network: of its network; of one that runs twice with a number.
        unit: number of the sub-accelerator, from 0.
        begin: in cycles.
        end: likewise.
        energy: in energies of a multiply-accumulate.
    """

    layer: str
    network: str
    unit: int
    begin: float
    end: float
    energy: float


class MultiAccelerator:
    """Networks that run side by side on sub-accelerators.

    Args:
        networks: each a chain of layers.
        count: of sub-accelerators at most.
        baseline: the default design, a name of `BASELINES`.
        most_pes: of all together.
        most_bandwidth_gb_per_s: likewise; at 1 GHz and 8 bits, elements per cycle.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        count: int,
        baseline: str,
        most_pes: int,
        most_bandwidth_gb_per_s: int,
    ) -> None:
        self.space = multi_space(count, most_pes, most_bandwidth_gb_per_s)
        self.metrics: tuple[Metric, ...] = METRICS
        self.default: Mapping[str, Value] = _default(baseline, count)
        chains = [layers_of(network) for network in networks]
        self._starts = np.cumsum([0, *(len(chain) for chain in chains)])
        self._costs = SubAccelerators([layer for chain in chains for layer in chain])
        self._names = _layer_names(networks, chains)
        self._count, self._macs = count, float(sum(network.macs for network in networks))
        self.features: FloatFeatures = _features(networks, count)

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates every design."""
        if not len(designs):
            none = {name: np.empty(0) for name in _parts(self._count)}
            return Costs({metric.name: np.empty(0) for metric in METRICS}, {}, none)
        units = self._units(designs)
        cycles, energies = self._layers(units)
        ends, where = schedule(cycles, self._starts)
        chosen = where[..., None] == np.arange(self._count)
        busy = np.where(chosen, cycles, 0.0).sum(axis=1)
        spent = np.where(chosen, energies, 0.0).sum(axis=1)
        pes, bandwidth = units[..., 1].astype(np.float64), units[..., 2].astype(np.float64)
        area = np.where(pes > 0, area_um2(pes, bandwidth), 0.0)
        metrics = {
            "latency_cycles": ends,
            "energy_macs": _total(spent),
            "area_um2": _total(area),
            "pes": pes.sum(axis=1),
            "noc_bandwidth_gb_per_s": bandwidth.sum(axis=1),
            "utilisation_percent": 100.0 * self._macs / (ends * pes.sum(axis=1)),
            "busiest_percent": 100.0 * busy.max(axis=1) / ends,
        }
        parts = {f"energy_macs/{i + 1}": spent[:, i] for i in range(self._count)}
        parts |= {f"area_um2/{i + 1}": area[:, i] for i in range(self._count)}
        return Costs(metrics, {}, parts)

    def unit_names(self, design: IntArray) -> list[str]:
        """What the sub-accelerators of one design `(d,)` are, in words."""
        units = self._units(np.asarray(design).reshape(1, -1))[0]
        return [
            f"{i}: {DATAFLOWS[flow - 1]}, {pes} PEs, {bandwidth} GB/s" if flow else f"{i}: none"
            for i, (flow, pes, bandwidth) in enumerate(units.tolist(), 1)
        ]

    def timeline(self, design: IntArray) -> list[ScheduledLayer]:
        """When every layer runs on one design `(d,)`, and where."""
        cycles, energies = self._layers(self._units(np.asarray(design).reshape(1, -1)))
        _, where = schedule(cycles, self._starts)
        begins, ends = timeline(cycles[0], self._starts, where[0])
        return [
            ScheduledLayer(
                layer,
                network,
                int(where[0, i]),
                float(begins[i]),
                float(ends[i]),
                float(energies[0, i, where[0, i]]),
            )
            for i, (network, layer) in enumerate(self._names)
        ]

    def _units(self, designs: IntArray) -> IntArray:
        """Dataflow (0 for none), PEs and bandwidth `(n, k, 3)`; those of none are 0."""
        chosen = designs.reshape(len(designs), self._count, 3)
        pes, bandwidth = np.array(PES), np.array(BANDWIDTHS)
        units = np.stack([chosen[..., 0], pes[chosen[..., 1]], bandwidth[chosen[..., 2]]], axis=-1)
        units[chosen[..., 0] == 0] = 0
        return units

    def _layers(self, units: IntArray) -> tuple[FloatArray, FloatArray]:
        """Cycles and energies `(n, l, k)` of every layer alone on every sub-accelerator."""
        kinds, which = np.unique(units.reshape(-1, 3), axis=0, return_inverse=True)
        cycles = np.full((len(kinds), len(self._costs)), np.inf)
        energies = np.zeros_like(cycles)
        for i, (flow, pes, bandwidth) in enumerate(kinds.tolist()):
            if flow:
                cycles[i] = self._costs.cycles(DATAFLOWS[flow - 1], pes, bandwidth)
                energies[i] = self._costs.energies(DATAFLOWS[flow - 1], pes)
        which = which.reshape(units.shape[:2])
        return cycles[which].swapaxes(1, 2), energies[which].swapaxes(1, 2)


def multi_space(count: int, most_pes: int, most_bandwidth: int) -> DesignSpace:
    """Returns the space: dataflow, PEs and bandwidth of every sub-accelerator."""
    parameters = []
    for i in range(1, count + 1):
        there = {f"Dataflow{i}": tuple(DATAFLOWS)}
        part = f"sub-accelerator {i}"
        parameters += [
            Parameter(
                f"Dataflow{i}",
                ("none", *DATAFLOWS),
                "template: ShiDianNao-like (outputs stay), NVDLA-like (weights), row stationary",
                subsystem=part,
            ),
            Parameter(f"Pes{i}", PES, "processing elements", "", part, True, there),
            Parameter(
                f"Bandwidth{i}", BANDWIDTHS, "of its network on the chip", "GB/s", part, True, there
            ),
        ]

    def total(kind: str) -> Callable[[Columns], FloatArray]:
        def summed(columns: Columns) -> FloatArray:
            found = np.zeros(len(columns["Dataflow1"]))
            for i in range(1, count + 1):
                found += np.where(columns[f"Dataflow{i}"] == "none", 0, columns[f"{kind}{i}"])
            return found

        return summed

    def at_most(kind: str, most: int) -> Callable[[Columns], BoolArray]:
        return lambda columns: np.asarray(total(kind)(columns) <= most)

    return DesignSpace(
        parameters,
        [
            Constraint(
                "no sub-accelerator", lambda c: np.asarray(total("Pes")(c) > 0), "nothing would run"
            ),
            Constraint(f"more than {most_pes} PEs", at_most("Pes", most_pes), "shared"),
            Constraint(
                f"more than {most_bandwidth} GB/s", at_most("Bandwidth", most_bandwidth), "shared"
            ),
        ],
    )


def _default(baseline: str, count: int) -> dict[str, Value]:
    design: dict[str, Value] = {}
    for i in range(count):
        chosen = BASELINES[baseline]
        flow, pes, bandwidth = chosen[i] if i < len(chosen) else ("none", PES[0], BANDWIDTHS[0])
        design |= {f"Dataflow{i + 1}": flow, f"Pes{i + 1}": pes, f"Bandwidth{i + 1}": bandwidth}
    return design


def _layer_names(
    networks: Sequence[Network], chains: Sequence[Sequence[Layer]]
) -> list[tuple[str, str]]:
    """Network and layer of every layer in order."""
    names = [network.name for network in networks]
    found = []
    for i, (name, chain) in enumerate(zip(names, chains, strict=True)):
        twice = f"{name} ({names[:i].count(name) + 1})" if names.count(name) > 1 else name
        found += [(twice, layer.name) for layer in chain]
    return found


def _parts(count: int) -> list[str]:
    return [f"{name}/{i + 1}" for name in ("energy_macs", "area_um2") for i in range(count)]


def _total(parts: FloatArray) -> FloatArray:
    """Sums `(n,)` of parts `(n, k)`, one after the other."""
    total: FloatArray = np.sum(list(parts.T), axis=0)
    return total


def _features(networks: Sequence[Network], count: int) -> FloatFeatures:
    """Describes networks in [-1, 1] `(4,)`: mean and spread of their size, and both counts."""
    macs = np.log10([float(network.macs) for network in networks])
    raw = [macs.mean() / 2 - 4, macs.std(), len(networks) / 2 - 1, count / 2 - 1]
    features: FloatFeatures = np.tanh(np.array(raw)).astype(np.float32)
    return features
