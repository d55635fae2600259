import importlib.util
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator.external import (
    ZIGZAG,
    WorkerError,
    ZigZag,
    installed_zigzag,
    zigzag_worker,
)
from archgym.cost_models.accelerator.external.validation_live import scalesim_live, zigzag_live
from archgym.cost_models.accelerator.loopnest import Problem
from archgym.cost_models.accelerator.loopnest.architectures import architecture
from archgym.cost_models.accelerator.loopnest.zigzag import Cost, evaluate
from archgym.cost_models.accelerator.loopnest.zigzag_mapping import ZigZagMapping, zigzag_mapping
from tests.cost_models.accelerator.external.fake_zigzag import FakeTool

DILATED = "{n: 2, k: 8, c: 6, p: 12, q: 10, r: 3, s: 3, stride_h: 2, dilation_h: 2, dilation_w: 3}"


def mapped(hardware: str, workload: str, n: int, **options: Any) -> list[ZigZagMapping]:
    """The first of random mappings of a task that fit."""
    task = archgym.make_task("Mapping-v0", hardware=hardware, workload=workload, **options)
    rows = task.space.sample(400, np.random.default_rng(1))
    rows = rows[task.evaluate(rows).feasible][:n]
    model = task.model
    return [
        zigzag_mapping(
            model.architecture.hierarchy, model.mapping_space.mapping(row), model.problem
        )
        for row in rows
    ]


def test_questions_and_answers_go_through_json() -> None:
    (asked,) = mapped("simba", "alexnet/conv2", 1)
    found = ZigZag(FakeTool()).evaluate(asked.accelerator, asked.layer, asked.temporal)
    assert found == evaluate(asked.accelerator, asked.layer, asked.temporal)


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("energy_pj", None, "answered energy_pj: None"),
        ("latency", math.nan, "answered latency: nan"),
        ("accesses", {"O": []}, "answered without 'W'"),
        ("level_pj", {"O": [], "W": [], "I": []}, "answered 0 memories of O"),
    ],
)
def test_answers_without_figures_are_refused(part: str, value: Any, why: str) -> None:
    class Broken(FakeTool):
        def ask(self, question: dict[str, Any]) -> dict[str, Any]:
            return {**super().ask(question), part: value}

    (asked,) = mapped("simba", "alexnet/conv2", 1)
    with pytest.raises(WorkerError, match=why):
        ZigZag(Broken()).evaluate(asked.accelerator, asked.layer, asked.temporal)


def test_files_are_as_zigzags_own() -> None:
    """Ports, sizes and served dimensions against `zigzag/inputs/hardware` of its repository."""
    asked = mapped("tpu", "alexnet/conv2", 1)[0]
    weights = zigzag_worker.memory_of(
        {
            **{"name": "rf_128B", "size": 1024, "read_pj": 0.095, "write_pj": 0.095},
            **{"width": 8, "least": 8, "serves": []},
            "ports": [[["W", "rd_low"]], [["W", "wr_high"]]],
        }
    )
    # `rf_128B` of tpu_like.yaml, but for the names of ports.
    assert (weights["size"], weights["r_cost"], weights["operands"]) == (1024, 0.095, ["I2"])
    assert [port["allocation"] for port in weights["ports"]] == [["I2, tl"], ["I2, fh"]]
    sums = asked.accelerator.memories[1]
    assert sums.name == "accumulators" and sums.serves == ("D0", "D1")
    layer = zigzag_worker.layer_of({**_plain(asked.layer), "stride": (2, 1), "dilation": (1, 3)})
    assert layer["dimension_relations"] == ["ix=1*ox+3*fx", "iy=2*oy+1*fy"]
    assert layer["operand_precision"] == {"W": 8, "I": 8, "O": 32, "O_final": 32}


def _plain(layer: Any) -> dict[str, Any]:
    return dict(vars(layer))


def test_what_zigzag_has_no_words_for_is_refused_by_name() -> None:
    hierarchy = architecture("edge").hierarchy
    first, *rest = hierarchy.levels

    task = archgym.make_task("Mapping-v0", hardware="edge", workload="alexnet/conv2")
    mapping = task.model.mapping(task.model.default)

    def tried(**change: Any) -> str:
        changed = replace(hierarchy, levels=(replace(first, **change), *rest))
        with pytest.raises(ValueError) as caught:
            zigzag_mapping(changed, mapping, Problem())
        return str(caught.value)

    limited = "words per cycle, ZigZag takes one limited bandwidth"
    assert tried(write_words_per_cycle=4) == f"level 'RF': it reads 8 and writes 4 {limited}"
    inf = math.inf
    both = {"read_words_per_cycle": inf, "write_words_per_cycle": inf}
    assert tried(**both) == f"level 'RF': it reads inf and writes inf {limited}"
    assert "buffering is 'single'" in tried(buffering="single")
    assert "mapping: factors of K multiply to" in tried()


def test_live_checks_are_for_those_who_name_an_interpreter(
    reference_dir: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARCHGYM_ZIGZAG_PYTHON", "ARCHGYM_SCALESIM_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    assert list(zigzag_live(reference_dir / "accel" / "zigzag_layers.csv")) == []
    assert list(scalesim_live(reference_dir / "accel" / "scalesim_v3_layers.csv")) == []


def assert_same(ours: Cost, theirs: Cost) -> None:
    assert ours.accesses == theirs.accesses
    assert (ours.steps, ours.stalls, ours.latency) == (theirs.steps, theirs.stalls, theirs.latency)
    # Sums of the same products in another order.
    assert ours.energy_pj == pytest.approx(theirs.energy_pj, rel=1e-12)


def test_equals_our_model_of_it_on_new_mappings(tmp_path: Any) -> None:
    """ZigZag itself, where it is installed: strides, dilation, bypass, arrays at two levels."""
    here = importlib.util.find_spec("zigzag") is not None
    if not here and not ZIGZAG.given():
        pytest.skip("ZigZag is not installed and ARCHGYM_ZIGZAG_PYTHON names none")
    path = tmp_path / "dilated.yaml"
    path.write_text(DILATED)
    tool = installed_zigzag()
    for hardware in ("eyeriss", "simba", "tpu", "edge"):
        free = {} if hardware == "tpu" else {"bypass": "free"}
        for workload in ("resnet50/conv1", "bert-base/layer.up", f"file:{path}"):
            for asked in mapped(hardware, workload, 4, **free):
                arguments = (asked.accelerator, asked.layer, asked.temporal)
                assert_same(evaluate(*arguments), tool.evaluate(*arguments))
