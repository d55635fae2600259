"""Totals of the networks against published ones."""

import pytest

from archgym.cost_models.accelerator.networks import (
    load_network,
    network_entry,
    network_names,
)

# Parameters: torchvision's weight tables; for MobileNet Keras Applications (trainable); model
# cards of the checkpoints (bert-base-uncased ... mamba-370m) as counted from their tensors; U-Net
# by hand from figure 1 of the paper.
PARAMETERS = {
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet-v1": 4_231_976,
    "mobilenet-v2": 3_504_872,
    "efficientnet-b0": 5_288_548,
    "unet": 31_030_658,
    "vit-b16": 86_567_656,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "qwen2.5-0.5b": 494_032_768,
    "mixtral-8x7b": 46_702_792_704,
    "mamba-130m": 129_135_360,
    "mamba-370m": 371_516_416,
    # Less the biases of relative positions, 32 per head and stack, which are left out.
    "t5-small": 60_506_624 - 2 * 32 * 8,
    "t5-base": 222_903_552 - 2 * 32 * 12,
    "t5-large": 737_668_096 - 2 * 32 * 16,
}

# Giga multiply-accumulates as published, to the digits given: torchvision's tables ("GFLOPS", which
# count a multiply-accumulate as one), MobileNet 1.0: 569 million in table 8 of the paper.
GIGA_MACS = {
    "alexnet": (0.71, 0.005),
    "vgg16": (15.47, 0.005),
    "resnet18": (1.81, 0.005),
    "resnet50": (4.09, 0.005),
    "mobilenet-v1": (0.569, 0.0005),
    "mobilenet-v2": (0.30, 0.005),
    "efficientnet-b0": (0.39, 0.005),
    "vit-b16": (17.56, 0.005),
}


def test_every_network_is_counted():
    assert set(PARAMETERS) == set(network_names())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert load_network(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", GIGA_MACS)
def test_multiply_accumulates(name):
    expected, rounding = GIGA_MACS[name]
    assert abs(load_network(name).macs / 1e9 - expected) <= rounding
    assert load_network(name, batch=4).macs == 4 * load_network(name).macs


def test_bert_operations():
    # 22.5 billion floating-point operations for 128 tokens: Jiao et al., TinyBERT, 2020, table 1.
    made = load_network("bert-base", context=128)
    assert 2 * made.macs + made.operations == pytest.approx(22.5e9, rel=0.01)


@pytest.mark.parametrize("name", [n for n in network_names() if network_entry(n).context])
def test_context_and_batch(name):
    entry = network_entry(name)
    for stage in entry.stages or (None,):
        one = load_network(name, stage=stage)
        assert load_network(name, batch=3, stage=stage).macs == 3 * one.macs
        longer = load_network(name, context=entry.context + 1, stage=stage)
        if name.startswith("mamba") and stage == "decode":
            assert longer.macs == one.macs
        else:
            assert longer.macs > one.macs
        if stage != "decode" or not name.startswith("t5"):
            assert longer.parameters == one.parameters


@pytest.mark.parametrize("name", ["gpt2-xl", "llama-2-70b", "llama-3-8b", "qwen2.5-0.5b"])
def test_decode_reads_every_parameter_of_the_layers_once_and_the_cache(name):
    made = load_network(name, batch=2, context=700, stage="decode")
    layers = [each for each in made if each.name.startswith("layer.")]
    products = [each for each in layers if each.kind == "gemm"]
    weights = sum(each.count * each.weight_elements for each in products)
    biases = sum(each.count * each.n for each in products if each.bias)
    assert sum(each.count * each.macs for each in products) == 2 * (weights - biases)
    (attention,) = (each for each in layers if each.kind == "attention")
    one = attention.kv_heads * attention.head_dim
    assert attention.cache_elements == 2 * 2 * 700 * one
    assert attention.keys == 701


@pytest.mark.parametrize(
    ("batch", "context", "stage", "rows"),
    [
        (1, 64, "decode", {1: 2}),
        (3, 64, "decode", {1: 6}),
        (5, 64, "decode", {2: 2, 1: 6}),
        (1, 1025, "prefill", {257: 2, 256: 6}),
    ],
)
def test_tokens_of_mixtral_are_spread_over_its_experts(batch, context, stage, rows):
    made = load_network("mixtral-8x7b", batch, context, stage)
    groups = [each for each in made if each.name.startswith("layer.gate_up")]
    assert {each.m: each.batch for each in groups} == rows
    tokens = batch * (context if stage == "prefill" else 1)
    assert sum(each.m * each.batch for each in groups) == 2 * tokens
    assert sum(each.batch + each.idle for each in groups) == 8
    assert made.parameters == PARAMETERS["mixtral-8x7b"]


def test_mixtral_works_with_13_billion_of_its_parameters():
    # Jiang et al., Mixtral of Experts, 2024: 13 B active parameters during inference.
    made = load_network("mixtral-8x7b", context=1, stage="decode")
    assert made.macs == pytest.approx(12.9e9, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_network("resnet5"), "unknown name 'resnet5'; did you mean 'resnet50'?"),
        (lambda: load_network("resnet50", batch=0), "batch is 0, must be at least 1"),
        (lambda: load_network("resnet50", context=5), "has no context"),
        (lambda: load_network("resnet50", stage="decode"), "has no stages"),
        (lambda: load_network("gpt2", stage="training"), "allowed: prefill, decode"),
        (lambda: load_network("gpt2", context=1025), "context is 1025, must be at most 1024"),
        (lambda: load_network("gpt2", context=1024, stage="decode"), "at most 1023 in stage"),
        (lambda: load_network("bert-base", context=513), "must be at most 512"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
