"""The accelerator environment: what it asks of the models, how networks combine, bad input."""

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.chip import DRAM_NAMES, ChipDesigns, format_number
from archgym.cost_models.accelerator.chip_costs import ChipModel
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.spatial.chips import SpatialDesigns, areas_of
from archgym.cost_models.accelerator.spatial.costs import SpatialModel
from archgym.cost_models.accelerator.spatial.dataflows import FLOWS
from archgym.testing.environments import check_cost_model, check_fidelities

ENV = "Accelerator-v0"
SMALL = "mobilenet-v2"
SPACES = ("spatial", "systolic")


def designs(task, n=200, seed=0):
    """Returns random designs that obey the space's constraints."""
    rows = task.space.sample(4 * n, np.random.default_rng(seed))
    broken = np.logical_or.reduce(list(task.space.violations(rows).values()))
    return rows[~broken][:n]


def test_the_default_design_is_a_tpu_as_the_chip_model_sees_it() -> None:
    one = np.ones(1)
    chip = ChipDesigns(
        256 * one, 256 * one, 1 * one, 24 * 2**20 * one, 2**18 * one, 4 * 2**20 * one, 32 * one,
        0.7 * one, 256 * one, np.array([DRAM_NAMES.index("DDR3")]), 2 * one,
        np.array([format_number("int8")]), np.array([format_number("int8")]), node_nm=22,
    )  # fmt: skip
    costs = ChipModel(load_network("resnet50")).costs(chip)
    got = archgym.make_task(ENV, space="systolic").reference
    latency, energy = costs.latency_s[0], costs.total_energy_j[0]
    assert got["latency_ms"] == pytest.approx(1e3 * latency)
    assert got["throughput_inferences_per_s"] == pytest.approx(1 / latency)
    assert got["energy_mj"] == pytest.approx(1e3 * energy)
    assert got["energy_delay_ujs"] == pytest.approx(1e6 * energy * latency)
    assert got["power_w"] == pytest.approx(costs.power_w[0])
    assert got["area_mm2"] == pytest.approx(costs.total_area_mm2[0])
    assert got["utilisation_percent"] == pytest.approx(100 * costs.utilisation[0])
    assert got["dram_traffic_mb"] == pytest.approx(1e-6 * costs.dram_bytes[0])
    assert got["dram_bandwidth_gb_per_s"] == pytest.approx(25.6)
    assert got["on_chip_memory_kib"] == 24576 + 256 + 4096


def test_the_default_design_is_nvdla_as_the_spatial_model_sees_it() -> None:
    one = np.ones(1)
    chip = ChipDesigns(
        1 * one, 32 * one, 0 * one, 2**18 * one, 2**18 * one, 2**16 * one, 16 * one,
        1.0 * one, 16 * one, np.array([DRAM_NAMES.index("LPDDR5")]), 2 * one,
        np.array([format_number("int8")]), np.array([format_number("int8")]), node_nm=22,
    )  # fmt: skip
    designs = SpatialDesigns(chip, np.array([FLOWS.index("ws")]), 64 * one, 16 * one, 128 * one)
    costs = SpatialModel(load_network("resnet50")).costs(designs)
    got = archgym.make_task(ENV).reference
    latency, energy = costs.latency_s[0], sum(part[0] for part in costs.energy_j.values())
    assert got["latency_ms"] == pytest.approx(1e3 * latency)
    assert got["energy_mj"] == pytest.approx(1e3 * energy)
    assert got["area_mm2"] == pytest.approx(sum(part[0] for part in areas_of(designs).values()))
    assert got["dram_traffic_mb"] == pytest.approx(1e-6 * costs.dram_bytes[0])
    macs = 2048 * 1e9 * latency
    assert got["utilisation_percent"] == pytest.approx(100 * load_network("resnet50").macs / macs)
    assert got["on_chip_memory_kib"] == 256 + 256 + 64


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("batch", [1, 16])
def test_a_chosen_batch_equals_a_given_one(batch: int, space: str) -> None:
    chosen = archgym.make_task(ENV, workload=SMALL, space=space)
    given = archgym.make_task(ENV, workload=SMALL, batch=batch, space=space)
    rows = designs(chosen, 50)
    rows[:, chosen.space.position("Batch")] = chosen.space.parameters[-1].values.index(batch)
    assert chosen.space.names == (*given.space.names, "Batch")
    one, other = chosen.evaluate(rows).metrics, given.evaluate(rows[:, :-1]).metrics
    for name, values in one.items():
        assert np.array_equal(values, other[name])


