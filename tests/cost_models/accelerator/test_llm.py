"""Latency and memory of language models: modes against each other, limits, refusals."""

import numpy as np
import pytest

from archgym.cost_models.accelerator.llm import LLM_MODES, llm_costs, llm_designs
from archgym.cost_models.accelerator.networks.language import Decoder, gpt2

LLAMA = Decoder("", 32, 4096, 11008, 32, 32, 32000)
GROUPED = Decoder("", 32, 4096, 14336, 32, 8, 128256)


def a100(**changed):
    return llm_designs(**({"peak_tops": 312, "bandwidth_gb_per_s": 2039} | changed))


def costs(design, size=LLAMA, batch=1, context=1024, stage="decode", mode="ideal"):
    return llm_costs(size, design, batch=batch, context=context, stage=stage, mode=mode)


def test_figures_of_the_tools():
    # Llama 2 7B in 16 bits on an A100, 1024 tokens: GenZ 0.0.16, LLM-Viewer 472f71f without flash.
    unfused = a100(flash_attention=False, onchip_bytes=27648000)
    for mode, stage, milliseconds in (
        ("genz", "decode", 6.281338833533518),
        ("genz", "prefill", 45.99194146133333),
        ("llm-viewer", "prefill", 48.8253394),
    ):
        found = costs(unfused, stage=stage, mode=mode)
        assert found.latency_s[0] * 1e3 == pytest.approx(milliseconds, rel=1e-8)


def test_a_decode_reads_all_weights_and_the_cache():
    found = costs(a100())
    weights = 2 * (32 * (4 * 4096**2 + 3 * 4096 * 11008) + 4096 * 32000)
    cache = 2 * 2 * 32 * 1024 * 4096
    assert found.latency_s[0] == pytest.approx((weights + cache) / 2039e9, rel=2e-3)
    assert found.traffic_bytes[0] == pytest.approx(weights + cache, rel=2e-3)
    assert found.weight_memory_bytes[0] == 2 * 6_738_415_616
    assert found.cache_memory_bytes[0] == pytest.approx(cache * 1025 / 1024)
    assert found.memory_bytes[0] > found.weight_memory_bytes[0] + found.cache_memory_bytes[0]


def test_a_prefill_of_many_tokens_is_arithmetic():
    found = costs(a100(), context=4096, stage="prefill")
    assert found.latency_s[0] == pytest.approx(found.operations[0] / 312e12, rel=0.01)
    assert 0 < found.attention_s[0] < found.latency_s[0]


def test_formats():
    full, four, eight = (
        costs(a100(weight_bits=w, activation_bits=a, cache_bits=c))
        for w, a, c in ((16, 16, 16), (4, 16, 16), (8, 8, 8))
    )
    assert full.weight_memory_bytes[0] == 4 * four.weight_memory_bytes[0]
    assert four.cache_memory_bytes[0] == full.cache_memory_bytes[0]
    assert four.latency_s[0] < eight.latency_s[0] < full.latency_s[0]
    # Weights alone make no faster arithmetic.
    slow, fast = (
        costs(a100(weight_bits=w, activation_bits=a), context=4096, stage="prefill").latency_s[0]
        for w, a in ((8, 16), (8, 8))
    )
    assert slow == pytest.approx(2 * fast, rel=0.01)


def test_grouped_queries_need_less_cache():
    assert costs(a100(), GROUPED).cache_memory_bytes[0] * 4 == pytest.approx(
        costs(a100()).cache_memory_bytes[0]
    )


@pytest.mark.parametrize("mode", LLM_MODES)
@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_designs_are_independent_and_faster_is_never_slower(mode, stage):
    tops = np.array([50.0, 100.0, 100.0, 400.0])
    speeds = np.array([500.0, 500.0, 1000.0, 1000.0])
    bits = np.array([16.0, 16.0, 16.0, 8.0])
    many = llm_designs(
        peak_tops=tops, bandwidth_gb_per_s=speeds, weight_bits=bits, onchip_bytes=1e7
    )
    whole = costs(many, GROUPED, 4, 300, stage, mode)
    assert np.all(np.diff(whole.latency_s) <= 0)
    for i in range(4):
        one = llm_designs(
            peak_tops=tops[i],
            bandwidth_gb_per_s=speeds[i],
            weight_bits=bits[i],
            onchip_bytes=1e7,
        )
        alone = costs(one, GROUPED, 4, 300, stage, mode)
        for name in whole.__annotations__:
            assert getattr(alone, name)[0] == getattr(whole, name)[i], name


def test_more_work_takes_longer():
    for mode in LLM_MODES:
        before = costs(a100(), batch=2, context=256, mode=mode)
        for batch, context in ((3, 256), (2, 257)):
            after = costs(a100(), batch=batch, context=context, mode=mode)
            assert after.latency_s[0] > before.latency_s[0]
            assert after.memory_bytes[0] > before.memory_bytes[0]


MIXTURE = Decoder("", 2, 64, 128, 4, 4, 100, experts=4, chosen=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: costs(a100(), mode="gens"), "unknown name 'gens'; did you mean 'genz'?"),
        (lambda: costs(a100(), stage="train"), "unknown name 'train'"),
        (lambda: costs(a100(), batch=0), "batch is 0, must be an integer of at least 1"),
        (lambda: costs(a100(), context=1.5), "context is 1.5"),
        (lambda: costs(a100(), MIXTURE, mode="genz"), "does not know mixtures of experts"),
        (lambda: costs(a100(activation_bits=8), mode="genz"), "has one format for all"),
        (lambda: a100(peak_tops=0), "peak_tops is 0, must be positive"),
        (lambda: a100(weight_bits=[8, -4]), "weight_bits is -4"),
        (lambda: a100(bandwidth_gb_per_s=float("nan")), "bandwidth_gb_per_s is nan"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_the_ideal_mode_knows_mixtures_and_small_models():
    assert costs(a100(), MIXTURE, context=10).latency_s[0] > 0
    assert costs(a100(), gpt2(12, 768), context=100, stage="prefill").latency_s[0] > 0
