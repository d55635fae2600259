"""Every environment passes the kits, with every objective, on a short version of each workload."""

import gymnasium
import pytest

import archgym
from archgym.environment import environment_ids, find_environment, module_name
from archgym.testing.environments import check_cost_model, check_environment

SHORT = {"Quantization-v0": {"workload": "digits-cnn"}}
"""Options of environments whose default workload takes long: the kits ask hundreds of designs."""

CASES = [
    (environment_id, objective.name)
    for environment_id in environment_ids()
    for objective in find_environment(environment_id).objectives
]


@pytest.mark.parametrize("environment_id", environment_ids())
def test_cost_model_and_faces(environment_id: str) -> None:
    task = archgym.make_task(environment_id, **SHORT.get(environment_id, {}))
    check_cost_model(task)
    check_environment(task)


@pytest.mark.parametrize(("environment_id", "objective"), CASES)
def test_every_objective_scores_the_default_design(environment_id: str, objective: str) -> None:
    task = archgym.make_task(environment_id, objective=objective)
    evaluation = task.evaluate(task.default[None])
    assert evaluation.feasible[0]
    if not task.objective.budgets:
        assert evaluation.score[0] == 0.0
    assert archgym.make_task(**task.spec).name == task.name or task.objective.name in task.name


@pytest.mark.parametrize("environment_id", environment_ids())
def test_ids_lead_to_their_module_and_to_gymnasium(environment_id: str) -> None:
    environment = find_environment(environment_id)
    assert environment.id == environment_id
    assert module_name(environment_id).isidentifier()
    assert f"archgym/{environment_id}" in gymnasium.registry
    env = gymnasium.make(f"archgym/{environment_id}")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    vector = gymnasium.make_vec(
        f"archgym/{environment_id}", num_envs=4, vectorization_mode="vector_entry_point"
    )
    vector.reset(seed=0)
    assert vector.step(vector.action_space.sample())[1].shape == (4,)
