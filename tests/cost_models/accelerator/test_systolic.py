"""Systolic arrays: SCALE-Sim's counts, folds by hand, traffic, waiting."""

import csv
from itertools import product as cross

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.accelerator.kernels import SYSTOLIC_TOTALS, systolic_totals
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.systolic import (
    DATAFLOWS,
    SystolicDesigns,
    dataflow_number,
    systolic,
)
from archgym.cost_models.accelerator.work import Products, moved, products_of


def one_product(m, n, k, batch=1, count=1):
    return Products(("p",), *(np.array([float(x)]) for x in (batch, m, n, k, 1, count)))


def one_design(rows, columns, dataflow, sizes=(2**16,) * 3, speed=16.0, widths=(1,) * 4):
    numbers = (rows, columns, dataflow_number(dataflow), *sizes, speed, *widths)
    return SystolicDesigns(*(np.array([float(x)]) for x in numbers))


def random_designs(n, seed=0):
    rng = np.random.default_rng(seed)
    sizes = np.array([4.0, 8, 16, 32, 64, 128])
    words = 2.0 ** rng.integers(10, 22, (3, n))
    return SystolicDesigns(
        rng.choice(sizes, n),
        rng.choice(sizes, n),
        rng.integers(0, 3, n).astype(float),
        *words,
        rng.choice([1.0, 4.0, 16.0, 64.0], n),
        *rng.choice([0.5, 1.0, 2.0, 4.0], (4, n)),
    )


def test_equal_to_scalesim_on_every_row(reference_dir):
    path = reference_dir / "accel" / "scalesim_v3_layers.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["stall_cycles"] == "0"]
    assert len(rows) == 175
    for row in rows:
        products = one_product(*(int(row[key]) for key in "MNK"))
        design = one_design(int(row["array_h"]), int(row["array_w"]), row["dataflow"])
        found = systolic(products, design, "scalesim")
        assert found.cycles[0, 0] == int(row["total_compute_cycles"])
        assert found.sram_reads[0, 0, 0] == int(row["ifmap_sram_reads"])
        assert found.sram_reads[0, 0, 1] == int(row["filter_sram_reads"])
        assert found.sram_writes[0, 0] == int(row["ofmap_sram_writes"])
        share = 100 * found.utilisation[0, 0]
        assert share == pytest.approx(float(row["overall_util_pct"]), rel=1e-9)


def folded(rows, columns, dataflow, m, n, k):
    """Cycles, SRAM reads of inputs and weights, and writes, fold by fold."""
    high, wide, steps = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    cycles = inputs = weights = outputs = 0
    for i, j in cross(range(0, high, rows), range(0, wide, columns)):
        r, c = min(rows, high - i), min(columns, wide - j)
        cycles += steps + r + c - 2 + (0 if dataflow == "os" else r)
        inputs += {"os": r * steps, "ws": r * steps, "is": r * c}[dataflow]
        weights += {"os": c * steps, "ws": r * c, "is": r * steps}[dataflow]
        outputs += r * c if dataflow == "os" else c * steps
    return cycles, inputs, weights, outputs


@given(
    st.sampled_from([1, 4, 8]), st.sampled_from([1, 4, 16]), st.sampled_from(DATAFLOWS),
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_ideal_counts_are_the_sums_over_folds(rows, columns, dataflow, m, n, k):
    found = systolic(one_product(m, n, k, batch=3), one_design(rows, columns, dataflow))
    cycles, inputs, weights, outputs = folded(rows, columns, dataflow, m, n, k)
    assert found.compute_cycles[0, 0] == 3 * cycles
    assert found.sram_reads[0, 0].tolist() == [3 * inputs, 3 * weights, 3 * (outputs - m * n)]
    assert found.sram_writes[0, 0] == 3 * outputs
    assert 0 < found.utilisation[0, 0] <= 1
    assert found.utilisation[0, 0] <= found.mapping_efficiency[0, 0] + 1e-12


@given(
    st.sampled_from(DATAFLOWS), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300),
    st.tuples(*(st.integers(4, 18),) * 3), st.integers(0, 2),
    st.tuples(*(st.sampled_from([0.5, 1.0, 2.0, 4.0]),) * 4),
)  # fmt: skip
def test_a_bigger_memory_never_moves_more(dataflow, m, n, k, powers, which, widths):
    small = [2.0**power for power in powers]
    large = list(small)
    large[which] *= 2
    before, after = (
        systolic(
            one_product(m, n, k), one_design(8, 16, dataflow, sizes, widths=widths)
        ).dram_bytes[0, 0]
        for sizes in (small, large)
    )
    assert after.sum() <= before.sum()
    assert np.all(after >= np.array([m * k, k * n, m * n]) * widths[:3])


