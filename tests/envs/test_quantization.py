"""Quantization-v0: what it asks of networks, formats and elements, and what it refuses."""

import numpy as np
import pytest

import archgym
from archgym import yamlfile
from archgym.cost_models import measured, numerics, processing_elements
from archgym.envs import quantization
from archgym.envs._quantization_additive import key_of, measure
from archgym.envs._quantization_choices import Reader, WeightChoice
from archgym.envs._quantization_quality import Matrices, Measured
from archgym.envs._quantization_space import (
    ACTIVATIONS,
    WEIGHTS,
    ActivationFormat,
    quantization_space,
    units_of,
)
from archgym.gym import DesignEnv

ENV = "Quantization-v0"


def task_of(**options):
    return archgym.make_task(ENV, **{"objective": "low-loss", **options})


def changed(task, **values):
    """The default design with some values changed; `__` in a name stands for a dot."""
    row = task.default.copy()
    for name, value in values.items():
        j = task.space.position(name.replace("__", "."))
        row[j] = task.space.parameters[j].index(value)
    return task.space.canonical(row[None])


def one(task, rows, name):
    return float(task.evaluate(rows).metrics[name][0])


def test_the_loss_is_that_of_the_network_with_these_matrices_and_quantizers():
    task = task_of()
    row = changed(
        task, q__Weight="int4-asym", q__Group="g32", q__Clip=0.8, down__Weight="nvfp4",
        down__Activation="mxfp4", KvCache="int4-asym", KeysBy="channel",
    )  # fmt: skip
    network = measured.load("kjv-lm")
    int8 = numerics.parse("int8")
    weights = {name: int8.quantize(w, "channel") for name, w in network.weights.items()}
    inputs = dict.fromkeys(weights, lambda x: int8.quantize(x, "token"))
    for block in range(4):
        q, down = f"{block}.q", f"{block}.down"
        weights[q] = numerics.parse("int4-asym").quantize(network.weights[q], 32, 0.8)
        weights[down] = numerics.parse("nvfp4").quantize(network.weights[down])
        inputs[down] = lambda x: numerics.parse("mxfp4").quantize(x)
    cache = numerics.KvCache("int4-asym", "channel")

    def rounded(quantize):
        return lambda x: np.stack([quantize(heads) for heads in x])

    def by_row(x):
        return int8.quantize(x.reshape(-1, x.shape[-1]), "token").reshape(x.shape)

    kv = rounded(cache.quantize_keys), rounded(cache.quantize_values), by_row, by_row
    found = network.evaluate(weights, inputs, kv=kv, tokens=2048)
    assert one(task, row, "cross_entropy_nats") == pytest.approx(found.cross_entropy, rel=1e-6)
    assert one(task, row, "kl_nats") == pytest.approx(found.divergence, rel=1e-4)
    assert one(task, row, "perplexity") == pytest.approx(found.perplexity, rel=1e-6)


def test_answers_do_not_depend_on_what_was_asked_before():
    network = measured.load("kjv-lm")
    space = quantization_space(network, "full", "type")
    reader = Reader(space, network, "type")
    rows = space.canonical(space.sample(6, np.random.default_rng(1)))
    rows[:, space.position("Rounding")] = 0
    whole = Measured(network, reader, 256).losses(rows).cross_entropy
    again = Measured(network, reader, 256).losses(rows[::-1]).cross_entropy[::-1]
    alone = [Measured(network, reader, 256).losses(rows[[i]]).cross_entropy[0] for i in range(6)]
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_array_equal(whole, alone)


