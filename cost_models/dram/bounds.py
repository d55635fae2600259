"""What no controller can beat: bounds of each metric without queues and without conflicts.

Every request takes at least its best case, the data bus moves one burst at a time per channel, and
every row that the trace needs is opened once. Nothing else costs anything: rows are always open in
time, reads never wait for writes, refreshes or each other, and the devices otherwise draw the least
power of any of their states.
"""

from __future__ import annotations

import numpy as np

from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.power import rank_energy
from archgym.cost_models.dram.trace import LINE_BYTES, Trace


def bounds(device: DramDevice, trace: Trace, *, channels: int, ranks: int) -> dict[str, float]:
    """Bounds of the metrics of `DramResult` over all controllers and address mappings.

    With t_i the arrivals, n_R reads, n_W writes, b the cycles of a burst (where a line of 64 bytes
    takes several, each is counted in the sums):

        read latency   >= tCL + b, the mean and every quantile
        total time     >= t_i + tCL + b of every read, t_i + tCWL + b of every write;
                       >= t_i + min(tCL, tCWL) + (bursts from request i on) b / data buses;
                       with at most k reads outstanding, >= ceil(n_R / k) (tCL + b)
        energy         >= n_R E_RD + n_W E_WR + ceil(distinct bursts / bursts of a row) E_ACT
                       + ranks x least power of a state x least total time
        power          >= ranks x least power of a state
        bandwidth      <= bytes / least total time

    Args:
        device: The device; its own numbers of channels and ranks do not matter.
        trace: The requests.
        channels: Most channels of a design.
        ranks: Least number of ranks of a design, over all its channels.

    Returns:
        `{metric: value}`: lower bounds, upper of `bandwidth_gb_per_s`. Empty without requests;
        without reads there are none of read latencies.
    """
    if trace.n_requests == 0:
        return {}
    t, cycle_ns, burst = device.timing, device.tCK_ps / 1000.0, device.burst_cycles
    read_ns = (t.tCL + burst) * cycle_ns
    time_ns = _time_ns(device, trace, channels)
    energy = rank_energy(device)
    parts = max(1, LINE_BYTES // device.request_bytes)
    states = (
        energy.active_standby,
        energy.precharge_standby,
        energy.active_power_down,
        energy.precharge_power_down,
        energy.self_refresh,
    )
    power_mw = ranks * min(states) / cycle_ns
    writes = trace.n_requests - trace.n_reads
    o = device.organisation
    used = parts * np.unique(trace.address // (parts * device.request_bytes)).size
    rows = -(-used // (o.columns // o.burst_length))
    spent = parts * (trace.n_reads * energy.read + writes * energy.write) + rows * energy.activate
    energy_pj = spent + power_mw * time_ns
    moved = float(trace.n_requests * parts * device.request_bytes)
    found = {
        "total_time_ns": time_ns,
        "bandwidth_gb_per_s": moved / time_ns,
        "power_mw": power_mw,
        "energy_pj": energy_pj,
        "energy_per_bit_pj": energy_pj / (8.0 * moved),
    }
    if trace.n_reads:
        found |= {"read_latency_ns": read_ns, "read_latency_p99_ns": read_ns}
    return found


def _time_ns(device: DramDevice, trace: Trace, channels: int) -> float:
    """Least total time, see `bounds`."""
    t, cycle_ns, burst = device.timing, device.tCK_ps / 1000.0, device.burst_cycles
    clock_ns = (trace.clock_ps or device.tCK_ps) / 1000.0
    arrival = trace.cycle * clock_ns
    service = np.where(trace.is_write, t.tCWL, t.tCL) + burst
    parts = max(1, LINE_BYTES // device.request_bytes)
    still = np.arange(trace.n_requests, 0, -1) * parts
    buses = channels * device.organisation.data_buses
    on_bus = min(t.tCL, t.tCWL) + still * burst / buses
    least = float(np.max(arrival + np.maximum(service, on_bus) * cycle_ns))
    if trace.max_outstanding_reads:
        rounds = -(-trace.n_reads // trace.max_outstanding_reads)
        least = max(least, rounds * (t.tCL + burst) * cycle_ns)
    return least
