import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from archgym.cost_models.accelerator.loopnest import (
    DIMS,
    Hierarchy,
    Level,
    LevelMapping,
    Machines,
    Mapping,
    Mappings,
    Problem,
    evaluate,
    evaluate_one,
    problem_rows,
)

LAYER = Problem(k=8, c=4, p=6, q=6, r=3, s=3)
MAPPING = Mapping(
    (
        LevelMapping({"R": 3, "S": 3}, "SR"),
        LevelMapping({"C": 4, "Q": 6}, "QC", {"K": 4}, {"P": 2}),
        LevelMapping({"K": 2, "P": 3}, "PK"),
    )
)


def hierarchy(**changes: Any) -> Hierarchy:
    glb = Level("GLB", 2048, 8, 8, 6.0, 6.0, fanout_x=4, fanout_y=2)
    dram = Level("DRAM", math.inf, 4, 4, 200.0, 200.0)
    glb = dataclasses.replace(glb, **changes)
    return Hierarchy((Level("RF", 32, 4, 4, 1.0, 1.0), glb, dram), 0.5)


def test_parts_sum_to_the_energy() -> None:
    result = evaluate_one(hierarchy(), MAPPING, LAYER)
    assert result.access_pj is not None
    parts = result.access_pj.sum() + 0.5 * LAYER.macs
    assert result.energy_pj[0] == pytest.approx(parts, rel=1e-12)


def test_no_point_beats_its_iterations_or_a_level() -> None:
    result = evaluate_one(hierarchy(), MAPPING, LAYER)
    assert result.cycles[0] == max(result.steps[0], result.level_cycles.max())
    assert result.steps[0] == LAYER.macs / 8
    assert result.utilisation[0] == LAYER.macs / (8 * result.cycles[0])


def test_bandwidth_bounds_the_cycles() -> None:
    slow = evaluate_one(hierarchy(read_words_per_cycle=0.5), MAPPING, LAYER)
    assert slow.reads is not None
    assert slow.cycles[0] == math.ceil(slow.reads[0, 1].sum() / 0.5)
    assert slow.bound[0] == 1


def test_single_buffers_add_their_exchange() -> None:
    overlapped = evaluate_one(hierarchy(), MAPPING, LAYER)
    single = evaluate_one(hierarchy(buffering="single"), MAPPING, LAYER)
    assert single.fills is not None
    # All outputs of the buffer are handed in once; the rest of the exchange fills it.
    handed = LAYER.k * LAYER.p * LAYER.q
    stall = math.ceil(single.fills[0, 1].sum() / 8) + math.ceil(handed / 8)
    assert single.cycles[0] - overlapped.cycles[0] == stall


def test_double_buffers_take_twice_the_room() -> None:
    assert evaluate_one(hierarchy(capacity_words=400), MAPPING, LAYER).feasible[0]
    with pytest.raises(ValueError, match=r"level 'GLB': tiles take 640 words .*: 240 too many"):
        evaluate_one(hierarchy(capacity_words=400, buffering="double"), MAPPING, LAYER)


def test_overflow_names_level_tensors_and_amount() -> None:
    # Inputs: 4 channels of the 4 rows and 8 columns under 2 x 6 outputs.
    with pytest.raises(
        ValueError,
        match=r"^level 'GLB': tiles take 320 words \(weights 144, inputs 128, outputs 48\), "
        r"the capacity is 300: 20 too many$",
    ):
        evaluate_one(hierarchy(capacity_words=300), MAPPING, LAYER)


def test_overflow_of_a_batch_is_a_mask() -> None:
    machines = Machines.of([hierarchy(), hierarchy(capacity_words=300)])
    result = evaluate(machines, Mappings.of([MAPPING]), problem_rows([LAYER]))
    assert result.feasible.tolist() == [True, False]
    assert result.overflow_words.tolist() == [[0, 0, 0], [0, 20, 0]]
    assert result.energy_pj[0] == result.energy_pj[1]


def test_points_do_not_depend_on_their_batch() -> None:
    outer = LevelMapping(dict(zip(DIMS, LAYER.sizes, strict=True)))
    mappings = [MAPPING, Mapping((LevelMapping(), LevelMapping(), outer))]
    machines, rows = Machines.of([hierarchy()]), problem_rows([LAYER])
    together = evaluate(machines, Mappings.of(mappings), rows, counts=True)
    for i, mapping in enumerate(mappings):
        alone = evaluate(machines, Mappings.of([mapping]), rows, counts=True)
        for name, value in vars(alone).items():
            np.testing.assert_array_equal(value[0], getattr(together, name)[i], name)


