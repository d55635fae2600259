"""The space `archgym2023-timeloop`: 26 choices of an Eyeriss-like template, as in 2023.

The public code of 2023 asked Timeloop, whose mapper is random and was not seeded. Here every layer
gets the best of a fixed set of greedy mappings, so that a design has one cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archgym.cost_models.accelerator.eyeriss_template import (
    AREA_PARTS,
    CLASSES,
    CLOCK_HZ,
    DRAM_WORDS,
    WORD_BITS,
    Memory,
    TemplateChips,
)
from archgym.cost_models.accelerator.loopnest import Problem, evaluate, problem_rows
from archgym.cost_models.accelerator.loopnest.architectures import architecture
from archgym.cost_models.accelerator.loopnest.greedy import GreedyMapper
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.spatial.report import OperatorReport
from archgym.envs._accelerator_fidelities import Chips, NetworkCosts, NetworkModel
from archgym.space import DesignSpace, IntArray, Parameter, Value

TIMELOOP = "archgym2023-timeloop"
# What the option `mapping` names, as mappers call it.
GOALS = {"edp": "edp", "latency": "cycles", "energy": "energy"}
_PADS = {"inputs": "InputsSpad", "weights": "WeightsSpad", "sums": "SumsSpad"}
_LEVELS = {"scratchpads": [0, 1, 2], "buffer": [3], "dram": [4]}
_PES = tuple(range(14, 337, 14))
_DEPTHS = tuple(2**i for i in range(1, 17))
_BUFFER_DEPTHS = tuple(2**i for i in range(10, 17))
_BLOCKS = (1, 2, 4)
_RATES = (2, 4, 8, 16)

BASELINES: Mapping[str, Mapping[str, Value]] = {
    # Eyeriss as in Timeloop's exercises: scratchpads of 12, 192 and 16 words, here 16, 256 and 16.
    "eyeriss": {
        "PEs": 168,
        "MeshX": 14,
        "InputsSpadDepth": 16,
        "WeightsSpadDepth": 256,
        "SumsSpadDepth": 16,
        "ColumnBufferClass": "SRAM",
        "ColumnBufferDepth": 16,
        "BufferDepth": 16384,
        "BufferBanks": 32,
        "BufferBlock": 4,
        "BufferReadWords": 16,
        "BufferWriteWords": 16,
    },
}
"""Designs that can be a task's default; the rest is smart SRAM of a word a row, two per cycle."""


class TimeloopTemplate:
    """Chips after the template of 2023."""

    energy_parts = ("products", "scratchpads", "buffer", "dram")
    area_parts = AREA_PARTS
    rule = ""

    def __init__(self, node_nm: int, least_bits: int, mapping: str) -> None:
        if least_bits > WORD_BITS:
            raise ValueError(f"least_bits: {least_bits} is not for space {TIMELOOP!r}, it has 16")
        if mapping not in GOALS:
            raise ValueError(
                f"mapping: {mapping!r} is not for space {TIMELOOP!r}, allowed: {', '.join(GOALS)}"
            )
        self._node_nm, self._mapping = node_nm, mapping

    def space(self, batches: Sequence[int]) -> DesignSpace:
        """The design space of 26 parameters."""
        return DesignSpace(_parameters())

    def default(self, baseline: str, space: DesignSpace) -> Mapping[str, Value]:
        """A baseline as a design of the space."""
        usual: dict[str, Value] = {}
        for parameter in space.parameters:
            usual[parameter.name] = parameter.values[0]
            if parameter.name.endswith("Class"):
                usual[parameter.name] = "smartbuffer_SRAM"
        return usual | dict(BASELINES[baseline])

    def chips(self, space: DesignSpace, rows: IntArray) -> Chips[TemplateChips]:
        """The chips of index rows."""
        columns = space.columns(rows)
        one = np.ones(len(rows), np.int64)

        def memory(prefix: str) -> Memory:
            kind = np.array([CLASSES.index(name) for name in columns[f"{prefix}Class"]], np.int64)
            return Memory(
                kind,
                columns[f"{prefix}Depth"],
                columns[f"{prefix}Block"],
                columns.get(f"{prefix}ReadWords", one),
                columns.get(f"{prefix}WriteWords", one),
                columns.get(f"{prefix}Banks", one),
            )

        chips = TemplateChips(
            columns["PEs"],
            columns["MeshX"],
            {name: memory(prefix) for name, prefix in _PADS.items()},
            memory("ColumnBuffer"),
            memory("Buffer"),
            self._node_nm,
        )
        return Chips(
            chips,
            np.asarray(chips.pes * CLOCK_HZ, np.float64),
            np.full(len(rows), DRAM_WORDS * WORD_BITS / 8 * CLOCK_HZ),
            chips.memory_bytes(),
            chips.area_mm2(),
        )

    def model(self, fidelity: str, network: Network) -> NetworkModel[TemplateChips]:
        """A network on such chips."""
        return MappedNetwork(network, GOALS[self._mapping])

    def levels(self, fidelity: str) -> tuple[str, ...]:
        """Levels whose traffic is told."""
        return self.energy_parts[1:]


