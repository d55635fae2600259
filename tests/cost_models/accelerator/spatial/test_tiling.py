"""Counts of tilings: against the model of loop nests, and against a walk through all tiles."""

import itertools
import math

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    Machines,
    Mappings,
    evaluate,
    problem_rows,
)
from archgym.cost_models.accelerator.operators import Product
from archgym.cost_models.accelerator.spatial import pricing, tiling
from archgym.cost_models.accelerator.spatial.layers import layer_row
from archgym.cost_models.accelerator.spatial.nests import ORDERS, SpatialMapping, as_loopnest
from archgym.cost_models.accelerator.spatial.search import evaluate_mappings

WEIGHTS, INPUTS, OUTPUTS = range(3)
MOVES = {WEIGHTS: (1, 2, 5, 6), INPUTS: (0, 2, 3, 4, 5, 6), OUTPUTS: (0, 1, 3, 4)}


def counted(product: Product, row: np.ndarray) -> np.ndarray:
    """What the kernel counts of a mapping."""
    counts, costs = np.zeros((1, tiling.COUNTS)), np.zeros((1, pricing.COSTS))
    layer, chip = np.array([layer_row(product)]), np.ones((1, pricing.CHIP_CELLS))
    evaluate_mappings(layer, chip, row[None], counts, costs)
    return counts[0]


def even_mapping(rng: np.random.Generator, windows: bool) -> tuple[Product, np.ndarray, list[int]]:
    """A random product with a mapping whose tiles are all equal, and the array's shape."""
    parts = np.ones((6, 7), np.int64)
    for d in (0, 1, 2, 3, 4, 5, 6) if windows else (0, 1, 2, 3, 4):
        for place in range(6):
            taps = d in (5, 6)
            if (taps and place == 5) or (place == 0 and d not in (2, 5, 6)):
                continue  # buffers hold whole filters, clusters add up
            if rng.random() < 0.45:
                parts[place, d] = rng.choice((1, 3) if taps else (2, 3))
    stride = (int(rng.integers(1, 3)),) * 2 if windows else (1, 1)
    product = Product(1, *(int(bound) for bound in parts.prod(axis=0)), stride=stride)
    stays = rng.integers(0, 3, 2)
    row = np.concatenate([parts[:4].ravel(), parts[:5].prod(axis=0), [0], stays])
    return product, row.astype(float), [int(parts[i].prod()) for i in (1, 2, 0)]


@pytest.mark.parametrize("windows", [False, True])
def test_even_tilings_count_as_loop_nests_do(windows: bool) -> None:
    rng = np.random.default_rng(1)
    surplus = []
    for _ in range(150):
        product, row, shape = even_mapping(rng, windows)
        hierarchy, nest, problem = as_loopnest(SpatialMapping.of(product, row), shape)
        nest.check(hierarchy, problem)
        machines, mappings = Machines.of([hierarchy]), Mappings.of([nest])
        want = evaluate(machines, mappings, problem_rows([problem]), counts=True)
        got = counted(product, row)
        outputs = product.n * product.k * product.p * product.q
        for cell, value in (
            (tiling.STEPS, want.steps[0]),
            (tiling.WEIGHT_READS, want.reads[0, 1, WEIGHTS]),
            (tiling.DRAM_WEIGHTS, want.fills[0, 1, WEIGHTS]),
            (tiling.WEIGHT_FILLS, want.fills[0, 0, WEIGHTS]),
            (tiling.OUTPUT_UPDATES, want.updates[0, 3, OUTPUTS]),
            (tiling.OUTPUT_FETCHES, want.fills[0, 0, OUTPUTS]),
            (tiling.FILE_UPDATES, want.updates[0, 0, OUTPUTS]),
            (tiling.FILE_READS, want.reads[0, 0, OUTPUTS]),
            (tiling.OUTPUT_PASSES, want.updates[0, 4, OUTPUTS] / outputs),
        ):
            assert got[cell] == pytest.approx(value)
        for cell, value in (
            (tiling.INPUT_READS, want.reads[0, 2, INPUTS]),
            (tiling.DRAM_INPUTS, want.fills[0, 2, INPUTS]),
            (tiling.INPUT_FILLS, want.fills[0, 0, INPUTS]),
        ):
            surplus.append(got[cell] / value)
    # Windows slide along one axis only: what a tile shares with others beside is loaded again.
    assert min(surplus) > 1 - 1e-9
    assert np.median(surplus) == pytest.approx(1.0)
    if not windows:
        assert max(surplus) == pytest.approx(1.0)


