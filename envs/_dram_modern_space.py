"""The space `modern`: what a DRAM controller of today chooses, for any device.

Which values there are depends on the device (its refreshes, its address bits) and on the trace,
which must fit. Choices without an effect are declared as such, so that most pairs that a controller
cannot have are not designs at all; the rest are named constraints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archgym.cost_models.dram import CONTROLLERS, DramDevice
from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.mapping import NAMED_MAPPINGS, AddressMapping
from archgym.space import BoolArray, Columns, Constraint, DesignSpace, Parameter, Value

COST_BUDGET = 4.0
"""Most `cost` of a feasible design, in multiples of the device's own organisation."""

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_COUNTS = (0, 1, 2, 4, 8)
_IDLE = (16, 64, 256, 1024, 4096)
_STACKED = ("HBM", "GDDR")  # standards whose channels have no ranks to add

# An FR-FCFS controller of the usual kind: separate buffers, writes drained by watermark, rows left
# open, refreshes on time, no power-down (Rixner et al., ISCA 2000; the generic controller of
# Ramulator 2.1 has these sizes and watermarks).
_DEFAULT: Mapping[str, Value] = {
    "AddressMapping": "RoBaRaCoCh",
    "PagePolicy": "Open",
    "Scheduler": "FrFcfs",
    "RowHitCap": 0,
    "SchedulerBuffer": "ReadWrite",
    "RequestBufferSize": 32,
    "WriteDrain": "Watermark",
    "WriteHighWatermark": 80,
    "WriteLowWatermark": 20,
    "RespQueue": "Fifo",
    "Arbiter": "Simple",
    "RefreshPolicy": "AllBank",
    "RefreshMaxPostponed": 0,
    "RefreshMaxPulledin": 0,
    "PowerDownPolicy": "NoPowerDown",
}


def reshaped(device: DramDevice, channels: int, ranks: int) -> DramDevice:
    """The device with other numbers of channels and ranks; its own mapping no longer fits it."""
    organisation = dataclasses.replace(device.organisation, channels=channels, ranks=ranks)
    return dataclasses.replace(device, organisation=organisation)


