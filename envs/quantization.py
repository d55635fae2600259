"""Number formats of a network's layers, searched against its measured loss and hardware costs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Fidelity, Option
from archgym.envs._quantization_metrics import METRICS, OBJECTIVES
from archgym.table import TableModel

if TYPE_CHECKING:
    from archgym.envs._quantization_model import Quantization

TOKENS = 2048
"""Of the validation split, that the fidelity `sample` measures."""

TABLES = Path(__file__).parent / "tables" / "quantization"
BEST_KNOWN = Path(__file__).parent / "best_known" / "quantization"
_MEASURED = ("sample", "validation")
_TABLED = ("workload", "space", "tied", "cost_shapes", "context", "batch", "generated")

# CPU seconds of a design with kjv-lm, as printed by `python benchmarks/quantization.py`.
_COSTS = {"table": 1e-6, "additive": 7e-6, "sample": 0.05, "validation": 1.5}


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    for name in ("context", "batch", "generated"):
        value = options[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: {value!r} is not a whole number from 1")
    if str(options["fidelity"]).partition(":")[0] == "table":
        return _looked_up(options)
    keys = ("workload", "space", "tied", "cost_shapes", "context", "batch", "generated")
    return _model(options["fidelity"], options["test_split"], *(options[key] for key in keys))


@functools.lru_cache(maxsize=8)
def _model(
    fidelity: str,
    test: bool,
    workload: str,
    kind: str,
    tied: str,
    shapes: str,
    context: int,
    batch: int,
    generated: int,
) -> Quantization:
    """The cost model, kept so that tasks with other objectives share what it has measured."""
    from archgym.cost_models import measured
    from archgym.envs._quantization_additive import Additive, read_table, shipped
    from archgym.envs._quantization_choices import Reader
    from archgym.envs._quantization_hardware import Hardware
    from archgym.envs._quantization_model import Quantization
    from archgym.envs._quantization_quality import Measured, Quality
    from archgym.envs._quantization_space import quantization_space

    network = measured.load(workload)
    space = quantization_space(network, kind, tied)
    reader = Reader(space, network, tied)
    quality: Quality
    if fidelity == "additive":
        if test:
            raise ValueError("test_split: True with fidelity 'additive', which measures nothing")
        path = shipped(workload)
        if kind == "full" or (kind == "weights" and path is None):
            raise ValueError(
                f"fidelity: 'additive' is not for space {kind!r} of {workload}; it is for "
                f"'three-formats', and for 'weights' of {_with_divergences()}"
            )
        quality = Additive(network, reader, read_table(path) if path else {})
    else:
        tokens = TOKENS if fidelity == "sample" and network.default_tokens == TOKENS else None
        quality = Measured(network, reader, tokens, test)
    hardware = Hardware(
        network, reader, shapes=shapes, context=context, batch=batch, generated=generated
    )
    return Quantization(network, space, kind, tied, quality, hardware, test)


def _with_divergences() -> str:
    names = [path.stem.removeprefix("divergences-") for path in TABLES.glob("divergences-*.npz")]
    return ", ".join(sorted(names))


def workloads() -> dict[str, str]:
    """Returns `{name: description}` of the networks."""
    from archgym.cost_models import measured

    return {name: _summary(name) for name in measured.names()}


def _summary(name: str) -> str:
    from archgym.cost_models import measured

    base, _, scale = name.partition("-outlier-")
    about = measured.about(base)
    kind = "decoder on the King James Bible" if "shape" in about else "classifier of digits"
    text = f"{kind}, {about['parameters'] / 1e6:.2f} M parameters"
    return f"{text}; four channels {scale} times as large" if scale else text


def tabulated(**options: Any) -> TableModel | None:
    """Returns the table that holds every design of the very task, None where there is none.

    Raises:
        ValueError: for a table of the user that does not fit the task.
    """
    fidelity = str(options["fidelity"])
    if fidelity.startswith("table:"):
        path = Path(fidelity.removeprefix("table:"))
    elif fidelity in ("table", "sample") and not options["test_split"] and _has_table(options):
        path = TABLES / _table_name(options)
    else:
        return None
    from archgym.cost_models import measured
    from archgym.envs._quantization_space import default_design, quantization_space

    kind = options["space"]
    space = quantization_space(measured.load(options["workload"]), kind, options["tied"])
    same = {name: options[name] for name in _TABLED}
    return TableModel(path, ENVIRONMENT.id, space, METRICS, default_design(space, kind), same)


def _table_name(options: Mapping[str, Any]) -> str:
    """Name of the file of a task's table; empty for options that none is shipped for."""
    known = ENVIRONMENT.options
    usual = ("cost_shapes", "context", "batch", "generated")
    if any(options[name] != known[name].default_with(options) for name in usual):
        return ""
    return f"{options['workload']}-{options['space']}-{options['tied']}.parquet"


def _has_table(options: Mapping[str, Any]) -> bool:
    name = _table_name(options)
    return bool(name) and (TABLES / name).is_file()


def _looked_up(options: Mapping[str, Any]) -> TableModel:
    model = tabulated(**options)
    if model is None:
        have = ", ".join(sorted(path.stem for path in TABLES.glob("*.parquet")))
        raise ValueError(
            f"fidelity: no table is shipped for workload {options['workload']!r}, space "
            f"{options['space']!r}, tied {options['tied']!r} with these options; there are: {have}"
        )
    return model


def best_known(**options: Any) -> Path | None:
    """Returns the file of the best designs known for a task, None where there is none."""
    path = BEST_KNOWN / f"{options['space']}-{options['tied']}-{options['workload']}.yaml"
    return path if path.is_file() else None


def fidelities(**options: Any) -> tuple[Fidelity, ...]:
    """Returns the fidelities of a task, the cheapest first; see `ENVIRONMENT.options`."""
    own = options["fidelity"]
    found = []
    if own in ("table", "sample") and _has_table(options) and not options["test_split"]:
        found.append(("table", "measured losses of every design, looked up"))
    small = options["space"] == "three-formats"
    listed = f"divergences-{options['workload']}.npz"
    if not options["test_split"] and (
        small or (options["space"] == "weights" and (TABLES / listed).is_file())
    ):
        found.append(("additive", "divergences of single layers, added up"))
    found.append(("sample", f"{TOKENS:,} tokens of the validation split"))
    found.append(("validation", "the whole validation split"))
    return tuple(
        Fidelity(name, doc, _COSTS[name], exact=name == own or {name, own} == {"table", "sample"})
        for name, doc in found
    )


ENVIRONMENT = Environment(
    id="Quantization-v0",
    summary="number formats of a network's layers, its measured loss, and the hardware for them",
    build=build,
    options={
        "workload": Option("kjv-lm", "a network whose loss is measured"),
        "space": Option(
            "full",
            "formats and hardware, formats of weights, or three of them",
            ("full", "weights", "three-formats"),
        ),
        "tied": Option("type", "layers that share their choices", ("layer", "type", "block")),
        "cost_shapes": Option(
            "own",
            "whose shapes the costs are of: the measured network's, or another, larger model's",
            ("own", "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b"),
        ),
        "context": Option(128, "tokens read before the first is generated"),
        "batch": Option(1, "sequences, or images, that run together"),
        "generated": Option(20, "tokens generated, of language models"),
        "test_split": Option(
            False, "whether the test split is measured and reported too", (False, True)
        ),
        "fidelity": Option(
            "sample",
            "what answers for the loss",
            ("sample", "validation", "additive", "table"),
            prefixes=("table:", "proxy:"),
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    tabulated=tabulated,
    best_known=best_known,
    fidelities=fidelities,
    tolerance=1e-4,
)
