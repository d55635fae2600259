"""The studies' statistics against known answers, and that the pages are what is drawn."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import study

from archgym.envs import dram_controller
from archgym.statistics import Estimate
from archgym.table import read_table
from archgym.views import make_view
from studies import lottery, multi_agent, settings
from studies.charts import LogAxis
from studies.page import fill, interval, percent
from studies.reach import reach_of, rounded

PAGES = [multi_agent.PAGE, lottery.PAGE]


def flat(value):
    return [(1, value)]


def lottery_labels(agents, count):
    labels = {"random": "random"}
    for agent in agents:
        labels[f"{agent} default"] = agent
        labels |= {f"{agent} #{i}": agent for i in range(count)}
    return labels


def numbered(label):
    return int(label.split("#")[1]) if "#" in label else None


def test_the_best_of_twenty_of_a_hundred_is_the_expected_order_statistic(made_up):
    # Setting i has regret i on every task and seed, the default 50.5; 20 of 100 without
    # replacement have the least one at (100 + 1) / (20 + 1) - 1 in the mean, counted from 0.
    def regret(task, label, seed):
        place = numbered(label)
        return flat(50.5 if place is None else place)

    found = settings.settings_of(
        made_up(regret, lottery_labels(["genetic"], 100)), "genetic", 1_000
    )
    assert found.random.shape == (100, 2, 3)
    expected = 101 / 21 - 1
    tuning = settings.tune(found, resamples=4_000)
    assert tuning.tuned == pytest.approx(expected, rel=0.03)
    assert tuning.standing == pytest.approx((expected + 0.5) / 100, rel=0.03)
    assert (tuning.default, tuning.median, tuning.best) == (50.5, 49.5, 0.0)
    assert tuning.default_standing == pytest.approx(0.51)
    assert tuning.recovered == pytest.approx((50.5 - tuning.tuned) / 50.5)
    kept = settings.tune(found, with_default=True, resamples=4_000)
    assert kept.tuned == pytest.approx(101 / 20 - 1, rel=0.03)


def test_tuning_is_measured_where_it_was_not_done(made_up):
    # On the second task the order of the settings is the reverse of that on the first.
    def regret(task, label, seed):
        place = numbered(label)
        return flat(20.0 if place is None else (place if task else 40 - place))

    found = settings.settings_of(made_up(regret, lottery_labels(["genetic"], 41)), "genetic", 100)
    tuning = settings.tune(found)
    assert tuning.tuned > 35
    assert tuning.standing > 0.9
    assert tuning.recovered != tuning.recovered or tuning.recovered < 0


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((1, 0, 0), (1, 0, 0, 0)), ((0, 1, 0), (0, 1, 0, 0)), ((0, 0, 1), (0, 0, 0, 1))],
)
def test_shares_of_one_source_alone(parts, expected):
    rng = np.random.default_rng(0)
    shapes = ((200, 1, 1), (1, 4, 1), (200, 4, 3))
    values = sum(
        weight * np.broadcast_to(rng.standard_normal(shape), (200, 4, 3))
        for weight, shape in zip(parts, shapes, strict=True)
    )
    assert settings.shares(values) == pytest.approx(expected, abs=0.06)


def test_shares_on_one_task_are_setting_and_seed():
    values = np.random.default_rng(0).standard_normal((300, 1, 1)) + np.zeros((1, 1, 3))
    setting, task, both, seed = settings.shares(values)
    assert (setting, seed) == pytest.approx((1.0, 0.0))
    assert np.isnan([task, both]).all()


def test_settings_that_lose_to_random_search_are_counted(made_up):
    def regret(task, label, seed):
        place = numbered(label)
        return flat(0.5 if place is None else (0.9 if place < 3 else 0.1))

    study_ = made_up(regret, lottery_labels(["genetic"], 10))
    found = settings.settings_of(study_, "genetic", 100)
    assert settings.worse_than_random(found, [np.full(3, 0.5)] * 2) == pytest.approx(0.3)
    assert settings.position(0.5, np.array([0.1, 0.5, 0.9, 0.9])) == 0.375
    assert settings.settings_of(study_, "genetic", 20_000) is None


def test_a_partial_lottery_uses_the_largest_complete_block(made_up):
    def regret(task, label, seed):
        return flat(numbered(label) or 0.5)

    whole = made_up(regret, lottery_labels(["genetic"], 30))
    gcc, sort = whole.tasks

    def part(count):
        kept = [r for r in whole.runs if r.task == gcc or (numbered(r.label) or 0) < count]
        return settings.settings_of(type(whole)(whole.meta, tuple(kept)), "genetic", 100)

    assert part(30).size == "30 x 2"
    assert (part(16).size, part(16).tasks) == ("16 x 2", (gcc, sort))
    assert (part(14).size, part(14).tasks) == ("30 x 1", (gcc,))
    few = type(whole)(whole.meta, whole.runs[: 3 * 6])
    assert settings.settings_of(few, "genetic", 100) is None


def test_a_default_is_judged_by_its_worst_task(made_up):
    def regret(task, label, seed):
        place = numbered(label)
        return flat((0.2, 0.4)[task] if place is None else (0.3 if task else 0.1 * place))

    table = lottery.default_table(made_up(regret, lottery_labels(["genetic"], 10)))
    # Settings 0, 1 and half of 2 are better on gcc; all ten are on sort.
    assert "| 30 | 40 (sort) | 62 | 100 (sort) |" in table


MULTI_LABELS = {
    label: label.split()[0] for labels in multi_agent.GROUPS.values() for label in labels
}


def test_decoding_explains_the_part_that_bins_win_back(made_up):
    levels = {"ppo round-2023": 0.3, "ppo box": 0.15, "sac round-2023": 0.05, "sac": 0.2}

    def regret(task, label, seed):
        noise = np.random.default_rng([task, seed, len(label)]).normal(0, 0.002)
        return [(1, 2.0), (50, levels.get(label, 0.1) + noise)]

    study_ = made_up(regret, MULTI_LABELS, seeds=10)
    gap, share = multi_agent.explained(study_, "ppo", study_.tasks, 2_000)
    assert gap.value == pytest.approx(0.2, abs=0.005)
    assert share.value == pytest.approx(0.75, abs=0.02)
    assert share.low < share.value < share.high < share.low + 0.1
    gap, share = multi_agent.explained(study_, "sac", study_.tasks, 2_000)
    assert gap.high < 0
    assert share is None
    assert multi_agent.explained(study_, "ppo", study_.tasks, 20_000) is None


def test_several_agents_are_compared_with_each_and_with_all_single_ones(made_up):
    def regret(task, label, seed):
        return flat({"dqn": 0.01, "mappo": 0.1}.get(label, 0.2))

    study_ = made_up(regret, MULTI_LABELS)
    rows = multi_agent.improvement_table(study_, study_.tasks, 500).splitlines()
    # Against ppo, ppo box and sac mappo wins all, against dqn nothing; the others draw with those.
    assert rows[0].startswith("| at 500 designs, in % | *the first four* | `ppo` | `ppo box`")
    mappo = next(row for row in rows if "mappo" in row)
    assert mappo.startswith("| `mappo` | 75 | 100 | 100 | 100 | 0 |")
    shared = next(row for row in rows if "ippo-shared" in row)
    assert shared.split(" | ")[1:5] == ["38", "50", "50", "50"]
    # (3 x 0.5 + 0) / 4 for three of the four, 0.75 for mappo.
    assert next(row for row in rows if "the four" in row).split(" | ")[1] == "47"


def test_hits_count_the_designs_that_every_method_may_use(made_up):
    def regret(task, label, seed):
        return [(1, 1.0), (1_500 if seed else 5_000, 0.0)]

    study_ = made_up(regret, MULTI_LABELS, seeds=4)
    found = multi_agent.hits(study_.cell(study_.tasks[0], "random"), 0.0)
    assert found.reached.tolist() == [np.inf, 1_500, 1_500, 1_500]
    assert found.spent.tolist() == [2_000] * 4
    assert found.expected_running_time == pytest.approx((2_000 + 3 * 1_500) / 3)


def test_a_partial_study_shows_what_is_complete(made_up):
    def regret(task, label, seed):
        return [(1, 1.0), (100, 0.2)]

    whole = made_up(regret, MULTI_LABELS, seeds=4)
    part = type(whole)(whole.meta, whole.runs[: len(whole.runs) // 2 + 6])
    parts, images = multi_agent.draw(part)
    assert "Partial results" in parts["status"]
    assert "Tasks with all runs: gcc." in parts["status"]
    assert list(images) == ["multi-agent-gcc.svg", "multi-agent-sort.svg"]
    first = part.short(part.complete_tasks()[0])
    assert first == "gcc"
    assert "| `mappo` | – |" in parts["tasks"]
    assert "| `mappo` | 20 |" in parts["overall"]
    parts, images = multi_agent.draw(type(whole)(whole.meta, whole.runs[:5]))
    assert "No task has all of its runs" in parts["overall"]


def test_figures_are_well_formed_and_labelled(made_up):
    def regret(task, label, seed):
        place = numbered(label)
        return [(1, 1.1), (80, 0.01 * (place or 1)), (900, 0.0)]

    drawn = dict(lottery.draw(made_up(regret, lottery_labels(["genetic", "tpe"], 8)))[1])
    drawn |= multi_agent.draw(made_up(regret, MULTI_LABELS))[1]
    assert len(drawn) == 4
    for content in drawn.values():
        root = ElementTree.fromstring(content)
        width, height = (float(root.attrib[name]) for name in ("width", "height"))
        words = [element.text for element in root.iter() if element.tag.endswith("text")]
        assert any("regret" in word or "variance" in word for word in words)
        for element in root.iter():
            for name, limit in (("x1", width), ("x2", width), ("y1", height), ("y2", height)):
                assert -0.1 <= float(element.attrib.get(name, 0)) <= limit
        assert not re.search(r"[\" ](nan|inf)[\",. ]", content)


def test_an_axis_keeps_a_place_for_zero():
    axis = LogAxis.over("regret", [0.0, 0.002, 0.5, np.inf])
    assert (axis.low, axis.high) == (0.001, 1.0)
    assert axis.ticks == pytest.approx([0.0, 0.001, 0.01, 0.1, 1.0])
    places = [axis.place(value) for value in (0.0, 1e-5, 0.001, 0.01, 1.0, np.inf)]
    assert places == pytest.approx([0.0, 0.0, 0.07, 0.38, 1.0, 1.0])


def test_rounding_reaches_what_its_view_proposes():
    space = read_table(dram_controller.TABLES / "archgym2023-gcc.parquet").space
    rng = np.random.default_rng(0)
    proposed = make_view("round-2023", space).to_rows(
        rng.uniform(-1, 1, (2_000, len(space))), np.zeros((0, 0), np.int64)
    )
    assert rounded(space, space.canonical(proposed)).all()
    anything = space.canonical(space.sample(20_000, rng))
    assert 0.05 < rounded(space, anything).mean() < 0.15


def test_rounding_finds_the_optimum_of_some_tasks_only():
    spec = {"env": "DramController-v0", "space": "archgym2023", "fidelity": "table"}
    gcc = reach_of(spec | {"workload": "gcc", "objective": "low-latency"})
    sort = reach_of(spec | {"workload": "sort", "objective": "low-latency"})
    assert gcc.reachable == sort.reachable == pytest.approx(10_206 / 156_672)
    assert gcc.reachable_optimal == 0 < gcc.least_regret < 0.01
    assert 0 < sort.reachable_optimal < sort.optimal
    assert sort.least_regret == 0.0
    with pytest.raises(ValueError, match="no table"):
        reach_of(spec | {"workload": "gcc", "objective": "low-latency", "space": "modern"})


def test_numbers_are_written_with_two_digits():
    values = (0.0, 1.0, 0.5, 0.123, 0.0456, 0.00078, 0.0000099, 1.234, np.inf, np.nan, -0.349)
    words = ["0", "100", "50", "12", "4.6", "0.078", "<0.001", "123", "none", "–", "-35"]
    assert [percent(value) for value in values] == words
    assert interval(Estimate(0.5, 0.25, 0.75)) == "50 (25 to 75)"
    assert interval(Estimate(0.0, 0.0, 0.0)) == "0"


def test_only_what_stands_between_the_markers_is_replaced():
    page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n"
    once = fill(page, {"x": "new \\1\n"})
    assert once == "a\n<!-- generated: x -->\n\nnew \\1\n\n<!-- end -->\nb\n"
    assert fill(once, {"x": "new \\1\n"}) == once
    with pytest.raises(ValueError, match=r"markers \['x'\], drawn \['y'\]"):
        fill(page, {"y": ""})


@pytest.fixture(scope="module")
def drawn():
    return study.drawn(study.DOCS)


def test_pages_and_figures_are_what_is_drawn(drawn):
    for path, content in drawn.items():
        assert path.read_text(encoding="utf-8") == content, f"{path}: run tools/study.py draw"
    images = {path for path in (study.DOCS / "images").glob("*") if path.is_file()}
    assert images == {path for path in drawn if path.suffix == ".svg"}


@pytest.mark.parametrize("name", PAGES)
def test_conclusions_only_use_numbers_of_the_tables(name):
    page = (study.DOCS / f"{name}.md").read_text(encoding="utf-8")
    conclusions = re.search(r"## Conclusions\n(.*?)\n## ", page, re.DOTALL)[1]
    tables = "\n".join(re.findall(r"<!-- generated.*?<!-- end -->", page, re.DOTALL))
    protocol = re.search(r"## Protocol\n(.*?)\n## Conclusions", page, re.DOTALL)[1]
    number = r"(?<![\w.-])\d[\d,]*(?:\.\d+)?"
    known = set(re.findall(number, tables + protocol))
    assert set(re.findall(number, re.sub(r"round-2023|20\d\d\b", "", conclusions))) <= known


def test_the_command_draws_the_same_twice(tmp_path, capsys):
    docs = tmp_path / "studies"
    docs.mkdir()
    for name in PAGES:
        shutil.copy(study.DOCS / f"{name}.md", docs)
    contents = []
    for _ in range(2):
        assert study.main(["draw", "--docs", str(docs)]) == 0
        contents.append([(docs / f"{name}.md").read_bytes() for name in PAGES])
    assert contents[0] == contents[1]
    assert all(b"No results are stored yet." in content for content in contents[0])
    assert study.main(["pack", str(tmp_path / "none"), "-o", str(tmp_path / "x.parquet")]) == 2
    assert "error: " in capsys.readouterr().err
