"""All designs of a small space, evaluated in this process: a table that no file holds.

For cost models that take microseconds per design and spaces of up to a few million index rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archgym.chunks import designs_between
from archgym.cost_model import CostModel, Costs
from archgym.table import Table, TableModel

_ROWS = 1 << 16


def enumerate_designs(model: CostModel) -> Table:
    """Evaluates every different design that obeys the constraints, without breakdowns.

    Args:
        model: whose space is small.
    """
    space = model.space
    numbers, parts = [], []
    for start in range(0, space.size, _ROWS):
        found, rows = designs_between(space, start, min(start + _ROWS, space.size))
        numbers.append(found)
        parts.append(model.evaluate(rows))
    first = parts[0]
    costs = Costs(
        {name: np.concatenate([part.metrics[name] for part in parts]) for name in first.metrics},
        {
            name: np.concatenate([part.violations[name] for part in parts])
            for name in first.violations
        },
    )
    joined = np.concatenate(numbers)
    meta = {"space": space.describe(), "fingerprint": space.fingerprint, "designs": len(joined)}
    return Table(meta, joined, np.arange(len(joined), dtype=np.int64), costs)


class EnumeratedModel(TableModel):
    """A table of all designs of a cost model, whose answers it gives.

    Args:
        name: of what was evaluated, in words.
        table: `enumerate_designs` of a model with the same answers.
        model: whose space, metrics and default design count.
    """

    def __init__(self, name: str, table: Table, model: CostModel) -> None:
        self.path = Path(name)
        self.table = table
        self.space = model.space
        self.metrics = tuple(model.metrics)
        self.default = model.default
        self.features = model.features