def test_nothing_quantized_is_the_network_itself():
    task = task_of()
    given = {f"{unit}__{field}": "fp16" for unit in units_of(measured.load("kjv-lm"), "type")
             for field in ("Weight", "Activation")}  # fmt: skip
    evaluation = task.evaluate(changed(task, KvCache="fp16", Attention="fp16", **given))
    assert abs(evaluation.metrics["kl_nats"][0]) < 1e-6
    assert evaluation.metrics["bits_per_weight"][0] == 16
    about = measured.about("kjv-lm")["validation_perplexity_2048_tokens"]
    assert evaluation.metrics["perplexity"][0] == pytest.approx(about, rel=1e-4)
    weights = evaluation.metrics["weight_kib"][0] * 1024 / 2
    assert weights == measured.about("kjv-lm")["parameters"]


def test_bits_count_scales_and_zeros():
    task = task_of(space="three-formats")
    assert one(task, task.default[None], "bits_per_weight") == 4 + (16 + 4) / 32
    task = task_of()
    row = changed(task, **{f"{unit}__Weight": "mxfp4" for unit in ("q", "k", "v", "o")})
    layers = measured.load("kjv-lm").layers
    sizes = {kind: sum(x.rows * x.columns for x in layers if x.kind == kind) for kind in "qkvo"}
    whole = sum(x.rows * x.columns for x in layers)
    eight = sum((8 + 16 / x.columns) * x.rows * x.columns for x in layers if x.kind not in sizes)
    expected = (4.25 * sum(sizes.values()) + eight) / whole
    assert one(task, row, "bits_per_weight") == pytest.approx(expected)


def test_smoothing_restores_activations_with_outliers():
    task = task_of(workload="kjv-lm-outlier-128")
    units = units_of(measured.load("kjv-lm"), "type")
    tensor = {f"{unit}__Activation": "int8/tensor" for unit in units}
    collapsed = one(task, changed(task, **tensor), "perplexity")
    smooth = one(task, changed(task, Smoothing=0.5, **tensor), "perplexity")
    assert collapsed > 3 * smooth
    plain = task_of()
    assert smooth < 1.1 * one(plain, changed(plain, **tensor), "perplexity")


def test_gptq_and_awq_beat_rounding_at_three_bits():
    task = task_of()
    units = units_of(measured.load("kjv-lm"), "type")
    three = {f"{unit}__Weight": "int3" for unit in units}
    three |= {f"{unit}__Activation": "fp16" for unit in units}
    found = {
        rounding: one(task, changed(task, Rounding=rounding, **three), "kl_nats")
        for rounding in ("nearest", "gptq", "awq")
    }
    assert found["gptq"] < 0.8 * found["nearest"]
    assert found["awq"] < found["nearest"]


def test_area_depends_on_the_union_of_formats():
    task = task_of()
    base = one(task, task.default[None], "area_mm2")
    first = one(task, changed(task, q__Activation="fp16"), "area_mm2")
    both = {"q__Activation": "fp16", "k__Activation": "fp16"}
    assert first > base
    assert one(task, changed(task, **both), "area_mm2") == first
    used = [("int8", "int8"), ("int8", "fp16"), ("int8-asym", "int8")]
    element = processing_elements.family("bit-parallel").area_um2(used)
    parts = task.evaluate(changed(task, **both)).breakdown
    assert parts["area_mm2/elements"][0] == pytest.approx(16 * 16 * element * 1.5e-6)


def test_elements_that_cannot_multiply_a_format_are_named():
    task = task_of()
    evaluation = task.evaluate(changed(task, Elements="bit-serial", q__Weight="nf4"))
    assert evaluation.violated(0) == ("q: the elements cannot multiply its formats",)
    evaluation = task.evaluate(changed(task, Rounding="gptq", down__Weight="olive4"))
    assert evaluation.violated(0) == ("down: gptq with a format that rounds values together",)


def test_memory_and_latency_follow_the_bits():
    task = task_of()
    units = units_of(measured.load("kjv-lm"), "type")
    narrow = changed(task, **{f"{unit}__Weight": "int4" for unit in units})
    for name in ("weight_kib", "decode_latency_us", "energy_uj"):
        assert one(task, narrow, name) < one(task, task.default[None], name)
    cached = changed(task, KvCache="int2-asym")
    assert one(task, cached, "kv_kib") < 0.4 * one(task, task.default[None], "kv_kib")


