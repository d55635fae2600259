"""Rooflines: by hand, as lower bounds, their gradients, and in other libraries."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.cost_models.accelerator import Gemm, Network
from archgym.cost_models.accelerator.kernels import roofline_totals
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.roofline import (
    Machine,
    arithmetic_intensity,
    level_traffic,
    roofline,
)
from archgym.cost_models.accelerator.work import work_of


def gemm_network(m, n, k, count=1):
    gemm = Gemm(name="g", m=m, n=n, k=k, count=count)
    return Network("one", (gemm,), {"g": ("x",)}, {"x": (1, m, k)}, ("g",))


def machine(**changed):
    numbers = {
        "peak_macs_per_s": [1e12],
        "vector_ops_per_s": [1e11],
        "mac_energy_pj": [0.5],
        "vector_energy_pj": [0.1],
        "weight_bytes": [1.0],
        "input_bytes": [2.0],
        "output_bytes": [2.0],
        "below_bytes": [[1e4, 1e6]],
        "bandwidth_bytes_per_s": [[1e12, 1e11]],
        "energy_pj_per_byte": [[1.0, 100.0]],
        "static_power_w": [2.0],
    }
    return Machine(**{k: np.asarray(v, float) for k, v in (numbers | changed).items()})


def random_machines(n, levels=2, seed=0):
    rng = np.random.default_rng(seed)

    def drawn(low, high, *shape):
        return np.exp(rng.uniform(np.log(low), np.log(high), (n, *shape)))

    return Machine(
        drawn(1e11, 1e14), drawn(1e10, 1e12), drawn(0.1, 2), drawn(0.1, 2), drawn(0.25, 4),
        drawn(0.25, 4), drawn(0.25, 4), drawn(1e3, 1e7, levels), drawn(1e10, 1e13, levels),
        drawn(0.1, 200, levels), drawn(0.1, 10),
    )  # fmt: skip


def test_by_hand():
    network = gemm_network(1000, 1000, 1000, count=3)
    found = roofline(work_of(network), machine())
    once = 1e6 * (1 + 2 + 2)
    again = 2e9 * np.sqrt(4 / 1e4) - 2e4
    assert found.traffic_bytes[0, 0].tolist() == pytest.approx([again, once])
    parts = [1e-3, 0.0, again / 1e12, once / 1e11]
    assert found.parts_s[0, 0].tolist() == pytest.approx(parts)
    assert found.time_s[0, 0] == pytest.approx(1e-3)
    assert found.bound[0, 0] == 0
    assert found.latency_s[0] == pytest.approx(3e-3)
    energy = [0.5e-3, 0, again * 1e-12, once * 1e-10, 2e-3]
    assert found.total_energy_j[0].tolist() == pytest.approx([3 * e for e in energy])
    slow = roofline(work_of(network), machine(bandwidth_bytes_per_s=[[1e12, 1e9]]))
    assert slow.bound[0, 0] == 3
    assert slow.time_s[0, 0] == pytest.approx(once / 1e9)


def test_fused_operators_move_parameters_only():
    network = load_network("resnet18")
    fused, apart = work_of(network), work_of(network, fused=False)
    assert len(fused.names) == 21 < len(apart.names) == len(network)
    for field in ("macs", "operations", "weights"):
        sums = [(getattr(work, field) * work.count).sum() for work in (fused, apart)]
        assert sums[0] == pytest.approx(sums[1])
    assert (fused.inputs * fused.count).sum() < (apart.inputs * apart.count).sum() / 2
    slow, fast = (roofline(work, machine()).latency_s[0] for work in (apart, fused))
    assert slow > fast


def test_fused_operators_of_other_counts():
    network = load_network("gpt2", stage="decode")
    fused = work_of(network)
    assert fused.names[0] == "embedding"
    assert (fused.operations * fused.count).sum() == pytest.approx(network.operations)
    weights = sum(each.count * each.weight_elements for each in network)
    assert (fused.weights * fused.count).sum() == pytest.approx(weights)


def test_decode_is_bound_by_memory_and_prefill_by_arithmetic():
    gpu = machine(
        peak_macs_per_s=[156e12], vector_ops_per_s=[2e13], weight_bytes=[2.0],
        below_bytes=[[4e7]], bandwidth_bytes_per_s=[[2.0e12]], energy_pj_per_byte=[[30.0]],
    )  # fmt: skip
    bounds = {}
    for stage in ("prefill", "decode"):
        network = load_network("llama-2-7b", context=1024, stage=stage)
        found = roofline(work_of(network), gpu)
        bounds[stage] = dict(zip(work_of(network).names, found.bound[0], strict=True))
        if stage == "decode":
            # 6.6 G parameters without the embedding, and 0.5 GB of keys and values.
            assert found.latency_s[0] == pytest.approx((6.607e9 * 2 + 0.537e9) / 2e12, rel=0.01)
    assert bounds["prefill"]["layer.gate_up"] == 0
    assert bounds["decode"]["layer.gate_up"] == 2


@given(st.integers(0, 10_000))
def test_larger_and_faster_is_never_slower(seed):
    work = work_of(load_network("mobilenet-v2"))
    here = random_machines(3, seed=seed)
    before = roofline(work, here)
    for name in ("peak_macs_per_s", "below_bytes", "bandwidth_bytes_per_s"):
        after = roofline(work, dataclasses.replace(here, **{name: 2 * getattr(here, name)}))
        assert np.all(after.time_s <= before.time_s)
        assert np.all(after.traffic_bytes <= before.traffic_bytes)


def test_totals_of_the_kernel_are_the_sums():
    work = work_of(load_network("efficientnet-b0", batch=4))
    for levels in (1, 3):
        here = random_machines(400, levels)
        found, totals = roofline(work, here), roofline_totals(work, here)
        np.testing.assert_allclose(totals["latency_s"], found.latency_s, rtol=1e-12)
        np.testing.assert_allclose(totals["energy_j"], found.total_energy_j, rtol=1e-12)
        some = Machine(*(getattr(here, f)[[3, 390]] for f in here.__annotations__))
        assert np.array_equal(
            roofline_totals(work, some)["latency_s"], totals["latency_s"][[3, 390]]
        )


def test_gradients():
    torch = pytest.importorskip("torch")
    work = work_of(load_network("resnet50"))
    here = random_machines(4, seed=3)
    names = ("peak_macs_per_s", "below_bytes", "bandwidth_bytes_per_s", "energy_pj_per_byte")
    there = Machine(*(torch.asarray(getattr(here, f)) for f in here.__annotations__))
    for name in names:
        getattr(there, name).requires_grad_(True)
    found = roofline(work, there)
    (found.latency_s.sum() * 1e3 + found.total_energy_j.sum()).backward()

    def cost(changed):
        done = roofline(work, changed)
        return 1e3 * done.latency_s.sum() + done.total_energy_j.sum()

    for name in names:
        values = getattr(here, name)
        slopes = getattr(there, name).grad.numpy()
        for index in np.ndindex(values.shape):
            step = np.zeros_like(values)
            step[index] = 1e-6 * values[index]
            change = [
                cost(dataclasses.replace(here, **{name: values + sign * step})) for sign in (1, -1)
            ]
            slope = (change[0] - change[1]) / (2 * step[index])
            # Of the whole cost, as a slope may be zero.
            scale = 1e-5 * cost(here) / values[index]
            assert abs(slope - slopes[index]) <= abs(slope) * 1e-3 + scale, (name, index)
    np.testing.assert_allclose(
        found.time_s.detach().numpy(), roofline(work, here).time_s, rtol=1e-12
    )


def test_arithmetic_intensity():
    assert arithmetic_intensity(100.0, 10.0, 40.0) == 100 / 50
    assert arithmetic_intensity(100.0, 10.0, 40.0, 2.0, 0.5) == 100 / 40
    assert arithmetic_intensity(100.0, 10.0, 40.0, weight_share=1.0) == 100 / 20
    with pytest.raises(ValueError, match="weight_share is 2"):
        arithmetic_intensity(1.0, 1.0, 1.0, weight_share=2)
    # Depthwise convolutions reuse weights often and everything else seldom.
    layers = {each.name: each for each in load_network("mobilenet-v1")}
    deep, point = layers["conv7_dw"], layers["conv7_pw"]

    def intensity(op, share):
        moved = op.input_elements + op.output_elements
        return arithmetic_intensity(op.macs, op.weight_elements, moved, weight_share=share)

    ratio = [intensity(deep, share) / intensity(point, share) for share in (0.2, 0.8)]
    assert ratio[0] < ratio[1]


def test_bounds_of_many_products_and_of_chains():
    # Eight heads are eight products, of which each may keep all that fits.
    gemm = Gemm(name="g", m=512, n=512, k=512, batch=8, weights=False)
    apart = Network("heads", (gemm,), {"g": ("x",)}, {"x": (2, 8, 512, 512)}, ("g",))
    here = machine(below_bytes=[[1e3, 1e4]], input_bytes=[1.0], output_bytes=[1.0])
    again = 8 * (2 * 512**3 / np.sqrt([1e3, 1e4]) - 2 * np.array([1e3, 1e4]))
    assert level_traffic(work_of(apart), here)[0, 0] == pytest.approx(again)
    # The scores of a fused attention never leave, however little is held.
    attention = next(each for each in load_network("bert-base") if each.kind == "attention")
    whole = attention.input_elements + attention.output_elements
    work = work_of(load_network("bert-base"))
    index = work.names.index("layer.attention")
    assert level_traffic(work, here)[0, index].tolist() == [whole, whole]


def test_arrays_of_integers_are_refused():
    with pytest.raises(ValueError, match="designs must be arrays of floats, not of int64"):
        roofline(
            work_of(gemm_network(2, 2, 2)),
            dataclasses.replace(machine(), peak_macs_per_s=np.array([10**12])),
        )


def test_traffic_alone():
    work = work_of(gemm_network(64, 64, 64))
    assert level_traffic(work, machine())[0, 0].tolist() == [4096.0 * 5] * 2
