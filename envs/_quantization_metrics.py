"""What the quantization environment measures and what it may be asked for."""

from __future__ import annotations

from archgym.metric import Budget, Metric, Objective

METRICS = (
    Metric("perplexity", "", "minimise", "measured, exp of the cross-entropy per token or image"),
    Metric("cross_entropy_nats", "nats", "minimise", "measured, of the validation split"),
    Metric("kl_nats", "nats", "minimise", "divergence from the unquantized network's predictions"),
    Metric("bits_per_weight", "", "minimise", "mean, with scales, zeros and selectors"),
    Metric("weight_kib", "KiB", "minimise", "all weights; those not quantized in 16 bits"),
    Metric("kv_kib", "KiB", "minimise", "keys and values of the context"),
    Metric("latency_us", "us", "minimise", "reading the context and generating tokens"),
    Metric("prefill_latency_us", "us", "minimise", "reading the context, or classifying images"),
    Metric("decode_latency_us", "us", "minimise", "of a generated token"),
    Metric("energy_uj", "uJ", "minimise", "of the same as latency_us"),
    Metric("area_mm2", "mm2", "minimise", "of the array and its memories"),
)
TEST = Metric("test_perplexity", "", "none", "measured on the test split, only reported")
"""With the option `test_split`."""

_LOSS = ("perplexity",)
OBJECTIVES = (
    Objective(
        "perplexity-under-bytes",
        _LOSS,
        (Budget("weight_kib", 0.6, relative=True),),
        doc="least perplexity with at most 0.6 times the default design's bytes of weights",
    ),
    Objective(
        "perplexity-under-bits",
        _LOSS,
        (Budget("bits_per_weight", 3.625),),
        doc="least perplexity with at most 3.625 bits per weight, scales included",
    ),
    Objective(
        "perplexity-under-latency",
        _LOSS,
        (Budget("latency_us", 0.6, relative=True), Budget("area_mm2", 1.0, relative=True)),
        doc="least perplexity at 0.6 times the default design's latency, with no more area",
    ),
    Objective(
        "perplexity-under-area",
        _LOSS,
        (Budget("area_mm2", 0.6, relative=True), Budget("latency_us", 1.0, relative=True)),
        doc="least perplexity at 0.6 times the default design's area, no slower",
    ),
    Objective(
        "energy-delay-under-loss",
        ("energy_uj", "latency_us"),
        (Budget("perplexity", 1.02, relative=True), Budget("area_mm2", 1.0, relative=True)),
        doc="least energy-delay product at up to 1.02 times the perplexity, with no more area",
    ),
    Objective("low-loss", _LOSS, doc="least perplexity at any price: nothing is quantized"),
    Objective(
        "perplexity-bytes",
        ("perplexity", "weight_kib"),
        pareto=True,
        doc="trade-off of perplexity and bytes of weights",
    ),
    Objective(
        "perplexity-latency-area",
        ("perplexity", "latency_us", "area_mm2"),
        pareto=True,
        doc="trade-off of perplexity, latency and area",
    ),
)
