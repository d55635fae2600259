"""Record the memory requests of a program: valgrind's lackey through a two-level cache model.

Needs Linux and valgrind, an external program. A request's time is the number of instructions
before it times a time scale; `docs/traces.md` says what is and what is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archgym.cost_models.dram.cache_filter import CacheFilter, PageMapper
from archgym.cost_models.dram.lackey import stream_accesses
from archgym.cost_models.dram.trace import Trace

CLOCK_PS = 1000
"""Period of the clock that recorded times count."""

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Options:
    """What is kept of a recording, and how addresses and times come about.

    Attributes:
        skip: Memory requests to leave out at the start.
        keep: Memory requests to keep after those.
        ns_per_instruction: Nanoseconds from one instruction to the next.
        memory_bytes: Physical memory that pages are placed in.
        seed: Seed of the placement of pages.
    """

    skip: int
    keep: int
    ns_per_instruction: float
    memory_bytes: int = 1 << 30
    seed: int = 0

    def __post_init__(self) -> None:
        for field, least in (("skip", 0), ("keep", 1), ("memory_bytes", 4096), ("seed", 0)):
            if getattr(self, field) < least:
                raise ValueError(f"{field} must be at least {least}, got {getattr(self, field)}")
        if not self.ns_per_instruction > 0:
            raise ValueError(f"ns_per_instruction must be positive, got {self.ns_per_instruction}")


def record(
    command: Sequence[str],
    folder: Path,
    options: Options,
    name: str,
    listener: Callable[[int, int], None] | None = None,
) -> Trace:
    """Run a program under lackey until enough requests have been seen.

    Args:
        command: Program and arguments.
        folder: Working directory of the program.
        options: What to keep.
        name: Name of the trace.
        listener: Called with the requests seen and those needed.

    Raises:
        ValueError: If valgrind or the program is missing, fails, or ends before `skip + keep`
            requests.
    """
    caches, pages = CacheFilter(), PageMapper(options.memory_bytes, options.seed)
    seen, parts = 0, []
    needed = options.skip + options.keep
    with closing(stream_accesses(command, environment=_ENVIRONMENT, folder=folder)) as chunks:
        for chunk in chunks:
            physical = pages.physical(chunk.address)
            part = caches.requests(chunk.instruction, chunk.is_write, physical, chunk.size)
            drop = min(max(options.skip - seen, 0), part[0].size)
            parts.append([column[drop:] for column in part])
            seen += part[0].size
            if listener is not None:
                listener(min(seen, needed), needed)
            if seen >= needed:
                break
    if seen < needed:
        raise ValueError(f"{command[0]} made {seen} memory requests; skip + keep is {needed}")
    instruction, is_write, address = (
        np.concatenate(columns)[: options.keep] for columns in zip(*parts, strict=True)
    )
    elapsed_ns = (instruction - instruction[0]) * options.ns_per_instruction
    return Trace(elapsed_ns.astype(np.int64), is_write, address, CLOCK_PS, name)
