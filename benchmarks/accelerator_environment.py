"""What a design of `Accelerator-v0` takes by fidelity, and how well cheaper models rank designs.

    python benchmarks/accelerator_environment.py [--designs 512] [--workloads resnet50 bert-base]
    python benchmarks/accelerator_environment.py --gap [--rounds 400]
    python benchmarks/accelerator_environment.py --nvdla
    python benchmarks/accelerator_environment.py --even [--workloads resnet50 bert-base]

Per space and workload: CPU time per design and fidelity (one thread, random designs that obey the
space's rules in one batch, best of three after a first one), and Spearman's rank correlation of a
cheaper model's metrics with those of the space's own. For the space `spatial` also the model of
systolic arrays, where an array of as many elements stands for the clusters and the best dataflow of
three for those that systolic arrays have not.

With `--gap`: how far the energy of mappings is above the best that a seeded evolution over all
exact factors, places and orders finds on the same chips (`loopnest.mapper.search`); flexible arrays
with clusters of one element, as the evolution would unroll any dimension in a cluster.

With `--nvdla`: frame rates beside those that NVIDIA publishes.

With `--even`: the share of multiply-accumulates, over random designs, whose best mapping has no
smaller last tiles, as tools with exact factors need it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

import archgym
from archgym.cost_models.accelerator.chip_costs import ChipModel
from archgym.cost_models.accelerator.loopnest import Hierarchy, Level, Problem
from archgym.cost_models.accelerator.loopnest.mapper import search
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.spatial import pricing
from archgym.cost_models.accelerator.spatial.chips import SpatialDesigns, chip_rows
from archgym.cost_models.accelerator.spatial.costs import SpatialModel, map_rows
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.cost_models.accelerator.spatial.nvdla import PUBLISHED, frame_rate
from archgym.cost_models.accelerator.systolic import DATAFLOWS
from archgym.task import Task

METRICS = ("latency_ms", "energy_mj", "dram_traffic_mb")
WORKLOADS = ("resnet50", "mobilenet-v2", "bert-base", "llama-2-7b", "bert-base+resnet50")
Metrics = dict[str, npt.NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=512)
    parser.add_argument("--workloads", nargs="*", default=WORKLOADS)
    parser.add_argument("--gap", action="store_true")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--nvdla", action="store_true")
    parser.add_argument("--even", action="store_true")
    given = parser.parse_args()
    if given.nvdla:
        for each in PUBLISHED:
            rate = frame_rate(each)
            print(each, f"here {rate:.1f}, ratio {rate / each.frames_per_s:.2f}")
        return
    if given.even:
        for workload in given.workloads:
            print(even_share(workload))
        return
    if given.gap:
        print_gap(given.rounds)
        return
    print("| space | workload | model | us | of the own | " + " | ".join(METRICS) + " |")
    print("| --- | --- | --- | --- | --- | " + "--- | " * len(METRICS))
    for space in ("spatial", "systolic"):
        for workload in given.workloads:
            compare(space, workload, given.designs)


def even_share(workload: str, n: int = 40) -> str:
    """How much of a network is mapped with exact factors, on random designs of batch 1."""
    task = archgym.make_task("Accelerator-v0", workload=workload, batch=1)
    rows = task.space.sample(20 * n, np.random.default_rng(0))
    rows = rows[task.evaluate(rows).feasible][:n]
    shares = []
    for row in rows:
        reports = [each for one in task.model.operator_reports(row).values() for each in one]
        mappings = [product.mapping for each in reports for product in each.products]
        macs = [mapping.product.macs for mapping in mappings]
        shares.append(np.average([mapping.even for mapping in mappings], weights=macs))
    return (
        f"{workload}: {np.median(shares):.0%} of multiply-accumulates (median of {len(rows)} "
        f"designs), all of them in {np.sum(np.array(shares) == 1.0)}"
    )


def compare(space: str, workload: str, count: int) -> None:
    """Prints the rows of a space and a workload."""
    task = archgym.make_task("Accelerator-v0", workload=workload, space=space, batch=1)
    rows = task.space.sample(12 * count, np.random.default_rng(0))
    broken = np.logical_or.reduce(list(task.space.violations(rows).values()))
    rows = rows[~broken][:count]
    evaluation = task.evaluate(rows)
    rows, right = rows[evaluation.feasible], evaluation.take(evaluation.feasible).metrics
    models: dict[str, Callable[[], Any]] = {task.options["fidelity"]: lambda: task.evaluate(rows)}
    told: dict[str, Metrics] = {task.options["fidelity"]: dict(right)}
    bound = task.at("roofline")
    models["roofline"] = lambda: bound.evaluate(rows)
    told["roofline"] = dict(bound.evaluate(rows).metrics)
    if space == "spatial" and "+" not in workload:
        models["as systolic"] = lambda: as_systolic(task, workload, rows)
        told["as systolic"] = as_systolic(task, workload, rows)
    own = 0.0
    for name, run in models.items():
        taken = microseconds(run, len(rows))
        own = own or taken
        ranks = [float(spearmanr(told[name][m], right[m]).statistic) for m in METRICS]
        cells = [space, workload, name, f"{taken:.1f}", f"{taken / own:.3f}"]
        print("| " + " | ".join([*cells, *(f"{rank:.2f}" for rank in ranks)]) + " |", flush=True)


def as_systolic(task: Task, workload: str, rows: npt.NDArray[np.int64]) -> Metrics:
    """Spatial chips as systolic arrays of as many elements, clusters one below the other."""
    designs: SpatialDesigns = task.model.chips_of(rows).designs
    model = ChipModel(load_network(workload, 1))
    tall = replace(designs.chip, rows=designs.chip.rows * designs.cluster)
    count = len(rows)
    found = {name: np.full(count, np.inf) for name in METRICS}
    best = np.full(count, np.inf)
    for number, name in enumerate(DATAFLOWS):
        costs = model.costs(replace(tall, dataflow=np.full(count, float(number))))
        value = costs.total_energy_j * costs.latency_s
        own = designs.flow == FLOWS.index(name)
        better = own | ((designs.flow >= len(DATAFLOWS)) & (value < best))
        best = np.where(better, value, best)
        for metric, values in zip(
            METRICS, (costs.latency_s, costs.total_energy_j, costs.dram_bytes), strict=True
        ):
            found[metric] = np.where(better, values, found[metric])
    return found


def microseconds(run: Callable[[], Any], count: int) -> float:
    """Returns the least CPU time per design of three runs."""
    taken = []
    for _ in range(3):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return 1e6 * min(taken) / count


def print_gap(rounds: int) -> None:
    """Prints by how much mappings could be better, per chip: of ResNet-50 and BERT base."""
    print("| chip | layers | median | 90 % | largest | smallest |")
    print("| --- | --- | --- | --- | --- | --- |")
    task = archgym.make_task("Accelerator-v0", batch=1)
    base = task.space.decode(task.default)
    chips = {
        "32 x 32, 16 bytes": {
            "Dataflow": "flexible",
            "Rows": 32,
            "Columns": 32,
            "ClusterPEs": 1,
        },
        "16 x 16, 64 bytes": {
            "Dataflow": "flexible",
            "Rows": 16,
            "Columns": 16,
            "ClusterPEs": 1,
            "RegisterFileBytes": 64,
        },
        "12 x 14, 512 bytes": {
            "Dataflow": "flexible",
            "Rows": 12,
            "Columns": 14,
            "ClusterPEs": 1,
            "RegisterFileBytes": 512,
            "InputMemoryKiB": 64,
            "WeightMemoryKiB": 16,
            "OutputMemoryKiB": 32,
        },
    }
    for name, change in chips.items():
        row = task.space.encode({**base, **change})[None]
        designs: SpatialDesigns = task.model.chips_of(row).designs
        gaps = np.array(
            [gap for each in ("resnet50", "bert-base") for gap in gaps_of(each, designs, rounds)]
        )
        cells = [
            f"{100 * q:.1f} %"
            for q in (np.median(gaps), np.quantile(gaps, 0.9), gaps.max(), gaps.min())
        ]
        print("| " + " | ".join([name, str(len(gaps)), *cells]) + " |", flush=True)


def gaps_of(network: str, designs: SpatialDesigns, rounds: int) -> list[float]:
    """Energy of our mappings above an evolution's, per layer; buses and leakage are free."""
    model = SpatialModel(load_network(network, 1))
    chip = chip_rows(designs)
    chip[:, [pricing.BUS_PJ, pricing.CYCLE_PJ]] = 0.0
    layers = model.layers.rows.copy()
    layers[:, -1] = 1.0  # the other model knows no padding
    costs = map_rows(layers, chip, "energy").costs
    parts = (pricing.PRODUCTS_PJ, pricing.REGISTERS_PJ, pricing.SRAM_PJ, pricing.OUTSIDE_PJ)
    found = []
    for i, product in enumerate(model.layers.products):
        problem = Problem.of(product)
        outputs = problem.n * problem.k * problem.p * problem.q
        bits = 8 * chip[0, pricing.INPUT_BYTES]
        weight_bits = 8 * chip[0, pricing.WEIGHT_BYTES] if product.weights else bits
        other = search(
            hierarchy(chip[0], (int(weight_bits), int(bits), 32)), problem, "energy", rounds=rounds
        )
        # Results leave as activations here, as sums there.
        theirs = other.value - outputs * (4 - bits / 8) * chip[0, pricing.DRAM_PJ]
        ours = costs[0, i, parts].sum() / product.batch
        found.append(ours / theirs - 1)
    return found