def cost(
    device: DramDevice, channels: npt.NDArray[Any], ranks: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Cost of channels and ranks in that of the device's own organisation, `(n,)`.

    A channel costs its pins, interface and wires, and each rank on it its devices; interface and
    one rank count the same: channels x (1 + ranks), over the same of the device.
    """
    o = device.organisation
    own = o.channels * (1 + o.ranks)
    relative: npt.NDArray[np.float64] = channels * (1.0 + ranks) / own
    return relative


def refreshes(device: DramDevice) -> tuple[str, ...]:
    """Refresh policies that the device has."""
    t = device.timing
    known = {"AllBank": True, "PerBank": t.tRFCpb is not None, "SameBank": t.tRFCsb is not None}
    return tuple(name for name, has in known.items() if has and name in _names("RefreshPolicy"))


def modern_space(
    device: DramDevice, last_byte: int, allow_no_refresh: bool, one_channel: bool = False
) -> DesignSpace:
    """Returns the space for a device and a trace.

    Args:
        device: the device, whose channels are multiplied and whose ranks are replaced.
        last_byte: largest address of the trace.
        allow_no_refresh: whether never to refresh is one of the choices.
        one_channel: whether the trace can be simulated for one channel only.
    """
    return DesignSpace(
        [*_memory(device), *_scheduling(), *_front_end(), *_refresh(device, allow_no_refresh)],
        _constraints(device, last_byte, one_channel),
    )


def default_design(
    device: DramDevice, space: DesignSpace, channels: int, ranks: int
) -> Mapping[str, Value]:
    """Returns the default design with these channels and ranks."""
    chosen = {"Channels": channels, "Ranks": ranks, **_DEFAULT}
    return {name: value for name, value in chosen.items() if name in space.names}


def organisations(device: DramDevice) -> list[tuple[int, int]]:
    """Channels and ranks within the cost budget, the cheapest first, the device's own before."""
    o = device.organisation
    pairs = [(x, y) for x in _channels(device) for y in _ranks(device)]
    costs = {pair: float(cost(device, *np.array(pair))) for pair in pairs}
    within = [pair for pair in pairs if costs[pair] <= COST_BUDGET]
    return sorted(within, key=lambda p: (p != (o.channels, o.ranks), costs[p], p))


def _names(field: str) -> tuple[str, ...]:
    """Values of a controller's parameter."""
    return next(each.names or () for each in CONTROLLERS["modern"] if each.name == field)


def _channels(device: DramDevice) -> tuple[int, ...]:
    return tuple(device.organisation.channels * factor for factor in (1, 2, 4))


def _ranks(device: DramDevice) -> tuple[int, ...]:
    o = device.organisation
    if device.standard.startswith(_STACKED):
        return (o.ranks,)
    limit = min(
        c.MOST_RANKS,
        c.MOST_GROUPS // o.bank_groups,
        c.MOST_BANKS // (o.bank_groups * o.banks_per_group),
    )
    return tuple(sorted({o.ranks, *(ranks for ranks in (1, 2, 4) if ranks <= limit)}))


def _mappings(device: DramDevice) -> tuple[str, ...]:
    """Named mappings that the device has; channels and ranks are always powers of two."""

    def fits(name: str) -> bool:
        try:
            AddressMapping.named(name, device)
        except ValueError:
            return False
        return True

    return tuple(name for name in NAMED_MAPPINGS if fits(name))


def _memory(device: DramDevice) -> Sequence[Parameter]:
    return (
        Parameter(
            "Channels",
            _channels(device),
            "independent channels, each with a controller of its own",
            subsystem="memory",
            ordered=True,
        ),
        Parameter(
            "Ranks",
            _ranks(device),
            "sets of devices that share a channel",
            subsystem="memory",
            ordered=True,
        ),
        Parameter(
            "AddressMapping",
            _mappings(device),
            "which bits of an address select channel, rank, bank, row and column",
            subsystem="address mapping",
        ),
    )


def _scheduling() -> Sequence[Parameter]:
    return (
        Parameter(
            "PagePolicy",
            ("Open", "OpenAdaptive", "Closed", "ClosedAdaptive", "Timeout"),
            "when a row is closed: on a conflict, after each access, by what waits, or by time",
            subsystem="page policy",
        ),
        Parameter(
            "RowTimeout",
            (16, 32, 64, 128, 256, 512, 1024),
            "cycles after which an unused row is closed",
            unit="cycles",
            subsystem="page policy",
            ordered=True,
            when={"PagePolicy": ("Timeout",)},
        ),
        Parameter(
            "Scheduler",
            _names("Scheduler"),
            "which request of a bank goes next",
            subsystem="scheduler",
        ),
        Parameter(
            "RowHitCap",
            (0, 16, 8, 4, 2, 1),
            "row hits that may overtake a bank's oldest request; 0: any number",
            unit="requests",
            ordered=True,
            when={"Scheduler": ("FrFcfs", "FrFcfsGrp")},
            subsystem="scheduler",
        ),
        Parameter(
            "BatchCap",
            (1, 2, 4, 8, 16, 32),
            "requests of one source and bank in a batch",
            unit="requests",
            subsystem="scheduler",
            ordered=True,
            when={"Scheduler": ("BatchBySource",)},
        ),
        Parameter(
            "SchedulerBuffer",
            ("Bankwise", "ReadWrite", "Shared"),
            "whether request buffers are per bank, per direction, or one for all",
            subsystem="scheduler",
        ),
        Parameter(
            "RequestBufferSize",
            _SIZES,
            "entries of each request buffer",
            unit="requests",
            ordered=True,
            subsystem="scheduler",
        ),
        Parameter(
            "WriteDrain",
            ("Mixed", "Watermark"),
            "whether writes wait in line with reads, or go in bursts between two watermarks",
            when={"SchedulerBuffer": ("ReadWrite",)},
            subsystem="scheduler",
        ),
        Parameter(
            "WriteHighWatermark",
            (50, 60, 70, 80, 90, 100),
            "share of the write buffer from which it is drained",
            unit="%",
            ordered=True,
            when={"WriteDrain": ("Watermark",)},
            subsystem="scheduler",
        ),
        Parameter(
            "WriteLowWatermark",
            (0, 10, 20, 30, 40),
            "share of the write buffer down to which it is drained; always the lower one",
            unit="%",
            ordered=True,
            when={"WriteDrain": ("Watermark",)},
            subsystem="scheduler",
        ),
    )


def _front_end() -> Sequence[Parameter]:
    return (
        Parameter(
            "RespQueue",
            ("Fifo", "Reorder"),
            "whether responses return in the order of service or in the order of requests",
            subsystem="front end",
        ),
        Parameter(
            "Arbiter",
            ("Simple", "Fifo", "Reorder"),
            "how requests reach the controller: handed on, or queued with in- or out-of-order "
            "return",
            subsystem="front end",
        ),
        Parameter(
            "MaxActiveTransactions",
            _SIZES,
            "requests in flight that the arbiter allows",
            unit="requests",
            subsystem="front end",
            ordered=True,
            when={"Arbiter": ("Fifo", "Reorder")},
        ),
    )


def _refresh(device: DramDevice, allow_no_refresh: bool) -> Sequence[Parameter]:
    refreshed = {"RefreshPolicy": refreshes(device)}
    counts = tuple(count for count in _COUNTS if count <= device.movable_refreshes)
    return (
        Parameter(
            "RefreshPolicy",
            (*(("NoRefresh",) if allow_no_refresh else ()), *refreshes(device)),
            "which banks one refresh takes",
            subsystem="refresh",
        ),
        Parameter(
            "RefreshMaxPostponed",
            counts,
            "refreshes that may be postponed while the rank is busy",
            unit="refreshes",
            ordered=True,
            when=refreshed,
            subsystem="refresh",
        ),
        Parameter(
            "RefreshMaxPulledin",
            counts,
            "refreshes that may be pulled in while the rank is idle",
            unit="refreshes",
            ordered=True,
            when=refreshed,
            subsystem="refresh",
        ),
        Parameter(
            "PowerDownPolicy",
            ("NoPowerDown", "PowerDown", "SelfRefresh"),
            "how far an idle rank is switched off",
            subsystem="power-down",
        ),
        Parameter(
            "PowerDownIdle",
            _IDLE,
            "idle cycles after which a rank powers down",
            unit="cycles",
            ordered=True,
            when={"PowerDownPolicy": ("PowerDown", "SelfRefresh")},
            subsystem="power-down",
        ),
        Parameter(
            "SelfRefreshIdle",
            (8192, 16384, 32768, 65536, 131072),
            "idle cycles after which a due refresh becomes self-refresh; always the longer",
            unit="cycles",
            ordered=True,
            when={"PowerDownPolicy": ("SelfRefresh",)},
            subsystem="power-down",
        ),
    )


def _constraints(device: DramDevice, last_byte: int, one_channel: bool) -> Sequence[Constraint]:
    o = device.organisation
    part_bytes = device.capacity_bytes // (o.channels * o.ranks)

    def affordable(columns: Columns) -> BoolArray:
        within = cost(device, columns["Channels"], columns["Ranks"]) <= COST_BUDGET
        return np.asarray(within)

    def roomy(columns: Columns) -> BoolArray:
        return np.asarray(columns["Channels"] * columns["Ranks"] * part_bytes > last_byte)

    def refreshed_asleep(columns: Columns) -> BoolArray:
        asleep = columns["PowerDownPolicy"] == "SelfRefresh"
        return np.asarray(~asleep | (columns["RefreshPolicy"] != "NoRefresh"))

    dependent = Constraint(
        "reads that wait for each other on several channels",
        lambda columns: np.asarray(columns["Channels"] == 1),
        "channels are simulated one after another, so a limit of outstanding reads needs one",
    )
    return (
        *([dependent] if one_channel else []),
        Constraint(
            f"cost of channels and ranks above {COST_BUDGET:g}",
            affordable,
            "channels x (1 + ranks), relative to the device's own organisation",
        ),
        Constraint("trace larger than the memory", roomy, "channels and ranks hold every address"),
        Constraint(
            "self-refresh without refresh",
            refreshed_asleep,
            "a rank refreshes itself in the place of a refresh that is due",
        ),
    )
