"""Run manifests: what is needed to reproduce a run and to judge whether two runs compare."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archgym.store import FORMAT
from archgym.task import Task

_PACKAGES = ("archgym", "numpy", "numba", "scipy", "optuna", "gymnasium", "scikit-learn")


@functools.cache
def package_versions() -> dict[str, str]:
    """Returns the versions of the packages that can influence a result."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Returns commit and cleanness of the source tree, None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        status = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.stdout.strip(), "clean": not status.stdout.strip()}


def _processor() -> str:
    """Returns the processor's model as the system names it, "unknown" where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or "unknown"


@functools.cache
def host() -> dict[str, Any]:
    """Returns a description of the machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
    }


def now() -> str:
    """Returns the current time in ISO format, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def proxy_digest(task: Task) -> str | None:
    """Returns the digest of the proxy that answers for a task, None for its own cost model."""
    from archgym.proxy import ProxyModel

    return task.model.digest if isinstance(task.model, ProxyModel) else None


def run_manifest(
    task: Task,
    agent: str,
    hyperparameters: Mapping[str, Any],
    seed: int,
    budget: int | None,
    max_repeats: int | None = None,
    max_proposals: int | None = None,
    warm_start: Mapping[str, Any] | None = None,
    stop_at_optimum: bool = False,
) -> dict[str, Any]:
    """Returns the manifest of a new run, with all that is needed to read its trials on their own.

    Args:
        task: what is searched.
        agent: the agent's name.
        hyperparameters: all of them, defaults included.
        seed: the run's seed.
        budget: unique designs, None for no limit.
        max_repeats: proposals in a row without a new design after which it ends, None for the
            evaluator's usual cap.
        max_proposals: proposals after which it ends, None for any number.
        warm_start: what the agent is told of first, see `archgym.warm.WarmStart.describe`; None for
            nothing.
        stop_at_optimum: whether it ends with the first design that is optimal; without it, the
            manifest has no such field.
    """
    return {
        "format": FORMAT,
        "task": task.spec,
        "task_name": task.name,
        "agent": agent,
        "hyperparameters": dict(hyperparameters),
        "seed": seed,
        "budget": budget,
        "max_repeats": max_repeats,
        "max_proposals": max_proposals,
        **({"stop_at_optimum": True} if stop_at_optimum else {}),
        "warm_start": None if warm_start is None else dict(warm_start),
        "proxy": proxy_digest(task),
        "space": task.space.fingerprint,
        "parameters": [parameter.describe() for parameter in task.space.parameters],
        "default": task.default.tolist(),
        "metrics": [metric.describe() for metric in task.metrics],
        "reference": task.reference,
        "versions": package_versions(),
        "git": git_state(),
        "host": host(),
        "started": now(),
        "status": "running",
    }
