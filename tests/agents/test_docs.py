"""docs/agents.md holds every hyperparameter as declared, and an example that works."""

import re
from pathlib import Path

import pytest

from archgym.agent import Agent, agent_names, find_agent
from archgym.hyperparameters import Choice, FidelityName, Names, declared, documentation
from archgym.testing.agents import check_agent

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"


def meaning(cls, name):
    """Returns the text of one argument in the class docstring, as one line."""
    text = documentation(cls)
    found = re.search(rf"^    {name}: (.*?)(?=^    \w+: |^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()).rstrip(".")


def allowed(domain):
    if isinstance(domain, Choice):
        return ", ".join(f"`{value}`" for value in domain.values)
    if isinstance(domain, Names):
        return "names of agents joined by `+`"
    if isinstance(domain, FidelityName):
        return "a fidelity of the task"
    return f"{domain.low} to {domain.high}" + (", log" if domain.log else "")


def table(name):
    """Returns the hyperparameters of an agent as the page should show them."""
    cls = find_agent(name)
    lines = ["| hyperparameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for each in declared(cls).values():
        cells = (f"`{each.name}`", f"{each.default}", allowed(each.domain), meaning(cls, each.name))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("name", [name for name in agent_names() if declared(find_agent(name))])
def test_the_page_shows_the_hyperparameters_as_declared(name):
    page = PAGE.read_text(encoding="utf-8")
    assert f"## {name}\n" in page
    assert table(name) in page, f"docs/agents.md, section {name}, should hold:\n{table(name)}"


def test_the_example_of_the_page_passes_the_conformance_kit():
    section = PAGE.read_text(encoding="utf-8").partition("\n## Writing an agent\n")[2]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {"__name__": "example"}
    exec(compile(example, str(PAGE), "exec", dont_inherit=True), names)
    (cls,) = (
        each
        for each in names.values()
        if isinstance(each, type) and issubclass(each, Agent) and each.__module__ == "example"
    )
    check_agent(cls)
