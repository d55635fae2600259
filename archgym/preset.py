"""Presets: files of tuned hyperparameters that say where they come from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from archgym import yamlfile
from archgym.errors import unknown

FORMAT = 1


@dataclass(frozen=True)
class Preset:
    """Tuned hyperparameters of one agent.

    Attributes:
        agent: the agent's name.
        hyperparameters: all of them.
        tasks: readable names of the tasks that they were chosen on.
        provenance: how they were chosen, as plain data: seeds, samples and number of settings,
            values of the default and of the chosen setting, versions.
    """

    agent: str
    hyperparameters: Mapping[str, Any]
    tasks: tuple[str, ...]
    provenance: Mapping[str, Any]

    def dump(self) -> str:
        """Returns the preset as YAML."""
        return yamlfile.dump(
            {
                "version": FORMAT,
                "agent": self.agent,
                "hyperparameters": dict(self.hyperparameters),
                "tuned": {"tasks": list(self.tasks), **self.provenance},
            }
        )


@functools.cache
def bundled_presets() -> dict[str, Path]:
    """Returns the files of the presets that come with the package, by name: EXPERIMENT/AGENT."""
    folder = Path(str(resources.files("archgym.experiments"))) / "presets"
    return {f"{file.parent.name}/{file.stem}": file for file in sorted(folder.glob("*/*.yaml"))}


def load_preset(path: str | Path, agent: str) -> Preset:
    """Reads a preset file.

    Args:
        path: the file, or the name of a bundled preset.
        agent: whose hyperparameters are expected.

    Raises:
        ValueError: for a missing file or an unknown name, other content, or another agent's preset.
    """
    bundled = bundled_presets()
    file = bundled.get(str(path), Path(path))
    if not file.is_file():
        if Path(path).suffix in (".yaml", ".yml"):
            raise ValueError(f"{path}: there is no such file; `archgym tune` writes presets")
        raise unknown("preset", str(path), bundled)
    data = yamlfile.read(file)
    try:
        version, found = data["version"], data["agent"]
        provenance = dict(data["tuned"])
        tasks = provenance.pop("tasks")
        preset = Preset(found, dict(data["hyperparameters"]), tuple(map(str, tasks)), provenance)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path}: is not a preset (version, agent, hyperparameters, tuned with tasks)"
        ) from None
    if version != FORMAT:
        raise ValueError(f"{path}: version {version!r} is not {FORMAT}")
    if found != agent:
        raise ValueError(f"{path}: is for agent {found!r}, not {agent!r}")
    return preset


def problem_of(task_name: str) -> str:
    """Returns a task's readable name without its fidelity, by which tasks are told apart here.

    What is tuned on a table of a task is tuned on the task.
    """
    return " ".join(word for word in task_name.split(" ") if not word.startswith("fidelity="))