def test_narrow_elements_share_words() -> None:
    half = dataclasses.replace(hierarchy(), bits=(8, 8, 16))
    full, packed = (evaluate_one(h, MAPPING, LAYER) for h in (hierarchy(), half))
    assert full.access_pj is not None and packed.access_pj is not None
    np.testing.assert_allclose(packed.access_pj[0, :, :2], full.access_pj[0, :, :2] / 2)
    np.testing.assert_allclose(packed.access_pj[0, :, 2], full.access_pj[0, :, 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal": {"R": 3}}, r"factors of S multiply to 1 \(1\), the bound is 3"),
        ({"temporal": {"R": 0, "S": 3}}, "temporal R is 0, expected an integer >= 1"),
        ({"temporal": {"Z": 2}}, "temporal names 'Z'"),
        ({"order": "RR"}, "order 'RR', expected each of NKCPQRS at most once"),
        ({"spatial_x": {"K": 2}}, "spatial_x takes 2, the fan-out is 1"),
        ({"bypass": ("weight",)}, "bypass 'weight' is none of weights, inputs, outputs"),
    ],
)
def test_wrong_mappings_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    inner = dataclasses.replace(MAPPING.levels[0], **changes)
    with pytest.raises(ValueError, match=message) as caught:
        evaluate_one(hierarchy(), Mapping((inner, *MAPPING.levels[1:])), LAYER)
    assert "\n" not in str(caught.value)


def test_wrong_arrays_are_refused_with_the_point() -> None:
    machines, rows = Machines.of([hierarchy()]), problem_rows([LAYER])
    good = Mappings.of([MAPPING, MAPPING])
    factors = good.temporal.copy()
    factors[1, 0, 5] = 2
    with pytest.raises(ValueError, match=r"^point 1: factors of a dimension do not multiply"):
        evaluate(machines, dataclasses.replace(good, temporal=factors), rows)
    order = good.order.copy()
    order[1, 2, 0] = order[1, 2, 1]
    with pytest.raises(ValueError, match=r"^point 1: order"):
        evaluate(machines, dataclasses.replace(good, order=order), rows)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 7\), expected \(3 or 1, "):
        evaluate(machines, dataclasses.replace(good, keep=np.ones((3, 3, 3), bool)), rows)
    with pytest.raises(ValueError, match="compat: 'timelop' is none of ideal, timeloop"):
        evaluate(machines, good, rows, compat="timelop")


def test_factors_that_do_not_cover_or_need_too_many_parts_are_refused() -> None:
    machines, good = Machines.of([hierarchy()]), Mappings.of([MAPPING])
    for problem, message in (
        (dataclasses.replace(LAYER, k=9), r"factors of K multiply to 8 \(4 x 2\), the bound is 9"),
        (
            dataclasses.replace(LAYER, k=4),
            r"factors of K \(4 x 2\) leave nothing for the last part of the outermost, 1 parts "
            "cover the bound 4",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_one(hierarchy(), MAPPING, problem, factors="imperfect")
        with pytest.raises(ValueError, match=r"^point 0: factors of a dim"):
            evaluate(machines, good, problem_rows([problem]), factors="imperfect")
    rows = problem_rows([dataclasses.replace(LAYER, k=7, p=5)])
    evaluate(machines, good, rows, factors="imperfect")
    with pytest.raises(ValueError, match="factors: 'imperfect' is counted with compat 'ideal'"):
        evaluate(machines, good, rows, factors="imperfect", compat="timeloop")
    with pytest.raises(ValueError, match="factors: 'ruby' is none of perfect, imperfect"):
        evaluate(machines, good, rows, factors="ruby")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Problem(c=0), "problem: c is 0, expected an integer >= 1"),
        (lambda: Problem(stride_h=-1), "problem: stride_h is -1"),
        (lambda: Level("RF", capacity_words=0), "level 'RF': capacity_words is 0"),
        (lambda: Level("RF", read_pj=-1), "level 'RF': read_pj is -1"),
        (lambda: Level("RF", fanout_x=0), "level 'RF': fanout_x is 0"),
        (lambda: Level("RF", buffering="triple"), "level 'RF': buffering 'triple' is none of"),
        (lambda: Hierarchy(()), "hierarchy: levels is empty"),
        (lambda: Hierarchy((Level("A"), Level("A"))), "two levels are called 'A'"),
        (lambda: Hierarchy((Level("A", tensors=("inputs",)),)), "'A' cannot hold weights"),
    ],
)
def test_impossible_parts_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_a_level_that_cannot_hold_a_tensor_is_bypassed() -> None:
    machine = hierarchy(tensors=("weights", "outputs"))
    with pytest.raises(ValueError, match="it cannot hold inputs, which must be bypassed"):
        evaluate_one(machine, MAPPING, LAYER)
    glb = dataclasses.replace(MAPPING.levels[1], bypass=("inputs",))
    through = Mapping((MAPPING.levels[0], glb, MAPPING.levels[2]))
    result = evaluate_one(machine, through, LAYER)
    assert result.reads is not None and result.reads[0, 1, 1] == 0