@pytest.mark.parametrize("space", SPACES)
def test_metrics_of_several_networks_keep_their_meaning(space: str) -> None:
    names = ("mobilenet-v2", "bert-base")
    alone = [
        archgym.make_task(ENV, workload=name, batch=4, space=space, mapping="latency")
        for name in names
    ]
    rows = designs(alone[0], 50)
    latency, energy, traffic = (
        np.stack([task.evaluate(rows).metrics[name] for task in alone])
        for name in ("latency_ms", "energy_mj", "dram_traffic_mb")
    )
    both = {"workload": "+".join(names), "batch": 4, "space": space, "mapping": "latency"}
    mean = archgym.make_task(ENV, **both).evaluate(rows).metrics
    total = archgym.make_task(ENV, **both, combine="sum").evaluate(rows).metrics
    for name, values in (
        ("latency_ms", latency),
        ("energy_mj", energy),
        ("dram_traffic_mb", traffic),
    ):
        assert mean[name] == pytest.approx(np.sqrt(values[0] * values[1]))
        assert total[name] == pytest.approx(values[0] + values[1])
    for got in (mean, total):
        assert got["throughput_inferences_per_s"] == pytest.approx(4e3 / got["latency_ms"])
        assert got["power_w"] == pytest.approx(4 * got["energy_mj"] / got["latency_ms"])
        assert got["energy_delay_ujs"] == pytest.approx(got["energy_mj"] * got["latency_ms"])
    utilisation = np.stack([task.evaluate(rows).metrics["utilisation_percent"] for task in alone])
    weighted = (utilisation * latency).sum(axis=0) / latency.sum(axis=0)
    assert mean["utilisation_percent"] == pytest.approx(np.sqrt(utilisation.prod(axis=0)))
    assert total["utilisation_percent"] == pytest.approx(weighted)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("workload", ["resnet50", "bert-base", "mamba-130m+mobilenet-v2"])
def test_no_design_beats_its_roofline(workload: str, space: str) -> None:
    task = archgym.make_task(ENV, workload=workload, space=space)
    rows = designs(task, 100)
    right, bound = task.evaluate(rows).metrics, task.at("roofline").evaluate(rows).metrics
    for name in ("latency_ms", "dram_traffic_mb", "energy_mj"):
        assert (bound[name] <= right[name] * (1 + 1e-9)).all()
    assert (bound["utilisation_percent"] <= 100 * (1 + 1e-9)).all()
    for name in ("area_mm2", "dram_bandwidth_gb_per_s", "on_chip_memory_kib"):
        assert np.array_equal(bound[name], right[name])


def test_a_larger_memory_or_a_faster_dram_never_slows_a_design() -> None:
    task = archgym.make_task(ENV, workload=SMALL, space="systolic")
    rows = designs(task)
    for name in ("InputMemoryKiB", "WeightMemoryKiB", "OutputMemoryKiB", "Channels"):
        j = task.space.position(name)
        more = rows.copy()
        more[:, j] = np.minimum(more[:, j] + 1, task.space.cardinalities[j] - 1)
        one, other = task.evaluate(rows), task.evaluate(more)
        both = one.feasible & other.feasible
        assert both.sum() > 50
        for metric in ("latency_ms", "dram_traffic_mb"):
            before, after = one.metrics[metric][both], other.metrics[metric][both]
            assert (after <= before * (1 + 1e-9)).all()


