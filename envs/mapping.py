"""Mapping of one operator on a fixed accelerator: tiling, loop orders, parallel dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Fidelity, Option
from archgym.envs._mapping_metrics import OBJECTIVES
from archgym.envs._mapping_plots import PLOTS

if TYPE_CHECKING:
    from archgym.cost_models.accelerator.loopnest import Problem

HARDWARE = ("eyeriss", "simba", "tpu", "edge")
IMPERFECT = "imperfect-factors"
MAESTRO = "archgym2023-maestro"
_CLUSTERS = "clusters"
# CPU time of a mapping in microseconds, as printed by `python benchmarks/mapping.py` and, of
# ZigZag, by `python benchmarks/accelerator.py`. Those of Timeloop and MAESTRO are medians of
# reference figures, the start of the process included, by another machine.
_COSTS = {
    "factors": {"loopnest": 7.3, "zigzag": 8000.0, "timeloop": 46000.0},
    IMPERFECT: {"loopnest": 40.0},
    MAESTRO: {"loopnest": 2000.0, "maestro": 4600.0},
}
_DOCS = {
    "loopnest": "the own model",
    "zigzag": "by ZigZag, where the user has installed it",
    "timeloop": "by Timeloop, where the user has installed it",
    "maestro": "by MAESTRO, where the user has installed it",
}
BEST_KNOWN = Path(__file__).parent / "best_known" / "mapping"


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    problem = problem_of(str(options["workload"]))
    allowed = _COSTS[options["space"]]
    if options["fidelity"] not in allowed:
        raise ValueError(
            f"fidelity: {options['fidelity']!r} is not for space {options['space']!r}, allowed: "
            f"{', '.join(allowed)}"
        )
    if options["space"] == MAESTRO:
        return _in_clusters(problem, options)
    return _in_factors(problem, options)


def _in_clusters(problem: Problem, options: Mapping[str, Any]) -> CostModel:
    """Returns the cost model of the space of 2023."""
    from archgym.envs._mapping_maestro import MaestroMapping

    for name, usual in (("hardware", _CLUSTERS), ("orders", "all"), ("bypass", "fixed")):
        if options[name] != usual:
            raise ValueError(f"{name}: {options[name]!r} is not for space {MAESTRO!r}")
    if options["fidelity"] == "loopnest":
        return MaestroMapping(problem)
    from archgym.cost_models.accelerator import external

    return MaestroMapping(problem, external.installed_maestro())


def _in_factors(problem: Problem, options: Mapping[str, Any]) -> CostModel:
    """Returns the cost model of mappings on a memory hierarchy."""
    from archgym.cost_models.accelerator.loopnest.architectures import architecture
    from archgym.envs._mapping_model import MappingModel

    if options["hardware"] == _CLUSTERS:
        raise ValueError(f"hardware: {_CLUSTERS!r} is for space {MAESTRO!r} only")
    hardware = architecture(options["hardware"])
    asked = (hardware, problem, options["orders"], options["bypass"] == "free")
    if options["fidelity"] == "loopnest":
        return MappingModel(*asked, "imperfect" if options["space"] == IMPERFECT else "perfect")
    from archgym.cost_models.accelerator import external
    from archgym.envs._mapping_external import ExternalMapping, by_timeloop, by_zigzag

    if options["fidelity"] == "timeloop":
        external.check_timeloop(hardware.hierarchy)
        return ExternalMapping(*asked, "Timeloop", by_timeloop(external.installed_timeloop()))
    external.check_zigzag(hardware.hierarchy)
    return ExternalMapping(*asked, "ZigZag", by_zigzag(external.installed_zigzag()))


def fidelities(**options: Any) -> tuple[Fidelity, ...]:
    """Returns the fidelities of a task; what a user has to install only where asked for."""
    own = options["fidelity"]
    return tuple(
        Fidelity(name, _DOCS[name], cost, name == own)
        for name, cost in _COSTS[options["space"]].items()
        if name in ("loopnest", own)
    )


def problem_of(workload: str) -> Problem:
    """Returns an operator by name, or that of `file:PATH`."""
    from archgym.cost_models.accelerator.loopnest import workloads as shipped

    if workload.startswith("file:"):
        return shipped.load_problem(Path(workload.removeprefix("file:")))
    return shipped.workload(workload)


def workloads() -> dict[str, str]:
    """Returns `{name: description}` of the operators that ship."""
    from archgym.cost_models.accelerator.loopnest import workloads as shipped

    return {name: shipped.describe(shipped.workload(name)) for name in shipped.workload_names()}


def best_known(**options: Any) -> Path | None:
    """Returns the file of proven optima, of an operator that ships."""
    workload = str(options["workload"])
    if workload.startswith("file:"):
        return None
    return BEST_KNOWN / f"{options['hardware']}-{workload.replace('/', '.')}.yaml"


ENVIRONMENT = Environment(
    id="Mapping-v0",
    summary="tiling, loop orders and parallel dimensions of one operator on fixed hardware",
    build=build,
    options={
        "workload": Option(
            "resnet50/layer2.1.conv2", "a layer or matrix product, or file:PATH of its sizes"
        ),
        "space": Option(
            "factors",
            "factors on a memory hierarchy, exact or with smaller last tiles, or that of 2023",
            ("factors", IMPERFECT, MAESTRO),
        ),
        "hardware": Option(
            "eyeriss",
            "the accelerator; clusters of PEs for the space of 2023",
            (*HARDWARE, _CLUSTERS),
            default_for={("space", MAESTRO): _CLUSTERS},
        ),
        "orders": Option(
            "all",
            "orders of a level's loops: all, or those that hold the optimum",
            ("all", "pruned"),
        ),
        "bypass": Option(
            "fixed", "whether mappings choose which tensors a buffer holds", ("fixed", "free")
        ),
        "fidelity": Option(
            "loopnest",
            "the own model, or where installed ZigZag or Timeloop (space factors), or MAESTRO",
            ("loopnest", "zigzag", "timeloop", "maestro"),
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    best_known=best_known,
    plots=PLOTS,
    fidelities=fidelities,
)
