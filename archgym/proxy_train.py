"""Training proxies: one model per metric, with errors, intervals and speed measured beside it.

Every error is of designs that the model had not seen: designs are different from each other, and
each is predicted by a model that was trained without it (k-fold cross-validation).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym.dataset import Dataset
from archgym.dataset_runs import slug
from archgym.errors import unknown
from archgym.known import problem_name, trials_of
from archgym.manifest import git_state, now, package_versions
from archgym.metric import FloatArray
from archgym.proxy import FORMAT, load_proxy
from archgym.proxy_arrays import Inputs, Model, save_model
from archgym.proxy_models import (
    SETTINGS,
    Scale,
    encode,
    fitted,
    fitted_rule,
)
from archgym.proxy_report import (
    LEVELS,
    calibration,
    errors,
    fold_numbers,
    half_width,
    measured_speed,
)
from archgym.space import IntArray
from archgym.table import file_digests
from archgym.task import UNUSABLE, Task, make_task

LEAST_DESIGNS = 20
"""Fewest different feasible designs that a proxy is trained on."""


@dataclass(frozen=True)
class Training:
    """How a proxy is trained.

    Attributes:
        model: one of `archgym.proxy_models.SETTINGS`.
        metrics: what to predict; None for every metric that has a better direction.
        designs: how many different designs to train on, drawn at random; None for all.
        folds: of the cross-validation.
        seed: of the folds and of what the models draw.
        timed: whether the cost model is run to compare its speed.
    """

    model: str = "extra-trees"
    metrics: tuple[str, ...] | None = None
    designs: int | None = None
    folds: int = 5
    seed: int = 0
    timed: bool = True

    def __post_init__(self) -> None:
        if self.model not in SETTINGS:
            raise unknown("model", self.model, SETTINGS)
        if self.folds < 2:
            raise ValueError(f"folds: {self.folds} is below 2")
        if self.designs is not None and self.designs < LEAST_DESIGNS:
            raise ValueError(f"designs: {self.designs} is below {LEAST_DESIGNS}")


def train_proxy(
    dataset: Dataset,
    task: str | None,
    output: str | Path,
    training: Training | None = None,
) -> dict[str, Any]:
    """Trains a proxy and writes it beside its place, then renames it.

    Args:
        dataset: where the trials come from.
        task: id or name of a task, or of its problem; None where the dataset has one problem only.
        output: the folder to make.
        training: see `Training`.

    Returns:
        The report: what `proxy.json` holds.

    Raises:
        ValueError: for an output that is there, too few designs, several problems, or trials of
            another version of the cost model than the one installed.
    """
    chosen, target = training or Training(), Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: is there already, choose another name with -o")
    whole = _problem_task(dataset, task)
    known = trials_of(dataset if task is None else dataset.filter(task=task), whole).unique()
    if chosen.designs is not None:
        known = known.sample(chosen.designs, chosen.seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        meta = _train(scratch, known, whole, chosen)
        if target.exists():
            target.rmdir()
        scratch.chmod(0o755)
        os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    load_proxy(target)  # what cannot be read again is found now
    return meta


def _problem_task(dataset: Dataset, name: str | None) -> Task:
    """Builds a task of the problem that is chosen, answered by its own cost model."""
    found = dataset if name is None else dataset.filter(task=name)
    told = [dataset.meta["tasks"][key] for key in found.tasks]
    problems = sorted({each["problem"] for each in told})
    if len(problems) != 1:
        raise ValueError(
            f"task: {dataset.path} holds {len(problems)} problems, choose one of "
            f"{', '.join(problems)}"
        )
    spec = {key: value for key, value in told[0]["spec"].items() if key != "fidelity"}
    return make_task(**spec)


def _train(root: Path, known: Dataset, task: Task, training: Training) -> dict[str, Any]:
    """Trains every model into an empty folder and returns the content of `proxy.json`."""
    (root / "models").mkdir()
    rows, inputs = known.designs, encode(task.space, known.designs)
    names = _chosen_metrics(task, known, training)
    metrics: dict[str, Any] = {}
    for number, name in enumerate(names):
        values = known.metrics[name]
        usable = known.feasible & np.isfinite(values)
        if usable.sum() < max(LEAST_DESIGNS, training.folds):
            raise ValueError(
                f"metric {name!r}: {usable.sum()} feasible designs have it, at least "
                f"{LEAST_DESIGNS} are needed"
            )
        model, told = _metric(inputs[usable], values[usable], training)
        told["file"] = f"models/{number}-{slug(name)}.npz"
        told["unit"] = next(m.unit for m in task.metrics if m.name == name)
        save_model(model, root / told["file"])
        metrics[name] = told
    rules = _rules(root, known, task, inputs, training)
    files = [told["file"] for group in (metrics, rules) for told in group.values()]
    meta: dict[str, Any] = {
        "format": FORMAT,
        "problem": problem_name(task),
        "env": task.environment.id,
        "options": {k: v for k, v in task.options.items() if k != "fidelity"},
        "option_files": file_digests(task.options),
        "fingerprint": task.space.fingerprint,
        "reference": task.reference,
        "inputs": inputs.shape[1],
        "model": training.model,
        "settings": dict(SETTINGS[training.model]),
        "designs": len(known),
        "feasible": int(known.feasible.sum()),
        "folds": training.folds,
        "seed": training.seed,
        "dataset": {"name": known.meta["name"], "digest": known.digest},
        "agents": sorted(set(known.frame()["agent"])),
        "metrics": metrics,
        "rules": rules,
        "versions": package_versions(),
        "git": git_state(),
        "trained": now(),
        "files": {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in files},
    }
    _write(root, meta)
    if training.timed:
        meta["speed"] = measured_speed(root, task, rows[known.feasible])
        _write(root, meta)
    return meta


def _write(root: Path, meta: dict[str, Any]) -> None:
    (root / "proxy.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _chosen_metrics(task: Task, known: Dataset, training: Training) -> list[str]:
    names = [metric.name for metric in task.metrics]
    if training.metrics is None:
        there = [m.name for m in task.metrics if m.direction != "none"]
        return [n for n in there if np.isfinite(known.metrics[n][known.feasible]).any()]
    for name in training.metrics:
        if name not in names:
            raise unknown("metric", name, names)
    return list(training.metrics)


def _metric(inputs: Inputs, values: FloatArray, training: Training) -> tuple[Model, dict[str, Any]]:
    """Returns the model of one metric, and what is known of its errors."""
    scale = Scale.of(values)
    targets = scale.to(values)
    folds = fold_numbers(len(values), training.folds, training.seed)
    predicted = np.empty(len(values))
    for fold in range(training.folds):
        out = folds == fold
        model = fitted(training.model, inputs[~out], targets[~out], training.seed)
        predicted[out] = model.predict(inputs[out])
    started = time.perf_counter()
    model = fitted(training.model, inputs, targets, training.seed)
    seconds = time.perf_counter() - started
    residuals = np.abs(predicted - targets)
    return model, {
        "scale": scale.describe(),
        "designs": len(values),
        "cross_validation": errors(values, scale.back(predicted)),
        "calibration": calibration(residuals, folds),
        "half_widths": {str(level): half_width(residuals, level) for level in LEVELS},
        "learning_curve": _learning_curve(inputs, values, scale, folds, training),
        "fit_seconds": round(seconds, 3),
    }


def _learning_curve(
    inputs: Inputs, values: FloatArray, scale: Scale, folds: IntArray, training: Training
) -> list[dict[str, Any]]:
    """Returns errors on the first fold after training on more and more of the others."""
    out = np.flatnonzero(folds == 0)
    rest = np.flatnonzero(folds != 0)
    np.random.default_rng(training.seed).shuffle(rest)
    sizes = [len(rest) // part for part in (32, 16, 8, 4, 2, 1)]
    curve = []
    for size in dict.fromkeys(size for size in sizes if size >= LEAST_DESIGNS // 2):
        some = rest[:size]
        model = fitted(training.model, inputs[some], scale.to(values[some]), training.seed)
        told = errors(values[out], scale.back(model.predict(inputs[out])))
        curve.append({"designs": size, **told})
    return curve


def _rules(
    root: Path, known: Dataset, task: Task, inputs: Inputs, training: Training
) -> dict[str, Any]:
    """Trains a classifier per rule of the cost model that some of the designs break."""
    broken = known.frame()["violations"].to_list()
    space_rules = {constraint.name for constraint in task.space.constraints}
    reached = np.array([not space_rules & set(each) for each in broken], np.bool_)
    rules: dict[str, Any] = {}
    for name in sorted({rule for each in broken for rule in each} - space_rules - {UNUSABLE}):
        labels = np.array([name in each for each in broken], np.bool_)[reached]
        folds = fold_numbers(len(labels), training.folds, training.seed)
        right = np.zeros(len(labels), np.bool_)
        seen = inputs[reached]
        for fold in range(training.folds):
            out = folds == fold
            model = fitted_rule(seen[~out], labels[~out], training.seed)
            right[out] = (model.predict(seen[out]) > 0.5) == labels[out]
        told: dict[str, Any] = {"designs": len(labels), "broken": int(labels.sum())}
        for key, mask in (("found_percent", labels), ("kept_percent", ~labels)):
            told[key] = float(100 * right[mask].mean()) if mask.any() else None
        told["file"] = f"models/rule-{len(rules)}.npz"
        save_model(fitted_rule(seen, labels, training.seed), root / told["file"])
        rules[name] = told
    return rules
