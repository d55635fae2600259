"""ZigZag's own answer to a mapping, in place of the own model of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.external.tool import RunningTool, Tool, installed, number
from archgym.cost_models.accelerator.loopnest.zigzag import (
    DIRECTIONS,
    OPERANDS,
    Accelerator,
    Cost,
    Layer,
    Loop,
    check,
)

ZIGZAG = Tool(
    "ZigZag",
    ("3.9.",),
    "install package zigzag-dse, which does not name `six` among what it needs (`pip install "
    "'zigzag-dse==3.9.*' six`)",
    "zigzag_worker",
    "ARCHGYM_ZIGZAG",
)


class ZigZag:
    """ZigZag's cost model, as `loopnest.zigzag.evaluate` is ours of it.

    Args:
        tool: That runs it.
    """

    def __init__(self, tool: RunningTool) -> None:
        self.tool = tool

    def evaluate(
        self,
        accelerator: Accelerator,
        layer: Layer,
        temporal: Mapping[str, Sequence[Sequence[Loop]]],
    ) -> Cost:
        """Cost of a layer, see `loopnest.zigzag.evaluate`.

        Raises:
            ValueError: If an operand has other memories than the accelerator, or the operands'
                loops multiply to different bounds.
            WorkerError: If ZigZag fails on it or takes too long, why.
        """
        check(accelerator, temporal)
        question = {
            "accelerator": asdict(accelerator),
            "layer": asdict(layer),
            "temporal": temporal,
        }
        return _read(self.tool.ask(question), accelerator)


def installed_zigzag() -> ZigZag:
    """ZigZag of the interpreter and time-out that the environment variables name.

    Raises:
        ValueError: If it is not installed there, or a variable is no time.
    """
    return ZigZag(installed(ZIGZAG))


def _read(answer: Mapping[str, Any], accelerator: Accelerator) -> Cost:
    """The cost of an answer.

    Raises:
        WorkerError: If a figure is missing or no number from 0.
    """
    try:
        accesses = {
            op: [{way: int(number(moved, way)) for way in DIRECTIONS} for moved in levels]
            for op, levels in _levels(answer["accesses"], accelerator)
        }
        level_pj = {
            op: [number({"level_pj": value}, "level_pj") for value in levels]
            for op, levels in _levels(answer["level_pj"], accelerator)
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise WorkerError(f"answered without {error}") from error
    return Cost(
        number(answer, "energy_pj"),
        level_pj,
        accesses,
        int(number(answer, "steps")),
        number(answer, "stalls"),
        number(answer, "latency"),
    )


def _levels(found: Mapping[str, Any], accelerator: Accelerator) -> list[tuple[str, list[Any]]]:
    """What an answer says per memory of every operand."""
    pairs = [(op, list(found[op])) for op in OPERANDS]
    for op, levels in pairs:
        if len(levels) != len(accelerator.of(op)):
            raise WorkerError(f"answered {len(levels)} memories of {op}")
    return pairs
