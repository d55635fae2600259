"""The DRAM simulator: a device, a trace, and batches of controller designs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.batch import batch_of
from archgym.cost_models.dram.by_source import source_result
from archgym.cost_models.dram.devices import DramDevice
from archgym.cost_models.dram.mapping import AddressMapping, require_capacity
from archgym.cost_models.dram.policy import IntArray, as_policies, controller_fields, policy_row
from archgym.cost_models.dram.power import (
    DramEnergy,
    FloatArray,
    energy,
    require_termination,
)
from archgym.cost_models.dram.trace import LINE_BYTES, Trace

COMMAND_NAMES = {
    c.ACT: "ACT",
    c.RD: "RD",
    c.WR: "WR",
    c.PRE: "PRE",
    c.RDA: "RDA",
    c.WRA: "WRA",
    c.PREAB: "PREA",
    c.REFAB: "REF",
    c.SRE: "SRE",
    c.SRX: "SRX",
    c.PDE: "PDE",
    c.PDX: "PDX",
    c.REFPB: "REFpb",
    c.REFSB: "REFsb",
}
"""Names of the command codes in `CommandTrace.command`."""

STALL_REASONS = ("command", "refresh", "bank", "data_bus", "activation", "no_request", "wake")
"""What each cycle went to, in the order of `DramResult.stall_cycles`; see there."""

_NO_LATENCY = np.empty((0, 2), np.int64)
_NO_SOURCES = np.empty((1, 0, c.SOURCE_OUTPUTS), np.int64)
_NO_COMMANDS = np.empty((0, 5), np.int64)
# Chunks that one thread takes at a time: few enough to amortise the call, many enough to balance.
_DESIGNS_PER_TASK = 8


@dataclass(frozen=True)
class DramResult:
    """What the simulator says about n designs; arrays `(n,)`, in the order of the designs.

    Attributes:
        total_time_ns: From time 0 of the trace to the last response.
        read_latency_ns: Mean over reads, from arrival in the trace to the last beat of data; NaN if
            the trace has no reads.
        read_latency_p99_ns: 99th percentile of the same (nearest rank, exact); NaN without reads.
        read_latency_from_accept_ns: Mean over reads from the entry into the controller's buffers;
            it hides the wait before a full buffer, so it is not for comparing designs. Of a read
            that takes several accesses, from the entry of the one answered last.
        bandwidth_gb_per_s: Bytes moved / total time, 10^9 bytes per second; 0 without requests.
        power_mw: Total energy / total time; 0 without requests.
        energy_pj: Energy of all devices over the total time.
        energy_per_bit_pj: Energy per bit moved; NaN without requests.
        row_hits: Accesses whose first command was their RD or WR: the row was open.
        row_misses: Accesses whose first command was an ACT: the bank was precharged.
        row_conflicts: Accesses whose first command was a PRE: another row was open. The three add
            up to the accesses that reached the DRAM; a request is one, or several, see
            `accesses_per_request`.
        n_act: ACT commands.
        n_pre: Banks precharged, by PRE, by RDA and WRA, or by PREA of an open bank.
        n_pre_by_prea: Those of them that a PREA closed.
        n_rd: RD and RDA commands.
        n_wr: WR and WRA commands.
        n_ref: REF commands (all banks).
        n_ref_pb: Per-bank refreshes, REFpb (`modern` only).
        n_ref_sb: Same-bank refreshes, REFsb (`modern` only).
        n_forwarded: Reads answered out of the write buffer (`ramulator` only).
        n_coalesced: Writes merged into one that waits (`ramulator` only).
        active_power_down_cycles: Cycles in power-down with a bank open, summed over ranks and
            channels (`modern` only).
        precharge_power_down_cycles: The same with all banks closed.
        self_refresh_cycles: Cycles in self-refresh, summed over ranks and channels.
        energy: Parts of the energy in pJ.
        stall_cycles: int64 `(n, 7)`: how many of the total memory cycles (summed over channels, to
            the last response) went to what, see `STALL_REASONS`. `command`: a command was issued.
            The others count cycles without one, by what held the next command back: `refresh` (the
            banks wait for one, or tRFC runs), `bank` (tRCD, tRP, tRAS, tRC, tRTP, tWR of its own
            bank), `data_bus` (tCCD, tWTR, tRTW, tRTRS), `activation` (tRRD, tFAW), `no_request`
            (the buffers were empty), or `wake` (tCKE, tXP, tXS after power-down and self-refresh).
        source_reads: Reads of each source of the trace, `(n, sources)`.
        source_read_latency_ns: Mean over the reads of each source, `(n, sources)`; NaN without.
        source_read_latency_p99_ns: 99th percentile of the same (nearest rank, exact).
        source_slowdown: `(n, sources)`: mean read latency of a source among the others over that
            of the same requests alone on the reference design, see `DramSimulator.alone_ns`; NaN
            without reads, 1 for a lone source.
        fairness: Largest slowdown of a source, less is better; NaN without reads.
        weighted_speedup: Sum of 1 / slowdown over the sources that read, more is better; NaN
            without reads.
    """

    total_time_ns: FloatArray
    read_latency_ns: FloatArray
    read_latency_p99_ns: FloatArray
    read_latency_from_accept_ns: FloatArray
    bandwidth_gb_per_s: FloatArray
    power_mw: FloatArray
    energy_pj: FloatArray
    energy_per_bit_pj: FloatArray
    row_hits: IntArray
    row_misses: IntArray
    row_conflicts: IntArray
    n_act: IntArray
    n_pre: IntArray
    n_pre_by_prea: IntArray
    n_rd: IntArray
    n_wr: IntArray
    n_ref: IntArray
    n_ref_pb: IntArray
    n_ref_sb: IntArray
    n_forwarded: IntArray
    n_coalesced: IntArray
    active_power_down_cycles: IntArray
    precharge_power_down_cycles: IntArray
    self_refresh_cycles: IntArray
    energy: DramEnergy
    stall_cycles: IntArray
    source_reads: IntArray
    source_read_latency_ns: FloatArray
    source_read_latency_p99_ns: FloatArray
    source_slowdown: FloatArray
    fairness: FloatArray
    weighted_speedup: FloatArray


@dataclass(frozen=True)
class CommandTrace:
    """DRAM commands in the order of issue, per channel; int64 arrays of one length.

    `row` and `column` are those of the request the command serves, -1 where it serves none;
    rank-wide commands (PREA, REF, SRE, SRX, PDE, PDX) have -1 in `bankgroup` and `bank`
    too, REFsb in `bankgroup`. A REFpb of several banks names the first. Codes of `command` are
    those of `COMMAND_NAMES`.
    """

    cycle: IntArray
    command: IntArray
    rank: IntArray
    bankgroup: IntArray
    bank: IntArray
    row: IntArray
    column: IntArray
    channel: IntArray


class DramSimulator:
    """Simulates batches of controller designs on one device and one trace.

    Args:
        device: The DRAM device.
        trace: Requests for lines of `line_bytes`.
        line_bytes: Bytes that a request of the trace asks for. Where the device moves fewer at a
            time, a request becomes several accesses, to the addresses in turn, and is answered
            with the last. Where it moves more, a request moves `device.request_bytes`.
        mapping: Address mapping, by default the device's.
        controller: `dramsys` (ten parameters, semantics of DRAMSys 4.0), `modern` (those and more)
            or `ramulator` (repeats Ramulator 2.1's generic DDR controller); see
            `policy.CONTROLLERS`.
        io_termination: Whether the energy holds the power of the data lines' drivers and
            terminations (part `io`), which the device must then state.
        threads: Threads that share a batch; by default `NUMBA_NUM_THREADS` of the environment,
            else the machine's CPU count.
        reference_alone_ns: What `alone_ns` is to be, one latency per source: that of another
            simulator, where designs on several devices or mappings are compared.

    Attributes:
        accesses_per_request: Accesses of the device that a request of the trace takes.

    Raises:
        ValueError: If an address is beyond the device, the mapping does not fit it or splits a line
            between channels, the controller is unknown, the device states no termination though
            io_termination is asked for, the number of threads is not positive,
            `reference_alone_ns` does not fit the trace, or the trace limits its outstanding reads
            and the device has several channels, which are simulated one after another.
    """

    def __init__(
        self,
        device: DramDevice,
        trace: Trace,
        *,
        mapping: AddressMapping | None = None,
        controller: str = "dramsys",
        threads: int | None = None,
        line_bytes: int = LINE_BYTES,
        reference_alone_ns: ArrayLike | None = None,
        io_termination: bool = False,
    ) -> None:
        require_capacity(trace.address, device, trace.name)
        mapping = AddressMapping.parse(device.mapping) if mapping is None else mapping
        mapping.check(device)
        if io_termination:
            require_termination(device)
        parts = _parts(device, mapping, line_bytes)
        self.device = device
        self.trace = trace
        self.mapping = mapping
        controller_fields(controller)
        self.controller = controller
        self._io_termination = io_termination
        self._threads = _thread_count(threads)
        self.accesses_per_request = parts
        self._line_bytes = line_bytes
        self._reference_alone_ns = _checked_alone(reference_alone_ns, trace.n_sources)
        o = device.organisation
        place = mapping.decode(_split(trace.address, parts, device.request_bytes))
        # Channels are simulated one after another, so each has its requests side by side.
        self._order = np.argsort(place.channel, kind="stable")
        bank = (place.rank * o.bank_groups + place.bankgroup) * o.banks_per_group + place.bank
        counts = np.bincount(place.channel, minlength=o.channels)
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        if trace.max_outstanding_reads is not None and o.channels > 1:
            raise ValueError(
                f"trace {trace.name!r} limits its outstanding reads, which is simulated for one "
                f"channel only; device {device.name!r} has {o.channels}"
            )
        if place.row.size > c.MOST_REQUESTS:
            raise ValueError(
                f"trace {trace.name} has {place.row.size} requests, must have at most "
                f"{c.MOST_REQUESTS}"
            )
        requests = np.zeros((place.row.size, c.REQUEST_CELLS), np.int64)
        requests[:, c.Q_ARRIVAL] = np.repeat(_arrival_cycles(trace, device), parts)
        requests[:, c.Q_HOME] = bank
        requests[:, c.Q_ROW] = place.row
        requests[:, c.Q_COLUMN] = place.column
        requests[:, c.Q_WRITE] = np.repeat(trace.is_write, parts)
        if trace.source is not None:
            requests[:, c.Q_SOURCE] = np.repeat(trace.source, parts)
        self._requests: IntArray = requests[self._order].ravel()
        self._model = (
            trace.max_outstanding_reads or 0,
            device.geometry_vector(parts),
            _timing(device, controller),
        )

    def run(self, policies: ArrayLike | Mapping[str, ArrayLike]) -> DramResult:
        """Simulate designs.

        Args:
            policies: Designs, see `policy.as_policies`.

        Returns:
            Metrics per design; the same for every order of designs and number of threads.

        Raises:
            ValueError: If a policy value is not allowed, or the device has no such refresh.
        """
        outputs, sources = self._simulate(self._rows(policies))
        return self._result(outputs, sources)

    def _simulate(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Result vectors of designs, and of each source where there are several."""
        outputs = np.zeros((rows.shape[0], c.OUTPUTS), np.int64)
        n_sources = self.trace.n_sources if self.trace.n_sources > 1 else 0
        sources = np.zeros((rows.shape[0], n_sources, c.SOURCE_OUTPUTS), np.int64)
        starts = range(0, rows.shape[0], _DESIGNS_PER_TASK)
        run_batch = batch_of(self.controller)

        def work(start: int) -> None:
            part = slice(start, start + _DESIGNS_PER_TASK)
            arguments = (rows[part], _NO_LATENCY, _NO_COMMANDS, outputs[part], sources[part])
            run_batch(self._requests, self._starts, *self._model, *arguments)

        threads = min(self._threads, len(starts))
        if threads <= 1:
            for start in starts:
                work(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(work, starts):
                    pass
        return outputs, sources

    @cached_property
    def alone_ns(self) -> FloatArray:
        """Mean read latency of each source alone on the reference design, ns `(sources,)`.

        The reference is the controller's default design on this device and mapping, or what
        `reference_alone_ns` gave. It is the same for all designs, so that none gains by being slow
        for a source alone.
        """
        if self._reference_alone_ns is not None:
            return self._reference_alone_ns
        alone: FloatArray = self.latencies_alone(policy_row(self.controller)[np.newaxis])[0]
        return alone

    def latencies_alone(self, policies: ArrayLike | Mapping[str, ArrayLike]) -> FloatArray:
        """Mean read latency of each source alone on each design, ns `(n, sources)`.

        `source_read_latency_ns` over this is how much the sources disturb each other, and nothing
        else: the slowdown in the sense of alone on the same system.
        """
        rows = self._rows(policies)
        alone = [self._of_source(s) for s in range(self.trace.n_sources)]
        return np.stack([each.run(rows).read_latency_ns for each in alone], axis=1)

    def _of_source(self, source: int) -> DramSimulator:
        return DramSimulator(
            self.device,
            self.trace.of_source(source),
            mapping=self.mapping,
            controller=self.controller,
            threads=self._threads,
            line_bytes=self._line_bytes,
        )

    def latencies(self, policy: ArrayLike | Mapping[str, ArrayLike]) -> FloatArray:
        """Latency of every request, arrival to last data, in ns `(requests,)`, of one design."""
        return self._waits(policy)[:, 0]

    def accept_delays(self, policy: ArrayLike | Mapping[str, ArrayLike]) -> FloatArray:
        """Time from arrival to the entry into the buffers, in ns `(requests,)`, of one design."""
        return self._waits(policy)[:, 1]

    def _waits(self, policy: ArrayLike | Mapping[str, ArrayLike]) -> FloatArray:
        """Time from arrival to the answer and to the entry into the buffers, ns `(requests, 2)`."""
        waits = np.zeros((self._order.size, 2), np.int64)
        self._run_one(policy, waits, _NO_COMMANDS, self._starts)
        in_trace_order = np.empty_like(waits)
        in_trace_order[self._order] = waits
        last = in_trace_order.reshape(-1, self.accesses_per_request, 2).max(axis=1)
        ns: FloatArray = last.astype(np.float64) * (self.device.tCK_ps / 1000.0)
        return ns

    def command_trace(self, policy: ArrayLike | Mapping[str, ArrayLike]) -> CommandTrace:
        """Every DRAM command that one design issues."""
        parts = []
        for channel in range(self._starts.size - 1):
            bounds = self._starts[channel : channel + 2]
            count = int(self._run_one(policy, _NO_LATENCY, _NO_COMMANDS, bounds)[c.O_COMMANDS])
            part = np.zeros((count, 5), np.int64)
            self._run_one(policy, _NO_LATENCY, part, bounds)
            # Power-down is booked when it ends.
            parts.append(part[np.argsort(part[:, 0], kind="stable")])
        commands = np.concatenate(parts)
        lengths = [part.shape[0] for part in parts]
        o = self.device.organisation
        cycle, command, bank, row, column = commands.T
        of_rank = (command >= c.PREAB) & (command < c.REFPB)
        per_rank = o.bank_groups * o.banks_per_group
        return CommandTrace(
            cycle=cycle,
            command=command,
            rank=bank // per_rank,
            bankgroup=np.where(
                of_rank | (command == c.REFSB), -1, bank % per_rank // o.banks_per_group
            ),
            bank=np.where(of_rank, -1, bank % o.banks_per_group),
            row=row,
            column=column,
            channel=np.repeat(np.arange(len(parts)), lengths),
        )

    def _rows(self, policies: ArrayLike | Mapping[str, ArrayLike]) -> IntArray:
        """Checked designs, whose kinds of refresh the device has."""
        rows = as_policies(policies, self.controller)
        if self.controller == "modern":
            t = self.device.timing
            for code, name, field, cycle in (
                (c.REFRESH_PER_BANK, "PerBank", "tRFCpb", t.tRFCpb),
                (c.REFRESH_SAME_BANK, "SameBank", "tRFCsb", t.tRFCsb),
            ):
                bad = np.flatnonzero(rows[:, c.P_REFRESH] == code)
                if bad.size and cycle is None:
                    raise ValueError(
                        f"policy field RefreshPolicy of design {int(bad[0])} is {name}, but device "
                        f"{self.device.name!r} has no timing.{field}"
                    )
            self._require_movable(rows)
        return rows

    def _require_movable(self, rows: IntArray) -> None:
        """Refuse designs that move more refreshes than the device allows."""
        most = self.device.movable_refreshes
        refreshes = rows[:, c.P_REFRESH] != c.REFRESH_NONE
        for column, field in (
            (c.P_POSTPONED, "RefreshMaxPostponed"),
            (c.P_PULLED_IN, "RefreshMaxPulledin"),
        ):
            bad = np.flatnonzero(refreshes & (rows[:, column] > most))
            if bad.size:
                raise ValueError(
                    f"policy field {field} of design {int(bad[0])} is "
                    f"{int(rows[bad[0], column])}, but device {self.device.name!r} allows at most "
                    f"{most} (movable_refreshes)"
                )

    def _run_one(
        self,
        policy: ArrayLike | Mapping[str, ArrayLike],
        latency: IntArray,
        commands: IntArray,
        starts: IntArray,
    ) -> IntArray:
        one = policy if isinstance(policy, Mapping) else np.atleast_2d(policy)
        rows = self._rows(one)
        if rows.shape[0] != 1:
            raise ValueError(f"policy holds {rows.shape[0]} designs, must hold one")
        outputs = np.zeros((1, c.OUTPUTS), np.int64)
        arguments = (rows, latency, commands, outputs, _NO_SOURCES)
        batch_of(self.controller)(self._requests, starts, *self._model, *arguments)
        row: IntArray = outputs[0]
        return row

    def _result(self, outputs: IntArray, sources: IntArray) -> DramResult:
        ns = self.device.tCK_ps / 1000.0
        alone_ns = self.alone_ns if sources.shape[1] > 0 else None
        if alone_ns is None:
            sources = outputs[:, np.newaxis, [c.O_READS, c.O_LATENCY, c.O_LATENCY_P99]]
        by_source = source_result(sources, alone_ns, ns)
        cycles = outputs[:, c.O_CYCLES]
        time_ns = cycles.astype(np.float64) * ns
        parts = energy(self.device, outputs, cycles, io_termination=self._io_termination)
        total_pj = parts.total
        reads = outputs[:, c.O_READS]
        moved = float(self._order.size * self.device.request_bytes)
        return DramResult(
            total_time_ns=time_ns,
            read_latency_ns=_ratio(outputs[:, c.O_LATENCY].astype(np.float64) * ns, reads, np.nan),
            read_latency_p99_ns=np.where(reads > 0, outputs[:, c.O_LATENCY_P99] * ns, np.nan),
            read_latency_from_accept_ns=_ratio(
                outputs[:, c.O_LATENCY_ACCEPTED].astype(np.float64) * ns, reads, np.nan
            ),
            bandwidth_gb_per_s=_ratio(np.full_like(time_ns, moved), time_ns, 0.0),
            power_mw=_ratio(total_pj, time_ns, 0.0),
            energy_pj=total_pj,
            energy_per_bit_pj=total_pj / (8.0 * moved) if moved else np.full_like(time_ns, np.nan),
            row_hits=outputs[:, c.O_HITS].copy(),
            row_misses=outputs[:, c.O_MISSES].copy(),
            row_conflicts=outputs[:, c.O_CONFLICTS].copy(),
            n_act=outputs[:, c.O_ACT].copy(),
            n_pre=outputs[:, c.O_PRE].copy(),
            n_pre_by_prea=outputs[:, c.O_PREAB_BANKS].copy(),
            n_rd=outputs[:, c.O_RD].copy(),
            n_wr=outputs[:, c.O_WR].copy(),
            n_ref=outputs[:, c.O_REF].copy(),
            n_ref_pb=outputs[:, c.O_REFPB].copy(),
            n_ref_sb=outputs[:, c.O_REFSB].copy(),
            n_forwarded=outputs[:, c.O_FORWARDED].copy(),
            n_coalesced=outputs[:, c.O_COALESCED].copy(),
            active_power_down_cycles=outputs[:, c.O_ACTIVE_DOWN].copy(),
            precharge_power_down_cycles=outputs[:, c.O_PRECHARGE_DOWN].copy(),
            self_refresh_cycles=outputs[:, c.O_SELF_REFRESH].copy(),
            energy=parts,
            stall_cycles=outputs[:, c.O_STALL : c.O_STALL + c.STALLS].copy(),
            source_reads=by_source.reads,
            source_read_latency_ns=by_source.latency_ns,
            source_read_latency_p99_ns=by_source.latency_p99_ns,
            source_slowdown=by_source.slowdown,
            fairness=by_source.fairness,
            weighted_speedup=by_source.weighted_speedup,
        )


def _timing(device: DramDevice, controller: str) -> IntArray:
    """The device's timing vector, with Ramulator 2.1's cross-rank rules where it is repeated.

    That simulator lets RD to WR of another rank follow after burst + tRTRS, and WR to WR of another
    rank after the burst alone, which puts two ranks on the data bus at once.
    """
    vector = device.timing_vector()
    if controller == "ramulator" and device.organisation.data_buses == 1:
        vector[c.T_RD_WR_RANK - c.TIMING_BASE] = vector[c.T_RD_RD_RANK - c.TIMING_BASE]
        vector[c.T_WR_WR_RANK - c.TIMING_BASE] = vector[c.T_BURST - c.TIMING_BASE]
    return vector


def _parts(device: DramDevice, mapping: AddressMapping, line_bytes: int) -> int:
    """Accesses that a line takes; ValueError where they are not all in one channel."""
    if line_bytes < 1 or line_bytes & (line_bytes - 1):
        raise ValueError(f"line_bytes is {line_bytes}, must be a power of two")
    parts = max(1, line_bytes // device.request_bytes)
    low = 0
    for name, bits in reversed(mapping.parts):
        if name == "channel" and bits > 0 and parts > 1 and 1 << low < line_bytes:
            raise ValueError(
                f"mapping of device {device.name!r}: field channel begins at bit {low}, must not "
                f"split a line of {line_bytes} bytes"
            )
        low += bits
    return parts


def _split(address: IntArray, parts: int, request_bytes: int) -> IntArray:
    """Addresses of the accesses of each line, in turn."""
    if parts == 1:
        return address
    first = address - address % (parts * request_bytes)
    return (first[:, np.newaxis] + np.arange(parts) * request_bytes).ravel()


def _arrival_cycles(trace: Trace, device: DramDevice) -> IntArray:
    """First memory cycle at or after each arrival, so that no request is seen early."""
    if trace.clock_ps is None:
        return trace.cycle
    picoseconds = trace.cycle * trace.clock_ps
    cycles: IntArray = -(-picoseconds // device.tCK_ps)
    return cycles


def _ratio(numerator: FloatArray, denominator: FloatArray | IntArray, empty: float) -> FloatArray:
    """Elementwise ratio, `empty` where the denominator is 0."""
    result = np.full(numerator.shape, empty)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _checked_alone(latencies: ArrayLike | None, n_sources: int) -> FloatArray | None:
    if latencies is None:
        return None
    values = np.asarray(latencies, np.float64)
    if values.shape != (n_sources,) or (values <= 0).any():
        raise ValueError(
            f"reference_alone_ns is {values.tolist()}, must be {n_sources} positive latencies"
        )
    return values


def _thread_count(threads: int | None) -> int:
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads is {threads}, must be at least 1")
        return threads
    setting = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(setting) if setting.isdigit() and int(setting) > 0 else os.cpu_count() or 1
