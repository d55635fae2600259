"""MAESTRO's mapping files and results against its documented formats; no program of it runs here.

The header of its file is that of `DSE_csv_writer.hpp` in its repository: a comma and spaces between
most columns, a comma alone after tensors.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator import external
from archgym.cost_models.accelerator.external import (
    Maestro,
    WorkerError,
    installed_maestro,
    maestro_model,
)
from archgym.cost_models.accelerator.external.maestro_model import mapping_text, read_csv
from archgym.cost_models.accelerator.external.validation_live import maestro_live
from archgym.cost_models.accelerator.loopnest.maestro import Directive, Traffic, evaluate
from archgym.cost_models.accelerator.loopnest.validation_maestro import maestro_points

TENSORS = ("input", "filter", "output")
HEADER = (
    "Neural Network Name, Layer Number, NumPEs, Runtime (Cycles), Activity count-based Energy (nJ),"
    " Throughput (MACs/Cycle), Throughput Per Energy (GMACs/s*J), Area, Power, NoC BW Req "
    "(Elements/cycle), Avg BW Req, Peak BW Req, Vector Width, Offchip BW Req (Elements/cycle),  L2 "
    "SRAM Size Req (Bytes), L1 SRAM Size Req (Bytes), Multicasting Factor (Weight), Multicasting "
    "Factor (Input), Num Total Input Pixels, Num Total Weight Pixels, Ops/J, Num MACs, PE power, "
    "L1 power, L2 power, NOC power, "
    + "".join(
        f"{t} l1 read, {t} l1 write, {t} l2 read, {t} l2 write, {t} reuse factor," for t in TENSORS
    )
    + "Ingress Delay (Min), Ingress Delay (Max)"
)


def results(traffic: Traffic, energy_nj: float = 0.0) -> str:
    """A file of one layer, as MAESTRO writes it."""
    moved = {
        "input": ("7, 8", f"{traffic.reads['inputs']}, 9"),
        "filter": ("7, 8", f"{traffic.reads['weights']}, 9"),
        "output": ("7, 8", f"6, {traffic.writes}"),
    }
    row = f"network,layer,1,{traffic.runtime},{energy_nj:g},1,1,1,1,4, 4,4,1,4,590,294,1,1,1,1,1,"
    row += f"{traffic.computations},1,1,1,1,"
    row += "".join(f"{l1}, {l2}, nan, " for l1, l2 in moved.values())
    return f"{HEADER}\n{row}1, 2\n"


def read_mapping(text: str) -> tuple[str, dict[str, int], int, list[list[Directive]], list[int]]:
    """A mapping file, read without the code that writes it."""
    kind = re.findall(r"Type: (\w+)", text)[0].lower()
    sizes = dict(re.findall(r"(\w): (\d+)", re.findall(r"Dimensions \{(.*?)\}", text)[0]))
    stride = re.findall(r"Stride \{ X: (\d+), Y: \1 \}", text)
    levels: list[list[Directive]] = [[]]
    clusters = []
    for what, a, b, d in re.findall(r"(\w+)\((\d+),\s*(\w+)\)\s*(\w?);", text):
        if what == "Cluster":
            assert b == "P"
            clusters.append(int(a))
            levels.append([])
        else:
            levels[-1].append(Directive(d, int(a), int(b), what == "SpatialMap"))
    found = {name: int(size) for name, size in sizes.items()}
    return kind, found, int(stride[0]) if stride else 1, levels, clusters


def fake_run(
    path: str, arguments: Sequence[str], files: Mapping[str, str], output: str, timeout_s: float
) -> str:
    """As `external.binary.run`, by our model."""
    given = dict(each.removeprefix("--").split("=") for each in arguments)
    assert output == given["Mapping_file"].replace(".m", ".csv")
    kind, sizes, stride, levels, clusters = read_mapping(files[given["Mapping_file"]])
    limits = (int(given["noc_bw_cstr"]), int(given["offchip_bw_cstr"]))
    pes = int(given["num_pes"])
    if pes == 7:
        raise WorkerError("failed: out of order")
    return results(evaluate(kind, sizes, stride, levels, clusters, pes, *limits), 5.0)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Maestro:
    monkeypatch.setattr(maestro_model, "run", fake_run)
    return Maestro("maestro", 1.0)


def test_a_mapping_file_is_one_of_maestros() -> None:
    """Against `data/mapping/example.m` of its repository, sizes in figures."""
    levels = [
        [Directive("K", 1, 1, True), Directive("C", 64, 64), Directive("Y", 3, 1)],
        [Directive("C", 1, 1, True)],
    ]
    sizes = {"K": 64, "C": 128, "R": 3, "S": 3, "Y": 224, "X": 224}
    lines = [line.strip() for line in mapping_text("conv", sizes, 1, levels, [64]).splitlines()]
    assert lines == [
        "Network network {",
        "Layer layer {",
        "Type: CONV",
        "Stride { X: 1, Y: 1 }",
        "Dimensions { K: 64, C: 128, R: 3, S: 3, Y: 224, X: 224 }",
        "Dataflow {",
        "SpatialMap(1,1) K;",
        "TemporalMap(64,64) C;",
        "TemporalMap(3,1) Y;",
        "Cluster(64, P);",
        "SpatialMap(1,1) C;",
        "}",
        "}",
        "}",
    ]
    gemm = mapping_text("gemm", {"M": 2, "N": 3, "K": 4}, 1, levels[:1], [])
    assert "Type: GEMM" in gemm and "Dimensions { M: 2, N: 3, K: 4 }" in gemm
    assert "Stride" not in gemm


def test_results_are_read_by_their_headings() -> None:
    traffic = Traffic(123, {"inputs": 11, "weights": 12}, 13, 14)
    found = read_csv(results(traffic, 1.5e3))
    assert found.traffic == traffic
    # Energies are in nJ.
    assert found.energy_pj == pytest.approx(1.5e6)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 layers"),
        (HEADER + "\n", "has 0 layers"),
        (HEADER + "\nnetwork,layer,1\n", r"no number in column 'Runtime \(Cycles\)'"),
        (results(Traffic(1, {"inputs": 1, "weights": 1}), math.inf), r"Energy \(nJ\): inf"),
        (results(Traffic(1, {"inputs": 1, "weights": 1})).replace("Num MACs", "MACs"), "Num MACs"),
    ],
)
def test_results_that_cannot_be_right_are_no_answer(text: str, why: str) -> None:
    with pytest.raises(WorkerError, match=why):
        read_csv(text)


def test_rows_of_maestro_by_the_program(
    reference_dir: Path, tool: Maestro, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Mappings of MAESTRO's own survive being written; every figure goes through files."""
    path = reference_dir / "accel" / "maestro_fixed_mappings.csv"
    for point in maestro_points(path):
        written = mapping_text(*point[:5])
        assert read_mapping(written) == tuple(point[:5])
    short = tmp_path / path.name
    with path.open() as source, short.open("w") as lines:
        lines.writelines(line for i, line in enumerate(source) if i == 0 or i % 60 == 1)
    monkeypatch.delenv("ARCHGYM_MAESTRO", raising=False)
    assert list(maestro_live(short)) == []
    monkeypatch.setenv("ARCHGYM_MAESTRO", "/bin/sh")
    checks = list(maestro_live(short))
    assert len(checks) == 5 and all(check.passed for check in checks)


