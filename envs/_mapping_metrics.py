"""What the mapping environment measures and what it may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archgym.metric import Metric, Objective

if TYPE_CHECKING:
    from archgym.cost_model import FloatFeatures
    from archgym.cost_models.accelerator.loopnest import Problem

METRICS = (
    Metric(
        "latency_cycles",
        "cycles",
        "minimise",
        "of the operator, memories and arithmetic overlapped",
    ),
    Metric("energy_pj", "pJ", "minimise", "of all accesses and multiply-accumulates"),
    Metric("edp_pjcycles", "pJcycles", "minimise", "energy times latency"),
    Metric("utilisation_percent", "%", "maximise", "multiply-accumulates done of those possible"),
    Metric("dram_traffic_bytes", "bytes", "minimise", "read and written at the outermost memory"),
)

MAESTRO_METRICS = (
    *METRICS[:-1],
    Metric("buffer_traffic_elements", "elements", "minimise", "between the buffer and the PEs"),
)

OBJECTIVES = (
    Objective("edp", ("edp_pjcycles",), doc="least energy-delay product"),
    Objective("latency", ("latency_cycles",), doc="least latency"),
    Objective("energy", ("energy_pj",), doc="least energy"),
    Objective(
        "latency-energy",
        ("latency_cycles", "energy_pj"),
        pareto=True,
        doc="trade-off of latency and energy",
    ),
)
"""Named objectives."""


def features_of(problem: Problem) -> FloatFeatures:
    """Describes an operator in [-1, 1]: its sizes up to 4096, and strides up to 4."""
    sizes = [np.log2(size) / 6 - 1 for size in problem.sizes]
    strides = [problem.stride_h / 2 - 1, problem.stride_w / 2 - 1]
    found: FloatFeatures = np.clip([*sizes, *strides], -1, 1).astype(np.float32)
    return found
