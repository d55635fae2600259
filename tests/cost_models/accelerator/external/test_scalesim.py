import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archgym.cost_models.accelerator.external import (
    SCALESIM,
    Layer,
    RunningTool,
    ScaleSim,
    ScaleSimArray,
    WorkerError,
    installed_scalesim,
    layer_of,
    scalesim_worker,
)
from archgym.cost_models.accelerator.systolic import SystolicDesigns, systolic
from archgym.cost_models.accelerator.work import Products

STAND_IN = Path(__file__).with_name("stand_in.py")
LAYER = Layer(72, 7, 30, 8, 8, "os", 64, 64, 64)


def stand_in(how: str = "good", timeout_s: float = 30.0) -> ScaleSim:
    command = (sys.executable, "-S", str(STAND_IN), how)
    return ScaleSim(RunningTool(SCALESIM, command, timeout_s))


@pytest.fixture(scope="module")
def simulator() -> Iterator[ScaleSim]:
    made = stand_in()
    yield made
    made.tool.close()


def products(*shapes: tuple[int, int, int], batch: float = 1.0) -> Products:
    m, n, k = np.array(shapes, np.float64).T
    one = np.ones(len(shapes))
    parameters = np.arange(len(shapes)) % 2 == 0
    names = tuple(f"p{i}" for i in range(len(shapes)))
    return Products(names, batch * one, m, n, k, parameters.astype(np.float64), one)


def arrays(flows: tuple[int, ...] = (0,), bytes_per_cycle: float = 1e9) -> SystolicDesigns:
    """Arrays of 8 x 8 with 64 KiB memories, 2-byte activations, 1-byte weights, 4-byte sums."""
    one = np.ones(len(flows))
    size = 65536.0 * one
    speed = bytes_per_cycle * one
    flow = np.array(flows, np.float64)
    return SystolicDesigns(
        8 * one, 8 * one, flow, size, size, size, speed, 2 * one, one, 2 * one, 4 * one
    )


def test_counts_are_read_by_name(simulator: ScaleSim) -> None:
    counts = simulator.counts(LAYER)
    assert counts.cycles == 72 * 7 * 30
    assert counts.ifmap_sram_reads == 2 * 72 * 30
    assert counts.ofmap_dram_writes == 4 * 72 * 7
    assert simulator.tool.version == "3.0.0"


@pytest.mark.parametrize(
    ("depth", "why"),
    [
        (13, "failed: MemoryError"),
        (19, "ended without an answer"),
        (23, "no JSON object"),
        (29, "answered cycles: nan"),
        (31, "answered another question"),
        (37, "answered filter_sram_reads: None"),
    ],
)
def test_failures_have_a_reason_and_the_next_layer_an_answer(
    simulator: ScaleSim, depth: int, why: str
) -> None:
    for _ in range(2):
        with pytest.raises(WorkerError, match=why):
            simulator.counts(replace(LAYER, k=depth))
    assert simulator.counts(replace(LAYER, m=depth)).cycles == depth * 7 * 30


def test_a_late_answer_ends_the_worker() -> None:
    simulator = stand_in(timeout_s=0.5)
    with pytest.raises(WorkerError, match=r"no answer in 0\.5 s"):
        simulator.counts(replace(LAYER, k=17))
    simulator.tool.close()


@pytest.mark.parametrize(
    ("how", "what"),
    [("missing", "does not run it"), ("old", "has version 2.0.2")],
)
def test_refused_in_one_line_that_names_the_package(how: str, what: str) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        stand_in(how)
    text = str(caught.value)
    assert "pip install scalesim" in text and "ARCHGYM_SCALESIM_PYTHON" in text
    assert "\n" not in text


def test_no_such_interpreter() -> None:
    with pytest.raises(ValueError, match="does not start: /no/python: No such file"):
        RunningTool(SCALESIM, ("/no/python", "x"), 30.0)


