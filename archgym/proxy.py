"""Proxies: models learned from a dataset that answer for a task's cost model.

A proxy is a folder:

- `proxy.json`: the problem and its design space, per metric the scale and the errors, digests;
- `models/METRIC.npz`: the arrays of a model per metric, and per rule that the cost model checks.

It is used with `fidelity="proxy:PATH"`. Constraints of the design space are not learned: the task
checks them as ever. Metrics that have no model are not a number.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archgym.cost_model import CostModel, Costs, FloatFeatures
from archgym.metric import FloatArray, Metric
from archgym.proxy_arrays import Model, load_model
from archgym.proxy_models import Scale, encode
from archgym.space import BoolArray, DesignSpace, IntArray, Value
from archgym.table import file_digests

FORMAT = 1
PREFIX = "proxy:"
"""Beginning of the fidelities that are proxies."""
_FIELDS = (
    *("format", "env", "options", "fingerprint", "reference"),
    *("inputs", "model", "metrics", "rules"),
)


def proxy_path(options: Mapping[str, Any]) -> Path | None:
    """Returns the folder of the proxy that a task's options name, None where there is none."""
    fidelity = options.get("fidelity")
    if isinstance(fidelity, str) and fidelity.startswith(PREFIX):
        return Path(fidelity.removeprefix(PREFIX))
    return None


@dataclass(frozen=True)
class Proxy:
    """A proxy that was read.

    Attributes:
        path: its folder.
        meta: the content of `proxy.json`.
        models: per metric.
        rules: per rule of the cost model a classifier.
        digest: hash of the content.
    """

    path: Path
    meta: Mapping[str, Any]
    models: Mapping[str, Model]
    rules: Mapping[str, Model]
    digest: str

    def predict(self, space: DesignSpace, rows: IntArray) -> dict[str, FloatArray]:
        """Returns `{metric: (n,)}` for index rows `(n, d)`."""
        inputs = encode(space, rows)
        return {
            name: _scale(self.meta["metrics"][name]).back(model.predict(inputs))
            for name, model in self.models.items()
        }

    def broken(self, space: DesignSpace, rows: IntArray) -> dict[str, BoolArray]:
        """Returns `{rule: (n,) true where the design probably breaks it}`."""
        inputs = encode(space, rows)
        return {name: np.asarray(model.predict(inputs) > 0.5) for name, model in self.rules.items()}

    def interval(
        self, space: DesignSpace, rows: IntArray, level: str = "90"
    ) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Returns lower and upper end of the interval that holds that many percent of designs.

        Args:
            space: of the task.
            rows: index rows `(n, d)`.
            level: in percent, one of those in `proxy.json`.
        """
        inputs = encode(space, rows)
        ends = {}
        for name, model in self.models.items():
            scale, told = _scale(self.meta["metrics"][name]), model.predict(inputs)
            half = self.meta["metrics"][name]["half_widths"][level]
            ends[name] = (scale.back(told - half), scale.back(told + half))
        return ends


def _scale(told: Mapping[str, Any]) -> Scale:
    return Scale(**told["scale"])


def load_proxy(path: str | Path) -> Proxy:
    """Reads a proxy; the last few are kept in memory.

    Nothing of it is executed, see `archgym.proxy_arrays.load_model`.

    Raises:
        ValueError: for a folder that is no proxy, was changed.
    """
    file = Path(path) / "proxy.json"
    if not file.is_file():
        raise ValueError(
            f"proxy: {str(path)!r} is no proxy (there is no proxy.json); `archgym proxy train` "
            f"makes one"
        )
    return _load(Path(path), hashlib.sha256(file.read_bytes()).hexdigest()[:16])


@functools.lru_cache(maxsize=4)
def _load(root: Path, digest: str) -> Proxy:
    file = root / "proxy.json"
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        missing = [name for name in _FIELDS if name not in meta]
        written, files = int(meta.get("format", 0)), dict(meta.get("files", {}))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file}: is not the description of a proxy ({error})") from None
    if missing:
        raise ValueError(f"{file}: {missing[0]} is missing")
    if written > FORMAT:
        raise ValueError(f"{file}: format {written} is newer than the supported {FORMAT}")
    models: dict[str, dict[str, Model]] = {"metrics": {}, "rules": {}}
    for group, kind in (("metrics", meta["model"]), ("rules", "rule")):
        for name, told in meta[group].items():
            model = root / "models" / Path(told["file"]).name
            if not model.is_file():
                raise ValueError(f"{model}: is missing")
            if hashlib.sha256(model.read_bytes()).hexdigest() != files.get(told["file"]):
                raise ValueError(f"{model}: was changed after the training")
            models[group][name] = load_model(model, kind, meta["inputs"])
    return Proxy(root, meta, models["metrics"], models["rules"], digest)


class ProxyModel:
    """A cost model that predicts what another one would answer.

    Args:
        path: the proxy's folder.
        base: the cost model that the proxy stands for, bound to the same options.
        environment_id: of the task.
        options: of the task.

    Raises:
        ValueError: naming the proxy and the first thing in which it does not fit the task.
    """

    def __init__(
        self, path: Path, base: CostModel, environment_id: str, options: Mapping[str, Any]
    ) -> None:
        self.proxy = load_proxy(path)
        self.space: DesignSpace = base.space
        self.metrics: tuple[Metric, ...] = base.metrics
        self.default: Mapping[str, Value] = base.default
        self.features: FloatFeatures = base.features
        self._default = self.space.encode(self.default)
        self._check(environment_id, options)
        self._rules = tuple(base.evaluate(np.zeros((0, len(self.space)), np.int64)).violations)

    def _check(self, environment_id: str, options: Mapping[str, Any]) -> None:
        meta, path = self.proxy.meta, self.proxy.path
        if meta["env"] != environment_id:
            raise ValueError(f"{path}: is a proxy of {meta['env']}, not of {environment_id}")
        for name, value in options.items():
            if name != "fidelity" and meta["options"].get(name) != value:
                raise ValueError(
                    f"{path}: was trained for {name}={meta['options'].get(name)!r}, this task has "
                    f"{value!r}"
                )
        if meta.get("option_files", {}) != file_digests(options):
            raise ValueError(f"{path}: was trained with another content of the workload's file")
        if meta["fingerprint"] != self.space.fingerprint:
            raise ValueError(
                f"{path}: was trained on another design space (fingerprint {meta['fingerprint']}, "
                f"this task has {self.space.fingerprint})"
            )

    @property
    def digest(self) -> str:
        """Hash of the proxy's content."""
        return self.proxy.digest

    def evaluate(self, designs: IntArray) -> Costs:
        """Predicts canonical rows `(n, d)` that obey the space's constraints.

        The default design, to which scores are relative, is answered as the cost model did.
        """
        count = len(designs)
        told = self.proxy.predict(self.space, designs) if count else {}
        default = (designs == self._default).all(axis=1)
        for name, values in told.items():
            values[default] = self.proxy.meta["reference"][name]
        broken = self.proxy.broken(self.space, designs) if count else {}
        metrics = {m.name: told.get(m.name, np.full(count, np.nan)) for m in self.metrics}
        rules = {name: broken.get(name, np.zeros(count, np.bool_)) for name in self._rules}
        for mask in rules.values():
            mask[default] = False
        return Costs(metrics, rules)
