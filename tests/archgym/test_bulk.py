"""Runs that are read at once are those that are read one by one."""

import numpy as np
import pytest

from archgym.bulk import load_runs
from archgym.results import load_run
from archgym.workspace import read_plan


def read(root):
    return list(load_runs([(root, spec) for spec in read_plan(root)]))


def one_by_one(root):
    return [load_run(root, spec) for spec in read_plan(root)]


def equal(one, other):
    if one is None or other is None:
        return one is other
    same_times = (
        one[2].select(sorted(one[2].columns)).equals(other[2].select(sorted(other[2].columns)))
    )
    same_times &= np.array_equal(one[3], other[3])
    return one[0] == other[0] and one[1].equals(other[1]) and same_times


def test_finished_and_partial_runs(run, unfinish):
    root = run(
        "a[1] space=*",
        "seeds=3",
        "tasks=[{env: Outside-v0, objective: both}]",
        "agents=[random, nsga2]",
    )
    folders = [root / spec.folder for spec in read_plan(root)]
    unfinish(folders[1], 5)
    (folders[2] / "run.json").unlink()
    found = read(root)
    assert [each is None for each in found] == [False, False, True, False, False, False]
    assert [len(each[1]) for each in found if each] == [40, 5, 40, 40, 40]
    assert all(map(equal, found, one_by_one(root)))


def test_a_broken_file_is_named(run):
    root = run("out")
    file = root / read_plan(root)[1].folder / "trials.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=f"{file.parent.name}: the trials cannot be read"):
        read(root)