def hierarchy(chip: npt.NDArray[np.float64], bits: tuple[int, int, int]) -> Hierarchy:
    """A chip for the model of loop nests; words are bytes."""

    def level(name: str, room: float, read: float, write: float, tensor: str, **more: int) -> Level:
        tensors = (tensor,) if tensor else ("weights", "inputs", "outputs")
        return Level(
            name,
            2 * room,
            read_pj=read,
            write_pj=write,
            word_bits=8,
            tensors=tensors,
            buffering="double",
            **more,
        )

    file, dram = float(chip[pricing.FILE_PJ]), float(chip[pricing.DRAM_PJ])
    rows, columns = int(chip[pricing.ROWS]), int(chip[pricing.COLUMNS])
    return Hierarchy(
        (
            level(
                "registers",
                chip[pricing.FILE_ROOM],
                file,
                file,
                "",
                fanout_x=int(chip[pricing.CLUSTER]),
            ),
            level(
                "weights",
                chip[pricing.WEIGHT_ROOM],
                float(chip[pricing.WEIGHT_READ_PJ]),
                float(chip[pricing.WEIGHT_WRITE_PJ]),
                "weights",
                fanout_x=columns,
                fanout_y=rows,
            ),
            level(
                "inputs",
                chip[pricing.INPUT_ROOM],
                float(chip[pricing.INPUT_READ_PJ]),
                float(chip[pricing.INPUT_WRITE_PJ]),
                "inputs",
            ),
            level(
                "outputs",
                chip[pricing.OUTPUT_ROOM],
                float(chip[pricing.OUTPUT_READ_PJ]),
                float(chip[pricing.OUTPUT_WRITE_PJ]),
                "outputs",
            ),
            Level("DRAM", read_pj=dram, write_pj=dram, word_bits=8),
        ),
        float(chip[pricing.MAC_PJ]),
        bits,
    )


if __name__ == "__main__":
    main()
