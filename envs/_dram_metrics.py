"""What the DRAM environments measure and what they may be asked for."""

from __future__ import annotations

from archgym.metric import Budget, Metric, Objective

METRICS = (
    Metric("read_latency_ns", "ns", "minimise", "mean over reads, arrival to end of data"),
    Metric("read_latency_p99_ns", "ns", "minimise", "99th percentile over reads"),
    Metric("total_time_ns", "ns", "minimise", "first arrival to end of the last response"),
    Metric("bandwidth_gb_per_s", "GB/s", "maximise", "bytes moved per total time"),
    Metric("power_mw", "mW", "minimise", "energy per total time"),
    Metric("energy_pj", "pJ", "minimise", "of all devices, from supply currents"),
    Metric("energy_per_bit_pj", "pJ", "minimise", "energy per bit moved"),
    Metric("row_hits", "", "none", "requests that found their row open"),
    Metric("row_misses", "", "none", "requests that found their bank closed"),
    Metric("row_conflicts", "", "none", "requests that found another row open"),
    Metric("activates", "", "none", "ACT commands"),
    Metric("precharges", "", "none", "banks precharged"),
    Metric("reads", "", "none", "RD and RDA commands"),
    Metric("writes", "", "none", "WR and WRA commands"),
    Metric("refreshes", "", "none", "REF commands"),
)
"""Metrics of the 2023 grid."""

MODERN_METRICS = (
    *METRICS,
    Metric("bank_refreshes", "", "none", "REFpb and REFsb commands"),
    Metric("power_down_percent", "%", "none", "share of the ranks' time in power-down"),
    Metric("self_refresh_percent", "%", "none", "share of the ranks' time in self-refresh"),
    Metric("fairness", "", "minimise", "largest slowdown of a source; 1 for a lone one"),
    Metric("weighted_speedup", "", "maximise", "sum of 1 / slowdown of the sources"),
    Metric("buffer_area_mm2", "mm2", "minimise", "buffers of all controllers, at 45 nm"),
    Metric("cost", "", "minimise", "channels and ranks, 1: the device's own"),
)
"""Metrics of the space `modern`."""

# Names of the simulator's counters where they differ.
COUNTERS = {
    "activates": "n_act",
    "precharges": "n_pre",
    "reads": "n_rd",
    "writes": "n_wr",
    "refreshes": "n_ref",
}

OBJECTIVES = (
    Objective("low-latency", ("read_latency_ns",), doc="least mean read latency"),
    Objective("low-power", ("power_mw",), doc="least average power"),
    Objective("low-energy", ("energy_pj",), doc="least energy"),
    Objective("energy-delay", ("energy_pj", "total_time_ns"), doc="least energy-delay product"),
    Objective("high-bandwidth", ("bandwidth_gb_per_s",), doc="most bandwidth"),
    Objective(
        "power-under-latency",
        ("power_mw",),
        budgets=(Budget("read_latency_ns", 1.0, relative=True),),
        doc="least power among designs with no more read latency than the default design",
    ),
    Objective(
        "latency-power",
        ("read_latency_ns", "power_mw"),
        pareto=True,
        doc="trade-off of read latency and power",
    ),
)
"""Objectives of the 2023 grid."""

_AFFORDABLE = (
    Budget("buffer_area_mm2", 1.0, relative=True),
    Budget("cost", 1.0, relative=True),
)
MODERN_OBJECTIVES = (
    *OBJECTIVES,
    Objective("low-tail-latency", ("read_latency_p99_ns",), doc="least 99th percentile"),
    Objective(
        "latency-under-area",
        ("read_latency_ns",),
        budgets=_AFFORDABLE,
        doc="least mean read latency with no more buffers, channels and ranks than the default's",
    ),
    Objective(
        "energy-under-latency-area",
        ("energy_pj",),
        budgets=(Budget("read_latency_ns", 1.0, relative=True), *_AFFORDABLE),
        doc="least energy with no more read latency, buffers, channels and ranks than the default",
    ),
    Objective(
        "fair-under-area",
        ("fairness",),
        budgets=_AFFORDABLE,
        doc="least maximum slowdown of a source within the same budgets",
    ),
    Objective(
        "speedup-under-area",
        ("weighted_speedup",),
        budgets=_AFFORDABLE,
        doc="most weighted speedup of the sources within the same budgets",
    ),
    Objective(
        "latency-energy-area",
        ("read_latency_ns", "energy_pj", "buffer_area_mm2"),
        pareto=True,
        doc="trade-off of read latency, energy and area of buffers",
    ),
)
"""Objectives of the space `modern`: those and its own."""
