"""The README says the truth."""

import re
from pathlib import Path

import pytest

import archgym
from archgym.experiment import load_experiment

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL).group(1)


def test_python_example_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, object] = {}
    exec(block("python"), scope)
    assert len(scope["evaluation"]) == 1024
    assert len(scope["result"].evaluation) == 1000
    assert scope["result"].best.score > 0
    vec = scope["vec"]
    vec.reset(seed=0)
    vec.action_space.seed(0)
    assert vec.step(vec.action_space.sample())[1].shape == (1024,)
    assert "read_latency_ns" in capsys.readouterr().out


def test_yaml_example_is_the_bundled_quickstart(tmp_path: Path) -> None:
    written = tmp_path / "quickstart.yaml"
    written.write_text(block("yaml"))
    shown = load_experiment(written).model_dump(exclude={"description"})
    assert shown == load_experiment("quickstart").model_dump(exclude={"description"})


def test_every_agent_is_named() -> None:
    for name in archgym.agent_names():
        if not name.startswith("outside"):
            assert name in README


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (Path(__file__).parents[2] / link).exists()
