"""The mapping environment: designs are all mappings, what they cost, what does not fit."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym import yamlfile
from archgym.cost_models.accelerator.loopnest import Level, Mapping, Problem, evaluate_one
from archgym.cost_models.accelerator.loopnest.architectures import (
    Architecture,
    architecture,
    architecture_names,
)
from archgym.cost_models.accelerator.loopnest.branch_and_bound import branch_and_bound
from archgym.cost_models.accelerator.loopnest.workloads import LAYERS, workload_names
from archgym.cost_models.accelerator.networks import load_network
from archgym.envs.mapping import BEST_KNOWN, ENVIRONMENT, HARDWARE
from archgym.testing.environments import check_cost_model

ENV = "Mapping-v0"
GEMM = "gemm-64x64x64"


@pytest.fixture(scope="module")
def task():
    return archgym.make_task(ENV)


@pytest.mark.parametrize("hardware", HARDWARE)
def test_every_accelerator_passes_the_kit(hardware: str) -> None:
    assert architecture_names() == HARDWARE
    check_cost_model(archgym.make_task(ENV, hardware=hardware, workload=GEMM, bypass="free"))


def test_imperfect_factors_pass_the_kit() -> None:
    check_cost_model(archgym.make_task(ENV, space="imperfect-factors", workload="alexnet/conv3"))


def test_layers_are_those_of_the_networks_that_ship() -> None:
    for name, problem in LAYERS.items():
        network, _, operator = name.partition("/")
        found = next(o for o in load_network(network).operators if o.name == operator)
        assert Problem.of(found.products[0]) == problem, name


def test_metrics_are_those_of_the_loop_nest_model(task) -> None:
    rows = task.space.sample(400, np.random.default_rng(1))
    found = task.evaluate(rows)
    for i in np.flatnonzero(found.feasible)[:20]:
        mapping = task.model.mapping(task.space.decode(rows[i]))
        one = evaluate_one(task.model.architecture.hierarchy, mapping, task.model.problem)
        assert found.metrics["latency_cycles"][i] == one.cycles[0]
        assert found.metrics["energy_pj"][i] == one.energy_pj[0]
        assert one.access_pj is not None
        dram = found.breakdown["energy_pj/DRAM"][i]
        assert dram == pytest.approx(one.access_pj[0, -1].sum())
        design = task.model.design(mapping)
        again = task.evaluate(task.space.encode(design)[None])
        assert again.metrics["energy_pj"][0] == one.energy_pj[0]


def test_every_mapping_is_one_design() -> None:
    """A space of few mappings: as many designs as ways to place factors, all of them different."""
    model = archgym.make_task(ENV, workload=GEMM, hardware="tpu").model
    assert model.space.names == ("K", "C", "P", "accumulators.order", "DRAM.order")
    # 64 over three levels of loops, and an axis for K and C; registers hold one weight.
    ways = {"K": 6 + 5 + 4 + 3 + 2 + 1 + 7, "C": 28, "P": 28}
    assert [len(model.space.parameters[i].values) for i in range(3)] == list(ways.values())
    texts = [parameter.values for parameter in model.space.parameters]
    assert all(len(set(values)) == len(values) for values in texts)
    factors = model.mapping_space.mappings(model.space.sample(500, np.random.default_rng(0)))
    whole = (factors.temporal * factors.spatial_x * factors.spatial_y).prod(axis=1)
    assert (whole == model.problem.sizes).all()


def test_an_overflow_says_level_tensors_and_amount(task) -> None:
    design = dict(task.model.default) | {
        "K": "inputs-spad:16,GLB.columns:8",
        "C": "inputs-spad:8,DRAM:16",
        "P": "DRAM:28",
        "Q": "DRAM:28",
        "R": "inputs-spad:3",
        "S": "DRAM:3",
    }
    found = task.evaluate(task.space.encode(design)[None])
    assert found.violated(0) == ("inputs-spad: overflow", "weights-spad: overflow")
    assert task.model.explain(design) == [
        "inputs-spad: tiles take 24 words of 16 bits (inputs 24), the capacity is 12: 12 too many",
        "weights-spad: tiles take 384 words of 16 bits (weights 384), the capacity is 224: 160 too "
        "many",
    ]
    assert found.breakdown["overflow_words/weights-spad"][0] == 160
    assert found.breakdown["held_words/weights-spad weights"][0] == 384
    assert task.model.explain(dict(task.model.default)) == []


def test_imperfect_factors_hold_the_perfect_ones_and_better_mappings() -> None:
    options = {"workload": "alexnet/conv3", "objective": "latency"}
    exact = archgym.make_task(ENV, **options)
    task = archgym.make_task(ENV, space="imperfect-factors", **options)
    for old, new in zip(exact.space.parameters, task.space.parameters, strict=True):
        assert set(old.values) <= set(new.values), old.name
    optimum = exact.optimum
    assert task.optimum is None and optimum is not None and optimum.kind == "solver"
    first = {each.name: each.values[0] for each in task.space.parameters}
    same = task.evaluate(task.space.encode(first | optimum.design)[None])
    assert same.metrics["latency_cycles"][0] == optimum.metrics["latency_cycles"]
    # 13 columns of outputs leave one of 14 idle; 384 channels are 27 times 14 and 6 more.
    better = first | {
        "K": "inputs-spad:4,GLB.columns:14,DRAM:7",
        "C": "GLB.rows:12,DRAM:16",
        "P": "GLB:13",
        "Q": "GLB:13",
        "R": "inputs-spad:3",
        "S": "inputs-spad:3",
    }
    found = task.evaluate(task.space.encode(better)[None])
    assert found.feasible[0]
    assert found.metrics["latency_cycles"][0] == 28 * 16 * 9 * 13 * 13
    mapping = task.model.mapping(better)
    assert task.model.design(mapping) == better
    hierarchy = task.model.architecture.hierarchy
    one = evaluate_one(hierarchy, mapping, task.model.problem, factors="imperfect")
    assert found.metrics["energy_pj"][0] == one.energy_pj[0]
    wasteful = [
        dataclasses.replace(level, temporal=dict(level.temporal) | {"K": 5})
        if level.temporal.get("K") == 4
        else level
        for level in mapping.levels
    ]
    wasteful[-1] = dataclasses.replace(
        wasteful[-1], temporal=dict(wasteful[-1].temporal) | {"K": 6}
    )
    with pytest.raises(ValueError, match=r"factors 'inputs-spad:5,GLB.columns:14,DRAM:6' of K"):
        task.model.design(Mapping(tuple(wasteful)))


def test_more_parts_than_an_axis_has_are_named(task) -> None:
    design = dict(task.model.default) | {
        "K": "GLB.columns:8,DRAM:16",
        "Q": "GLB.columns:2,DRAM:14",
        "C": "DRAM:128",
        "P": "DRAM:28",
        "R": "DRAM:3",
        "S": "DRAM:3",
    }
    found = task.evaluate(task.space.encode(design)[None])
    assert found.violated(0) == ("GLB.columns: more than 14 parts",)
    assert task.model.explain(design) == ["GLB.columns: more than 14 parts"]


def test_factors_that_do_not_multiply_to_the_bound_cannot_be_said(task) -> None:
    with pytest.raises(ValueError, match=r"parameter 'K': value 'GLB:7' is none of its 245 values"):
        task.space.encode(dict(task.model.default) | {"K": "GLB:7"})
    mapping = task.model.mapping(task.model.default)
    other = archgym.make_task(ENV, workload="resnet50/layer1.0.conv2").model
    with pytest.raises(ValueError, match="factors of K multiply to 128"):
        other.design(mapping)


def test_pruned_orders_are_fewer_and_hold_the_optimum() -> None:
    every = archgym.make_task(ENV, workload=GEMM, hardware="edge")
    pruned = archgym.make_task(ENV, workload=GEMM, hardware="edge", orders="pruned")
    orders = [task.space.parameters[-1].values for task in (every, pruned)]
    assert [len(values) for values in orders] == [6, 3]
    assert set(orders[1]) < set(orders[0])
    model = pruned.model
    best = branch_and_bound(model.architecture, model.problem, "energy")
    assert best.mapping is not None
    rows = pruned.space.encode(model.design(best.mapping))[None]
    assert pruned.evaluate(rows).metrics["energy_pj"][0] == best.value


def test_shipped_optima_are_what_the_designs_cost() -> None:
    files = sorted(BEST_KNOWN.glob("*.yaml"))
    assert len(files) == len(HARDWARE) * len(workload_names())
    for path in files[:: max(1, len(files) // 8)]:
        told = yamlfile.read(path)
        for name, entry in told["tasks"].items():
            task = archgym.make_task(ENV, objective=name, **told["options"])
            assert task.optimum is not None, path
            assert task.optimum.kind == entry["kind"]
            found = task.evaluate(task.space.encode(entry["design"])[None])
            assert found.score[0] == entry["score"]
            random = task.evaluate(task.space.sample(2000, np.random.default_rng(3)))
            assert random.score.max() <= entry["bound"] + 1e-9


def test_an_optimum_is_proven_again() -> None:
    """One shipped case, solved here."""
    task = archgym.make_task(ENV, workload="alexnet/conv1", objective="edp")
    found = branch_and_bound(task.model.architecture, task.model.problem, "edp")
    assert found.proven
    assert task.optimum is not None
    assert task.optimum.metrics["edp_pjcycles"] == found.value
    assert task.optimum.regret(task.optimum.score) == 0


def test_an_operator_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "layer.yaml"
    path.write_text("k: 8\nc: 4\np: 6\nq: 6\nr: 3\ns: 3\n")
    task = archgym.make_task(ENV, workload=f"file:{path}", hardware="edge")
    assert task.model.problem == Problem(k=8, c=4, p=6, q=6, r=3, s=3)
    assert task.optimum is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k: 0", "problem: k is 0, expected an integer >= 1"),
        ("k: -4", "problem: k is -4, expected an integer >= 1"),
        ("k: 2.5", "problem: k is 2.5, expected an integer >= 1"),
        ("stride: 2", "'stride' is no size; did you mean 'stride_w'"),
        ("- 3", "expected sizes by name, of n, k, c, p"),
        ("k: [", "is not YAML"),
    ],
)
def test_bad_operators_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "layer.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        archgym.make_task(ENV, workload=f"file:{path}")
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'eyeriss'"):
        archgym.make_task(ENV, hardware="eyerissx")
    with pytest.raises(ValueError, match=r"did you mean 'resnet50/layer2\.1\.conv2'"):
        archgym.make_task(ENV, workload="resnet50/layer2.1.conv3x")
    with pytest.raises(ValueError, match=r"/no/where: cannot be read \(No such file"):
        archgym.make_task(ENV, workload="file:/no/where")
    assert set(ENVIRONMENT.workloads()) == set(workload_names())


def test_an_architecture_names_only_what_it_has() -> None:
    good = architecture("edge")

    def changed(**changes: object) -> Architecture:
        return Architecture(**{**vars(good), **changes})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="level 'L2' is none of RF, GLB, DRAM"):
        changed(loops=("RF", "L2", "DRAM"))
    with pytest.raises(ValueError, match="level 'RF' has no loops"):
        changed(loops=("GLB", "DRAM"))
    with pytest.raises(ValueError, match="'DRAM' cannot bypass 'inputs'"):
        changed(optional=(("DRAM", "inputs"),))
    assert isinstance(good.hierarchy.levels[0], Level)
    assert len(list(itertools.chain(good.loop_levels))) == 3
