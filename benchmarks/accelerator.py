"""Speed of the accelerator models on one core: points (design x operator) per second.

    python benchmarks/accelerator.py [--reference DIR] [--designs N]

SCALE-Sim and ZigZag stand beside where they are installed (see ARCHGYM_SCALESIM_PYTHON in
docs/accelerator.md and ARCHGYM_ZIGZAG_PYTHON in docs/mapping.md), with ratios of one run. With a
folder of reference figures, SCALE-Sim's time per layer as that folder tells it stands beside
(CPU seconds on another machine). The array versions run on NumPy and, where it is installed, torch,
on a CUDA device too where there is one.
"""

import argparse
import csv
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from archgym.cost_models.accelerator.chip import (
    DRAM_NAMES,
    ChipDesigns,
    format_number,
)
from archgym.cost_models.accelerator.chip_costs import ChipModel
from archgym.cost_models.accelerator.external import (
    ScaleSimArray,
    installed_scalesim,
    installed_zigzag,
)
from archgym.cost_models.accelerator.kernels import roofline_totals, systolic_totals
from archgym.cost_models.accelerator.llm import LLM_MODES, llm_costs, llm_designs
from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    Machines,
    Mappings,
    Problem,
    evaluate,
    evaluate_arrays,
    problem_rows,
    zigzag,
)
from archgym.cost_models.accelerator.loopnest.zigzag_mapping import zigzag_mapping
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.networks.language import Decoder
from archgym.cost_models.accelerator.roofline import Machine, roofline
from archgym.cost_models.accelerator.systolic import DATAFLOWS, SystolicDesigns, systolic
from archgym.cost_models.accelerator.work import Products, moved, products_of, work_of

NEST_LAYERS = (
    ("3 x 3", Problem(k=128, c=64, p=28, q=28, r=3, s=3)),
    ("3 x 3, stride 2", Problem(k=128, c=64, p=28, q=28, r=3, s=3, stride_h=2, stride_w=2)),
    ("1 x 1", Problem(k=256, c=64, p=56, q=56)),
)
NETWORKS = (("resnet50", None), ("mobilenet-v2", None), ("bert-base", None), ("gpt2", "decode"))


def random_machines(n: int, rng: np.random.Generator) -> Machine:
    """Designs with two memory levels."""

    def drawn(low: float, high: float, *shape: int) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), (n, *shape)))

    return Machine(
        drawn(1e11, 1e14), drawn(1e10, 1e12), drawn(0.1, 2), drawn(0.1, 2),
        rng.choice([0.5, 1.0, 2.0], n), rng.choice([1.0, 2.0], n), rng.choice([1.0, 2.0], n),
        drawn(1e3, 1e7, 2), drawn(1e10, 1e13, 2), drawn(0.1, 200, 2), drawn(0.1, 10),
    )  # fmt: skip


def random_arrays(n: int, rng: np.random.Generator) -> SystolicDesigns:
    """Systolic arrays from 8 x 8 to 128 x 128."""
    sizes = np.array([8.0, 16, 32, 64, 128])
    sizes_held = 2.0 ** rng.integers(12, 22, (3, n))
    one = np.ones(n)
    return SystolicDesigns(
        rng.choice(sizes, n),
        rng.choice(sizes, n),
        rng.integers(0, 3, n).astype(np.float64),
        *sizes_held,
        rng.choice([4.0, 16.0, 64.0], n),
        one,
        one,
        one,
        4 * one,
    )