def test_a_larger_buffer_never_moves_more_where_traffic_is_what_mappings_save() -> None:
    task = archgym.make_task(ENV, workload="alexnet", mapping="dram-traffic")
    rows = designs(task)
    for name in ("InputMemoryKiB", "WeightMemoryKiB", "OutputMemoryKiB"):
        j = task.space.position(name)
        more = rows.copy()
        more[:, j] = np.minimum(more[:, j] + 1, task.space.cardinalities[j] - 1)
        one, other = task.evaluate(rows), task.evaluate(more)
        both = one.feasible & other.feasible
        assert both.sum() > 50
        before, after = (each.metrics["dram_traffic_mb"][both] for each in (one, other))
        assert (after <= before * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("space", "baseline"),
    [
        ("systolic", "tpu-v1"),
        ("systolic", "gemmini"),
        ("spatial", "nvdla"),
        ("spatial", "eyeriss"),
        ("small", "nvdla"),
    ],
)
@pytest.mark.parametrize(("node", "word"), [(65, 8), (45, 8), (45, 32), (32, 8), (22, 8), (22, 32)])
def test_baselines_are_feasible_everywhere(space: str, baseline: str, node: int, word: int) -> None:
    options = {"baseline": baseline, "node_nm": node, "word_bytes": word, "space": space}
    task = archgym.make_task(ENV, workload=SMALL, **options)
    assert task.evaluate(task.default[None]).feasible[0]


@pytest.mark.parametrize(
    "options",
    [
        {
            "workload": "mobilenet-v2+alexnet",
            "most_area_mm2": 60,
            "most_power_w": 20.0,
            "space": "systolic",
        },
        {"workload": "gpt2", "stage": "decode", "context": 64, "fidelity": "roofline"},
        {"workload": "gpt2+alexnet", "stage": "decode", "combine": "sum", "least_bits": 4},
        {"workload": "alexnet", "baseline": "eyeriss", "most_area_mm2": 9, "mapping": "energy"},
    ],
)
def test_kits_pass_with_other_options(options) -> None:
    task = archgym.make_task(ENV, **options)
    check_cost_model(task)
    check_fidelities(task)


def test_limits_name_what_is_broken_and_keep_the_parts() -> None:
    limits = {"most_area_mm2": 60, "most_power_w": 20.0}
    task = archgym.make_task(ENV, workload=SMALL, space="systolic", **limits)
    rows = task.space.sample(300, np.random.default_rng(0))
    got = task.evaluate(rows)
    possible = ~np.isnan(got.metrics["area_mm2"])
    for rule, metric, most in (
        ("area_mm2 above 60", "area_mm2", 60),
        ("power_w above 20", "power_w", 20),
    ):
        above = got.metrics[metric] > most
        assert 0 < above.sum() < possible.sum()
        assert np.array_equal(got.violations[rule], above)
        assert not got.feasible[above].any()
    parts = [values for name, values in got.breakdown.items() if name.startswith("area_mm2/")]
    whole = got.metrics["area_mm2"]
    assert np.sum(parts, axis=0)[possible] == pytest.approx(whole[possible])


def test_a_bus_is_fed_and_a_register_file_holds_its_operands() -> None:
    task = archgym.make_task(ENV, workload=SMALL)
    bus = "bus wider than what the banks give"
    file = "register file too small for an element of each operand, twice"
    for change, broken in (
        ({}, None),
        ({"BusBytes": 256}, bus),
        ({"BusBytes": 256, "Banks": 32}, None),
        ({"WeightFormat": "int16", "ActivationFormat": "int16"}, None),
        ({"WeightFormat": "int32"}, file),
        ({"WeightFormat": "int32", "RegisterFileBytes": 32}, None),
    ):
        design = {**task.space.decode(task.default), **change}
        got = task.evaluate(task.space.encode(design)[None])
        for rule in (bus, file):
            assert got.violations[rule][0] == (rule == broken), (change, rule)


