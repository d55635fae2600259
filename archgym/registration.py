"""Registration with Gymnasium, without importing it.

`import archgym` makes `gymnasium.make("archgym/...")` work, whichever of the two is imported first.
Gymnasium has no plugin mechanism and takes as long to import as all the rest, so the registration
waits for somebody to import it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def register_environments() -> None:
    """Registers every environment with Gymnasium under the namespace `archgym`."""
    from gymnasium.envs.registration import register

    from archgym.environment import environment_ids

    for environment_id in environment_ids():
        register(
            id=f"archgym/{environment_id}",
            entry_point="archgym.gym:DesignEnv",
            vector_entry_point="archgym.gym:DesignVectorEnv",
            kwargs={"env": environment_id},
        )


class _OnImportOfGymnasium(importlib.abc.MetaPathFinder):
    """Finds Gymnasium as usual and registers the environments once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                register_environments()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


def register_when_imported() -> None:
    """Registers now if Gymnasium is there, else as soon as it is imported."""
    if "gymnasium" in sys.modules:
        register_environments()
    else:
        sys.meta_path.insert(0, _OnImportOfGymnasium())
