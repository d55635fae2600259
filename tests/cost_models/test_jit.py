import os
from pathlib import Path

from archgym.cost_models import jit
from archgym.cost_models.jit import forget_stale_kernels


def test_kernels_older_than_a_source_are_removed(tmp_path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    # All younger than jit.py itself, whose changes make every kernel stale too.
    now = Path(jit.__file__).stat().st_mtime + 1_000
    ages = {"kernel.py": now, "__pycache__/old.nbi": now - 50, "__pycache__/new.nbc": now + 100}
    for name, age in ages.items():
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (age, age))
    forget_stale_kernels(tmp_path)
    assert [path.name for path in cache.iterdir()] == ["new.nbc"]
    os.utime(cache / "new.nbc", (now - 2_000, now - 2_000))
    os.utime(tmp_path / "kernel.py", (now - 3_000, now - 3_000))
    forget_stale_kernels(tmp_path)
    assert not list(cache.iterdir())
