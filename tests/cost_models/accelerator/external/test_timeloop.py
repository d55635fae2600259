"""Timeloop's input and statistics against its documented formats; no program of it runs here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import archgym
from archgym.cost_models.accelerator.external import (
    Timeloop,
    TimeloopResult,
    WorkerError,
    installed_timeloop,
    timeloop_model,
)
from archgym.cost_models.accelerator.external.timeloop_files import timeloop_input
from archgym.cost_models.accelerator.external.timeloop_model import read_stats
from archgym.cost_models.accelerator.external.validation_live import timeloop_live
from archgym.cost_models.accelerator.loopnest import (
    Hierarchy,
    Level,
    LevelMapping,
    Mapping,
    Problem,
)
from archgym.cost_models.accelerator.loopnest.architectures import architecture
from tests.cost_models.accelerator.external import fake_timeloop

HIERARCHY = Hierarchy(
    (
        Level("spad-A", 64, 2, 2, 1.0, 1.5),
        Level("GLB", 8192, 8, 4, 6.0, 7.0, fanout_x=4, fanout_y=2, buffering="double"),
        Level("DRAM", read_words_per_cycle=2, write_words_per_cycle=2, read_pj=200, write_pj=200),
    ),
    2.0,
)
LAYER = Problem(k=8, c=4, p=6, q=6, r=3, s=3, stride_h=2, dilation_w=2)
MAPPING = Mapping(
    (
        LevelMapping({"R": 3, "S": 3}, "SR"),
        LevelMapping({"C": 2, "Q": 3}, "QC", {"K": 4}, {"C": 2}, ("weights",)),
        LevelMapping({"K": 2, "P": 6, "Q": 2}, "QPK"),
    )
)
CROSSED = Mapping(
    (
        MAPPING.levels[0],
        LevelMapping({"C": 4, "Q": 3}, "QC", {"K": 4}, {"K": 2}),
        LevelMapping({"P": 6, "Q": 2}, "QP"),
    )
)


def directives(mapping: Mapping) -> list[dict[str, Any]]:
    found = yaml.safe_load(timeloop_input(HIERARCHY, mapping, LAYER))["mapping"]
    return list(found)


def test_levels_have_instances_capacity_and_bandwidth() -> None:
    arch = yaml.safe_load(timeloop_input(HIERARCHY, MAPPING, LAYER))["arch"]
    pad, buffer, dram = arch["storage"]
    # Innermost first; eight processing elements, four on a row.
    assert (pad["name"], pad["instances"], pad["meshX"], pad["entries"]) == ("L0", 8, 4, 64)
    assert (buffer["instances"], buffer["multiple-buffering"]) == (1, 2.0)
    assert (buffer["read_bandwidth"], buffer["write_bandwidth"]) == (8.0, 4.0)
    assert dram["technology"] == "DRAM" and "entries" not in dram
    assert arch["arithmetic"] == {"name": "MAC", "instances": 8, "meshX": 4, "word-bits": 16}


def test_directives_have_all_factors_and_the_innermost_loop_first() -> None:
    pad, _, buffer, kept, parts, dram, _ = directives(MAPPING)
    assert pad["factors"] == "N1 K1 C1 P1 Q1 R3 S3"
    assert pad["permutation"] == "SRNKCPQ"
    assert (buffer["target"], buffer["type"]) == ("L1", "temporal")
    assert buffer["permutation"][:2] == "QC" and dram["permutation"][:3] == "QPK"
    assert kept["bypass"] == ["Weights"] and kept["keep"] == ["Inputs", "Outputs"]
    # The first `split` dimensions lie on columns, the others on rows.
    assert parts["type"] == "spatial" and parts["split"] == 1
    assert parts["permutation"][0] == "K" and parts["factors"] == "N1 K4 C2 P1 Q1 R1 S1"


def test_a_dimension_on_both_axes_takes_a_level_that_holds_nothing() -> None:
    arch = yaml.safe_load(timeloop_input(HIERARCHY, CROSSED, LAYER))["arch"]
    assert [each["name"] for each in arch["storage"]] == ["L0", "L1R", "L1", "L2"]
    empty = arch["storage"][1]
    assert (empty["instances"], empty["meshX"], empty["entries"]) == (4, 4, 0)
    spatial = {each["target"]: each for each in directives(CROSSED) if each["type"] == "spatial"}
    assert spatial["L1"]["factors"].split()[1] == "K4" and spatial["L1"]["split"] == 1
    assert spatial["L1R"]["factors"].split()[1] == "K2" and spatial["L1R"]["split"] == 0


@pytest.mark.parametrize("mapping", [MAPPING, CROSSED])
def test_what_is_written_says_what_was_meant(mapping: Mapping) -> None:
    hierarchy, read, problem = fake_timeloop.read(timeloop_input(HIERARCHY, mapping, LAYER))
    assert problem == LAYER
    for ours, theirs in zip(HIERARCHY.levels, hierarchy.levels, strict=True):
        assert replace(theirs, name=ours.name) == ours
    assert hierarchy.mac_pj == HIERARCHY.mac_pj
    for here, there in zip(mapping.levels, read.levels, strict=True):
        assert {d: f for d, f in there.temporal.items() if f > 1} == here.temporal
        assert there.full_order == here.full_order
        assert (there.spatial_x, there.spatial_y) == (here.spatial_x, here.spatial_y)
        assert there.bypass == here.bypass


# Exercise 04 of github.com/Accelergy-Project/timeloop-accelergy-exercises: its mapping is
# `conv1d+oc+ic-3levelspatial-kp-ws.map.yaml`, its results `ref-output/kp/timeloop-model.stats.txt`.
# Its buffer takes 102.86 pJ for a vector of 32 words.
BUFFER = {"read_pj": 102.86 / 32, "write_pj": 102.86 / 32}
EXERCISE = (
    Hierarchy(
        (
            Level("RegisterFile", 64, read_pj=0.42, write_pj=0.42, word_bits=8),
            Level("GlobalBuffer", 262144, **BUFFER, word_bits=8, fanout_x=16),
            Level("MainMemory", read_pj=64, write_pj=64, word_bits=8),
        ),
        0.603,
        (8, 8, 8),
    ),
    Mapping(
        (
            LevelMapping({"P": 16}, "P"),
            LevelMapping({"R": 3, "K": 2, "C": 32}, "RKC", {"K": 16}),
            LevelMapping(),
        )
    ),
    Problem(k=32, c=32, r=3, p=16),
)
# Scalar reads, updates and fills per instance of weights, inputs and outputs.
EXERCISE_COUNTS = {
    "RegisterFile": ((3072, 0, 192), (3072, 0, 1152), (3040, 3072, 1024)),
    "GlobalBuffer": ((3072, 0, 3072), (1152, 0, 576), (15872, 16384, 512)),
    "MainMemory": ((3072, 0, 0), (576, 0, 0), (0, 512, 0)),
}


def test_an_exercise_of_timeloops_own(tool: Timeloop) -> None:
    """Its loops are written in the order of its mapping file; what that gives is as it shows."""
    told = yaml.safe_load(timeloop_input(*EXERCISE))["mapping"]
    loops, parts = (
        next(each for each in told if (each["target"], each["type"]) == ("L1", kind))
        for kind in ("temporal", "spatial")
    )
    # `permutation: PRKC`, `factors: R=3 P=1 K=2 C=32`, and K=16 side by side.
    assert [d for d in loops["permutation"] if d in "RKC"] == ["R", "K", "C"]
    assert {"R3", "P1", "K2", "C32"} <= set(loops["factors"].split())
    assert "K16" in parts["factors"].split()
    found = tool.evaluate(*EXERCISE)
    assert found.cycles == 3072
    for level, counts in EXERCISE_COUNTS.items():
        each = found.accesses[level].values()
        assert tuple((a.reads, a.updates, a.fills) for a in each) == counts
    # It shows 524790.49 pJ, with energies that it prints in two decimals.
    assert found.energy_pj == pytest.approx(524790.49, rel=1e-4)


def test_what_timeloop_has_no_words_for_is_refused_by_name() -> None:
    pad, *rest = HIERARCHY.levels

    def tried(**change: Any) -> str:
        changed = Hierarchy((replace(pad, **change), *rest), 1.0)
        with pytest.raises(ValueError) as caught:
            timeloop_input(changed, MAPPING, LAYER)
        return str(caught.value)

    assert tried(word_bits=8) == (
        "level 'spad-A': weights of 16 bits in words of 8, Timeloop's elements are words"
    )
    assert "buffering is 'single'" in tried(buffering="single")
    assert "12.5 words" in tried(capacity_words=12.5)
    with pytest.raises(ValueError, match="'sum-buffer': outputs of 24 bits in words of 8"):
        timeloop_input(architecture("simba").hierarchy, MAPPING, LAYER)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Timeloop:
    monkeypatch.setattr(timeloop_model, "run", fake_timeloop.run)
    return Timeloop("timeloop-model", 1.0)


def test_statistics_are_read_by_level_and_tensor(tool: Timeloop) -> None:
    found = tool.evaluate(HIERARCHY, MAPPING, LAYER)
    assert found.mac_pj == 2.0 * LAYER.macs
    assert set(found.accesses) == {"spad-A", "GLB", "DRAM"}
    assert set(found.accesses["GLB"]) == {"inputs", "outputs"}
    pad = found.accesses["spad-A"]["weights"]
    assert (pad.instances, pad.reads, pad.updates) == (8, LAYER.macs / 8, 0)
    parts = sum(each.energy_pj for level in found.accesses.values() for each in level.values())
    assert found.energy_pj == pytest.approx(found.mac_pj + parts)


def stats(**energy: str) -> str:
    told = {"mac": "10.00 pJ", "level": "5.00 pJ", "total": "0.00 uJ", **energy}
    return (
        f"=== MAC ===\n    STATS\n    -----\n    Cycles : 4\n    Energy (total) : {told['mac']}\n"
        f"=== L0 ===\n    STATS\n    -----\n    Weights:\n        Utilized instances (max) : 1\n"
        "        Scalar reads (per-instance) : 4\n        Scalar fills (per-instance) : 0\n"
        "        Scalar updates (per-instance) : 0\n"
        f"        Energy (total) : {told['level']}\n"
        f"Networks\nSummary Stats\n-----\nCycles: 4\nEnergy: {told['total']}\n"
    )


@pytest.mark.parametrize(
    ("text", "pj"),
    [("7 fJ", 0.007), ("7 pJ", 7), ("7 nJ", 7e3), ("7 uJ", 7e6), ("7 mJ", 7e9), ("7 J", 7e12)],
)
def test_every_unit_of_energy(text: str, pj: float) -> None:
    found: TimeloopResult = read_stats(stats(level=text, mac="0 pJ", total=text), ["one"])
    assert found.accesses["one"]["weights"].energy_pj == pytest.approx(pj)
    assert found.energy_pj == pytest.approx(pj)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (stats(level="7 cal"), "an energy '7 cal'"),
        (stats(total="1.00 uJ"), "something takes energy that no level does"),
        (stats().replace("=== L0", "=== L9"), "have levels MAC, L9, not L0"),
        (stats().replace("Scalar reads (per-instance) : 4", ""), "reads .*: missing"),
        ("", "levels none, not MAC"),
    ],
)
def test_statistics_that_cannot_be_right_are_no_answer(text: str, why: str) -> None:
    with pytest.raises(WorkerError, match=why):
        read_stats(text, ["one"])


def test_rows_of_timeloop_by_the_program(
    reference_dir: Path, tool: Timeloop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every figure of the validation goes through input and statistics."""
    path = reference_dir / "accel" / "timeloop_fixed_mappings.csv"
    short = tmp_path / path.name
    with path.open() as source, short.open("w") as lines:
        lines.writelines(line for i, line in enumerate(source) if i < 2 or i % 40 == 0)
    monkeypatch.delenv("ARCHGYM_TIMELOOP", raising=False)
    assert list(timeloop_live(short)) == []
    program = tmp_path / "timeloop-model"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("ARCHGYM_TIMELOOP", str(program))
    checks = list(timeloop_live(short))
    assert len(checks) == 5 and all(check.passed for check in checks)