def seconds(call: Callable[[], Any], repeats: int = 5) -> float:
    """Least CPU time of a call on one thread, compiled before."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def print_kernels(n: int) -> float:
    """Compiled sums over networks; returns the seconds per systolic point of ResNet-50."""
    rng = np.random.default_rng(0)
    machines, arrays = random_machines(n, rng), random_arrays(n, rng)
    cost = 0.0
    print(f"sums over a network, compiled, {n:,} designs: million points per second and core")
    print(f"  {'network':24s} {'roofline':>10s} {'systolic':>10s}")
    for name, stage in NETWORKS:
        network = load_network(name, stage=stage)
        work, products = work_of(network), products_of(network)
        line = seconds(lambda w=work: roofline_totals(w, machines)) / (n * len(work.names))
        fold = seconds(lambda p=products: systolic_totals(p, arrays)) / (n * len(products.names))
        cost = cost or fold
        label = f"{name} {stage or ''}"
        print(f"  {label:24s} {1e-6 / line:10.1f} {1e-6 / fold:10.1f}")
    return cost


def print_arrays(n: int) -> None:
    """The array versions, on one thread of NumPy and torch, and on a CUDA device."""
    rng = np.random.default_rng(0)
    work = work_of(load_network("resnet50"))
    machines = random_machines(n, rng)
    points = n * len(work.names)
    rates = {"numpy": points / seconds(lambda: roofline(work, machines), 3)}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        there = to_torch(machines, "cpu")
        rates["torch, CPU"] = points / seconds(lambda: roofline(work, there), 3)
        if torch.cuda.is_available():
            rates["torch, CUDA"] = cuda_rate(work, random_machines(1 << 18, rng))
    print("roofline of ResNet-50 with all figures per operator: million points per second")
    for name, rate in rates.items():
        print(f"  {name:24s} {rate / 1e6:10.1f}")
    arrays = random_arrays(n, rng)
    products = products_of(load_network("resnet50"))
    rate = n * len(products.names) / seconds(lambda: systolic(products, arrays), 3)
    print("systolic arrays likewise")
    print(f"  {'numpy':24s} {rate / 1e6:10.1f}")


def to_torch(machines: Machine, device: str) -> Machine:
    """The designs as tensors of single precision on CUDA, double on a CPU."""
    import torch

    kind = torch.float64 if device == "cpu" else torch.float32
    names = machines.__annotations__
    return Machine(*(torch.asarray(getattr(machines, f), dtype=kind, device=device) for f in names))


def cuda_rate(work: Any, machines: Machine) -> float:
    """Points per second of wall-clock time on a CUDA device, in single precision."""
    import torch

    there = to_torch(machines, "cuda")
    on_device = moved(work, there.peak_macs_per_s)
    best = np.inf
    for _ in range(5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        roofline(on_device, there)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return float(there.peak_macs_per_s.shape[0] * len(work.names) / best)


def random_chips(n: int, rng: np.random.Generator) -> ChipDesigns:
    """Chips with 8-bit integers and memories of 8 KiB to 2 MiB."""
    sizes = np.array([8.0, 16, 32, 64, 128])
    eight = np.full(n, format_number("int8"))
    return ChipDesigns(
        rng.choice(sizes, n),
        rng.choice(sizes, n),
        rng.integers(0, 3, n).astype(np.float64),
        *2.0 ** rng.integers(13, 22, (3, n)),
        np.ones(n),
        np.ones(n),
        np.full(n, 64.0),
        rng.integers(0, len(DRAM_NAMES), n),
        np.ones(n),
        eight,
        eight,
    )


def print_chips(n: int) -> None:
    """Whole chips per second, in batches and alone."""
    designs = random_chips(n, np.random.default_rng(0))
    print(f"whole chips, {n:,} designs: thousand per second and core, milliseconds of one alone")
    for name, stage in NETWORKS:
        model = ChipModel(load_network(name, stage=stage))
        many = seconds(lambda m=model: m.costs(designs), 3)
        alone = seconds(lambda m=model: m.costs(designs.part(0, 1)))
        label = f"{name} {stage or ''}"
        print(f"  {label:24s} {1e-3 * n / many:10.1f} {1e3 * alone:10.2f}")


def print_llm(n: int) -> None:
    """Stages of a language model per second."""
    size = Decoder("", 32, 4096, 14336, 32, 8, 128256)
    rng = np.random.default_rng(0)
    designs = llm_designs(
        peak_tops=rng.uniform(50, 1000, n), bandwidth_gb_per_s=rng.uniform(100, 4000, n)
    )
    print(f"decode of Llama 3 8B, {n:,} designs: million designs per second and core")
    for mode in LLM_MODES:
        cost = seconds(
            lambda m=mode: llm_costs(size, designs, batch=8, context=1024, stage="decode", mode=m)
        )
        print(f"  {mode:24s} {1e-6 * n / cost:10.1f}")


def random_mappings(problem: Problem, n: int, rng: np.random.Generator) -> Mappings:
    """Prime factors of every bound drawn onto three levels and an array, in any order of loops."""
    temporal, spatial_x, spatial_y = (np.ones((n, 3, 7), np.int32) for _ in range(3))
    for d, bound in enumerate(problem.sizes):
        factor = 2
        while bound > 1:
            if bound % factor:
                factor += 1
                continue
            bound //= factor
            place = rng.integers(0, 4, n)
            for level in range(3):
                temporal[place == level, level, d] *= factor
            (spatial_x if d % 2 else spatial_y)[place == 3, 1, d] *= factor
    order = rng.permuted(np.tile(np.arange(7, dtype=np.uint8), (n, 3, 1)), axis=2)
    return Mappings(temporal, order, spatial_x, spatial_y, np.ones((n, 3, 3), np.bool_))


def mappings_part(mappings: Mappings, n: int) -> Mappings:
    """The first mappings."""
    return Mappings(*(array[:n] for array in vars(mappings).values()))


def nest_hierarchy() -> Hierarchy:
    """Three levels of memory and an array that takes whatever a random mapping lays on it."""
    sram, array = (64.0, 64.0, 6.0, 6.0), {"fanout_x": 1 << 20, "fanout_y": 1 << 20}
    registers = Level("RF", 512, 4, 4, 1, 1)
    dram = Level("DRAM", np.inf, 16, 16, 200, 200)
    return Hierarchy((registers, Level("GLB", 1 << 17, *sram, **array), dram), 1.0)


def print_loopnest(n: int) -> float:
    """Loop nests on three levels of memory; returns the seconds per point."""
    machines, rng = Machines.of([nest_hierarchy()]), np.random.default_rng(0)
    print(f"loop nests, {n:,} random mappings of a layer: million points per second and core")
    print(f"  {'layer':24s} {'totals':>10s} {'accesses':>10s} {'imperfect':>10s} {'arrays':>10s}")
    cost = 0.0
    for name, layer in NEST_LAYERS:
        rows, drawn = problem_rows([layer]), random_mappings(layer, n, rng)
        totals = seconds(lambda r=rows, m=drawn: evaluate(machines, m, r, checked=False))
        counts = seconds(
            lambda r=rows, m=drawn: evaluate(machines, m, r, checked=False, counts=True)
        )
        few = mappings_part(drawn, n // 20)
        less = rows - (rows > 3)  # last tiles are smaller
        ragged = seconds(
            lambda r=less, m=few: evaluate(machines, m, r, factors="imperfect", checked=False), 2
        )
        arrays = seconds(lambda r=rows, m=drawn: evaluate_arrays(machines, m, r), 2)
        cost = cost or totals / n
        taken = (totals, counts, 20 * ragged, arrays)
        rates = (f"{1e-6 * n / each:10.2f}" for each in taken)
        print(f"  {name:24s} {' '.join(rates)}")
    return cost


def print_mappers(folder: Path, cost: float) -> None:
    """CPU seconds per mapping of other tools, as the reference folder tells them, over ours."""
    print("CPU seconds per mapping by the columns of the reference figures (another machine)")
    for name, file, column, kind in (
        ("Timeloop, start included", "timeloop_fixed_mappings.csv", "cpu_s", ""),
        ("MAESTRO, start included", "maestro_fixed_mappings.csv", "cpu_s", ""),
        ("ZigZag, fixed", "zigzag_layers.csv", "cpu_s_per_mapping", "fixed"),
        ("ZigZag, in its search", "zigzag_layers.csv", "cpu_s_per_mapping", "search"),
    ):
        with (folder / file).open(newline="") as stream:
            rows = [r for r in csv.DictReader(stream) if r.get("mapping_kind", "") in (kind, "")]
        value = float(np.median([float(row[column]) for row in rows]))
        print(f"  {name:24s} {value:10.4f} s, {value / cost:,.0f} x ours")


def print_scalesim(path: Path, cost: float) -> None:
    """SCALE-Sim's CPU time per layer, as the reference folder tells it, over ours per point."""
    with path.open(newline="") as stream:
        times = np.array([float(row["cpu_s"]) for row in csv.DictReader(stream)])
    print(f"SCALE-Sim 3.0, CPU seconds per layer by column cpu_s of {path.name} (another machine)")
    for name, value in (
        ("least", times.min()),
        ("median", np.median(times)),
        ("most", times.max()),
    ):
        print(f"  {name:24s} {value:10.4f} s, {value / cost:,.0f} x ours")


