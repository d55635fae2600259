"""What the framework asks of a cost model that is bound to a design space and a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from archgym.metric import FloatArray, Metric
from archgym.space import BoolArray, DesignSpace, IntArray, Value

FloatFeatures = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Costs:
    """A cost model's answer for a batch of `n` designs.

    Attributes:
        metrics: `{metric name: (n,)}`; NaN where a design could not be evaluated.
        violations: `{rule: (n,) true where a design breaks it}`; such designs are infeasible. A
            model answers with the same rules for every batch.
        breakdown: `{"quantity/component": (n,)}`, the parts of some metrics.
    """

    metrics: Mapping[str, FloatArray]
    violations: Mapping[str, BoolArray] = field(default_factory=dict)
    breakdown: Mapping[str, FloatArray] = field(default_factory=dict)


class CostModel(Protocol):
    """A deterministic, batched function from designs to metrics, without hidden state.

    Attributes:
        space: the design space whose rows it evaluates.
        metrics: what it reports, in order.
        default: the design that scores 0, by values.
        features: float32 array `(k,)` in [-1, 1] that describes the workload to an agent.
    """

    space: DesignSpace
    metrics: tuple[Metric, ...]
    default: Mapping[str, Value]
    features: FloatFeatures

    def evaluate(self, designs: IntArray) -> Costs:
        """Evaluates canonical index rows `(n, d)` that obey the space's constraints.

        The answer for a design may not depend on the rest of the batch, its order, the process or
        the number of threads.
        """
        ...
