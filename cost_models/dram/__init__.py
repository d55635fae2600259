"""Cycle-level DRAM controller and device simulator.

`DramSimulator(device, trace).run(policies)` simulates a batch of controller designs; see
`docs/cost_models/dram.md` for the model, its sources and how far it agrees with other simulators.
"""

from archgym.cost_models.dram.devices import DramDevice, device_names, load_device
from archgym.cost_models.dram.mapping import AddressMapping
from archgym.cost_models.dram.merge import merge_traces
from archgym.cost_models.dram.policy import CONTROLLERS, PolicyField, as_policies, policy_row
from archgym.cost_models.dram.power import DramEnergy
from archgym.cost_models.dram.simulator import (
    COMMAND_NAMES,
    STALL_REASONS,
    CommandTrace,
    DramResult,
    DramSimulator,
)
from archgym.cost_models.dram.trace import Trace
from archgym.cost_models.dram.workloads import load_workload

__all__ = [
    "COMMAND_NAMES",
    "CONTROLLERS",
    "STALL_REASONS",
    "AddressMapping",
    "CommandTrace",
    "DramDevice",
    "DramEnergy",
    "DramResult",
    "DramSimulator",
    "PolicyField",
    "Trace",
    "as_policies",
    "device_names",
    "load_device",
    "load_workload",
    "merge_traces",
    "policy_row",
]
