"""What the environment of several sub-accelerators measures, asks for and starts from."""

from __future__ import annotations

from collections.abc import Mapping

from archgym.metric import Budget, Metric, Objective

PES = tuple(range(64, 4097, 64))
BANDWIDTHS = tuple(range(8, 65, 8))

METRICS = (
    Metric(
        "latency_cycles", "cycles", "minimise", "until the last layer of all networks has ended"
    ),
    Metric("energy_macs", "macs", "minimise", "in energies of a multiply-accumulate, without DRAM"),
    Metric("area_um2", "um2", "minimise", "of all sub-accelerators, without their buffers, 28 nm"),
    Metric("pes", "pes", "minimise", "processing elements in all"),
    Metric("noc_bandwidth_gb_per_s", "GB/s", "minimise", "of the networks on the chip in all"),
    Metric(
        "utilisation_percent", "%", "maximise", "multiply-accumulates of those that PEs could do"
    ),
    Metric("busiest_percent", "%", "maximise", "of the latency that the busiest one works"),
)


def _spec(name: str, latency: float, energy: float, area: float) -> Objective:
    """The limits of one of NASAIC's workloads; within them, the least energy-delay product."""
    budgets = (
        Budget("latency_cycles", latency),
        Budget("energy_macs", energy),
        Budget("area_um2", area),
    )
    doc = (
        f"least energy-delay product within NASAIC's limits of {name.removeprefix('spec-').upper()}"
    )
    return Objective(name, ("energy_macs", "latency_cycles"), budgets=budgets, doc=doc)


_SAME_AREA = Budget("area_um2", 1.0, relative=True)
OBJECTIVES = (
    Objective(
        "latency-under-area",
        ("latency_cycles",),
        budgets=(_SAME_AREA,),
        doc="least latency with no more area than the default design",
    ),
    Objective("low-latency", ("latency_cycles",), doc="least latency at any price"),
    Objective("low-energy", ("energy_macs",), doc="least energy"),
    Objective(
        "energy-delay-under-area",
        ("energy_macs", "latency_cycles"),
        budgets=(_SAME_AREA,),
        doc="least energy-delay product with no more area than the default design",
    ),
    Objective(
        "area-under-latency",
        ("area_um2",),
        budgets=(Budget("latency_cycles", 1.0, relative=True),),
        doc="least area with no more latency than the default design",
    ),
    _spec("spec-w1", 8e5, 2e9, 4e9),
    _spec("spec-w2", 1e6, 3.5e9, 4e9),
    _spec("spec-w3", 4e5, 1e9, 4e9),
    Objective(
        "latency-energy-area",
        ("latency_cycles", "energy_macs", "area_um2"),
        pareto=True,
        doc="trade-off of latency, energy and area",
    ),
)
"""Named objectives; limits of W1 to W3 as in NASAIC (Yang et al., DAC 2020)."""

BASELINES: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    # Yang et al., NASAIC, DAC 2020, table of W1: found together with the networks, and for networks
    # found before.
    "nasaic": (("dla", 576, 56), ("shi", 1792, 8)),
    "nas-then-asic": (("dla", 2112, 48), ("shi", 1984, 16)),
}
