"""The cost model behind the space `modern`: one simulator per memory, and areas and costs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import fields
from threading import Lock

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.dram import (
    CONTROLLERS,
    STALL_REASONS,
    AddressMapping,
    DramDevice,
    DramEnergy,
    DramSimulator,
    Trace,
    policy_row,
)
from archgym.cost_models.dram.bounds import bounds
from archgym.cost_models.dram.mapping import require_capacity
from archgym.envs._dram_area import buffer_area_mm2
from archgym.envs._dram_metrics import COUNTERS, METRICS, MODERN_METRICS
from archgym.envs._dram_modern_space import (
    cost,
    default_design,
    modern_space,
    organisations,
    reshaped,
)
from archgym.metric import FloatArray, Metric
from archgym.space import Columns, IntArray, Value

_MEMORY = ("Channels", "Ranks", "AddressMapping")
_SIMULATORS_KEPT = 16
_PARTS = (
    *(f"energy_pj/{each.name}" for each in fields(DramEnergy)),
    *(f"cycles/{reason}" for reason in STALL_REASONS),
)
_SIMULATED = tuple(
    metric.name for metric in MODERN_METRICS if metric.name not in ("buffer_area_mm2", "cost")
)


class ModernController:
    """The cycle-level simulator behind the modern space.

    Args:
        device: the DRAM device, whose channels and ranks are chosen.
        trace: the requests.
        allow_no_refresh: whether never to refresh is one of the choices.
        simulated: the part of the requests that designs are simulated on; all if left out.

    Raises:
        ValueError: if no memory within the cost budget holds the trace.
    """

    def __init__(
        self,
        device: DramDevice,
        trace: Trace,
        allow_no_refresh: bool,
        simulated: Trace | None = None,
    ) -> None:
        last = int(trace.address.max()) if trace.n_requests else 0
        dependent = trace.max_outstanding_reads is not None
        self.space = modern_space(device, last, allow_no_refresh, dependent)
        affordable = [p for p in organisations(device) if p[0] == 1 or not dependent]
        if not affordable:
            raise ValueError(
                f"trace {trace.name!r} limits its outstanding reads, which is simulated for one "
                f"channel only; device {device.name!r} has {device.organisation.channels}"
            )
        large = [p for p in affordable if reshaped(device, *p).capacity_bytes > last]
        if not large:
            most = max(affordable, key=lambda p: p[0] * p[1])
            require_capacity(trace.address, reshaped(device, *most), trace.name)
        self.metrics: tuple[Metric, ...] = MODERN_METRICS
        self.default: Mapping[str, Value] = default_design(device, self.space, *large[0])
        self._most_channels = max(channels for channels, _ in large)
        self._least_ranks = min(channels * ranks for channels, ranks in large)
        features = trace.features(device.tCK_ps)
        self.features: FloatFeatures = np.array(list(features.values()), np.float32) * 2 - 1
        self._device = device
        self._trace = trace
        simulated = trace if simulated is None else simulated
        self._simulators = _Simulators(device, simulated, None)
        if simulated.n_sources > 1:
            self._simulators = _Simulators(device, simulated, self._alone_ns())

    def evaluate(self, designs: IntArray) -> Costs:
        """Simulates every design on the trace; see `archgym.cost_models.dram`."""
        columns = self.space.columns(designs)
        policies = self._policies(designs)
        answers = {name: np.empty(len(designs)) for name in (*_SIMULATED, *_PARTS)}
        for which, simulator in self._by_memory(columns):
            for name, values in _answers(simulator, policies[which]).items():
                answers[name][which] = values
        answers["buffer_area_mm2"] = buffer_area_mm2(self._device, self._trace.n_sources, columns)
        answers["cost"] = cost(self._device, columns["Channels"], columns["Ranks"])
        return Costs(
            {metric.name: answers[metric.name] for metric in MODERN_METRICS},
            breakdown={name: answers[name] for name in _PARTS},
        )

    def _alone_ns(self) -> FloatArray:
        """Read latency of each source alone on the default design, ns `(sources,)`.

        One reference for all designs, so that none looks fair by being slow for everyone.
        """
        default = self.space.encode(self.default)[None]
        ((_, simulator),) = self._by_memory(self.space.columns(default))
        alone: FloatArray = simulator.latencies_alone(self._policies(default))[0]
        return alone

    def bounds(self) -> dict[str, float]:
        """What no design of the space can beat, by metric; see `cost_models.dram.bounds`."""
        return bounds(
            self._device, self._trace, channels=self._most_channels, ranks=self._least_ranks
        )

    def _policies(self, designs: IntArray) -> IntArray:
        """Rows of the controller: codes of named choices, and plain counts."""
        rows = np.repeat(policy_row("modern")[None], len(designs), axis=0)
        for k, each in enumerate(CONTROLLERS["modern"]):
            if each.name in self.space.names:
                j = self.space.position(each.name)
                values = self.space.parameters[j].values
                codes = [each.names.index(str(v)) if each.names else v for v in values]
                rows[:, k] = np.array(codes, np.int64)[designs[:, j]]
        return rows

    def _by_memory(self, columns: Columns) -> Iterator[tuple[IntArray, DramSimulator]]:
        """The designs of each memory: their positions, and its simulator."""
        memories: dict[tuple[int, int, str], list[int]] = {}
        chosen = zip(*(columns[name].tolist() for name in _MEMORY), strict=True)
        for i, memory in enumerate(chosen):
            memories.setdefault(memory, []).append(i)
        for memory in sorted(memories):
            yield np.array(memories[memory]), self._simulators.of(*memory)


class _Simulators:
    """Simulators by memory; the latest used are kept."""

    def __init__(self, device: DramDevice, trace: Trace, alone_ns: FloatArray | None) -> None:
        self._device = device
        self._trace = trace
        self._alone_ns = alone_ns
        self._kept: OrderedDict[tuple[int, int, str], DramSimulator] = OrderedDict()
        self._lock = Lock()

    def of(self, channels: int, ranks: int, mapping: str) -> DramSimulator:
        """Returns the simulator of a memory, which may be a new one."""
        memory = (channels, ranks, mapping)
        with self._lock:
            if memory not in self._kept:
                device = reshaped(self._device, channels, ranks)
                named = AddressMapping.named(mapping, device)
                self._kept[memory] = DramSimulator(
                    device,
                    self._trace,
                    mapping=named,
                    controller="modern",
                    reference_alone_ns=self._alone_ns,
                )
            self._kept.move_to_end(memory)
            while len(self._kept) > _SIMULATORS_KEPT:
                self._kept.popitem(last=False)
            return self._kept[memory]


def _answers(simulator: DramSimulator, policies: IntArray) -> dict[str, FloatArray]:
    """What the simulator says: metrics, and parts of energy and of cycles."""
    result = simulator.run(policies)
    answers = {
        metric.name: np.asarray(getattr(result, COUNTERS.get(metric.name, metric.name)), float)
        for metric in METRICS
    }
    answers["fairness"] = result.fairness
    answers["weighted_speedup"] = result.weighted_speedup
    answers["bank_refreshes"] = (result.n_ref_pb + result.n_ref_sb).astype(float)
    device = simulator.device
    ranks = device.organisation.channels * device.organisation.ranks
    rank_cycles = np.maximum(result.total_time_ns * 1000 / device.tCK_ps * ranks, 1.0)
    down = result.active_power_down_cycles + result.precharge_power_down_cycles
    answers["power_down_percent"] = 100.0 * down / rank_cycles
    answers["self_refresh_percent"] = 100.0 * result.self_refresh_cycles / rank_cycles
    for each in fields(DramEnergy):
        answers[f"energy_pj/{each.name}"] = getattr(result.energy, each.name)
    for k, reason in enumerate(STALL_REASONS):
        answers[f"cycles/{reason}"] = result.stall_cycles[:, k].astype(float)
    return answers
