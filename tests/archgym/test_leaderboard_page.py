"""The report in a real browser: what a reader clicks, types and sees."""

import json
import re
import shutil
from pathlib import Path

import pytest

from archgym.experiment import load_experiment
from archgym.leaderboard import load_leaderboard
from archgym.leaderboard_page import write_leaderboard
from archgym.runner import run_experiment

TOY = """
version: 1
name: toy
budget: {samples: 40}
seeds: 2
tasks: []
agents: []
"""
EVIL = '<img src=x onerror=alert(1)> $x^2$ %{x} & "Ж 焼" </script>'
SWEEP = "{name: genetic, sweep: {population: [8, 16]}}"
AGENTS = f"agents=[random, {{name: hill-climbing, label: {json.dumps(EVIL)}}}, {SWEEP}]"
TASKS = "tasks=[{env: Outside-v0}, {env: Outside-v0, workload: run}]"
PARETO = ("tasks=[{env: Outside-v0, objective: both}]", "agents=[random, nsga2]", "name=several")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra test (playwright)")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    with api.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium is installed (apt install chromium)")
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(install_outside, tmp_path_factory):
    """The page's file, and the names of its tasks."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "toy.yaml").write_text(TOY)
    with pytest.MonkeyPatch.context() as patch:
        install_outside(patch)
        for name, settings in (("a", (TASKS, AGENTS)), ("b", PARETO)):
            experiment = load_experiment(folder / "toy.yaml", list(settings))
            run_experiment(experiment, folder / name, workers=1)
        board = load_leaderboard([folder / "a", folder / "b"])
    return write_leaderboard(board, folder / "report"), [task.name for task in board.tasks]


@pytest.fixture
def page(report, browser):
    """The report, opened offline; anything that it complains about fails the test."""
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    opened = context.new_page()
    heard = []
    opened.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("dialog", lambda dialog: heard.append(f"dialog {dialog.message}"))
    opened.on("request", lambda request: heard.append(request.url))
    opened.goto(report[0].as_uri())
    yield opened
    context.close()
    assert [each for each in heard if not each.startswith("data:")] == [report[0].as_uri()]


def cells(page, place, column=1):
    return page.locator(f"{place} tbody tr > :nth-child({column})").all_inner_texts()


def figure(page, name, expression):
    return page.evaluate(
        f"(() => {{ const figure = document.getElementById('{name}'); return {expression}; }})()"
    )


def test_the_ranking_sorts_by_a_click_and_by_the_keyboard(page):
    start = cells(page, "#ranking-table")
    assert sorted(start) == sorted(
        [EVIL, "random", "genetic population=8", "genetic population=16"]
    )
    head = page.locator("#ranking-table th", has_text="agent")
    head.get_by_role("button").click()
    assert cells(page, "#ranking-table") == sorted(start, key=str.casefold)
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")  # the button keeps the focus
    assert cells(page, "#ranking-table") == sorted(start, key=str.casefold, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#ranking-table th[aria-sort]").inner_text().startswith("place")
    assert cells(page, "#ranking-table") == start


def test_the_ranking_is_filtered_by_goals_task_and_agents(page, report):
    ranked = page.locator("#selected")
    assert ranked.inner_text() == "2 of 3 tasks selected."
    page.locator("#goals").select_option("several")
    assert ranked.inner_text() == "1 of 3 tasks selected."
    assert sorted(cells(page, "#ranking-table")) == ["nsga2", "random"]
    page.locator("#task").select_option("1")
    assert page.locator("#goals").input_value() == "one"
    assert page.locator("#task-name").inner_text() == report[1][1]
    page.locator("#agents").focus()
    page.keyboard.type("RAND")
    assert cells(page, "#ranking-table") == cells(page, "#agents-table") == ["random"]
    assert figure(page, "curves", "figure.data.filter((t) => t.showlegend !== false).length") == 1
    page.locator("#env").select_option("Outside-v0")
    assert ranked.inner_text() == "2 of 3 tasks selected."


def test_figures_are_toggled(page):
    title = "figure.layout.yaxis.title.text"
    assert figure(page, "curves", title) == "best score so far"
    page.locator("#as-regret").focus()
    page.keyboard.press("Space")
    assert figure(page, "curves", title) == "regret"
    page.locator("#against").select_option("seconds")
    assert figure(page, "curves", "figure.layout.xaxis.title.text").startswith("seconds")
    page.locator("#ecdf .legendtoggle").first.click()
    page.wait_for_function("document.getElementById('ecdf').data[0].visible === 'legendonly'")
    names = "figure.data.map((trace) => trace.name)"
    page.locator("#boxed").select_option("method")
    assert figure(page, "boxes", names) == ["genetic (2)", "hill-climbing (1)", "random (1)"]
    assert figure(page, "boxes", "figure.data[0].x.length") == 2
    page.locator("#boxed").select_option("setting")
    assert len(figure(page, "boxes", names)) == 4


def test_a_task_of_several_goals_shows_its_front(page):
    assert not page.locator("#front").is_visible()
    assert page.locator("#goals").is_visible()
    page.locator("#shown").select_option("2")
    assert page.locator("#front").is_visible()
    assert figure(page, "volume", "figure.data.length") == 6
    assert "cost_ns" in page.locator("#front-note").inner_text()
    costs = [float(text) for text in cells(page, "#designs-table", 5)[1:]]
    assert costs == sorted(costs)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1100, "dark")])
def test_the_page_fits_its_window(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    told = (
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    back, text = (sum(map(int, re.findall(r"\d+", each))) for each in page.evaluate(told))
    assert (back < text) == (scheme == "dark")
