import itertools
import json

import numpy as np
import pytest

import archgym
from archgym.landscape import explained, landscape_of, table_landscape
from archgym.landscape_page import percent, print_landscape, write_page
from archgym.metric import Objective
from archgym.neighbourhood import edges_of, plateaus, steps_to
from archgym.optimum import scored
from archgym.space import DesignSpace, Parameter
from archgym.table import TableModel
from archgym.tabulate import tabulate


@pytest.fixture
def told(workplace):
    tabulate("Outside-v0", {}, "t.parquet", workers=1)
    model = archgym.make_task("Outside-v0").model
    looked_up = TableModel("t.parquet", "Outside-v0", model.space, model.metrics, model.default, {})
    return table_landscape("toy", scored(looked_up, Objective("fast", ("cost_ns",))))


def test_single_numbers_are_those_of_the_whole_space(told):
    task = archgym.make_task("Outside-v0")
    evaluation = task.evaluate(task.space.enumerate(0, task.space.size))
    cost = evaluation.metrics["cost_ns"][evaluation.feasible]
    assert told.designs == 1_056
    assert told.feasible == len(cost) == 528
    assert told.distinct_scores == len(np.unique(cost))
    outcomes = np.stack([v[evaluation.feasible] for v in evaluation.metrics.values()], axis=1)
    assert told.distinct_outcomes == len(np.unique(outcomes, axis=0))
    for each, share in told.within.items():
        near = (cost <= cost.min() * (1 + each / 100)).mean()
        assert share == pytest.approx(near)
    assert told.chance == pytest.approx(told.within)
    assert told.metric_quantiles["cost_ns"][0.5] == np.median(cost)
    assert told.measure == "cost_ns"


def test_effects_of_an_additive_function_have_no_interactions():
    space = DesignSpace([Parameter(f"p{j}", tuple(range(n))) for j, n in enumerate((3, 4, 2))])
    rows = space.enumerate(0, space.size)
    score = rows[:, 0] * 3.0 + rows[:, 1] ** 2
    main, pairs = explained(space, rows, score)
    assert sum(main) == pytest.approx(1.0)
    assert main[2] == pytest.approx(0.0)
    assert main[0] == pytest.approx(6.0 / score.var())
    assert all(abs(pair.interaction) < 1e-12 for pair in pairs)
    product = np.where(rows[:, 0] == rows[:, 1] % 3, 1.0, -1.0)
    main, pairs = explained(space, rows, product)
    assert pairs[0].names == ("p0", "p1")
    assert pairs[0].interaction + main[0] + main[1] == pytest.approx(1.0)
    main, _ = explained(space, rows, np.ones(len(rows)))
    assert main == [0.0, 0.0, 0.0]


def test_neighbours_are_those_of_the_space():
    space = DesignSpace(
        [
            Parameter("kind", ("off", "on", "auto")),
            Parameter("size", (1, 2, 4), ordered=True, when={"kind": ("on", "auto")}),
        ]
    )
    rows = space.enumerate(0, space.size)
    canonical = np.array(space.index(space.canonical(rows)))
    found = [{tuple(e) for e in edges_of(space, canonical, j).tolist()} for j in range(2)]
    assert found[0] == {(0, v) for v in range(3, 9)} | {(3, 6), (4, 7), (5, 8)}
    assert found[1] == {(3, 4), (4, 5), (6, 7), (7, 8)}
    for row in space.canonical(rows):
        here = space.index(row)[0]
        for other in space.index(space.neighbours(row)):
            assert tuple(sorted((here, other))) in found[0] | found[1]
    without = np.where(canonical == 4, -1, canonical)
    assert {tuple(e) for e in edges_of(space, without, 1).tolist()} == {(6, 7), (7, 8)}


def test_plateaus_and_steps_on_a_line():
    score = np.array([1.0, 1.0, 3.0, 2.0, 2.0, 2.0, 5.0, 5.0, 0.0])
    edges = np.array([(i, i + 1) for i in range(7)])
    flat = plateaus(edges, score)
    assert flat.neighbour_pairs == 7
    assert flat.equal_share == 4 / 7
    assert flat.count == 5
    assert flat.local_optima == 3  # 3.0, the 5.0s, and the lone 0.0
    assert flat.local_optimum_designs == 4
    assert (flat.optima, flat.largest_optimum, flat.largest) == (1, 2, 3)
    assert steps_to(edges, np.array([6, 7]), 9).tolist() == [6, 5, 4, 3, 2, 1, 0, 0, -1]


