import os

from archgym.cost_models.jit import forget_stale_kernels


def test_kernels_older_than_a_source_are_removed(tmp_path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    ages = {"kernel.py": 100, "__pycache__/old.nbi": 50, "__pycache__/new.nbc": 200}
    for name, age in ages.items():
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (age, age))
    forget_stale_kernels(tmp_path)
    assert [path.name for path in cache.iterdir()] == ["new.nbc"]