def tiles(box: dict[int, tuple[int, int]], size: np.ndarray, stays: int):
    """Boxes of a size within a box, in the order in which one tensor stays."""
    order = [DIMS.index(d) for d in reversed(ORDERS[stays])]
    cuts = [[(a, min(a + size[d], box[d][1])) for a in range(*box[d], int(size[d]))] for d in order]
    for chosen in itertools.product(*cuts):
        yield dict(zip(order, chosen, strict=True))


def walk(bounds, held, array, parts, array_stays: int, buffer_stays: int):
    """Steps, and elements that pass when a tile differs from the one before, per level and tensor.

    Plain Python over every tile; no windows.
    """
    steps, moved, last = 0, dict.fromkeys(itertools.product((0, 1), MOVES), 0), {}
    for outer in tiles({d: (0, b) for d, b in enumerate(bounds)}, held, buffer_stays):
        for level, boxes in ((1, [outer]), (0, tiles(outer, array, array_stays))):
            for box in boxes:
                for tensor, dims in MOVES.items():
                    key = tuple(box[d] for d in dims)
                    if last.get((level, tensor)) != key:
                        last[level, tensor] = key
                        moved[level, tensor] += math.prod(b - a for a, b in key)
                if level == 0:
                    sizes = [b - a for a, b in (box[d] for d in range(7))]
                    steps += math.prod(-(-n // p) for n, p in zip(sizes, parts, strict=True))
    return steps, moved


def test_smaller_tiles_at_the_end_are_counted_as_they_are() -> None:
    rng = np.random.default_rng(2)
    surplus = []
    for _ in range(80):
        bounds = [int(rng.integers(1, high)) for high in (4, 12, 12, 6, 6)] + [1, 1]
        sizes = np.ones((4, 7), np.int64)
        for d, place in itertools.product(range(5), range(4)):
            if (place > 0 or d == 2) and rng.random() < 0.4:
                sizes[place, d] = rng.integers(1, 4)
        array, parts = sizes.prod(axis=0), sizes[:3].prod(axis=0)
        held = np.array([min(b, int(rng.integers(1, b + 1))) for b in bounds])
        stays = rng.integers(0, 3, 2)
        row = np.concatenate([sizes.ravel(), held, [0], stays]).astype(float)
        got = counted(Product(1, *bounds), row)
        steps, moved = walk(bounds, held, array, parts, *stays)
        outputs = math.prod(bounds[d] for d in MOVES[OUTPUTS])
        assert got[tiling.STEPS] == steps
        assert got[tiling.DRAM_WEIGHTS] == moved[1, WEIGHTS]
        assert got[tiling.DRAM_INPUTS] == moved[1, INPUTS]
        assert got[tiling.OUTPUT_PASSES] * outputs == moved[1, OUTPUTS]
        surplus.append(got[tiling.WEIGHT_READS] / moved[0, WEIGHTS])
        surplus.append(got[tiling.INPUT_READS] / moved[0, INPUTS])
        surplus.append(got[tiling.OUTPUT_UPDATES] / moved[0, OUTPUTS])
    # A small last tile may spare a pass that whole ones need; the kernel counts it all the same.
    assert min(surplus) == 1.0
    assert np.mean(np.array(surplus) == 1.0) > 0.8


def test_padding_is_no_data() -> None:
    product = Product(1, 1, 4, 4, 8, 8, 3, 3)
    sizes = np.ones((4, 7))
    row = np.concatenate([sizes.ravel(), [1, 4, 4, 8, 8, 3, 3], [0, 0, 0]])
    layer = np.array([layer_row(product, share) for share in (1.0, 0.64)])
    counts, costs = np.zeros((2, tiling.COUNTS)), np.zeros((2, pricing.COSTS))
    chip = np.ones((2, pricing.CHIP_CELLS))
    evaluate_mappings(layer, chip, np.stack([row, row]), counts, costs)
    assert counts[0, tiling.DRAM_INPUTS] == 4 * 10 * 10
    assert counts[1, tiling.DRAM_INPUTS] == pytest.approx(4 * 8 * 8)
    assert np.array_equal(counts[0, tiling.STEPS], counts[1, tiling.STEPS])
