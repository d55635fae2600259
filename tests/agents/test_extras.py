"""Agents that need an extra say so: which one and how to install it, before anything runs."""

import ast
import importlib
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from archgym import search
from archgym.agent import agent_names, find_agent, make_agent
from archgym.experiment import ExperimentError, parse_experiment
from archgym.testing.toys import toy_task

CORE = {
    *("archgym", "numpy", "numba", "scipy", "optuna", "cmaes", "sklearn", "gymnasium"),
    *("threadpoolctl", "polars", "ray"),
}
"""Modules that every installation has; of Ray, `ray.rllib` needs the extra `rl`."""

WITH_EXTRA = [name for name in agent_names() if find_agent(name).extra]


def imported(module, seen):
    """Returns the modules outside the standard library that a module may ever import."""
    if module in seen:
        return set()
    seen.add(module)
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    for name in [each for each in found if each.startswith("archgym.agents.")]:
        found |= imported(name, seen)
    return {name for name in found if name.split(".")[0] not in sys.stdlib_module_names}


@pytest.mark.parametrize("name", agent_names())
def test_whatever_an_agent_imports_is_declared(name):
    kind = find_agent(name)
    modules = imported(kind.__module__, set())
    foreign = {each for each in modules if each.split(".")[0] not in CORE}
    foreign |= {each for each in modules if each.startswith(("ray.rllib", "ray.tune"))}
    if kind.__module__ == "archgym.agents.portfolio":
        foreign = set()  # its members declare theirs
    assert bool(foreign) == bool(kind.extra), (name, foreign)
    if kind.extra:
        packages = importlib.metadata.requires("archgym")
        brought = [each for each in packages if re.search(f"extra == .{kind.extra}\\W", each)]
        assert brought, f"pyproject.toml has no extra {kind.extra}"
        assert kind.needs


def test_some_agents_need_an_extra():
    assert {"botorch", "ppo", "sac", "dqn", "ippo", "ippo-shared", "mappo"} <= set(WITH_EXTRA)


@pytest.mark.parametrize("name", WITH_EXTRA)
def test_a_missing_extra_is_named_with_its_command(name, monkeypatch):
    kind = find_agent(name)
    monkeypatch.setattr(kind, "needs", ("no_such_module",))
    task = toy_task((3, 2))
    message = (
        f"agent {name!r}: needs the extra {kind.extra!r} (no_such_module is missing): "
        f"pip install 'archgym[{kind.extra}]'"
    )
    for use in (
        lambda: search(task, name, budget=2),
        lambda: make_agent(name, task.space),
    ):
        with pytest.raises(ValueError) as error:
            use()
        assert str(error.value) == message


def experiment(*agents):
    """Returns an experiment on a small task."""
    return parse_experiment(
        {
            "version": 1,
            "name": "extras",
            "budget": {"samples": 3},
            "seeds": 1,
            "tasks": [{"env": "DramController-v0", "space": "archgym2023", "fidelity": "table"}],
            "agents": list(agents),
        }
    )


def test_all_that_an_experiment_misses_is_said_at_once(monkeypatch):
    for name in WITH_EXTRA:
        monkeypatch.setattr(find_agent(name), "needs", ("no_such_module",))
    with pytest.raises(ExperimentError) as error:
        experiment("random", *WITH_EXTRA, {"name": "genetic", "population": 1}).runs()
    problems = error.value.problems
    assert len(problems) == len(WITH_EXTRA) + 1
    for i, name in enumerate(WITH_EXTRA):
        extra = find_agent(name).extra
        assert problems[i].startswith(f"agents[{i + 1}]: agent {name!r}: needs the extra {extra!r}")
        assert problems[i].endswith(f"pip install 'archgym[{extra}]'")
    assert "population" in problems[-1]


def test_members_of_a_portfolio_need_theirs_too(monkeypatch):
    monkeypatch.setattr(find_agent("botorch"), "needs", ("no_such_module",))
    told = (
        "agent 'portfolio': members: agent 'botorch': needs the extra 'botorch' (no_such_module is "
        "missing): pip install 'archgym[botorch]'"
    )
    entry = {"name": "portfolio", "sweep": {"members": ["genetic+tpe", "genetic+botorch"]}}
    with pytest.raises(ExperimentError) as error:
        experiment(entry).runs()
    assert error.value.problems == (f"agents[0]: {told}",)
    with pytest.raises(ValueError) as refused:
        search(toy_task((3, 2)), "portfolio", budget=2, members="random+botorch")
    assert str(refused.value) == told
