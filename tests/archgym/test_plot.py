"""Pictures of designs: which design, what files, bad input; every plot of every environment."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

import archgym
from archgym import plot
from archgym.environment import environment_ids, find_environment
from archgym.plot import Picture, Plot

FUSION = "Fusion-v0"
CASES = [(id_, name) for id_ in environment_ids() for name in find_environment(id_).plots]
QUICK = {"Accelerator-v0": {"workload": "alexnet"}}


def test_some_environments_have_plots() -> None:
    assert {("Accelerator-v0", kind) for kind in ("roofline", "breakdown", "mapping")} <= {*CASES}


@pytest.mark.parametrize(("env", "kind"), CASES)
def test_every_plot_draws_the_default_design(env: str, kind: str) -> None:
    assert find_environment(env).plots[kind].doc
    chosen = plot.choose(env, QUICK.get(env, {}), "default")
    picture = plot.draw(kind, chosen, None)
    figure = ElementTree.fromstring(picture.svg)
    assert figure.tag.endswith("svg") and "nan" not in picture.svg and "inf" not in picture.svg
    width, height = float(figure.get("width")), float(figure.get("height"))
    for each in figure.iter():
        x, y = each.get("x"), each.get("y")
        if x is not None and y is not None:
            assert 0 <= float(x) <= width and 0 <= float(y) <= height
    assert picture.title and len(picture.text.splitlines()) > 2
    with pytest.raises(ValueError, match="plot"):
        plot.draw(kind, chosen, "no-such-part")


def test_a_design_is_the_default_the_optimum_or_a_files(tmp_path) -> None:
    task = archgym.make_task(FUSION)
    assert (plot.choose(FUSION, {}, "default").row == task.default).all()
    found = plot.choose(FUSION, {}, "optimum")
    assert found.source == "the optimum (proven)"
    assert task.evaluate(found.row[None]).score[0] == task.optimum.score
    design = task.space.decode(task.default) | {"LanesPerColumn": 4}
    (tmp_path / "design.json").write_text(json.dumps(design))
    chosen = plot.choose(FUSION, {}, str(tmp_path / "design.json"))
    assert chosen.task.space.decode(chosen.row) == design
    (tmp_path / "design.yaml").write_text("ArrayDim: 256\n")
    with pytest.raises(ValueError, match="parameter 'LanesPerColumn' is missing"):
        plot.choose(FUSION, {}, str(tmp_path / "design.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match=r"list.yaml"):
        plot.choose(FUSION, {}, str(tmp_path / "list.yaml"))
    broken = design | {"BufferKiB": 256, "Kept": "Q+K+S+V"}
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="breaks 'buffer smaller than what it must hold'"):
        plot.choose(FUSION, {}, str(tmp_path / "broken.json"))
    with pytest.raises(ValueError, match="'nowhere' is neither default, optimum, best:FOLDER nor"):
        plot.choose(FUSION, {}, "nowhere")
    with pytest.raises(ValueError, match="no optimum of MultiAccelerator-v0"):
        plot.choose("MultiAccelerator-v0", {}, "optimum")


def test_the_best_design_of_results_with_its_task(workplace) -> None:
    from archgym.experiment import load_experiment
    from archgym.runner import run_experiment

    with open("e.yaml", "w") as file:
        file.write(
            "version: 1\nname: two\nbudget: {samples: 20}\nseeds: 1\nagents: [random]\ntasks:\n"
            "- {env: Fusion-v0, workload: bert-1k, platform: edge}\n"
            "- {env: Fusion-v0, workload: bert-4k}\n"
        )
    run_experiment(load_experiment("e.yaml"), "out", workers=1)
    chosen = plot.choose(FUSION, {"workload": "bert-1k"}, "best:out")
    assert chosen.task.options["platform"] == "edge"
    assert chosen.source.startswith("the best design of out (random, seed ")
    assert chosen.task.evaluate(chosen.row[None]).feasible[0]
    with pytest.raises(ValueError, match="out: holds results of several tasks"):
        plot.choose(FUSION, {}, "best:out")
    with pytest.raises(ValueError, match="out: holds results of no such task: Fusion-v0"):
        plot.choose(FUSION, {"workload": "t5-1k"}, "best:out")


def test_files_by_their_ending_with_everything_escaped(tmp_path) -> None:
    chosen = plot.choose(FUSION, {}, "default")
    evil = "<script>alert('&')</script>"
    picture = Picture(evil, "<svg xmlns='http://www.w3.org/2000/svg'/>", evil)
    plot.write(picture, replace(chosen, source=evil), tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "<svg xmlns" in page and "latency_ms" in page and "ArrayDim" in page
    plot.write(picture, chosen, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == picture.svg
    plot.write(picture, chosen, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == evil + "\n"
    with pytest.raises(ValueError, match=r"a.png: must end with one of .svg, .html, .txt"):
        plot.write(picture, chosen, tmp_path / "a.png")
    with pytest.raises(ValueError, match="is not a folder"):
        plot.write(picture, chosen, tmp_path / "no" / "a.svg")


def test_an_environment_may_offer_its_own(tmp_path) -> None:
    environment = find_environment(FUSION)
    task = archgym.make_task(FUSION)
    task.environment = replace(
        environment,
        plots={"dot": Plot("a dot", lambda task, row, part: Picture("dot", "<svg/>", str(part)))},
    )
    chosen = plot.Chosen(task, task.default, "here")
    assert plot.draw("dot", chosen, "x").text == "x"
    with pytest.raises(ValueError, match="Fusion-v0: plot: unknown name 'dto'"):
        plot.draw("dto", chosen, None)


def test_the_command(command, tmp_path) -> None:
    status, out, _ = command("plot", "breakdown", FUSION, "--workload", "bert-1k")
    assert status == 0 and "this design" in out
    file = tmp_path / "r.svg"
    status, out, _ = command("plot", "roofline", FUSION, "default", "-o", str(file))
    assert status == 0 and str(file) in out and file.read_text().startswith("<svg")
    status, _, err = command("plot", "rooflin", FUSION)
    assert status == 2 and "did you mean 'roofline'" in err
    status, _, err = command("plot", "roofline", "DramController-v0")
    assert status == 2 and "plot" in err
