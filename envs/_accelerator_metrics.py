"""What the accelerator environment measures and what it may be asked for."""

from __future__ import annotations

from archgym.metric import Budget, Metric, Objective

METRICS = (
    Metric("latency_ms", "ms", "minimise", "of a batch, operators one after the other"),
    Metric("throughput_inferences_per_s", "inferences/s", "maximise", "batch per latency"),
    Metric("energy_mj", "mJ", "minimise", "of an inference, DRAM included"),
    Metric("energy_delay_ujs", "uJs", "minimise", "energy of an inference times latency"),
    Metric("power_w", "W", "minimise", "on average while it runs, DRAM included"),
    Metric("area_mm2", "mm2", "minimise", "of the chip's array, vector unit and memories"),
    Metric("utilisation_percent", "%", "maximise", "multiply-accumulates done of those possible"),
    Metric("dram_traffic_mb", "MB", "minimise", "moved for an inference"),
    Metric("dram_bandwidth_gb_per_s", "GB/s", "minimise", "peak of all channels, a resource"),
    Metric("on_chip_memory_kib", "KiB", "minimise", "input, weight and output memories"),
)
"""Metrics; of several networks as `_accelerator_model` combines them."""

_SAME_RESOURCES = (
    Budget("area_mm2", 1.0, relative=True),
    Budget("power_w", 1.0, relative=True),
    Budget("dram_bandwidth_gb_per_s", 1.0, relative=True),
)
OBJECTIVES = (
    Objective(
        "latency-under-budget",
        ("latency_ms",),
        budgets=_SAME_RESOURCES,
        doc="least latency with no more area, power and DRAM bandwidth than the default design",
    ),
    Objective("low-latency", ("latency_ms",), doc="least latency at any price"),
    Objective("low-energy", ("energy_mj",), doc="least energy per inference"),
    Objective("energy-delay", ("energy_mj", "latency_ms"), doc="least energy-delay product"),
    Objective(
        "throughput-under-budget",
        ("throughput_inferences_per_s",),
        budgets=_SAME_RESOURCES,
        doc="most throughput with no more area, power and DRAM bandwidth than the default design",
    ),
    Objective(
        "latency-under-area",
        ("latency_ms",),
        budgets=_SAME_RESOURCES[:1],
        doc="least latency with no more area than the default design",
    ),
    Objective(
        "energy-under-latency-area",
        ("energy_mj",),
        budgets=(Budget("latency_ms", 1.0, relative=True), _SAME_RESOURCES[0]),
        doc="least energy with no more latency and area than the default design",
    ),
    Objective(
        "latency-area",
        ("latency_ms", "area_mm2"),
        pareto=True,
        doc="trade-off of latency and area",
    ),
    Objective(
        "latency-energy-area",
        ("latency_ms", "energy_mj", "area_mm2"),
        pareto=True,
        doc="trade-off of latency, energy and area",
    ),
)
"""Named objectives; those without budgets have no price, so that the largest chips win some."""