def test_an_additive_landscape_leads_to_its_optimum(told):
    assert told.plateaus.local_optima == told.plateaus.optima
    assert told.distance_correlation < -0.5
    assert sum(each[1] for each in told.by_distance) == told.feasible
    assert told.by_distance[0][2] == told.optimum.score
    by_name = {effect.name: effect for effect in told.effects}
    assert by_name["p5"].outcome_changes is None  # one of its values is infeasible
    assert by_name["p0"].outcome_changes == 1.0
    assert told.inert == []


def test_inert_parameters_are_found(workplace, monkeypatch):
    monkeypatch.setattr("archgym.testing.toys.SeparableToy.evaluate", without_p3)
    tabulate("Outside-v0", {}, "t.parquet", workers=1)
    model = archgym.make_task("Outside-v0").model
    looked_up = TableModel("t.parquet", "Outside-v0", model.space, model.metrics, model.default, {})
    told = table_landscape("toy", scored(looked_up, Objective("fast", ("cost_ns",))))
    assert told.inert == ["p3"]
    assert told.optimum.count % 8 == 0


def without_p3(self, designs):
    cost = 1.0 + designs[:, [0, 1, 2]].sum(axis=1)
    return archgym.Costs({"cost_ns": cost, "area_mm2": cost})


def test_samples_say_the_same_roughly(workplace):
    task = archgym.make_task("Outside-v0")
    told = landscape_of("Outside-v0", {}, "fast", samples=2_000, seed=3)
    evaluation = task.evaluate(task.space.enumerate(0, task.space.size))
    rows, score = evaluation.designs[evaluation.feasible], evaluation.score[evaluation.feasible]
    main, _ = explained(task.space, rows, score)
    assert [effect.explained for effect in told.effects] == pytest.approx(main, abs=0.05)
    assert told.optimum.kind == "best-known"
    assert told.plateaus is None
    assert told.quantiles[0.5] == pytest.approx(np.median(score), abs=0.1)


def test_output_as_text_json_and_page(told, workplace, capsys):
    print_landscape(told)
    out = capsys.readouterr().out
    for text in ("proven: every design was evaluated", "variance explained", "p3", "quantile"):
        assert text in out
    plain = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert plain["optimum"]["score"] == told.optimum.score
    assert [each["name"] for each in plain["effects"]] == [f"p{j}" for j in range(6)]
    page = write_page(told, workplace / "page").read_text()
    assert page.count("<script>") == 2
    assert "http" not in page[: page.index("<script>")]
    for name in ("scores", "effects", "pairs", "distance"):
        assert f'id="{name}"' in page


def test_the_command(workplace, archgym_command):
    arguments = ["landscape", "Outside-v0", "--samples", "200"]
    status, out, _ = archgym_command(*arguments, "--json", "-o", "page")
    assert status == 0
    assert json.loads(out)["optimum"]["kind"] == "best-known"
    assert (workplace / "page" / "index.html").is_file()
    for extra, message in (
        ([], "there is no table of Outside-v0 walk; make one with `archgym tabulate`"),
        (["--samples", "1"], "samples: 1 is below 2"),
        (["--samples", "9", "--table", "t"], "--table and --samples exclude each other"),
        (["--samples", "9", "--objective", "fat"], "did you mean 'fast'?"),
    ):
        status, out, errors = archgym_command("landscape", "Outside-v0", *extra)
        assert (status, out) == (2, "")
        assert message in errors
        assert errors.count("\n") == 1


def test_shares_in_words():
    shares = (None, 0.0, 1e-17, 5e-5, 0.12345, 1.0)
    words = ["-", "0%", "0%", "<0.01%", "12.35%", "100.00%"]
    assert list(itertools.starmap(percent, [(s,) for s in shares])) == words
