"""Tables of the space `small`: what its mappings move, of every design, and what follows from it.

Metrics and their parts are many columns of numbers that hardly repeat. A file therefore keeps, per
design in the order of their numbers, the latency and the bytes that mappings move
(`pricing.TOTALS`), from which `SpatialModel.costs_from` makes everything else, as it does when a
design is evaluated. All designs of the space are allowed and different.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archgym.cost_models.accelerator.spatial.pricing import TOTAL_NAMES
from archgym.enumerated import EnumeratedModel
from archgym.envs._accelerator_model import Accelerator
from archgym.metric import FloatArray
from archgym.table import Table

TABLES = Path(__file__).with_name("tables") / "accelerator"
_KEY = b"archgym.accelerator"
_COLUMNS = ("latency_s", *TOTAL_NAMES)


def shipped() -> tuple[str, ...]:
    """Workloads of which a table is shipped."""
    return tuple(sorted(path.stem.removeprefix("small-") for path in TABLES.glob("*.parquet")))


def shipped_file(workload: str) -> Path:
    """The table of a workload."""
    return TABLES / f"small-{workload}.parquet"


def write_totals(model: Accelerator, path: Path, command: str) -> None:
    """Evaluates every design of a model with one network and one batch, and writes the table.

    Args:
        model: at the fidelity `loopnest`.
        path: of the file.
        command: that makes it again.
    """
    import pyarrow
    import pyarrow.parquet

    rows = model.space.enumerate(0, model.space.size)
    costs = _network(model).model.costs(model.chips_of(rows).designs)
    columns = [costs.latency_s, *costs.totals.T]
    meta = {"fingerprint": model.space.fingerprint, "command": command}
    table = pyarrow.table(dict(zip(_COLUMNS, columns, strict=True)))
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({_KEY: json.dumps(meta, sort_keys=True).encode()}),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        write_statistics=False,
        row_group_size=len(table),
    )


def stored_model(model: Accelerator, path: Path) -> EnumeratedModel:
    """The table of a model, as a cost model that looks its answers up.

    Raises:
        ValueError: if the file is of another space.
    """
    rows = model.space.enumerate(0, model.space.size)
    kept = _read(path, model.space.fingerprint)
    network = _network(model)
    costs = network.costs_from(
        model.chips_of(rows).designs, kept[0], np.ascontiguousarray(kept[1:].T)
    )
    answers = model.answer(rows, [costs])
    numbers = np.arange(len(rows), dtype=np.int64)
    meta = {
        "space": model.space.describe(),
        "fingerprint": model.space.fingerprint,
        "designs": len(rows),
    }
    return EnumeratedModel(path.name, Table(meta, numbers, numbers, answers), model)


@functools.lru_cache(maxsize=4)
def _read(path: Path, fingerprint: str) -> FloatArray:
    """The columns of a file `(columns, n)`."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, use_threads=False)
    meta: Mapping[str, Any] = json.loads(table.schema.metadata[_KEY])
    if meta["fingerprint"] != fingerprint:
        raise ValueError(f"{path}: its design space is not that of this version; make it anew")
    return np.stack([table[name].to_numpy() for name in _COLUMNS])


def _network(model: Accelerator) -> Any:
    """The only network of a model."""
    (network,) = model.models(1)
    return network