def test_the_small_space_is_part_of_the_spatial_one() -> None:
    small = archgym.make_task(ENV, workload=SMALL, space="small")
    whole = archgym.make_task(ENV, workload=SMALL)
    assert small.space.size >= 100_000
    assert small.reference == whole.reference
    rows = designs(small, 40)
    full = {**whole.space.decode(whole.default), "Batch": 1}
    same = np.stack([whole.space.encode({**full, **small.space.decode(row)}) for row in rows])
    one, other = small.evaluate(rows), whole.evaluate(same)
    for name, values in one.metrics.items():
        assert np.array_equal(values, other.metrics[name])
    assert np.array_equal(one.feasible, other.feasible)


def test_a_design_is_reported_operator_by_operator() -> None:
    task = archgym.make_task(ENV, workload="mobilenet-v2+alexnet", combine="sum")
    found = task.model.operator_reports(task.default)
    assert list(found) == ["mobilenet-v2", "alexnet"]
    told = task.evaluate(task.default[None]).breakdown
    for level in ("registers", "network", "buffers", "dram"):
        moved = sum(each.traffic_bytes[level] for report in found.values() for each in report)
        assert 1e-6 * moved == pytest.approx(told[f"traffic_mb/{level}"][0])
    latency = sum(each.latency_s for report in found.values() for each in report)
    assert 1e3 * latency == pytest.approx(task.reference["latency_ms"])
    for options in ({"space": "systolic"}, {"fidelity": "roofline"}):
        other = archgym.make_task(ENV, workload=SMALL, **options)
        report = other.model.operator_reports(other.default)[SMALL]
        latency = sum(each.latency_s for each in report)
        energy = sum(sum(each.energy_j.values()) for each in report)
        traffic = sum(each.traffic_bytes["dram"] for each in report)
        assert 1e3 * latency == pytest.approx(other.reference["latency_ms"])
        assert 1e3 * energy == pytest.approx(other.reference["energy_mj"])
        assert 1e-6 * traffic == pytest.approx(other.reference["dram_traffic_mb"])
    broken = {**task.space.decode(task.default), "BusBytes": 512}
    with pytest.raises(ValueError, match="breaks 'bus wider than what the banks give'"):
        task.model.operator_reports(task.space.encode(broken))


