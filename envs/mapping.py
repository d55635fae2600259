"""Mapping of one operator on a fixed accelerator: tiling, loop orders, parallel dimensions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archgym.cost_model import CostModel
from archgym.environment import Environment, Fidelity, Option
from archgym.envs._mapping_metrics import OBJECTIVES
from archgym.envs._mapping_plots import PLOTS

if TYPE_CHECKING:
    from archgym.cost_models.accelerator.loopnest import Problem

HARDWARE = ("eyeriss", "simba", "tpu", "edge")
MAESTRO = "archgym2023-maestro"
_CLUSTERS = "clusters"
# CPU time of a mapping in microseconds, as printed by `python benchmarks/mapping.py` and, of
# ZigZag, by `python benchmarks/accelerator.py`.
_LOOPNEST = Fidelity("loopnest", "every element that has to move, counted", 7.3, exact=True)
_ZIGZAG = Fidelity("zigzag", "by ZigZag, where the user has installed it", 8000.0, exact=True)
BEST_KNOWN = Path(__file__).parent / "best_known" / "mapping"


def build(**options: Any) -> CostModel:
    """Builds the cost model; see `ENVIRONMENT.options` for the arguments."""
    problem, hardware = problem_of(str(options["workload"])), options["hardware"]
    if options["space"] == MAESTRO:
        from archgym.envs._mapping_maestro import MaestroMapping

        usual = {"hardware": _CLUSTERS, "orders": "all", "bypass": "fixed", "fidelity": "loopnest"}
        for name, only in usual.items():
            if options[name] != only:
                raise ValueError(f"{name}: {options[name]!r} is not for space {MAESTRO!r}")
        return MaestroMapping(problem)
    from archgym.cost_models.accelerator.loopnest.architectures import architecture
    from archgym.envs._mapping_model import MappingModel

    if hardware == _CLUSTERS:
        raise ValueError(f"hardware: {hardware!r} is for space {MAESTRO!r} only")
    asked = (architecture(hardware), problem, options["orders"], options["bypass"] == "free")
    if options["fidelity"] == "zigzag":
        from archgym.cost_models.accelerator.external import installed_zigzag
        from archgym.envs._mapping_zigzag import ExternalMapping

        return ExternalMapping(*asked, installed_zigzag())
    return MappingModel(*asked)


def fidelities(**options: Any) -> tuple[Fidelity, ...]:
    """Returns the fidelities of a task; what a user has to install only where asked for."""
    if options["fidelity"] == "zigzag":
        return (replace(_LOOPNEST, exact=False), _ZIGZAG)
    return (_LOOPNEST,)


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
            "factors", "exact factors on a memory hierarchy, or that of 2023", ("factors", MAESTRO)
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
            "the own model, or ZigZag where installed (space factors)",
            ("loopnest", "zigzag"),
        ),
    },
    objectives=OBJECTIVES,
    workloads=workloads,
    best_known=best_known,
    plots=PLOTS,
    fidelities=fidelities,
)
