"""Timeloop as a function of a hierarchy, a mapping and an operator, run as a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archgym.cost_models.accelerator.external.binary import Program, run
from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.external.timeloop_files import (
    MAC,
    SPACES,
    level_name,
    timeloop_input,
)
from archgym.cost_models.accelerator.loopnest.hierarchy import Hierarchy, Level
from archgym.cost_models.accelerator.loopnest.mapping import LevelMapping, Mapping
from archgym.cost_models.accelerator.loopnest.problem import Problem

TIMELOOP = Program("Timeloop", "timeloop-model", "ARCHGYM_TIMELOOP")

_PJ = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3, "uJ": 1e6, "mJ": 1e9, "J": 1e12}
_COUNTERS = {
    "instances": "Utilized instances (max)",
    "reads": "Scalar reads (per-instance)",
    "fills": "Scalar fills (per-instance)",
    "updates": "Scalar updates (per-instance)",
}
_ENERGY = "Energy (total)"
_FIGURE = re.compile(r"^(.+?)\s*:\s+(\S.*)$")


@dataclass(frozen=True)
class Accesses:
    """What one tensor does at a level.

    Attributes:
        instances: Of the level that are used.
        reads: Of one instance, in words.
        fills: Words from outside written into one.
        updates: Words from inside written into one.
        energy_pj: Of all instances.
    """

    instances: float
    reads: float
    fills: float
    updates: float
    energy_pj: float


@dataclass(frozen=True)
class TimeloopResult:
    """What Timeloop says of a mapping.

    Attributes:
        cycles: Of the whole operator.
        energy_pj: Of all levels and the arithmetic.
        mac_pj: Of the arithmetic alone.
        accesses: Per level and tensor that it keeps.
    """

    cycles: float
    energy_pj: float
    mac_pj: float
    accesses: dict[str, dict[str, Accesses]]


class Timeloop:
    """Timeloop's model, `timeloop-model`.

    Args:
        path: Of the program.
        timeout_s: The most that a mapping may take.

    Raises:
        ValueError: If the program is not Timeloop's.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        trial = Hierarchy((Level("DRAM", word_bits=16),), 1.0)
        try:
            self.evaluate(trial, Mapping((LevelMapping({"K": 2}, "K"),)), Problem(k=2))
        except WorkerError as error:
            raise ValueError(f"Timeloop: {path} does not answer a trial: {error}") from error

    def evaluate(self, hierarchy: Hierarchy, mapping: Mapping, problem: Problem) -> TimeloopResult:
        """Costs of a mapping.

        Raises:
            ValueError: If the mapping is not one of the problem on the hierarchy, or Timeloop has
                no words for either.
            WorkerError: If Timeloop fails on it or takes too long, why.
        """
        files = {"input.yaml": timeloop_input(hierarchy, mapping, problem)}
        output = "timeloop-model.stats.txt"
        text = run(self._path, tuple(files), files, output, self._timeout_s)
        return read_stats(text, [level.name for level in hierarchy.levels])


def installed_timeloop() -> Timeloop:
    """Timeloop of the environment variable or on PATH.

    Raises:
        ValueError: If it is not there, or a variable is no time.
    """
    return Timeloop(TIMELOOP.path(), TIMELOOP.timeout_s())


def read_stats(text: str, names: Sequence[str]) -> TimeloopResult:
    """The figures of `timeloop-model.stats.txt`.

    Args:
        text: Of the file.
        names: Of the levels, innermost first.

    Raises:
        WorkerError: If one is missing, or energies of the levels are not what the summary says.
    """
    body, _, summary = text.partition("Summary Stats")
    levels = dict(_levels(body.partition("\nNetworks\n")[0]))
    for expected in (MAC, *(level_name(i) for i in range(len(names)))):
        if expected not in levels:
            raise WorkerError(
                f"its statistics have levels {', '.join(levels) or 'none'}, not {expected}"
            )
    mac_pj = _energy(levels[MAC][""])
    accesses = {
        name: {
            tensor: _accesses(sections[space])
            for tensor, space in SPACES.items()
            if space in (sections := levels[level_name(i)])
        }
        for i, name in enumerate(names)
    }
    energy = mac_pj + sum(each.energy_pj for level in accesses.values() for each in level.values())
    told = dict(_figures(summary))
    total = _picojoules(told.get("Energy", "missing"))
    # The summary has two decimals of a microjoule.
    if abs(total - energy) > max(0.0051e6, 1e-3 * total):
        raise WorkerError(
            f"its levels take {energy:g} pJ, its summary says {told['Energy']}: something takes "
            f"energy that no level does"
        )
    return TimeloopResult(_number(told, "Cycles"), energy, mac_pj, accesses)


def _levels(text: str) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """Per level its statistics, per tensor (those of all under an empty name)."""
    parts = re.split(r"^=== (.+) ===$", text, flags=re.MULTILINE)
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        _, _, stats = body.partition("STATS\n")
        pieces = re.split(r"^\s+(\w+)\s*:\s*$", stats, flags=re.MULTILINE)
        sections = {"": dict(_figures(pieces[0]))}
        for tensor, lines in zip(pieces[1::2], pieces[2::2], strict=True):
            sections[tensor] = dict(_figures(lines))
        yield name, sections


def _figures(text: str) -> Iterator[tuple[str, str]]:
    """Lines `name : value`."""
    for line in text.splitlines():
        found = _FIGURE.match(line.strip())
        if found:
            yield found[1], found[2].strip()


def _accesses(figures: dict[str, str]) -> Accesses:
    counts = {name: _number(figures, label) for name, label in _COUNTERS.items()}
    return Accesses(**counts, energy_pj=_energy(figures))


def _energy(figures: dict[str, str]) -> float:
    return _picojoules(figures.get(_ENERGY, "missing"))


def _number(figures: dict[str, str], name: str) -> float:
    try:
        return float(figures[name])
    except (KeyError, ValueError):
        raise WorkerError(f"its statistics have {name}: {figures.get(name, 'missing')}") from None


def _picojoules(text: str) -> float:
    """An energy with its unit."""
    value, _, unit = text.partition(" ")
    try:
        return float(value) * _PJ[unit.strip()]
    except (KeyError, ValueError):
        raise WorkerError(f"its statistics have an energy {text!r}") from None
