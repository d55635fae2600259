"""Speed of the DRAM simulator on one core: requests per second per trace, milliseconds per design.

    python benchmarks/dram.py [--reference DIR] [--designs N] [--controller NAME]

Without reference traces the shipped and generated workloads are measured.
"""

import argparse
import ctypes
import time
from pathlib import Path

import numpy as np

from archgym.cost_models.dram import (
    CONTROLLERS,
    DramDevice,
    DramSimulator,
    Trace,
    load_device,
    policy_row,
)
from archgym.cost_models.dram.trace_formats import load_trace
from archgym.cost_models.dram.workloads import load_workload, workload_names

GRID = {
    "RequestBufferSize": (1, 2, 4, 8, 16, 32, 64, 128),
    "RefreshMaxPostponed": (1, 2, 4, 8),
    "RefreshMaxPulledin": (1, 2, 4, 8),
    "MaxActiveTransactions": (1, 2, 4, 8, 16, 32, 64, 128),
}


PROCESS = Path("/proc/self")


def random_designs(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random designs of the ten-parameter grid of 2023."""
    columns = [
        rng.integers(0, len(field.names), n) if field.names else rng.choice(GRID[field.name], n)
        for field in CONTROLLERS["dramsys"]
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def reference_traces(folder: Path) -> list[Trace]:
    """The traces of a reference folder; one more with all of `random_read` there at once."""
    traces = []
    for path in sorted((folder / "dram" / "traces").glob("*.csv.gz")):
        trace = load_trace(path)
        name = path.name.removesuffix(".csv.gz")
        limit = 1 if name == "chase" else None
        parts = (trace.is_write, trace.address, None)
        traces.append(Trace(trace.cycle, *parts, name, limit))
        if name == "random_read":
            traces.append(Trace(np.zeros_like(trace.cycle), *parts, "random_read_sat"))
    return traces


def seconds(simulator: DramSimulator, designs: np.ndarray, repeats: int) -> float:
    """Least CPU time of a batch on one thread."""
    simulator.run(designs[:1])
    times = []
    for _ in range(repeats):
        start = time.process_time()
        simulator.run(designs)
        times.append(time.process_time() - start)
    return min(times)


def print_throughput(traces: list[Trace], device: DramDevice, controller: str) -> None:
    """Requests per second of the controller's default design, per trace."""
    policy = policy_row(controller)
    rates = []
    print(f"{device.name}, controller {controller}, default design: million requests per second")
    for trace in traces:
        simulator = DramSimulator(device, trace, controller=controller, threads=1)
        best = seconds(simulator, np.stack([policy, policy]), 5) / 2
        rates.append(trace.cycle.size / best / 1e6)
        print(f"  {trace.name:24s} {rates[-1]:6.2f}")
    print(f"  {'least / median':24s} {min(rates):6.2f} / {np.median(rates):.2f}")


def print_designs(traces: list[Trace], device: DramDevice, n: int) -> None:
    """Milliseconds per random design of the grid, scaled to 10,000 requests."""
    designs = random_designs(n, np.random.default_rng(0))
    costs = []
    print(f"{device.name}, {n} random designs: ms per design and 10,000 requests")
    for trace in traces:
        best = seconds(DramSimulator(device, trace, threads=1), designs, 3)
        costs.append(best / n * 1e3 * 10_000 / trace.cycle.size)
        print(f"  {trace.name:24s} {costs[-1]:6.2f}")
    print(f"  {'mean':24s} {np.mean(costs):6.2f}")


def memory_kilobytes(field: str) -> int:
    """A figure of this process: VmRSS, what it has in memory, or VmHWM, the most it has had."""
    lines = (PROCESS / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def design_kilobytes(simulator: DramSimulator, design: np.ndarray) -> int:
    """Memory that a run of one design takes for as long as it lasts; on Linux with glibc."""
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")  # VmHWM counts from here
    before = memory_kilobytes("VmRSS")
    simulator.run(design)
    return memory_kilobytes("VmHWM") - before


def print_long(device: DramDevice, controller: str) -> None:
    """Evaluations per second of a trace of a million requests at two thirds of the peak load."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    cycles = np.cumsum(rng.geometric(1 / 6, n))
    # Runs of eight consecutive lines at random places, as several programs at once make them.
    line = 8 * np.repeat(rng.integers(0, device.capacity_bytes // 512, n // 8), 8)
    address = 64 * (line + np.tile(np.arange(8), n // 8))
    trace = Trace(cycles, rng.random(n) < 0.3, address, name="long")
    simulator = DramSimulator(device, trace, controller=controller, threads=1)
    best = seconds(simulator, policy_row(controller)[np.newaxis], 3)
    print(f"  {'a million requests':24s} {1e-6 * n / best:6.2f}, so often a second")
    if PROCESS.exists():
        design = policy_row(controller)[np.newaxis]
        four = np.arange(n) % 4
        shared = Trace(cycles, trace.is_write, address, name="shared", source=four)
        several = DramSimulator(
            device, shared, controller=controller, reference_alone_ns=np.ones(4)
        )
        several.run(design)
        for name, each in ("a design in flight", simulator), ("with four sources", several):
            print(f"  {name:24s} {design_kilobytes(each, design):6d} kB beside the trace")


def print_scaling(trace: Trace, device: DramDevice, n: int) -> None:
    """Throughput of two threads over one, in wall-clock time of one batch of random designs."""
    designs = random_designs(n, np.random.default_rng(0))
    taken = {}
    for threads in (1, 2):
        simulator = DramSimulator(device, trace, threads=threads)
        runs = []
        for _ in range(3):
            begin = time.perf_counter()
            simulator.run(designs)
            runs.append(time.perf_counter() - begin)
        taken[threads] = min(runs)
    ratio = taken[1] / taken[2]
    print(f"{device.name}, {trace.name}, {n} random designs: two threads {ratio:.2f} x one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="folder of reference figures")
    parser.add_argument("--designs", type=int, default=64, help="random designs per trace")
    parser.add_argument("--controller", choices=tuple(CONTROLLERS), help="only this controller")
    options = parser.parse_args()
    ddr4 = load_device("ddr4-2400-8gb-x8")
    ddr3 = load_device("ddr3-1600-1gb-x8")
    shipped = [load_workload(name) for name in workload_names()]
    traces = reference_traces(options.reference) if options.reference else shipped
    for controller in [options.controller] if options.controller else CONTROLLERS:
        print_throughput(traces, ddr4, controller)
        print_long(ddr4, controller)
    if options.reference:
        folder = options.reference / "dram" / "traces"
        shipped = [load_trace(path) for path in sorted(folder.glob("*.stl"))]
    print_designs(shipped, ddr3, options.designs)
    print_scaling(load_workload("mixed-heavy"), ddr3, 8 * options.designs)


if __name__ == "__main__":
    main()
