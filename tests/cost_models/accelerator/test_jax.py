"""The array versions on JAX against NumPy, their gradients, and compiled by JAX."""

import dataclasses
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from archgym.cost_models.accelerator.fusion.model import fusion
from archgym.cost_models.accelerator.fusion.presets import (
    PRESETS,
    model_sizes,
    preset,
    published_flat_mapping,
)
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
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.roofline import Machine, roofline
from archgym.cost_models.accelerator.systolic import MODES, SystolicDesigns, systolic
from archgym.cost_models.accelerator.work import products_of, work_of

jax = pytest.importorskip("jax")


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def drawn(n: int = 4, levels: int = 2) -> Machine:
    """Designs with memories of all sizes."""
    rng = np.random.default_rng(3)

    def some(low: float, high: float, *shape: int) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), (n, *shape)))

    return Machine(
        some(1e10, 1e14), some(1e9, 1e12), some(0.1, 2), some(0.1, 2), some(0.5, 2), some(0.5, 2),
        some(0.5, 2), some(1e3, 1e7, levels), some(1e9, 1e13, levels), some(0.1, 200, levels),
        some(0.1, 10),
    )  # fmt: skip


def there(record: Any) -> Any:
    """The same with arrays of JAX."""
    return replace(
        record,
        **{f.name: jax.numpy.asarray(np.asarray(getattr(record, f.name))) for f in fields(record)},
    )


def test_rooflines_are_the_same() -> None:
    work, here = work_of(load_network("alexnet")), drawn()
    expected = roofline(work, here)
    single = roofline(work, there(here))
    assert single.time_s.dtype == np.float32
    np.testing.assert_allclose(np.asarray(single.time_s), expected.time_s, rtol=1e-6)
    with jax.enable_x64(True):
        found = roofline(work, there(here))
        for field in fields(expected):
            ours = getattr(expected, field.name)
            np.testing.assert_allclose(np.asarray(getattr(found, field.name)), ours, rtol=1e-14)
        assert np.array_equal(np.asarray(found.bound), expected.bound)


def test_gradients_of_rooflines_are_slopes_and_compile(double: None) -> None:
    work, here = work_of(load_network("alexnet")), drawn()
    names = ("peak_macs_per_s", "below_bytes", "bandwidth_bytes_per_s", "energy_pj_per_byte")
    machine = there(here)

    def cost(values: dict[str, Any], base: Machine = machine) -> Any:
        found = roofline(work, dataclasses.replace(base, **values))
        return found.latency_s.sum() * 1e3 + found.total_energy_j.sum()

    values = {name: getattr(machine, name) for name in names}
    slopes = jax.grad(cost)(values)
    compiled = jax.jit(jax.grad(cost))(values)
    whole = float(cost({}, here))
    for name in names:
        np.testing.assert_allclose(compiled[name], slopes[name], rtol=1e-9, atol=1e-300)
        at = getattr(here, name)
        for index in np.ndindex(at.shape):
            step = np.zeros_like(at)
            step[index] = 1e-6 * at[index]
            up, down = (float(cost({name: at + sign * step}, here)) for sign in (1, -1))
            slope = (up - down) / (2 * step[index])
            # Of the whole cost, as a slope may be zero.
            room = abs(slope) * 1e-3 + 1e-5 * whole / at[index]
            assert abs(slope - float(slopes[name][index])) <= room, (name, index)


@pytest.mark.parametrize("mode", MODES)
def test_systolic_arrays_are_the_same_and_compile(mode: str, double: None) -> None:
    rng, n = np.random.default_rng(0), 40
    products = products_of(load_network("resnet18"))
    designs = SystolicDesigns(
        *2.0 ** rng.integers(3, 8, (2, n)), rng.integers(0, 3, n).astype(float),
        *2.0 ** rng.integers(12, 22, (3, n)), np.full(n, 16.0), *np.ones((3, n)), np.full(n, 4.0),
    )  # fmt: skip
    expected = systolic(products, designs, mode)
    found = systolic(products, there(designs), mode)
    for field in fields(expected):
        ours = getattr(expected, field.name)
        np.testing.assert_allclose(np.asarray(getattr(found, field.name)), ours, rtol=1e-14)

    def cycles(rows: Any) -> Any:
        return systolic(products, dataclasses.replace(there(designs), rows=rows), mode).cycles

    fast = jax.jit(cycles)(jax.numpy.asarray(designs.rows))
    np.testing.assert_allclose(np.asarray(fast), expected.cycles, rtol=1e-14)


def test_fused_attention_is_the_same(double: None) -> None:
    sizes = model_sizes(["BERT", "XLM"], [64 * 1024, 256 * 1024])
    for name in PRESETS:
        mapping = published_flat_mapping(sizes)
        here = fusion(sizes, preset(name), mapping, divide=True)
        other = fusion(there(sizes), there(preset(name)), there(mapping), divide=True)
        for field in fields(here):
            ours = getattr(here, field.name)
            np.testing.assert_allclose(np.asarray(getattr(other, field.name)), ours, rtol=1e-14)


def test_loop_nests_are_the_same_in_double_precision_and_refused_in_single() -> None:
    levels = (
        Level("RF", 512, 2, 1, 1.0, 1.5, buffering="single"),
        Level("GLB", 65536, 16, 8, 6.0, 7.0, fanout_x=8, fanout_y=8, buffering="double"),
        Level("DRAM", np.inf, 4, 4, 200.0, 210.0, word_bits=32),
    )
    inner = LevelMapping({"R": 3, "S": 3, "C": 4}, "SRC")
    middle = LevelMapping({"C": 2, "Q": 7}, "QC", {"K": 8}, {"P": 7})
    outer = LevelMapping({"K": 4, "P": 8, "Q": 8}, "QPK")
    rows = problem_rows([Problem(k=32, c=8, p=56, q=56, r=3, s=3, stride_h=2, stride_w=2)])
    machines = Machines.of([Hierarchy(levels, 0.7, (8, 16, 32))])
    swapped = dataclasses.replace(outer, order="KQP")
    mappings = Mappings.of([Mapping((inner, middle, each)) for each in (outer, swapped)])
    like = jax.numpy.zeros(1)
    with pytest.raises(ValueError, match=r"like: .* has no double precision, counts need it"):
        evaluate_arrays(machines, mappings, rows, like=like)
    expected = evaluate(machines, mappings, rows, counts=True)
    with jax.enable_x64(True):
        found = evaluate_arrays(machines, mappings, rows, like=like)
        for name, value in found.items():
            np.testing.assert_allclose(np.asarray(value), getattr(expected, name), rtol=1e-14)
