import gymnasium
import numpy as np
import pytest

from archgym.errors import BudgetExhausted
from archgym.evaluator import Evaluator
from archgym.gym import DesignEnv, DesignVectorEnv
from archgym.metric import INFEASIBLE_REWARD
from archgym.testing.environments import check_cost_model, check_environment
from archgym.testing.toys import toy_task


@pytest.mark.parametrize(
    "task", [toy_task(), toy_task((3, 2), forbidden=True), toy_task(pareto=True)], ids=repr
)
def test_toys_pass_the_kits(task) -> None:
    check_cost_model(task)
    check_environment(task)


def test_single_rewards_are_scores_and_refine_rewards_add_up() -> None:
    task = toy_task()
    env = DesignEnv(task=task)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(task.model.best)
    assert terminated and not truncated
    assert reward == info["score"] == task.evaluate(task.model.best).score[0] > 0
    assert info["design"] == task.space.decode(task.model.best)
    assert set(info["metrics"]) == {"cost_ns", "area_mm2"}

    env = DesignEnv(task=task, episode="refine", horizon=20)
    env.action_space.seed(3)
    env.reset(seed=0)
    total, done = 0.0, False
    while not done:
        _, reward, terminated, done, info = env.step(env.action_space.sample())
        assert not terminated
        total += reward
    assert total == pytest.approx(info["score"])


def test_infeasible_steps_are_penalised_not_raised() -> None:
    task = toy_task(forbidden=True)
    env = DesignEnv(task=task)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros(len(task.space), int))
    assert reward == INFEASIBLE_REWARD
    assert not info["feasible"]
    assert info["violations"] == ("p0 and p1 both 0",)


def test_steps_go_through_the_given_evaluator() -> None:
    task = toy_task()
    evaluator = Evaluator(task, budget=40)
    env = DesignVectorEnv(16, task=task, evaluator=evaluator)
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    env.step(env.action_space.sample())
    assert evaluator.samples == 32
    with pytest.raises(BudgetExhausted):
        env.step(env.action_space.sample())
    assert evaluator.samples == 40


def test_vector_refine_resets_all_episodes_together() -> None:
    env = DesignVectorEnv(4, task=toy_task(), episode="refine", horizon=3)
    start, _ = env.reset(seed=0)
    env.action_space.seed(1)
    for step in range(1, 7):
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert not terminated.any()
        assert truncated.all() == (step % 3 == 0)
        assert np.array_equal(observation, start) == (step % 3 == 0)
        assert ("final_obs" in info) == (step % 3 == 0)


def test_bad_arguments_name_what_is_allowed() -> None:
    task = toy_task()
    with pytest.raises(ValueError, match="did you mean 'refine'"):
        DesignEnv(task=task, episode="refined")
    with pytest.raises(ValueError, match="has one step"):
        DesignEnv(task=task, horizon=5)
    with pytest.raises(ValueError, match="horizon: 0 is not at least 1"):
        DesignEnv(task=task, episode="refine", horizon=0)
    with pytest.raises(ValueError, match="action: unknown name 'knob'; did you mean 'one-knob'"):
        DesignEnv(task=task, action="knob")
    with pytest.raises(ValueError, match="num_envs: 0"):
        DesignVectorEnv(0, task=task)


def test_render_shows_the_design() -> None:
    env = DesignEnv(task=toy_task(), render_mode="ansi")
    env.reset(seed=0)
    assert "p0 = " in env.render()
    assert gymnasium.spaces.Box in type(env.observation_space).__mro__