def test_what_has_no_mapping_is_infeasible(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "one-filter",
        [helper.make_tensor_value_info("x", kind, [1, 1, 100, 100])],
        [helper.make_tensor_value_info("y", kind, [1, 1, 1, 1])],
        [helper.make_tensor("w", kind, [1, 1, 100, 100], np.zeros(10_000, np.float32))],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    task = archgym.make_task(ENV, workload=f"file:{tmp_path / 'model.onnx'}")
    design = {**task.space.decode(task.default), "WeightMemoryKiB": 16}
    got = task.evaluate(task.space.encode(design)[None])
    assert got.violations["a product has no mapping that fits"][0]
    assert np.isnan(got.metrics["latency_ms"][0]) and not got.feasible[0]
    assert got.metrics["area_mm2"][0] > 0


def test_a_tile_has_to_fit_in_half_its_memory() -> None:
    task = archgym.make_task(ENV, workload=SMALL, space="systolic")
    rule = "tile in the array larger than half its memory"
    for change, broken in (
        ({}, False),
        ({"WeightMemoryKiB": 128}, False),
        ({"WeightMemoryKiB": 64}, True),
        ({"WeightMemoryKiB": 128, "WeightFormat": "int16"}, True),
        ({"WeightMemoryKiB": 64, "Dataflow": "is"}, False),
        ({"WeightMemoryKiB": 64, "Dataflow": "os"}, False),
        ({"InputMemoryKiB": 64, "Dataflow": "is"}, True),
    ):
        design = {**task.space.decode(task.default), **change}
        got = task.evaluate(task.space.encode(design)[None])
        assert got.violations[rule][0] == broken, change


def test_formats_and_batches_follow_the_options() -> None:
    space = archgym.make_task(ENV, workload=SMALL, least_bits=4, batch=1).space
    values = {each.name: each.values for each in space.parameters}
    assert "int4" in values["WeightFormat"] and "int2" not in values["WeightFormat"]
    assert "Batch" not in values
    for space in SPACES:
        wide = archgym.make_task(ENV, workload=SMALL, least_bits=12, space=space)
        assert wide.space.decode(wide.default)["WeightFormat"] == "int16"
    eyeriss = archgym.make_task(ENV, workload=SMALL, baseline="eyeriss")
    assert eyeriss.space.decode(eyeriss.default)["WeightFormat"] == "int16"


def test_context_and_stage_are_for_the_networks_that_have_them() -> None:
    together = archgym.make_task(
        ENV, workload="gpt2+alexnet", stage="decode", context=32, combine="sum"
    )
    decode = archgym.make_task(ENV, workload="gpt2", stage="decode", context=32).reference
    image = archgym.make_task(ENV, workload="alexnet").reference
    assert together.reference["latency_ms"] == pytest.approx(
        decode["latency_ms"] + image["latency_ms"]
    )


def test_an_onnx_file_is_a_workload(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one-product",
        [helper.make_tensor_value_info("x", kind, [64, 32])],
        [helper.make_tensor_value_info("y", kind, [64, 128])],
        [helper.make_tensor("w", kind, [32, 128], np.zeros(32 * 128, np.float32))],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    task = archgym.make_task(ENV, workload=f"file:{tmp_path / 'model.onnx'}", space="systolic")
    assert "Batch" not in task.space.names
    capacity = task.reference["latency_ms"] * 1e-3 * 256 * 256 * 0.7e9
    assert task.reference["utilisation_percent"] == pytest.approx(100 * 64 * 32 * 128 / capacity)
    with pytest.raises(ValueError, match=r"batch: 4 is given, but file:.* has its own"):
        archgym.make_task(ENV, workload=f"file:{tmp_path / 'model.onnx'}", batch=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "resnet05"}, "workload: unknown name 'resnet05'; did you mean 'resnet50'?"),
        ({"workload": "resnet50+bert"}, "workload: unknown name 'bert'"),
        ({"workload": "resnet50+"}, "workload: unknown name ''"),
        ({"workload": "gpt2+gpt2"}, "workload: 'gpt2+gpt2' names 'gpt2' twice"),
        ({"workload": "file:/nowhere/model.onnx"}, "/nowhere/model.onnx"),
        ({"batch": 0}, "batch: 0 is not a whole number from 1"),
        ({"batch": True}, "batch: True is not a whole number from 1"),
        ({"context": 128}, "context: 128 is given, but resnet50 has no context"),
        ({"workload": "gpt2", "context": "long"}, "context: 'long' is not a whole number"),
        ({"stage": "decode"}, "stage: 'decode' is not of resnet50, allowed: none"),
        ({"workload": "gpt2", "stage": "forward"}, "allowed: decode, prefill"),
        ({"node_nm": 7}, "node_nm: unknown name 7"),
        ({"node_nm": 32, "word_bytes": 32}, "word_bytes is 32"),
        ({"least_bits": 16.0}, "least_bits: 16.0 is not a whole number"),
        ({"least_bits": None}, "least_bits: None is not a whole number"),
        ({"least_bits": 64}, "least_bits: 64 is above 32, the widest format's"),
        ({"most_area_mm2": -1}, "most_area_mm2: -1 is not a positive number"),
        ({"most_power_w": "low"}, "most_power_w: 'low' is not a positive number"),
        ({"most_area_mm2": 1}, "the default design breaks 'area_mm2 above 1'"),
        ({"fidelity": "loopnext"}, "fidelity: unknown name 'loopnext'; did you mean 'loopnest'?"),
        ({"space": "systolic", "fidelity": "loopnest"}, "'loopnest' is not for space 'systolic'"),
        (
            {"fidelity": "systolic"},
            "'systolic' is not for space 'spatial', allowed: roofline, loop",
        ),
        ({"baseline": "tpu-v1"}, "'tpu-v1' is not for space 'spatial', allowed: nvdla, eyeriss"),
        ({"space": "small", "batch": 2}, "batch: 2 is not for space 'small', it has 1"),
        ({"space": "small", "least_bits": 4}, "least_bits: 4 is not for space 'small', it has 8"),
        ({"mapping": "power"}, "mapping: unknown name 'power'"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        archgym.make_task(ENV, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