@pytest.mark.parametrize("text", ["soon", "0", "inf", "-1"])
def test_time_out_must_be_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARCHGYM_SCALESIM_TIMEOUT_S", text)
    with pytest.raises(ValueError, match=re.escape(f"ARCHGYM_SCALESIM_TIMEOUT_S: {text!r}")):
        installed_scalesim()


def test_memories_are_in_words_of_what_they_hold() -> None:
    found = products((72, 7, 30), (72, 7, 30))
    # Of the second product both operands are activations.
    assert layer_of(found, arrays((1,)), 0, 0) == Layer(72, 7, 30, 8, 8, "ws", 32, 64, 16)
    assert layer_of(found, arrays((1,)), 0, 1) == Layer(72, 7, 30, 8, 8, "ws", 32, 32, 16)


def test_memories_of_broken_kilowords_are_refused() -> None:
    odd = replace(arrays(), input_memory_bytes=np.array([1000.0]))
    with pytest.raises(ValueError, match=r"input_memory_bytes: 1000 holds 0\.488281 x 1,024"):
        layer_of(products((72, 7, 30)), odd, 0, 0)


def test_counts_become_bytes(simulator: ScaleSim) -> None:
    found = ScaleSimArray(simulator)(products((72, 7, 30), batch=3), arrays((0, 1)))
    m, n, k = 72, 7, 30
    assert found.compute_cycles.tolist() == [[3 * m * n * k]] * 2
    assert found.sram_reads[0, 0, :2].tolist() == [3 * 2 * m * k, 3 * 3 * k * n]
    assert found.sram_writes.tolist() == [[3 * 5 * m * n]] * 2
    # One write of every output in 2 bytes, three of partial sums in 4.
    outputs = 3 * (m * n * 2 + 3 * m * n * 4)
    assert found.dram_bytes[1, 0].tolist() == [3 * m * k * 2, 3 * k * n, outputs]
    assert found.utilisation[0, 0] == pytest.approx(1 / 64)


def test_waits_for_the_dram(simulator: ScaleSim) -> None:
    slow = ScaleSimArray(simulator)(products((72, 7, 30)), arrays((0,), 0.01))
    total = slow.dram_bytes.sum() / 0.01
    assert slow.cycles[0, 0] == pytest.approx(total)


def test_a_failed_product_takes_forever(simulator: ScaleSim) -> None:
    found = ScaleSimArray(simulator)(products((72, 7, 30), (72, 7, 13)), arrays())
    assert np.isfinite(found.cycles).tolist() == [[True, False]]
    assert np.isfinite(found.dram_bytes).all()


def test_reports_are_read_by_their_headings(tmp_path: Path) -> None:
    path = tmp_path / "COMPUTE_REPORT.csv"
    path.write_text("LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles,\n")
    with path.open("a") as stream:
        stream.write("0, 523, 395, 0,\n")
    found = scalesim_worker.read_report(path, scalesim_worker.COMPUTE)
    assert found == {"cycles": 395.0, "stall_cycles": 0.0}


def test_equals_the_own_model_in_its_mode() -> None:
    """Cycles and counts of the array by the package itself, where it is installed."""
    here = importlib.util.find_spec("scalesim") is not None
    if not here and not os.environ.get("ARCHGYM_SCALESIM_PYTHON"):
        pytest.skip("SCALE-Sim is not installed and ARCHGYM_SCALESIM_PYTHON names none")
    shapes, designs = products((72, 7, 30), (9, 20, 17)), arrays((0, 1, 2))
    theirs = ScaleSimArray(installed_scalesim())(shapes, designs)
    ours = systolic(shapes, designs, "scalesim")
    assert np.array_equal(theirs.compute_cycles, ours.compute_cycles)
    assert np.array_equal(theirs.sram_reads, ours.sram_reads)
    assert np.array_equal(theirs.sram_writes, ours.sram_writes)
