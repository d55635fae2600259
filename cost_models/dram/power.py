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
    refresh    n_REF (IDD5 - IDD3N) tRFC VDD
    active standby     IDD3N VDD x time in which the rank has an open bank, and the first
                       tRFC - tRP of a refresh, unless in power-down
    precharge standby  IDD2N VDD x the rest of the time
    power-down         IDD3P1 VDD x time in it with a bank open, IDD2P1 VDD x with all closed
    self-refresh       IDD6 VDD x time in it

and a rank has `devices_per_rank` of them. n_PRE counts banks closed, by PRE, by the auto-precharge
of RDA and WRA, or by PREA. Input/output and termination power is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.devices import DramDevice

FloatArray = NDArray[np.float64]


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

    @property
    def total(self) -> FloatArray:
        """Sum of the parts, pJ."""
        return (
            self.activate
            + self.precharge
            + self.read
            + self.write
            + self.refresh
            + self.active_standby
            + self.precharge_standby
            + self.power_down
            + self.self_refresh
        )


def energy(device: DramDevice, outputs: NDArray[np.int64], cycles: NDArray[np.int64]) -> DramEnergy:
    """Energy of designs from the kernels' output rows.

    Args:
        device: The device.
        outputs: Kernel outputs `(n, OUTPUTS)`, summed over channels.
        cycles: Cycles `(n,)` for which the system is powered.

    Returns:
        Parts in pJ, arrays `(n,)`.
    """
    i = device.current_ma
    t = device.timing
    o = device.organisation
    pj = device.vdd_v * device.tCK_ps / 1000.0 * o.devices_per_rank
    burst = float(device.burst_cycles)

    def part(column: int, current: float, duration: float) -> FloatArray:
        product: FloatArray = outputs[:, column].astype(np.float64) * (current * duration * pj)
        return product

    rank_cycles = cycles * (o.ranks * o.channels)
    active = outputs[:, c.O_ACTIVE]
    active_down = outputs[:, c.O_ACTIVE_DOWN]
    precharge_down = outputs[:, c.O_PRECHARGE_DOWN]
    idle = rank_cycles - active - precharge_down - outputs[:, c.O_SELF_REFRESH]
    down_pj = part(c.O_ACTIVE_DOWN, i.IDD3P1, 1.0) + part(c.O_PRECHARGE_DOWN, i.IDD2P1, 1.0)
    return DramEnergy(
        activate=part(c.O_ACT, i.IDD0 - i.IDD3N, t.tRAS),
        precharge=part(c.O_PRE, i.IDD0 - i.IDD2N, t.tRC - t.tRAS),
        read=part(c.O_RD, i.IDD4R - i.IDD3N, burst),
        write=part(c.O_WR, i.IDD4W - i.IDD3N, burst),
        refresh=part(c.O_REF, i.IDD5 - i.IDD3N, t.tRFC),
        active_standby=(active - active_down).astype(np.float64) * (i.IDD3N * pj),
        precharge_standby=idle.astype(np.float64) * (i.IDD2N * pj),
        power_down=down_pj,
        self_refresh=part(c.O_SELF_REFRESH, i.IDD6, 1.0),
    )