def test_costs_may_be_those_of_a_larger_model():
    own, large = task_of(), task_of(cost_shapes="llama-2-7b")
    assert own.reference["perplexity"] == large.reference["perplexity"]
    # 6.476 G weights in the layers at 8 + 16 / 4096 or 16 / 11008 bits, 0.26 G others in 16.
    assert large.reference["weight_kib"] * 1024 == pytest.approx(7.0e9, rel=0.01)
    assert large.reference["kv_kib"] * 1024 == pytest.approx(2 * 32 * 4096 * 128 * 1.02, rel=0.02)
    with pytest.raises(ValueError, match="cost_shapes: 'llama-2-7b' is a language model"):
        task_of(workload="digits-cnn", cost_shapes="llama-2-7b")


def test_digits_are_classified_on_the_same_terms():
    task = task_of(workload="digits-cnn")
    assert "KvCache" not in task.space.names
    assert task.reference["decode_latency_us"] == 0
    assert task.reference["latency_us"] == task.reference["prefill_latency_us"] > 0
    coarse = changed(task, **{f"{unit}__Weight": "int2-asym" for unit in
                              units_of(measured.load("digits-cnn"), "type")})  # fmt: skip
    assert one(task, coarse, "cross_entropy_nats") > task.reference["cross_entropy_nats"]


def test_divergences_of_single_layers_add_up():
    task = task_of(space="three-formats", fidelity="additive")
    rows = task.space.sample(12, np.random.default_rng(0))
    guess = task.evaluate(rows).metrics
    network = measured.load("kjv-lm")
    choice = WeightChoice("int3-asym", 32, 1.0)
    told = dict(measure(network, {"3.down": [choice], "2.q": [choice]}))
    matrix = Matrices(network).get("3.down", choice, None, "nearest")
    alone = network.evaluate({"3.down": matrix}, tokens=2048).divergence
    assert told[key_of("3.down", choice)] == pytest.approx(alone, rel=1e-6)
    real = task_of(space="three-formats", fidelity="table").evaluate(rows).metrics
    ranks = [np.argsort(np.argsort(each["kl_nats"])) for each in (guess, real)]
    assert np.corrcoef(*ranks)[0, 1] > 0.9
    with pytest.raises(ValueError, match="'additive' is not for space 'full'"):
        task_of(fidelity="additive")
    with pytest.raises(ValueError, match="test_split: True with fidelity 'additive'"):
        task_of(space="three-formats", fidelity="additive", test_split=True)


def test_the_shipped_table_holds_what_is_measured():
    table = task_of(space="three-formats", fidelity="table")
    sample = task_of(space="three-formats")
    assert table.optimum.kind == "proven"
    rows = sample.space.sample(5, np.random.default_rng(4))
    for name, values in sample.evaluate(rows).metrics.items():
        # Another processor's BLAS rounds in another order.
        np.testing.assert_allclose(table.evaluate(rows).metrics[name], values, rtol=1e-4)
    with pytest.raises(ValueError, match="no table is shipped for workload 'digits-cnn'"):
        task_of(workload="digits-cnn", space="three-formats", fidelity="table")


@pytest.mark.parametrize("name", ["kjv-lm", "kjv-lm-3m"])
def test_the_shipped_divergences_are_what_is_measured(name):
    from archgym.envs._quantization_additive import read_table, shipped

    table = read_table(shipped(name))
    network = measured.load(name)
    rng = np.random.default_rng(0)
    layers = {layer.name: layer for layer in network.layers}
    drawn = [sorted(table)[i] for i in rng.integers(len(table), size=5)]
    for key in drawn:
        layer, fmt, group, clip = key.split("|")
        size = None if group == "block" else int(group) if group.isdigit() else group
        choice = WeightChoice(fmt, size, float(clip))
        (found,) = measure(network, {layer: [choice]})
        assert found[0] == key and layer in layers
        assert table[key] == pytest.approx(found[1], rel=1e-3, abs=2e-7)


