"""Kernels are compiled from what stands in the files, not taken from an older cache."""

from pathlib import Path

import archgym.cost_models.dram as dram


def forget_stale_kernels() -> None:
    """Remove cached kernels older than a kernel file: Numba looks at one file of many only."""
    folder = Path(dram.__file__).parent
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for path in (folder / "__pycache__").glob("*.nb[ci]"):
        if path.exists() and path.stat().st_mtime < newest:
            path.unlink(missing_ok=True)


forget_stale_kernels()