class MappedNetwork:
    """The dense products of a network one after the other, each by a greedy mapping.

    Args:
        network: Whose other operators cost nothing here, as in 2023.
        goal: What mappings make small.
    """

    def __init__(self, network: Network, goal: str) -> None:
        self._times: dict[Problem, int] = {}
        for operator, product in network.products:
            problem = Problem.of(product)
            times = operator.count * product.batch
            self._times[problem] = self._times.get(problem, 0) + times
        template = architecture("eyeriss")
        self._mappers = [GreedyMapper(template, problem, goal) for problem in self._times]

    def costs(self, designs: TemplateChips) -> NetworkCosts:
        """Evaluates chips."""
        machines = designs.machines()
        parts = {name: np.zeros(len(designs)) for name in TimeloopTemplate.energy_parts}
        traffic = {name: np.zeros(len(designs)) for name in TimeloopTemplate.energy_parts[1:]}
        cycles = np.zeros(len(designs))
        for mapper, times in zip(self._mappers, self._times.values(), strict=True):
            row = problem_rows([mapper.problem])
            found = evaluate(machines, mapper.best(machines), row, counts=True, checked=False)
            assert found.access_pj is not None and found.reads is not None
            assert found.fills is not None and found.updates is not None
            by_level = found.access_pj.sum(axis=2)
            cycles += times * found.cycles
            parts["products"] += times * mapper.problem.macs * machines.mac_pj
            words = (found.reads + found.fills + found.updates).sum(axis=2)
            for name, levels in _LEVELS.items():
                parts[name] += times * by_level[:, levels].sum(axis=1)
                traffic[name] += times * words[:, levels].sum(axis=1) * WORD_BITS / 8
        energy = {name: 1e-12 * values for name, values in parts.items()}
        return NetworkCosts(cycles / CLOCK_HZ, energy, traffic["dram"], traffic)

    def report(self, designs: TemplateChips) -> tuple[OperatorReport, ...]:
        """Not told here.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"space: {TIMELOOP!r} has no report by operator")


def _parameters() -> list[Parameter]:
    """The 26 parameters, values as in 2023."""
    found = [
        Parameter("PEs", _PES, "processing elements", subsystem="array", ordered=True),
        Parameter("MeshX", (2, 7, 14), "columns of the array", subsystem="array", ordered=True),
    ]
    for prefix, what in (
        ("InputsSpad", "scratchpad of inputs"),
        ("WeightsSpad", "scratchpad of weights"),
        ("SumsSpad", "scratchpad of partial sums"),
    ):
        found += [*_memory(prefix, what, _DEPTHS), *_rates(prefix, what)]
    found += _memory("ColumnBuffer", "buffer of a column, which everything passes by", _DEPTHS)
    found += [
        *_memory("Buffer", "global buffer", _BUFFER_DEPTHS),
        *_rates("Buffer", "global buffer"),
    ]
    banks = Parameter("BufferBanks", (16, 32, 64, 128), "banks", subsystem="Buffer", ordered=True)
    return [*found, banks]


def _memory(prefix: str, what: str, depths: tuple[int, ...]) -> list[Parameter]:
    return [
        Parameter(f"{prefix}Class", CLASSES, f"{what}: kind of memory", subsystem=prefix),
        Parameter(f"{prefix}Depth", depths, f"{what}: rows", "", prefix, ordered=True),
        Parameter(f"{prefix}Block", _BLOCKS, f"{what}: words of a row", "", prefix, ordered=True),
    ]


def _rates(prefix: str, what: str) -> list[Parameter]:
    return [
        Parameter(f"{prefix}{kind}Words", _RATES, f"{what}: {verb} per cycle", "", prefix, True)
        for kind, verb in (("Read", "words read"), ("Write", "words written"))
    ]
