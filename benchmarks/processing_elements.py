"""Prints how fast processing elements, their layers and ternary engines are costed.

Usage: python benchmarks/processing_elements.py
"""

import time

import numpy as np

import archgym
from archgym.cost_models import processing_elements
from archgym.cost_models.processing_elements.layers import (
    LayerFormats,
    array_designs,
    layer_costs,
    network_layers,
)

FORMATS = ("int8", "int4", "mxfp8", "mxfp4", "nvfp4", "int4-asym", "fp16", "ternary")


def seconds(call, repeat: int = 5) -> float:
    """Least CPU time of a call."""
    found = []
    for _ in range(repeat):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def report(what: str, n: int, batched: float, single: float) -> None:
    print(f"{what}: {1e6 * batched / n:.2f} us per design in batches of {n}, "
          f"{single / (batched / n):.0f} times as fast as one by one")  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(0)
    n = 1000
    family = processing_elements.family("bit-parallel")
    table = family.table(FORMATS, FORMATS)
    used = rng.random((n, len(FORMATS), len(FORMATS))) < 0.05
    used[:, 0, 0] = True
    batched = seconds(lambda: table.area_um2(used))
    report("area of unions", n, batched, seconds(lambda: table.area_um2(used[:1])))

    work = network_layers("llama2-7b", context=1024, stage="decode")
    w, a = (rng.integers(0, len(FORMATS), (n, len(work.names))) for _ in range(2))

    def costs(rows: slice) -> None:
        designs = array_designs(rows=np.full(n, 64)[rows], columns=16)
        formats = LayerFormats(
            np.full((1, 1), 4.5), np.full((1, 1), 8.0), table.macs_per_cycle[w, a][rows],
            table.energy_pj_per_mac[w, a][rows],
        )  # fmt: skip
        layer_costs(work, designs, formats)

    batched = seconds(lambda: costs(slice(None)))
    report("layers of Llama-2-7B", n, batched, seconds(lambda: costs(slice(1))))

    task = archgym.make_task("TernaryPe-v0")
    designs = task.space.canonical(task.space.sample(n, rng))
    batched = seconds(lambda: task.model.evaluate(designs))
    report("TernaryPe-v0", n, batched, seconds(lambda: task.model.evaluate(designs[:1])))


if __name__ == "__main__":
    main()
