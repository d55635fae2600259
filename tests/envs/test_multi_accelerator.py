"""Several sub-accelerators: published designs as defaults, shared budgets, bad input."""

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.multi import SubAccelerators, area_um2, layers_of
from archgym.cost_models.accelerator.multi.schedule import schedule
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.networks.small import make_small
from archgym.testing.environments import check_cost_model, check_environment

ENV = "MultiAccelerator-v0"


def evaluate(task, *units):
    """Evaluates one design of (dataflow, PEs, bandwidth) per sub-accelerator."""
    design = dict(task.space.decode(task.default))
    for i, (flow, pes, bandwidth) in enumerate(units, 1):
        design |= {f"Dataflow{i}": flow, f"Pes{i}": pes, f"Bandwidth{i}": bandwidth}
    return task.evaluate(task.space.encode(design)[None])


def test_the_default_is_nasaics_design_as_the_models_see_it() -> None:
    task = archgym.make_task(ENV)
    networks = [make_small("resnet9-cifar10-w16"), make_small("unet-nuclei-h3-w4")]
    chains = [layers_of(network) for network in networks]
    costs = SubAccelerators([layer for chain in chains for layer in chain])
    units = (("dla", 576, 56), ("shi", 1792, 8))
    cycles = np.stack([costs.cycles(*unit) for unit in units], axis=1)
    energies = np.stack([costs.energies(*unit[:2]) for unit in units], axis=1)
    ends, where = schedule(cycles[None], np.cumsum([0, *map(len, chains)]))
    got = task.reference
    assert got["latency_cycles"] == ends[0]
    assert got["energy_macs"] == pytest.approx(energies[np.arange(len(costs)), where[0]].sum())
    assert got["area_um2"] == pytest.approx(area_um2(576.0, 56.0) + area_um2(1792.0, 8.0))
    assert (got["pes"], got["noc_bandwidth_gb_per_s"]) == (2368, 64)
    macs = sum(network.macs for network in networks)
    assert got["utilisation_percent"] == pytest.approx(100 * macs / (ends[0] * 2368))


def test_shared_budgets_and_none() -> None:
    task = archgym.make_task(ENV)
    both = evaluate(task, ("dla", 2112, 32), ("shi", 2048, 32))
    assert both.violations["more than 4096 PEs"][0] and not both.feasible[0]
    assert evaluate(task, ("dla", 512, 64), ("shi", 512, 8)).violations["more than 64 GB/s"][0]
    one = evaluate(task, ("shi", 4096, 64), ("none", 64, 8))
    assert one.feasible[0] and one.metrics["pes"][0] == 4096
    assert evaluate(task, ("none", 64, 8), ("none", 64, 8)).violations["no sub-accelerator"][0]
    mirrored = evaluate(task, ("none", 64, 8), ("shi", 4096, 64))
    assert mirrored.metrics["latency_cycles"] == one.metrics["latency_cycles"]
    wider = archgym.make_task(ENV, most_pes=8192, most_bandwidth_gb_per_s=128)
    assert evaluate(wider, ("dla", 2112, 64), ("shi", 2048, 64)).feasible[0]


def test_one_sub_accelerator_runs_layer_after_layer() -> None:
    task = archgym.make_task(ENV, workload="alexnet")
    found = evaluate(task, ("rs", 1024, 32), ("none", 64, 8))
    costs = SubAccelerators(layers_of(load_network("alexnet")))
    assert found.metrics["latency_cycles"][0] == costs.cycles("rs", 1024, 32).sum()
    assert found.metrics["busiest_percent"][0] == pytest.approx(100)


def test_the_same_network_twice_on_two_equal_ones_takes_as_long_as_one() -> None:
    once = archgym.make_task(ENV, workload="resnet9-cifar10-w8")
    twice = archgym.make_task(ENV, workload="resnet9-cifar10-w8+resnet9-cifar10-w8")
    alone = evaluate(once, ("shi", 512, 32), ("none", 64, 8)).metrics
    pair = evaluate(twice, ("shi", 512, 32), ("shi", 512, 32)).metrics
    assert pair["latency_cycles"] == alone["latency_cycles"]
    assert pair["energy_macs"] == pytest.approx(2 * alone["energy_macs"])


def test_limits_of_the_published_workloads() -> None:
    limits = {"spec-w1": (8e5, 2e9, 4e9), "spec-w2": (1e6, 3.5e9, 4e9), "spec-w3": (4e5, 1e9, 4e9)}
    for name, values in limits.items():
        task = archgym.make_task(ENV, objective=name)
        assert tuple(budget.limit for budget in task.objective.budgets) == values
        assert task.evaluate(task.default[None]).feasible[0]


@pytest.mark.parametrize(
    "options",
    [
        {"workload": "resnet9-cifar10-w8+resnet9-cifar10-w8", "accelerators": 3},
        {"workload": "resnet9-cifar10-w8", "baseline": "nas-then-asic", "most_pes": 8192},
    ],
)
def test_kits_pass_with_other_options(options) -> None:
    task = archgym.make_task(ENV, **options)
    check_cost_model(task)
    check_environment(task)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "resnet9-cifar10-w9"}, "workload: unknown name 'resnet9-cifar10-w9'"),
        ({"workload": "alexnet+"}, "workload: unknown name ''"),
        ({"accelerators": 5}, "accelerators: unknown name 5"),
        ({"most_pes": 63}, "most_pes: 63 is not a whole number from 64"),
        ({"most_pes": 2048}, "the default design breaks 'more than 2048 PEs'"),
        ({"most_bandwidth_gb_per_s": 0.5}, "most_bandwidth_gb_per_s: 0.5 is not a whole number"),
        ({"fidelity": "table:/nowhere.parquet"}, "there is no file '/nowhere.parquet'"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        archgym.make_task(ENV, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