def test_traffic_by_hand():
    # Weights stay, 4 folds down and 2 across; nothing fits: inputs again for every fold across,
    # sums out and in again for every fold down.
    found = systolic(one_product(100, 32, 64), one_design(16, 16, "ws", (2, 2, 2)))
    assert found.dram_bytes[0, 0].tolist() == [2 * 6400, 2048, (2 * 4 - 1) * 3200]
    # Half of the memory holds the sums of a fold across, so they leave once.
    found = systolic(one_product(100, 32, 64), one_design(16, 16, "ws", (2, 2, 3200)))
    assert found.dram_bytes[0, 0].tolist() == [2 * 6400, 2048, 3200]
    # Outputs stay, 7 folds down and 2 across; a strip of inputs fits, the weights do not.
    found = systolic(one_product(100, 32, 64), one_design(16, 16, "os", (2048, 2048, 2)))
    assert found.dram_bytes[0, 0].tolist() == [2 * 6400, 2048, 3200]
    # Inputs of 1, weights of 2, outputs of 1 and sums of 4 bytes.
    found = systolic(
        one_product(100, 32, 64), one_design(16, 16, "ws", (2, 2, 2), 16, (1, 2, 1, 4))
    )
    assert found.dram_bytes[0, 0].tolist() == [2 * 6400, 4096, 3200 + 2 * 3 * 4 * 3200]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_waiting(dataflow):
    cycles = []
    for speed in (0.5, 2, 8, 32, 1e9):
        found = systolic(one_product(200, 300, 400), one_design(16, 16, dataflow, speed=speed))
        moved_bytes = found.dram_bytes[0, 0].sum()
        assert found.cycles[0, 0] >= max(found.compute_cycles[0, 0], moved_bytes / speed)
        cycles.append(found.cycles[0, 0])
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] == pytest.approx(found.compute_cycles[0, 0])


def test_totals_of_the_kernel_are_the_sums():
    products = products_of(load_network("mobilenet-v2", batch=2))
    designs = random_designs(700)
    found = systolic(products, designs)
    totals = systolic_totals(products, designs)
    parts = (
        found.compute_cycles, found.cycles, *np.moveaxis(found.sram_reads, -1, 0),
        found.sram_writes, *np.moveaxis(found.dram_bytes, -1, 0),
    )  # fmt: skip
    for name, part in zip(SYSTOLIC_TOTALS, parts, strict=True):
        np.testing.assert_allclose(totals[name], (part * products.count).sum(1), rtol=1e-12)


def test_a_design_does_not_depend_on_its_batch():
    products = products_of(load_network("gpt2", stage="decode"))
    designs = random_designs(600)
    whole = systolic_totals(products, designs)
    few = [300, 5, 599]
    part = systolic_totals(
        products, SystolicDesigns(*(getattr(designs, f)[few] for f in designs.__annotations__))
    )
    for name in SYSTOLIC_TOTALS:
        assert np.array_equal(part[name], whole[name][few])


@pytest.mark.parametrize("mode", ["ideal", "scalesim"])
def test_other_libraries_give_the_same(mode):
    torch = pytest.importorskip("torch")
    products = products_of(load_network("resnet18"))
    designs = random_designs(50)
    there = SystolicDesigns(*(torch.asarray(getattr(designs, f)) for f in designs.__annotations__))
    found, expected = systolic(products, there, mode), systolic(products, designs, mode)
    assert isinstance(found.cycles, torch.Tensor)
    for name in ("cycles", "utilisation", "sram_reads", "sram_writes", "dram_bytes"):
        np.testing.assert_allclose(
            getattr(found, name).numpy(), getattr(expected, name), rtol=1e-12
        )
    assert moved(products, there.rows).m.dtype == torch.float64


def test_refusals():
    with pytest.raises(ValueError, match=r"unknown name 'rs'. Allowed: os, ws, is"):
        dataflow_number("rs")
    with pytest.raises(ValueError, match="unknown name 'scale-sim'; did you mean 'scalesim'"):
        systolic(one_product(1, 1, 1), one_design(1, 1, "os"), "scale-sim")
