"""The array version against the kernel, whose counts are tested against a walk."""

import dataclasses

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    LevelMapping,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    evaluate_arrays,
    problem_rows,
)

WIDE = 1 << 15


def random_points(problem: Problem, n: int, rng: np.random.Generator, bypass: float) -> Mappings:
    temporal, spatial = np.ones((n, 3, 7), np.int64), np.ones((n, 3, 7), np.int64)
    for d, bound in enumerate(problem.sizes):
        for factor in (2, 3, 7):
            while bound % factor == 0:
                bound //= factor
                place = rng.integers(0, 6, n)
                for level in range(3):
                    temporal[place == level, level, d] *= factor
                    spatial[place == 3 + level, level, d] *= factor
    order = rng.permuted(np.tile(np.arange(7), (n, 3, 1)), axis=2)
    keep = rng.random((n, 3, 3)) >= bypass
    keep[:, 2] = True
    return Mappings(temporal, order, spatial, np.ones_like(spatial), keep)


def machines() -> Machines:
    rf = Level("RF", 64, 2, 1, 1.0, 1.5, fanout_x=WIDE, buffering="single")
    glb = Level("GLB", 4096, 16, 8, 6.0, 7.0, fanout_x=WIDE, buffering="double")
    dram = Level("DRAM", np.inf, 4, 4, 200.0, 210.0, word_bits=32, fanout_x=WIDE)
    return Machines.of([Hierarchy((rf, glb, dram), 0.7, (8, 16, 32))])


@pytest.mark.parametrize(
    ("problem", "bypass"),
    [
        (Problem(n=2, k=12, c=6, p=14, q=6, r=3, s=3), 0.0),
        (Problem(k=4, c=2, p=12, q=12, r=3, s=2, stride_h=2, stride_w=4), 0.0),
        (Problem(k=4, c=2, p=6, q=12, r=3, s=3, dilation_h=2, dilation_w=3), 0.0),
        (Problem(k=4, c=2, p=6, r=3, stride_h=2, dilation_h=2), 0.0),
        (Problem.gemm(28, 36, 42), 0.4),
    ],
)
def test_every_figure_equals_the_kernels(problem: Problem, bypass: float) -> None:
    mappings = random_points(problem, 500, np.random.default_rng(3), bypass)
    rows, here = problem_rows([problem]), machines()
    expected = evaluate(here, mappings, rows, counts=True)
    for name, value in evaluate_arrays(here, mappings, rows).items():
        if name == "energy_pj":
            np.testing.assert_allclose(value, expected.energy_pj, rtol=1e-13)
        else:
            np.testing.assert_array_equal(value, getattr(expected, name), name)


def test_torch_counts_the_same() -> None:
    torch = pytest.importorskip("torch")
    problem = Problem(k=4, c=2, p=12, q=6, r=3, s=3, stride_h=2)
    mappings, here = random_points(problem, 50, np.random.default_rng(5), 0.0), machines()
    found = evaluate_arrays(here, mappings, problem_rows([problem]), like=torch.zeros(1))
    expected = evaluate_arrays(here, mappings, problem_rows([problem]))
    for name, value in found.items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-13)


def test_what_it_cannot_count_is_refused() -> None:
    here = Machines.of([Hierarchy((Level("RF"), Level("GLB", fanout_x=8), Level("DRAM")))])
    inner = LevelMapping({"P": 2}, bypass=("inputs",))
    mapping = Mapping((inner, LevelMapping(spatial_x={"P": 4}), LevelMapping({"R": 3})))
    rows = problem_rows([Problem(p=8, r=3)])
    with pytest.raises(ValueError, match="mappings: a bypassed loop parts a window"):
        evaluate_arrays(here, Mappings.of([mapping]), rows)
    kept = dataclasses.replace(inner, bypass=())
    mapping = Mapping((kept, *mapping.levels[1:]))
    rows = problem_rows([Problem(p=8, r=3, stride_h=2, dilation_h=3)])
    with pytest.raises(ValueError, match="problems: stride and dilation are both above 1"):
        evaluate_arrays(here, Mappings.of([mapping]), rows)
