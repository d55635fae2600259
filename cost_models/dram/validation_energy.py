"""Energies side by side with DRAMsim3 and DRAMPower, on equal terms.

Both count what a DRAM does as this model does, so for the same commands and the same time in each
state their figures must be this model's. DRAMsim3 prints energies of standby, from which its times
in the states follow; DRAMPower (in DRAMSys 5.0) prints a total, and the time with open rows is that
of the model's own run. Whole runs that both schedulers do alike are compared besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archgym.cost_models.dram import cells as c
from archgym.cost_models.dram.policy import IntArray
from archgym.cost_models.dram.power import FloatArray, energy, rank_energy
from archgym.cost_models.dram.validation_dramsys import dramsys5_device, dramsys5_results
from archgym.cost_models.dram.validation_ramulator import ramulator_device, run_ramulator
from archgym.cost_models.validation import Check, Target, compare, read_rows

_ENERGY = Target(max_error=0.03)
_EQUAL = "DRAMsim3, equal commands and states"
_COUNTS = {c.O_ACT: "n_act", c.O_PRE: "n_act", c.O_RD: "n_rd", c.O_WR: "n_wr", c.O_REF: "n_ref"}
_PARTS = {
    "activate": "act_energy_pJ",
    "read": "read_energy_pJ",
    "write": "write_energy_pJ",
    "refresh": "ref_energy_pJ",
    "active_standby": "act_stb_energy_pJ",
    "precharge_standby": "pre_stb_energy_pJ",
}
# Runs of both schedulers whose cycles and commands differ by no more are the same work.
_ALIKE = 0.01


def dramsim3(path: Path) -> Iterator[Check]:
    """DRAMsim3: parts and totals for its commands and states, then runs done alike."""
    columns = ("simulator", "config", "cycles_total", "total_energy_pJ", "avg_power_mW")
    rows = read_rows(path, (*columns, *_COUNTS.values(), *_PARTS.values()))
    theirs = [row for row in rows if row["simulator"] == "dramsim3"]
    for speed in ("2400", "3200"):
        part = [row for row in theirs if f"_{speed}_" in row["config"]]
        if part:
            yield from _equal_terms(speed, part)
    yield from _alike(path, rows, theirs)


def _equal_terms(speed: str, rows: list[dict[str, str]]) -> Iterator[Check]:
    device = ramulator_device("C3" if speed == "3200" else "C1")
    per = rank_energy(device)
    outputs = np.zeros((len(rows), c.OUTPUTS), np.int64)
    for cell, column in _COUNTS.items():
        outputs[:, cell] = _column(rows, column)
    # Of all ranks; a rank more is the same as its time more.
    ranks = np.array([2 if "_2R_" in row["config"] else 1 for row in rows])
    cycles: IntArray = (_column(rows, "cycles_total") * ranks).astype(np.int64)
    idle = np.rint(_column(rows, _PARTS["precharge_standby"]) / per.precharge_standby)
    outputs[:, c.O_ACTIVE] = cycles - idle
    found = energy(device, outputs, cycles)
    ours: dict[str, FloatArray] = {name: getattr(found, name) for name in _PARTS}
    # DRAMsim3 counts an ACT and its PRE as one part.
    ours["activate"] = found.activate + found.precharge
    for name, column in _PARTS.items():
        reference = _column(rows, column)
        issued = reference > 0
        if issued.any():
            metric = f"{name.replace('_', ' ')} energy"
            yield compare(
                _EQUAL, speed, metric, ours[name][issued], reference[issued], _ENERGY, tolerance=0.5
            )
    total = _column(rows, "total_energy_pJ")
    yield compare(_EQUAL, speed, "total energy", found.total, total, _ENERGY, tolerance=3.0)
    # Here, as in DRAMPower, a rank that refreshes is active until the precharge that ends it.
    t = device.timing
    outputs[:, c.O_ACTIVE] += outputs[:, c.O_REF] * (t.tRFC - t.tRP)
    total_here = energy(device, outputs, cycles).total
    yield compare(
        "DRAMsim3, equal commands",
        speed,
        "total energy, refresh active",
        total_here,
        total,
        _ENERGY,
    )


def _alike(path: Path, rows: list[dict[str, str]], theirs: list[dict[str, str]]) -> Iterator[Check]:
    """Power of the runs that DRAMsim3 and the controller `ramulator` did alike.

    Not of C5, whose rows one closes with the access and the other by a PRE afterwards.
    """
    names = ("cycles_total", *dict.fromkeys(_COUNTS.values()))
    by_run = {
        (row["config"], row["trace"]): row
        for row in rows
        if row["simulator"].startswith("ramulator")
    }
    ours, reference = [], []
    for row in theirs:
        twin = by_run.get((row["config"], row["trace"]))
        if twin is None or "closed" in row["config"]:
            continue
        pairs = [(float(row[name]), float(twin[name])) for name in names]
        if all(abs(one - other) <= _ALIKE * max(one, other) for one, other in pairs):
            result = run_ramulator(path, row["config"][:2], row["trace"])
            ours.append(float(result.power_mw[0]))
            reference.append(float(row["avg_power_mW"]))
    if ours:
        check = "DRAMsim3, runs with commands and cycles within 1 %"
        yield compare(check, "all", "power", ours, reference, _ENERGY)


def drampower(path: Path) -> Iterator[Check]:
    """DRAMPower: totals for the commands and the time of DRAMSys 5.0's runs."""
    device = dramsys5_device()
    counts = ("n_ACT", "n_RD", "n_WR", "n_RDA", "n_WRA", "n_REFAB")
    rows, results = dramsys5_results(path, (*counts, "total_energy_pJ"))
    outputs = np.zeros((len(rows), c.OUTPUTS), np.int64)
    theirs = {name: _column(rows, name).astype(np.int64) for name in counts}
    outputs[:, c.O_ACT] = theirs["n_ACT"]
    outputs[:, c.O_RD] = theirs["n_RD"] + theirs["n_RDA"]
    outputs[:, c.O_WR] = theirs["n_WR"] + theirs["n_WRA"]
    outputs[:, c.O_REF] = theirs["n_REFAB"]
    # Rows open at the end are not closed, in either; time with open rows is not printed.
    opened = np.array([int(r.n_act[0] - r.n_pre[0]) for r in results])
    outputs[:, c.O_PRE] = theirs["n_ACT"] - opened
    standby = np.array([float(r.energy.active_standby[0]) for r in results])
    outputs[:, c.O_ACTIVE] = np.rint(standby / rank_energy(device).active_standby)
    cycles: IntArray = _column(rows, "cycles_total").astype(np.int64)
    outputs[:, c.O_ACTIVE] = np.minimum(outputs[:, c.O_ACTIVE], cycles)
    yield compare(
        "DRAMPower in DRAMSys 5.0, equal commands",
        "all",
        "total energy",
        energy(device, outputs, cycles).total,
        _column(rows, "total_energy_pJ"),
        _ENERGY,
        tolerance=0.005,
    )


def _column(rows: list[dict[str, str]], name: str) -> FloatArray:
    return np.array([float(row[name]) for row in rows])