def print_scalesim_here(cost: float) -> None:
    """SCALE-Sim on small layers beside our model of it, where it is installed."""
    try:
        simulator = installed_scalesim()
    except ValueError as error:
        print(f"SCALE-Sim side by side: {error}")
        return
    one = np.ones(1)
    memory = 65536 * one
    print(
        f"SCALE-Sim {simulator.tool.version} side by side, CPU seconds per layer; theirs over ours"
    )
    print(
        f"  {'layer, array':24s} {'CPU s':>8s} {'ratio':>12s} {'equal':>6s} "
        f"{'DRAM words i, w, o':>24s}"
    )
    for (m, n, k), size in (((72, 7, 30), 8), ((49, 64, 64), 32), ((196, 256, 64), 32)):
        for number, flow in enumerate(DATAFLOWS):
            layer = Products(("layer",), one, m * one, n * one, k * one, one, one)
            edge, kept = size * one, number * one
            chip = SystolicDesigns(edge, edge, kept, *3 * (memory,), 1e9 * one, *4 * (one,))
            before = simulator.tool.cpu_s
            theirs = ScaleSimArray(simulator)(layer, chip)
            spent = simulator.tool.cpu_s - before
            ours, ideal = systolic(layer, chip, "scalesim"), systolic(layer, chip)
            equal = all(
                np.array_equal(getattr(theirs, name), getattr(ours, name))
                for name in ("compute_cycles", "sram_reads", "sram_writes")
            )
            words = (theirs.dram_bytes / ideal.dram_bytes)[0, 0]
            label = f"{m} x {n} x {k} {flow}, {size} x {size}"
            ratios = " ".join(f"{each:7.2f}" for each in words)
            print(f"  {label:24s} {spent:8.3f} {spent / cost:12,.0f} {equal!s:>6s} {ratios:>24s}")