def test_another_program_of_its_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "maestro"
    program.write_text("#!/bin/sh\necho Unknown option\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("ARCHGYM_MAESTRO", str(program))
    with pytest.raises(ValueError, match="not answer a trial: failed: Unknown option; another"):
        installed_maestro()
    monkeypatch.setenv("ARCHGYM_MAESTRO", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="MAESTRO: there is no program"):
        archgym.make_task("Mapping-v0", space="archgym2023-maestro", fidelity="maestro")


def test_answers_for_designs(tool: Maestro, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "installed_maestro", lambda: tool)
    options = {"space": "archgym2023-maestro", "workload": "gemm-64x64x64"}
    task = archgym.make_task("Mapping-v0", fidelity="maestro", **options)
    assert [each.name for each in task.fidelities] == ["loopnest", "maestro"]
    rows = np.repeat(task.default[None], 2, axis=0)
    # Seven elements; the values are 1, 2, 3 ...
    rows[1, task.space.position("PEs")] = 6
    found, own = task.evaluate(rows), task.at("loopnest").evaluate(rows)
    for name, values in own.metrics.items():
        assert found.metrics[name][0] == values[0]
        assert np.isnan(found.metrics[name][1])
    assert found.violations["MAESTRO gives no answer"].tolist() == [False, True]
