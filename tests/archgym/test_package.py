"""The distribution as users get it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("numba", "optuna", "polars", "pyarrow", "ray", "torch", "sklearn", "scipy", "plotly")


def modules_after(statement: str) -> set[str]:
    """Returns the top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import archgym", set()),
        ("import archgym; archgym.make_task; archgym.make_agent; archgym.search", set()),
        ("import archgym; archgym.find_agent('genetic')", set()),
        ("import archgym; archgym.environment_ids()", set()),
        ("import archgym.cli", set()),
    ],
)
def test_heavy_modules_are_loaded_where_they_are_used(statement: str, allowed: set[str]) -> None:
    loaded = modules_after(statement) & {*HEAVY, "gymnasium"}
    assert loaded <= allowed


def test_import_archgym_loads_almost_nothing() -> None:
    assert "numpy" not in modules_after("import archgym")


@pytest.mark.parametrize("order", ["archgym, gymnasium", "gymnasium, archgym"])
def test_environments_are_registered_in_either_order(order: str) -> None:
    code = f"import {order}; print('archgym/DramController-v0' in gymnasium.registry)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr
    assert "Warn" not in run.stderr


def test_wheel_holds_one_top_level_package(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", "77", reason="building a wheel needs setuptools 77")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    # A copy, so that the build leaves nothing behind in the working tree.
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*command, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("archgym-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"archgym"}
    for needed in (
        "archgym/py.typed",
        "archgym/envs/dram_controller.py",
        "archgym/agents/genetic.py",
        "archgym/experiments/quickstart.yaml",
        "archgym/cost_models/dram/traces/traces.yaml",
        "archgym/testing/environments.py",
    ):
        assert needed in names
    assert any(name.startswith("archgym/cost_models/dram/devices/ddr3") for name in names)
    assert any(name.startswith("archgym/templates/") for name in names)