def print_zigzag_here(n: int, mappings: int = 40) -> None:
    """ZigZag on mappings of the loop nests beside our models, where it is installed."""
    try:
        tool = installed_zigzag()
    except ValueError as error:
        print(f"ZigZag side by side: {error}")
        return
    hierarchy, rng = nest_hierarchy(), np.random.default_rng(0)
    machines = Machines.of([hierarchy])
    print(
        f"ZigZag {tool.tool.version} side by side, {mappings} of {n:,} mappings: CPU milliseconds "
        f"of one, theirs over ours; medians of theirs over loop nests; whether our model of it is "
        f"equal"
    )
    print(
        f"  {'layer':24s} {'CPU ms':>8s} {'ratio':>12s} {'cycles':>8s} {'energy':>8s} {'equal':>6s}"
    )
    for name, layer in NEST_LAYERS:
        rows, drawn = problem_rows([layer]), random_mappings(layer, n, rng)
        # With ZigZag's, all accesses are told.
        cost = seconds(
            lambda r=rows, m=drawn: evaluate(machines, m, r, counts=True, checked=False), 3
        )
        ours = evaluate(machines, drawn, rows, checked=False)
        asked = [zigzag_mapping(hierarchy, drawn.at(i), layer) for i in range(mappings)]
        before = tool.tool.cpu_s
        theirs = [tool.evaluate(a.accelerator, a.layer, a.temporal) for a in asked]
        spent = (tool.tool.cpu_s - before) / mappings
        own = [zigzag.evaluate(a.accelerator, a.layer, a.temporal) for a in asked]
        equal = all(
            a.accesses == b.accesses and a.latency == b.latency
            for a, b in zip(theirs, own, strict=True)
        )
        cycles = np.median([a.latency for a in theirs] / ours.cycles[:mappings])
        energy = np.median([a.energy_pj for a in theirs] / ours.energy_pj[:mappings])
        print(
            f"  {name:24s} {1e3 * spent:8.2f} {spent / (cost / n):12,.0f} {cycles:8.2f} "
            f"{energy:8.2f} {equal!s:>6s}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="folder of reference figures")
    parser.add_argument("--designs", type=int, default=20_000, help="designs per batch")
    options = parser.parse_args()
    cost = print_kernels(options.designs)
    print_arrays(max(options.designs // 10, 1))
    print_chips(options.designs)
    print_llm(options.designs)
    nest = print_loopnest(10 * options.designs)
    print_scalesim_here(cost)
    print_zigzag_here(10 * options.designs)
    if options.reference:
        print_mappers(options.reference / "accel", nest)
        print_scalesim(options.reference / "accel" / "scalesim_v3_layers.csv", cost)


if __name__ == "__main__":
    main()
