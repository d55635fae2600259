"""Makes a shipped table of the space `small` of `Accelerator-v0`.

Usage: python tools/accelerator_table.py WORKLOAD FILE

Evaluates all designs, which takes a minute or two of one core, and writes FILE, which the
environment looks for as `envs/tables/accelerator/small-WORKLOAD.parquet`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import archgym
from archgym.envs._accelerator_tables import write_totals


def main() -> None:
    """Writes the table."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    workload, file = sys.argv[1:]
    task = archgym.make_task("Accelerator-v0", workload=workload, space="small")
    name = f"small-{workload}.parquet"
    write_totals(task.model, Path(file), f"python tools/accelerator_table.py {workload} {name}")


if __name__ == "__main__":
    main()
