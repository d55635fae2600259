"""How far the mappings of `Accelerator-v0 space=archgym2023-timeloop` are from the best.

Usage: python benchmarks/greedy_mapping.py [--designs N] [--seed N] [--layer NAME ...]

Maps the operators of `Mapping-v0` on Eyeriss, whose optima are known. Then draws designs, maps
layers and proves the best mapping by branch and bound; prints the ratio of their energy-delay
products, and the CPU time of both.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

import archgym
from archgym.cost_models.accelerator.loopnest import Level, Machines, evaluate, problem_rows
from archgym.cost_models.accelerator.loopnest.architectures import Architecture, architecture
from archgym.cost_models.accelerator.loopnest.branch_and_bound import branch_and_bound
from archgym.cost_models.accelerator.loopnest.greedy import GreedyMapper
from archgym.cost_models.accelerator.loopnest.mapper import OBJECTIVES
from archgym.cost_models.accelerator.loopnest.workloads import workload, workload_names

LAYERS = (
    "alexnet/conv2",
    "resnet50/layer2.1.conv2",
    "resnet50/layer3.1.conv2",
    "resnet50/layer2.1.conv1",
    "mobilenet-v2/block2.1.depthwise",
)


def architecture_of(machines: Machines, i: int) -> Architecture:
    """The template with the levels of one machine."""
    template = architecture("eyeriss")
    levels: list[Level] = [
        replace(
            level,
            capacity_words=float(machines.capacity[i, n]),
            read_words_per_cycle=float(machines.read_bandwidth[i, n]),
            write_words_per_cycle=float(machines.write_bandwidth[i, n]),
            read_pj=float(machines.read_pj[i, n]),
            write_pj=float(machines.write_pj[i, n]),
            fanout_x=int(machines.fanout[i, n, 0]),
            fanout_y=int(machines.fanout[i, n, 1]),
        )
        for n, level in enumerate(template.hierarchy.levels)
    ]
    hierarchy = replace(template.hierarchy, levels=tuple(levels), mac_pj=float(machines.mac_pj[i]))
    return replace(template, hierarchy=hierarchy)


def print_shipped() -> None:
    """Prints the ratios on Eyeriss itself, over all proven optima of `Mapping-v0` that ship."""
    template = architecture("eyeriss")
    machines = Machines.of([template.hierarchy])
    ratios = []
    for objective, goal in (("edp", "edp"), ("latency", "cycles"), ("energy", "energy")):
        for name in workload_names():
            task = archgym.make_task("Mapping-v0", workload=name, objective=objective)
            problem = workload(name)
            mappings = GreedyMapper(template, problem, goal).best(machines)
            found = evaluate(machines, mappings, problem_rows([problem]), checked=False)
            best = task.optimum.metrics[task.objective.metrics[0]]
            ratios.append(float(OBJECTIVES[goal](found)[0]) / best)
    low, middle, high = np.percentile(ratios, [0, 50, 100])
    print(
        f"Eyeriss itself, {len(ratios)} pairs of an operator and a goal: least {low:.3f}, "
        f"median {middle:.3f}, most {high:.3f} of the optimum, {np.sum(np.array(ratios) > 1.2)} "
        f"above 1.2",
        flush=True,
    )


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--designs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layer", nargs="*", default=list(LAYERS))
    given = parser.parse_args()
    print_shipped()
    task = archgym.make_task("Accelerator-v0", space="archgym2023-timeloop", workload="alexnet")
    rows = task.space.sample(given.designs, np.random.default_rng(given.seed))
    machines = task.model._template.chips(task.space, rows).designs.machines()
    ratios = []
    for name in given.layer:
        problem = workload(name)
        mapper = GreedyMapper(architecture("eyeriss"), problem)
        mapper.best(machines)
        start = time.process_time()
        mappings = mapper.best(machines)
        seconds = (time.process_time() - start) / given.designs
        found = evaluate(machines, mappings, problem_rows([problem]), checked=False)
        for i in range(given.designs):
            best = branch_and_bound(architecture_of(machines, i), problem, "edp")
            ratios.append(found.energy_pj[i] * found.cycles[i] / best.value)
            print(
                f"{name} design {i}: {ratios[-1]:.3f} of the optimum, {1e3 * seconds:.1f} ms "
                f"(proof {best.seconds:.1f} s)",
                flush=True,
            )
    low, middle, high = np.percentile(ratios, [0, 50, 100])
    print(f"energy-delay over the optimum: least {low:.3f}, median {middle:.3f}, most {high:.3f}")


if __name__ == "__main__":
    main()