def test_is_refused_in_one_line_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("ARCHGYM_TIMELOOP", raising=False)
    with pytest.raises(ValueError) as caught:
        installed_timeloop()
    assert str(caught.value) == (
        "Timeloop: there is no program 'timeloop-model' on PATH; put it there or name it in "
        "ARCHGYM_TIMELOOP"
    )


def test_answers_for_designs_on_hardware_of_one_width(tool: Timeloop, monkeypatch: Any) -> None:
    from archgym.cost_models.accelerator import external

    monkeypatch.setattr(external, "installed_timeloop", lambda: tool)
    options = {"workload": "alexnet/conv2", "fidelity": "timeloop"}
    task = archgym.make_task("Mapping-v0", hardware="eyeriss", **options)
    rows = task.space.sample(60, np.random.default_rng(0))
    found, own = task.evaluate(rows), task.at("loopnest").evaluate(rows)
    assert found.feasible.any() and np.array_equal(found.feasible, own.feasible)
    ratio = found.metrics["energy_pj"][found.feasible] / own.metrics["energy_pj"][found.feasible]
    assert ratio.min() > 0.8 and ratio.max() < 1.3
    parts = [found.breakdown[name] for name in found.breakdown if name.startswith("energy_pj/")]
    total = found.metrics["energy_pj"]
    assert np.allclose(np.sum(parts, axis=0)[found.feasible], total[found.feasible])
    with pytest.raises(ValueError, match="outputs of 24 bits in words of 8, Timeloop's elements"):
        archgym.make_task("Mapping-v0", hardware="simba", **options)
