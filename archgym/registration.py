"""Registration with Gymnasium, called by it through the entry point group `gymnasium.envs`.

It runs while Gymnasium itself is being imported, so it may not import the environments' faces.
"""

from __future__ import annotations

from archgym.environment import environment_ids


def register_environments() -> None:
    """Registers every environment; Gymnasium puts them into the namespace `archgym`."""
    from gymnasium.envs.registration import register

    for environment_id in environment_ids():
        register(
            id=environment_id,
            entry_point="archgym.gym:DesignEnv",
            vector_entry_point="archgym.gym:DesignVectorEnv",
            kwargs={"env": environment_id},
        )
