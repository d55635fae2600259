"""Read latency under load of 16 channels of DDR5-4800AN, beside published figures of Ramulator 2.

Published: "Cleaning up the Mess" (arXiv 2510.15744). Prints the tables of `docs/curves.md`.

The traffic is that of the authors' generator. It takes turns: a stream request every `pace` turns,
and a random read once the random read before it has been issued to the DRAM. A stream request that
finds its buffer full waits for the next turn of its kind, and nothing is made up for later, so the
load gives way while the memory refreshes. Arrivals thus depend on what the memory does, and are
found step by step: what is sent so far is simulated, which tells when the pending random read is
issued and which request is refused first; then the generator goes on from there.

All channels get the same requests at the same times, so one is simulated.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.dram import DramDevice, DramSimulator, Trace, load_device, policy_row

CHANNELS = 16
# By share of reads: GB/s and ns.
PUBLISHED = {
    1.0: {35.7: 46.1, 79.5: 51.1, 102.1: 51.9, 139.1: 53.4, 177.0: 54.1, 222.9: 55.3, 258.0: 58.6},
    0.5: {35.7: 46.1, 74.0: 58.7, 101.9: 69.0, 139.9: 78.1, 166.4: 85.4, 208.1: 96.8, 239.4: 115.8},
}
PUBLISHED_PEAK_GB_PER_S = {1.0: 281.1, 0.5: 253.4}
PACES = (10_000, 40, 25, 20, 15, 12, 11, 10, 9, 8, 7, 6, 5, 4)
STREAM_COLUMNS = 8
LOOK_AHEAD = 400


def channel_of_the_paper() -> DramDevice:
    """One channel of the preset, with the mapping and the tFAW of Ramulator 2."""
    preset = load_device("ddr5-4800-16gb-x8")
    return replace(
        preset,
        organisation=replace(preset.organisation, channels=1),
        timing=replace(preset.timing, tFAW=48),
        mapping="bankgroup:3 bank:2 row:16 column:10 offset:2",
    )


def stream_line(step: int) -> int:
    """Line of a stream request: bank groups first, then banks, 8 columns of a row, rows."""
    group, step = step % 8, step // 8
    bank, step = step % 4, step // 4
    column, row = step % STREAM_COLUMNS, step // STREAM_COLUMNS
    return ((((group << 2) + bank) << 16) + row % 65536 << 6) + column


@dataclass(frozen=True)
class State:
    """Where the generator is: before `tick`, with `sent` requests sent."""

    tick: int = 0
    random_turn: bool = False
    turns: int = 0
    steps: int = 0
    sent: int = 0
    pending: int = -1  # place of the random read that is not issued yet


class Generator:
    """The requests sent so far.

    Args:
        device: One channel.
        pace: Turns of the stream per request of it.
        read_fraction: Reads among the stream's requests.
        seed: Of random lines, and of which stream requests are reads.
    """

    def __init__(self, device: DramDevice, pace: int, read_fraction: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.device, self.pace = device, pace
        self.is_write = rng.random(1 << 20) >= read_fraction
        self.lines = rng.integers(device.capacity_bytes // 64, size=1 << 16)
        self.row = policy_row("ramulator")
        self.cycle: list[int] = []
        self.write: list[bool] = []
        self.line: list[int] = []
        self.randoms: list[int] = []  # places of the random reads

    def simulate(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Latency from arrival, and the wait for room, of every request, in cycles."""
        line = np.array(self.line, np.int64)
        trace = Trace(np.array(self.cycle, np.int64), np.array(self.write, bool), line * 64)
        simulator = DramSimulator(self.device, trace, controller="ramulator", threads=1)
        times = (simulator.latencies(self.row), simulator.accept_delays(self.row))
        latency, delay = (np.rint(ns * 1000.0 / self.device.tCK_ps) for ns in times)
        return latency.astype(np.int64), delay.astype(np.int64)

    def restore(self, state: State) -> None:
        """Forget what was sent after a state."""
        del self.cycle[state.sent :], self.write[state.sent :], self.line[state.sent :]
        while self.randoms and self.randoms[-1] >= state.sent:
            self.randoms.pop()

    def send(self, tick: int, line: int, write: bool) -> None:
        """Send a request at `tick`."""
        self.cycle.append(tick)
        self.line.append(line)
        self.write.append(write)

    def advance(self, s: State, until: int) -> State:
        """Go on to `until`, with every request accepted and the pending one never issued."""
        tick, turn, turns, steps, pending = s.tick, s.random_turn, s.turns, s.steps, s.pending
        while tick < until:
            if turn:
                if pending < 0:
                    pending = len(self.cycle)
                    self.randoms.append(pending)
                    self.send(tick, int(self.lines[len(self.randoms)]), False)
                turn = False
            else:
                if turns == 0:
                    self.send(tick, stream_line(steps), bool(self.is_write[steps]))
                    steps += 1
                turns = (turns + 1) % self.pace
                turn = True
            tick += 1
        return State(tick, turn, turns, steps, len(self.cycle), pending)

    def refused(self, s: State, place: int, delay: int) -> State:
        """The state after the request at `place`, the next to be sent, is refused."""
        if s.random_turn:  # it tries again every tick
            return replace(s, tick=s.tick + delay)
        return replace(s, tick=s.tick + 1, turns=(s.turns + 1) % self.pace)

    def run(self, randoms: int) -> tuple[float, float]:
        """Bandwidth of all channels in GB/s, and mean latency of random reads in ns."""
        t = self.device.timing
        data = t.tCL + self.device.commands.RD - 1 + self.device.burst_cycles
        state = State()
        while len(self.randoms) < randoms or state.pending >= 0:
            ahead = self.advance(state, state.tick + LOOK_AHEAD)
            latency, delay = self.simulate()
            late = np.flatnonzero(delay[state.sent :] > 0)
            stop = ahead.tick
            place = -1
            if late.size:
                place = state.sent + int(late[0])
                stop = self.cycle[place]
            pending = ahead.pending
            issued = stop
            if pending >= 0 and pending != place:
                issued = int(self.cycle[pending] + latency[pending]) - data
            if issued < stop:
                self.restore(state)
                state = replace(self.advance(state, max(issued, state.tick)), pending=-1)
            elif place >= 0:
                self.restore(state)
                state = self.refused(self.advance(state, stop), place, int(delay[place]))
            else:
                state = ahead
        latency, _ = self.simulate()
        ns = self.device.tCK_ps / 1000.0
        bandwidth = CHANNELS * 64 * len(self.cycle) / (state.tick * ns)
        return bandwidth, float(latency[self.randoms].mean()) * ns


def main() -> None:
    """Prints published and own latency per load, then the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--randoms", type=int, default=1000, help="random reads per point")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reads", type=float, choices=list(PUBLISHED), action="append")
    given = parser.parse_args()
    device = channel_of_the_paper()
    for reads in given.reads or list(PUBLISHED):
        points = []
        for pace in PACES:
            point = Generator(device, pace, reads, given.seed).run(given.randoms)
            print(
                f"{reads:.0%} reads, pace {pace}: {point[0]:.1f} GB/s, {point[1]:.1f} ns",
                flush=True,
            )
            points.append(point)
        points.sort()
        bandwidth, latency = (np.array(each) for each in zip(*points, strict=True))
        print(f"\n{reads:.0%} reads\nGB/s    published ns  ours ns  error")
        for load, published in PUBLISHED[reads].items():
            ours = float(np.interp(load, bandwidth, latency))
            print(f"{load:5.1f}   {published:12.1f}  {ours:7.1f}  {ours / published - 1:+.0%}")
        peak, known = bandwidth.max(), PUBLISHED_PEAK_GB_PER_S[reads]
        print(f"peak    {known:12.1f}  {peak:7.1f}  {peak / known - 1:+.1%} (GB/s)\n")


if __name__ == "__main__":
    main()
