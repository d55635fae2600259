"""The runs of an experiment as tasks of Ray, on this machine or over a cluster."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archgym.plan import RunSpec
from archgym.store import write_atomically
from archgym.worker import THREAD_LIMITS, carry_out

Done = Callable[[RunSpec, str | None], None]
Files = dict[str, bytes]

_MANIFEST = "run.json"


@contextmanager
def connected(address: str, workers: int | None) -> Iterator[Any]:
    """Connects to a cluster, or starts Ray on this machine, and lets go of it afterwards.

    Args:
        address: of the head node; `auto` takes the cluster of `RAY_ADDRESS` or of `ray start`, and
            starts Ray on this machine where there is none.
        workers: cores that Ray started on this machine may use; None for all.

    Raises:
        ValueError: if no cluster answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address != "auto":
            ray.init(address=address, **quiet)
        elif _running():
            ray.init(**quiet)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ValueError(
            f"ray: no cluster answers at {address!r} ({cause}); allowed are auto and HOST:PORT"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _running() -> bool:
    """Whether the environment or `ray start` names a cluster."""
    current = Path(tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    return bool(os.environ.get("RAY_ADDRESS")) or current.exists()


def run_on_ray(
    specs: Sequence[RunSpec], root: Path, address: str, workers: int | None, done: Done
) -> None:
    """Carries out runs as tasks of one core each, and tells of each that ends.

    Where a node sees the results folder, runs write to it as local ones do. Elsewhere a run gets
    what the folder holds of it, and what it has written is copied back when it ends.

    Args:
        specs: the runs.
        root: the results folder.
        address: see `connected`.
        workers: most runs at a time; None leaves that to Ray.
        done: called with each run that ended and, if it failed, with the reason.

    Raises:
        ValueError: if no cluster answers at the address.
    """
    token = f".ray-{uuid.uuid4().hex}"
    with connected(address, workers) as ray:
        task = ray.remote(num_cpus=1, max_retries=2, runtime_env={"env_vars": THREAD_LIMITS})(
            _carry_out
        )
        todo = iter(specs)
        running: dict[Any, RunSpec] = {}
        (root / token).touch()
        try:
            while True:
                room = (workers or len(specs)) - len(running)
                for spec in itertools.islice(todo, room):
                    given = _read(root / spec.folder)
                    running[task.remote(spec.to_dict(), str(root.resolve()), token, given)] = spec
                if not running:
                    return
                for each in ray.wait(list(running))[0]:
                    done(running[each], _ended(ray, each, root / running[each].folder))
                    del running[each]
        finally:
            for each in running:
                ray.cancel(each, force=True)
            (root / token).unlink()


def _ended(ray: Any, reference: Any, folder: Path) -> str | None:
    """Takes over what a run has written elsewhere, and returns why it failed."""
    try:
        failure, files = ray.get(reference)
    except ray.exceptions.RayError as error:
        return f"its Ray task ended ({' '.join(str(error).split())[:200]})"
    _write(folder, files)
    reason: str | None = failure
    return reason


def _carry_out(
    spec: dict[str, Any], root: str, token: str, given: Files
) -> tuple[str | None, Files]:
    """Carries out a run on a node.

    Args:
        spec: the run.
        root: the results folder, as the driver names it.
        token: name of a file in it, by which a node knows that it sees the same folder.
        given: what the folder holds of this run, for nodes that do not.

    Returns:
        Why it failed, None if it did not, and the files it has written where the driver cannot see
        them.
    """
    run = RunSpec(**spec)
    if (Path(root) / token).exists():
        return carry_out(run, Path(root)), {}
    with tempfile.TemporaryDirectory() as scratch:
        _write(Path(scratch) / run.folder, given)
        failure = carry_out(run, Path(scratch))
        return failure, _read(Path(scratch) / run.folder)


def _read(folder: Path) -> Files:
    if not folder.is_dir():
        return {}
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir()) if each.is_file()}


def _write(folder: Path, files: Files) -> None:
    """Makes a folder hold these files; the manifest, which may say "complete", comes last."""
    if not files:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda each: each == _MANIFEST):
        write_atomically(folder / name, files[name])
    for each in folder.iterdir():
        if each.is_file() and each.name not in files:
            each.unlink()
