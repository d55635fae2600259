"""The cost model of `Accelerator-v0`: networks on chips, combined into one answer per design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from archgym.cost_model import Costs, FloatFeatures
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.report import OperatorReport
from archgym.envs._accelerator_fidelities import Chips, NetworkCosts, NetworkModel, Template
from archgym.envs._accelerator_metrics import METRICS
from archgym.metric import FloatArray, Metric
from archgym.space import IntArray, Value

Maker = Callable[[int], Network]
"""Makes a network for a batch."""

_FOUND = (
    "batch",
    "latency_s",
    "dram_bytes",
    "macs",
    "peak_macs_per_s",
    "dram_bytes_per_s",
    "memory_bytes",
)


class Accelerator:
    """Chips that run one network or several.

    Several are combined so that a metric means the same as for one: either a latency is the
    geometric mean of theirs, or (`sum`) their runs follow each other and a batch is one of each.
    Energy and traffic alike; power, throughput, utilisation and energy-delay follow from these.

    Args:
        template: the kind of chip, with its space.
        makers: the networks by name, each made for a batch.
        batches: of a design, or the only one.
        fidelity: a name of one of the template's models.
        baseline: a name of one of its baselines, the default design.
        combine: `geomean` or `sum`.
        limits: `{metric: most}` that a feasible design may have.
    """

    def __init__(
        self,
        template: Template[Any],
        makers: Mapping[str, Maker],
        batches: Sequence[int],
        *,
        fidelity: str,
        baseline: str,
        combine: str,
        limits: Mapping[str, float],
    ) -> None:
        self.space = template.space(batches)
        self.metrics: tuple[Metric, ...] = METRICS
        self.default: Mapping[str, Value] = template.default(baseline, self.space)
        self._template, self._fidelity = template, fidelity
        self._makers, self._batches = makers, tuple(batches)
        self._sum = combine == "sum"
        self._limits = tuple(limits.items())
        self._found = (
            *_FOUND,
            *(f"energy_j/{part}" for part in template.energy_parts),
            *(f"area_mm2/{part}" for part in template.area_parts),
            *(f"traffic_bytes/{level}" for level in template.levels(fidelity)),
        )
        self._networks: dict[int, _Networks] = {}
        self._lock = Lock()
        self.features: FloatFeatures = self._at(self._batches[0]).features()

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates every design on every network."""
        found = {name: np.empty(len(designs)) for name in self._found}
        for batch, which in self._by_batch(designs):
            chips = self._template.chips(self.space, designs[which])
            costs = [model.costs(chips.designs) for model in self._at(batch).models]
            for name, values in self._gathered(batch, chips, costs).items():
                found[name][which] = values
        return self._answer(found)

    def answer(self, designs: IntArray, costs: Sequence[NetworkCosts]) -> Costs:
        """What `evaluate` says of designs whose networks cost so much, where there is one batch.

        Args:
            designs: `(n, d)`.
            costs: of each network, as its model finds them.
        """
        (batch,) = self._batches
        chips = self._template.chips(self.space, designs)
        return self._answer(dict(self._gathered(batch, chips, costs)))

    def chips_of(self, designs: IntArray) -> Chips[Any]:
        """The chips of designs `(n, d)`, or of one `(d,)`."""
        return self._template.chips(self.space, self.space.validate(designs))

    def models(self, batch: int) -> Sequence[NetworkModel[Any]]:
        """The networks at a batch."""
        return self._at(batch).models

    def _answer(self, found: dict[str, FloatArray]) -> Costs:
        """Metrics, broken rules and parts from what `_gathered` gives."""
        impossible = ~np.isfinite(found["latency_s"])
        for name in ("latency_s", "dram_bytes"):
            found[name][impossible] = np.nan
        parts = self._template.energy_parts
        energy = {part: found[f"energy_j/{part}"] / found["batch"] for part in parts}
        area = {part: found[f"area_mm2/{part}"] for part in self._template.area_parts}
        for values in energy.values():
            values[impossible] = np.nan
        latency, joules = found["latency_s"], _total(energy)
        metrics = {
            "latency_ms": 1e3 * latency,
            "throughput_inferences_per_s": found["batch"] / latency,
            "energy_mj": 1e3 * joules,
            "energy_delay_ujs": 1e6 * joules * latency,
            "power_w": joules * found["batch"] / latency,
            "area_mm2": _total(area),
            "utilisation_percent": 100.0 * found["macs"] / (latency * found["peak_macs_per_s"]),
            "dram_traffic_mb": 1e-6 * found["dram_bytes"] / found["batch"],
            "dram_bandwidth_gb_per_s": 1e-9 * found["dram_bytes_per_s"],
            "on_chip_memory_kib": found["memory_bytes"] / 1024,
        }
        breakdown = {f"energy_mj/{part}": 1e3 * values for part, values in energy.items()}
        breakdown |= {f"area_mm2/{part}": values for part, values in area.items()}
        for level in self._template.levels(self._fidelity):
            moved = 1e-6 * found[f"traffic_bytes/{level}"] / found["batch"]
            breakdown[f"traffic_mb/{level}"] = np.where(impossible, np.nan, moved)
        rules = {f"{name} above {most:g}": metrics[name] > most for name, most in self._limits}
        if self._template.rule:
            rules[self._template.rule] = impossible
        return Costs(metrics, rules, breakdown)

    def operator_reports(self, design: IntArray) -> Mapping[str, tuple[OperatorReport, ...]]:
        """The networks on one design `(d,)`, operator by operator, by workload.

        Raises:
            ValueError: if the design breaks a rule.
        """
        row = np.asarray(design).reshape(1, -1)
        broken = [name for name, wrong in self.space.violations(row).items() if wrong[0]]
        if broken:
            raise ValueError(f"design: it breaks {broken[0]!r}")
        ((batch, _),) = self._by_batch(row)
        chips = self._template.chips(self.space, row)
        models = self._at(batch).models
        return {
            name: model.report(chips.designs)
            for name, model in zip(self._makers, models, strict=True)
        }

    def _gathered(
        self, batch: int, chips: Chips[Any], costs: Sequence[NetworkCosts]
    ) -> Mapping[str, FloatArray]:
        """What metrics are made of, of chips and the costs of their networks at a batch."""
        one = np.ones(len(chips.memory_bytes))
        parts = {f"energy_j/{part}": values for part, values in self._energy(costs).items()}
        parts |= {f"area_mm2/{part}": values for part, values in chips.area_mm2.items()}
        for level in self._template.levels(self._fidelity):
            moved = [each.traffic_bytes[level] for each in costs]
            parts[f"traffic_bytes/{level}"] = self._combined(moved)
        return parts | {
            "batch": batch * one,
            "latency_s": self._combined([each.latency_s for each in costs]),
            "dram_bytes": self._combined([each.dram_bytes for each in costs]),
            "macs": self._combined([macs * one for macs in self._at(batch).macs]),
            "peak_macs_per_s": chips.peak_macs_per_s,
            "dram_bytes_per_s": chips.dram_bytes_per_s,
            "memory_bytes": chips.memory_bytes,
        }

    def _at(self, batch: int) -> _Networks:
        """The networks at a batch, made when they are first needed."""
        with self._lock:
            if batch not in self._networks:
                made = [make(batch) for make in self._makers.values()]
                models = [self._template.model(self._fidelity, network) for network in made]
                self._networks[batch] = _Networks(made, models)
            return self._networks[batch]

    def _by_batch(self, designs: IntArray) -> Iterator[tuple[int, IntArray]]:
        """The designs of each batch: its size, and their positions."""
        chosen = np.zeros(len(designs), np.int64)
        if "Batch" in self.space.names:
            chosen = designs[:, self.space.position("Batch")]
        for number, size in enumerate(self._batches):
            which = np.flatnonzero(chosen == number)
            if len(which):
                yield size, which

    def _combined(self, values: Sequence[FloatArray]) -> FloatArray:
        """One figure `(d,)` out of one per network; of a lone network that itself."""
        if len(values) == 1:
            return values[0]
        table = np.stack(values)
        mean: FloatArray = table.sum(axis=0) if self._sum else np.exp(np.log(table).mean(axis=0))
        return mean

    def _energy(self, found: Sequence[NetworkCosts]) -> Mapping[str, FloatArray]:
        """Parts of the combined energy, of a geometric mean by their mean shares of it."""
        if len(found) == 1 or self._sum:
            return {
                part: np.sum([each.energy_j[part] for each in found], axis=0)
                for part in self._template.energy_parts
            }
        totals = [_total(each.energy_j) for each in found]
        whole = self._combined(totals)
        shares = {
            part: [each.energy_j[part] / own for each, own in zip(found, totals, strict=True)]
            for part in self._template.energy_parts
        }
        return {part: whole * np.mean(each, axis=0) for part, each in shares.items()}


class _Networks:
    """Networks made for one batch, with their cost models."""

    def __init__(self, networks: Sequence[Network], models: Sequence[NetworkModel[Any]]) -> None:
        self._networks, self.models = networks, models
        self.macs = [float(network.macs) for network in networks]

    def features(self) -> FloatFeatures:
        """Describes them in [-1, 1] `(4,)`.

        Size, weights, reuse of weights, and how many there are, on scales that saturate.
        """
        macs = np.log10(np.array(self.macs))
        held = np.log10([max(1.0, float(each.parameters)) for each in self._networks])
        raw = [macs.mean() - 10, held.mean() - 8, (macs - held).mean() - 2, len(macs) - 3]
        return np.tanh(np.array(raw) / 2).astype(np.float32)


def _total(parts: Mapping[str, FloatArray]) -> FloatArray:
    """The sum of parts, one after the other."""
    total: FloatArray = np.sum(list(parts.values()), axis=0)
    return total
