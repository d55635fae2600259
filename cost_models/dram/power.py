"""Energy of a DRAM channel from command counts and state times.

The model of Micron's technical notes TN-41-01 and TN-46-03 in the form of DRAMPower 4
(Chandrasekar et al., "Towards variation-aware system-level power estimation of DRAMs", DATE 2012):
each command adds the charge by which its current exceeds the standby current, over the time in
which the IDD measurement draws it. Per device, with currents in mA, VDD in V and times in ns,
energies are in pJ:

    activate   n_ACT (IDD0 - IDD3N) tRAS VDD
    precharge  n_PRE (IDD0 - IDD2N) (tRC - tRAS) VDD
    read       n_RD  (IDD4R - IDD3N) (BL / data rate) tCK VDD
    write      n_WR  (IDD4W - IDD3N) (BL / data rate) tCK VDD
    refresh    n_REF (IDD5 - IDD3N) tRFC VDD; a REFpb or REFsb its share, see below
    active standby     IDD3N VDD x time in which the rank has an open bank, and the first
                       tRFC - tRP of a refresh, unless in power-down
    precharge standby  IDD2N VDD x the rest of the time
    power-down         IDD3P1 VDD x time in it with a bank open, IDD2P1 VDD x with all closed
    self-refresh       IDD6 VDD x time in it

added up over the device's supplies (VDD, and VPP or VDD1 where the device states them). A device
that states energies in the place of currents gives these figures themselves, with precharge in
activate. A rank has `devices_per_rank` devices. n_PRE counts banks closed, by PRE, by the
auto-precharge of RDA and WRA, or by PREA. A per-bank or same-bank refresh takes the charge of REF
divided by the number of them per REF: that many per tREFI restore the same rows (JESD209-4 and
JESD79-5, refresh requirements), and few data sheets state a current of its own (IDD5PB, IDD5C).
Input/output and termination power is a part of its own, `termination.py`, and left out by default,
as in DRAMPower and DRAMsim3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.supply import DramCurrents
from archgym.cost_models.dram.termination import DramTermination, burst_energies_pj

FloatArray = NDArray[np.float64]

_COUNTED = (
    c.O_ACT,
    c.O_PRE,
    c.O_RD,
    c.O_WR,
    c.O_REF,
    c.O_REFPB,
    c.O_REFSB,
    c.O_ACTIVE,
    c.O_ACTIVE_DOWN,
    c.O_PRECHARGE_DOWN,
    c.O_SELF_REFRESH,
)


@dataclass(frozen=True)
class DramEnergy:
    """Energy in pJ of all devices of all ranks and channels; float arrays `(n,)`."""

    activate: FloatArray
    precharge: FloatArray
    read: FloatArray
    write: FloatArray
    refresh: FloatArray
    active_standby: FloatArray
    precharge_standby: FloatArray
    power_down: FloatArray
    self_refresh: FloatArray
    io: FloatArray

    @property
    def total(self) -> FloatArray:
        """Sum of the parts, pJ."""
        parts: list[FloatArray] = [getattr(self, each.name) for each in fields(self)]
        # In this order whatever the number of designs; a reduction of NumPy's may pair.
        return sum(parts[1:], start=parts[0])


@dataclass(frozen=True)
class RankEnergy:
    """What the devices of one rank take: pJ per command, and pJ per memory cycle in a state."""

    activate: float
    precharge: float
    read: float
    write: float
    refresh: float
    active_standby: float
    precharge_standby: float
    active_power_down: float
    precharge_power_down: float
    self_refresh: float


def rank_energy(device: DramDevice) -> RankEnergy:
    """Reduce what a device states, currents of its supplies or energies, to one form.

    Args:
        device: The device.

    Returns:
        Energies of one rank, beyond standby where they are of commands.
    """
    count = device.organisation.devices_per_rank
    e = device.energy
    if e is None:
        supplies = [(device.vdd_v, device.current_ma)]
        supplies += [(rail.voltage_v, rail.current_ma) for rail in device.rails.values()]
        parts = [
            _of_currents(device, currents, voltage * device.tCK_ps / 1000.0 * count)
            for voltage, currents in supplies
            if voltage is not None and currents is not None
        ]
        return RankEnergy(*(sum(column) for column in zip(*parts, strict=True)))
    cycle_ns = device.tCK_ps / 1000.0
    bits = device.organisation.device_width_bits * device.organisation.burst_length
    per_device = RankEnergy(
        activate=e.activate_pj,
        precharge=0.0,
        read=e.read_pj_per_bit * bits,
        write=e.write_pj_per_bit * bits,
        refresh=e.refresh_pj,
        active_standby=e.active_standby_mw * cycle_ns,
        precharge_standby=e.precharge_standby_mw * cycle_ns,
        active_power_down=e.active_power_down_mw * cycle_ns,
        precharge_power_down=e.precharge_power_down_mw * cycle_ns,
        self_refresh=e.self_refresh_mw * cycle_ns,
    )
    return RankEnergy(*(count * getattr(per_device, f.name) for f in fields(per_device)))


def _of_currents(device: DramDevice, i: DramCurrents, pj: float) -> tuple[float, ...]:
    """Figures of one supply in the order of `RankEnergy`; `pj` is of 1 mA in one cycle."""
    t = device.timing
    burst = float(device.burst_cycles)
    charges = (
        (i.IDD0 - i.IDD3N) * t.tRAS,
        (i.IDD0 - i.IDD2N) * (t.tRC - t.tRAS),
        (i.IDD4R - i.IDD3N) * burst,
        (i.IDD4W - i.IDD3N) * burst,
        (i.IDD5 - i.IDD3N) * t.tRFC,
        i.IDD3N,
        i.IDD2N,
        i.IDD3P1,
        i.IDD2P1,
        i.IDD6,
    )
    return tuple(charge * pj for charge in charges)


def energy(
    device: DramDevice,
    outputs: NDArray[np.int64],
    cycles: NDArray[np.int64],
    *,
    io_termination: bool = False,
) -> DramEnergy:
    """Energy of designs from the kernels' output rows.

    Args:
        device: The device.
        outputs: Kernel outputs `(n, OUTPUTS)`, summed over channels.
        cycles: Cycles `(n,)` for which the system is powered.
        io_termination: Whether `io` holds the power of the data lines; else it is 0.

    Returns:
        Parts in pJ, arrays `(n,)`.

    Raises:
        ValueError: If that is asked for, but the device does not state its termination.
    """
    per = rank_energy(device)
    o = device.organisation
    count = {cell: outputs[:, cell].astype(np.float64) for cell in _COUNTED}
    rank_cycles = (cycles * (o.ranks * o.channels)).astype(np.float64)
    active, active_down = count[c.O_ACTIVE], count[c.O_ACTIVE_DOWN]
    down, asleep = count[c.O_PRECHARGE_DOWN], count[c.O_SELF_REFRESH]
    refreshes = (
        count[c.O_REF]
        + count[c.O_REFPB] / device.refresh_sets("PerBank")
        + count[c.O_REFSB] / device.refresh_sets("SameBank")
    )
    return DramEnergy(
        activate=count[c.O_ACT] * per.activate,
        precharge=count[c.O_PRE] * per.precharge,
        read=count[c.O_RD] * per.read,
        write=count[c.O_WR] * per.write,
        refresh=refreshes * per.refresh,
        active_standby=(active - active_down) * per.active_standby,
        precharge_standby=(rank_cycles - active - down - asleep) * per.precharge_standby,
        power_down=active_down * per.active_power_down + down * per.precharge_power_down,
        self_refresh=asleep * per.self_refresh,
        io=_io(device, count) if io_termination else np.zeros_like(rank_cycles),
    )


def require_termination(device: DramDevice) -> DramTermination:
    """The termination that a device states; ValueError where it states none."""
    if device.termination is None:
        raise ValueError(
            f"io_termination is True, but device {device.name!r} states no termination"
        )
    return device.termination


def _io(device: DramDevice, count: Mapping[int, FloatArray]) -> FloatArray:
    o = device.organisation
    burst_ns = device.burst_cycles * device.tCK_ps / 1000.0
    # Ranks with data pins of their own (pseudo-channels) terminate for nobody else.
    on_bus = o.ranks // o.data_buses
    read, write = burst_energies_pj(require_termination(device), on_bus, burst_ns)
    return (count[c.O_RD] * read + count[c.O_WR] * write) * o.devices_per_rank
