"""Episodes for offline reinforcement learning: the trials of a dataset as a dataset of Minari.

A run logs each different design once, in order of evaluation. That order is an episode of
`DesignEnv(episode="refine", action="multi-discrete")`, whose actions are whole designs: it starts
at the default design, the reward of a step is the gain in score, and it is truncated after
`horizon` steps. With `episode="single"` each trial is an episode of one step. What is written is
what the environment returns for these actions. (Minari: https://minari.farama.org)
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from archgym.known import known_evaluation
from archgym.task import Task, make_task

if TYPE_CHECKING:
    from archgym.dataset import Dataset
    from archgym.gym import EpisodeRules, Face

_ACTION = "multi-discrete"
_ID = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def check_id(dataset_id: str) -> None:
    """Refuses names that Minari does not take, and everything where it is not installed.

    Raises:
        ValueError: naming what is wrong.
    """
    # Minari's Arrow files need Pillow, which it does not say in its requirements.
    for module in ("minari", "PIL"):
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"minari: {module} is not installed: pip install minari pillow")
    if not _ID.fullmatch(dataset_id):
        raise ValueError(f"minari: name {dataset_id!r} is not of the form NAME-v0 or GROUP/NAME-v0")


def to_minari(
    dataset: Dataset, dataset_id: str, *, episode: str = "refine", horizon: int | None = None
) -> Any:
    """Writes the trials of one task as episodes.

    Args:
        dataset: trials of one task.
        dataset_id: name in Minari, such as `archgym/dram-sort-v0`.
        episode: `refine` or `single`, see `archgym.gym.DesignEnv`.
        horizon: steps of an episode of `refine`, 32 if left out; what is left of a run is an
            episode too.

    Returns:
        The `minari.MinariDataset`.

    Raises:
        ValueError: if Minari is not installed, the name is taken or not valid, or the dataset
            holds several tasks.
    """
    check_id(dataset_id)
    if episode == "layerwise":
        raise ValueError("episode: 'layerwise' is not how trials follow each other; take 'refine'")
    import minari
    from minari.data_collector import EpisodeBuffer

    from archgym.gym import EpisodeRules, Face

    if dataset_id in minari.list_local_datasets():
        raise ValueError(f"minari: there is a dataset {dataset_id!r} already, choose another name")
    rules = EpisodeRules.make(episode, horizon)
    face = Face(_task(dataset), None, rules, _ACTION)
    buffers = [
        EpisodeBuffer(id=number, **fields) for number, fields in enumerate(_episodes(dataset, face))
    ]
    creators = set(dataset.meta["creators"]) or {"unknown"}
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffer=buffers,
        env=_environment(face.task, rules),
        eval_env=_environment(face.task, rules),
        data_format="arrow",
        algorithm_name=", ".join(sorted(set(dataset.frame()["agent"]))),
        author=creators,
        author_email="unknown",
        code_permalink=dataset.meta["url"] or "unknown",
        description=f"{episode} episodes of {face.task.name}, from {dataset.meta['name']}",
    )


def _environment(task: Task, rules: EpisodeRules) -> Any:
    """Returns what Gymnasium makes the environment of the episodes from."""
    from gymnasium.envs.registration import EnvSpec

    options = {"episode": rules.kind, "horizon": rules.horizon, "action": _ACTION}
    return EnvSpec(
        id=f"archgym/{task.environment.id}",
        entry_point="archgym.gym:DesignEnv",
        kwargs={**task.spec, **options},
    )


def _task(dataset: Dataset) -> Task:
    """Builds the dataset's only task."""
    if len(dataset.tasks) != 1:
        names = ", ".join(dataset.meta["tasks"][each]["name"] for each in dataset.tasks)
        raise ValueError(
            f"minari: {dataset.path} holds {len(dataset.tasks)} tasks; choose one with "
            f"filter(task=...), there are {names}"
        )
    return make_task(**dataset.meta["tasks"][dataset.tasks[0]]["spec"])


def _episodes(dataset: Dataset, face: Face) -> Iterator[dict[str, Any]]:
    """Yields the fields of each episode, run by run."""
    whole = known_evaluation(dataset, face.task)
    frame = dataset.frame()
    samples, names = frame["sample"].to_numpy(), frame["run"].to_numpy()
    order = np.lexsort((samples, names))
    starts = np.flatnonzero(np.append(True, names[order][1:] != names[order][:-1]))
    horizon = face.episode.horizon
    begin = face.observe(face.default_evaluation)
    for run in np.split(order, starts[1:]):
        for first in range(0, len(run), horizon):
            trials = whole.take(run[first : first + horizon])
            last = np.concatenate([face.default_evaluation.reward, trials.reward[:-1]])
            ends = [face.done(i + 1) for i in range(len(trials))]
            # A run's last episode is cut off by the end of the run.
            truncations = np.array([truncated for _, truncated in ends])
            truncations[-1] |= not ends[-1][0]
            yield {
                "observations": np.concatenate([begin, face.observe(trials)]),
                "actions": trials.designs,
                "rewards": face.rewards(trials, last),
                "terminations": np.array([terminated for terminated, _ in ends]),
                "truncations": truncations,
            }