def test_the_test_split_is_reported_and_never_rewarded():
    task = task_of(workload="digits-cnn", test_split=True)
    told = DesignEnv(task=task).reset()[1]
    assert told["metrics"]["test_perplexity"] == pytest.approx(task.reference["test_perplexity"])
    with pytest.raises(ValueError, match="'test_perplexity' is only reported"):
        archgym.make_task(
            ENV,
            workload="digits-cnn",
            test_split=True,
            objective={"name": "cheat", "metrics": ["test_perplexity"]},
        )


def test_layers_are_chosen_one_by_one():
    task = task_of(space="weights", tied="layer", workload="kjv-lm")
    env = DesignEnv(task=task, episode="layerwise")
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    env.action_space.seed(0)
    for step in range(3):
        observation, _, terminated, _, info = env.step(env.action_space.sample())
        assert observation in env.observation_space and not terminated
        units = [name.rpartition(".")[0] for name in info["design"]]
        touched = {
            unit
            for unit, now, then in zip(
                units,
                info["design"].values(),
                task.space.decode(task.default).values(),
                strict=True,
            )
            if now != then
        }
        assert touched <= set(list(units_of(measured.load("kjv-lm"), "layer"))[: step + 1])


def test_names_of_formats_are_known_to_numerics_and_elements():
    for name in WEIGHTS:
        assert numerics.parse(name).name == name
    for name in ACTIVATIONS:
        numerics.parse(ActivationFormat.parse(name).format)
    assert {*WEIGHTS} <= {*processing_elements.format_names()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 0}, "context: 0 is not a whole number from 1"),
        ({"generated": 2.5}, "generated: 2.5 is not a whole number from 1"),
        ({"tied": "kind"}, "tied: unknown name 'kind'"),
        ({"workload": "kjv"}, "workload: unknown name 'kjv'; did you mean 'kjv-lm'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        task_of(**options)


def test_fidelities_are_told():
    names = [each.name for each in task_of(space="three-formats").fidelities]
    assert names == ["table", "additive", "sample"]
    whole = archgym.make_task(ENV, fidelity="validation").fidelities
    assert [each.name for each in whole] == ["sample", "validation"]
    assert quantization.ENVIRONMENT.workloads()["kjv-lm"].startswith("decoder on the King James")


@pytest.mark.parametrize(
    "path", sorted(quantization.BEST_KNOWN.glob("*.yaml")), ids=lambda path: path.stem
)
def test_best_known_designs_are_as_good_as_the_files_say(path):
    told = yamlfile.read(path)
    own = told["options"]
    assert path.stem == f"{own['space']}-{own['tied']}-{own['workload']}"
    assert {each.name for each in quantization.OBJECTIVES} > set(told["tasks"])
    for name, entry in told["tasks"].items():
        task = archgym.make_task(told["env"], objective=name, **own)
        found = task.evaluate(task.space.encode(entry["design"])[None])
        assert found.feasible[0]
        # Another processor rounds losses otherwise, and GPTQ a few weights.
        assert found.metrics["perplexity"][0] == pytest.approx(entry["metrics"]["perplexity"], 2e-3)
        assert found.metrics["area_mm2"][0] == pytest.approx(entry["metrics"]["area_mm2"])
        if "perplexity" not in [budget.metric for budget in task.objective.budgets]:
            assert found.score[0] == pytest.approx(entry["score"], abs=2e-3)
        assert (task.optimum.kind, task.optimum.score) == ("best-known", entry["score"])
        assert entry["score"] > entry["median_random_score"]
    other = archgym.make_task(told["env"], objective=name, **{**own, "context": 64})
    assert other.optimum is None
