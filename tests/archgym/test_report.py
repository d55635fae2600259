import html.parser
import json
import re

import pytest

from archgym.experiment import load_experiment
from archgym.report import _change, render, write_report
from archgym.results import load_results
from archgym.runner import run_experiment

EVIL = "<script>alert('x')</script> & \"Ж\" </script>"


class Page(html.parser.HTMLParser):
    """Collects scripts, text and addresses, and checks that tags are closed in order."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.scripts, self.words, self.addresses = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def figures(self):
        found = re.search(r"const figures = (\{.*?\});\nconst dark", self.scripts[1], re.DOTALL)
        return json.loads(found[1])


@pytest.fixture
def results(toy):
    settings = [
        "tasks=[{env: Outside-v0}, {env: Outside-v0, workload: run}]",
        f"description={json.dumps(EVIL)}",
        f"agents=[random, {{name: genetic, label: {json.dumps(EVIL)}}}]",
    ]
    experiment = load_experiment(toy, settings)
    return load_results(run_experiment(experiment, "out", workers=1).folder)


def test_the_page_is_whole_offline_and_holds_plotly_once(results):
    text = render(results)
    page = Page(text)
    assert len(page.scripts) == 2
    assert len(page.scripts[0]) > 1_000_000
    assert text.count("plotly.js v") == 1
    assert len(text) < 6_000_000
    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert "Outside-v0 walk fast" in page.text
    assert "8 of 8 runs complete" in page.text
    assert "archgym run out/experiment.yaml -o another-folder" in page.text
    assert "partial" not in page.text


def test_everything_shown_is_escaped(results):
    text = render(results)
    assert "<script>alert" not in text
    page = Page(text)
    assert " ".join(EVIL.split()) in page.text
    names = {trace["name"] for f in page.figures.values() for trace in f["traces"]}
    assert any(name.startswith("&lt;script&gt;") for name in names)


def test_tables_and_curves_show_the_results(results):
    page = Page(render(results))
    for i, task in enumerate(results.tasks):
        traces = page.figures[f"task-{i}"]["traces"]
        assert len(traces) == 3 * len(task.agents)
        lines = [trace for trace in traces if "hovertemplate" in trace]
        ends = sorted(trace["y"][-1] for trace in lines)
        assert ends == pytest.approx(sorted(a.score.value for a in task.agents), abs=1e-6)
        assert all(trace["x"][-1] == 40 for trace in lines)
        for agent in task.agents:
            assert f"{agent.score.value:.3f}" in page.text
    changed = [
        name
        for name, value in results.tasks[0].design(results.tasks[0].best.design).items()
        if value != results.tasks[0].best.manifest["default"][int(name[1:])]
    ]
    assert changed
    assert "\N{BLACK CIRCLE}" in page.text


def test_the_figure_shows_the_scores_after_the_first_tenth(results):
    low, high = Page(render(results)).figures["task-0"]["range"]
    for agent in results.tasks[0].agents:
        assert low < agent.curve.low[agent.curve.samples >= 4].min()
        assert agent.score.value < high


def test_changes_are_judged_by_the_direction_of_the_metric():
    def kind(direction, best):
        return _change({"direction": direction}, 100.0, best)

    assert kind("minimise", 90.0) == {"text": "-10.0%", "kind": "better"}
    assert kind("maximise", 90.0) == {"text": "-10.0%", "kind": "worse"}
    assert kind("none", 90.0) == {"text": "-10.0%", "kind": ""}
    assert kind("minimise", 100.01) == {"text": "0.0%", "kind": ""}
    assert kind("minimise", float("nan")) == {"text": "-", "kind": ""}


def test_partial_results_say_so(results):
    runs = list(results.folder.rglob("run.json"))
    for file in runs[1:]:
        file.unlink()
    page = Page(render(load_results(results.folder)))
    assert f"This report is partial: {len(runs) - 1} runs are missing" in page.text
    runs[0].unlink()
    page = Page(render(load_results(results.folder)))
    assert "No feasible design was found." in page.text


def test_the_file_is_written_whole(results, tmp_path, monkeypatch):
    path = write_report(results)
    assert path == results.folder / "report" / "index.html"
    before = path.read_text()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(results)
    assert path.read_text() == before
