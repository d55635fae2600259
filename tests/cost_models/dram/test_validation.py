"""The comparison with reference figures, on slices of them."""

import csv
import gzip
import json
import shutil

import pytest

from archgym.cost_models.dram.validation import validate
from archgym.cost_models.validation import Target, compare


def slice_of(source, target, keep, limit):
    """Copy the header and the first `limit` rows for which `keep` holds."""
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = [row for row in reader if keep(row)][:limit]
    with opened(target, "wt", newline="") as stream:
        writer = csv.DictWriter(stream, reader.fieldnames)
        writer.writeheader()
        writer.writerows(rows)
    assert rows


@pytest.fixture
def folder(tmp_path, reference_dir):
    source = reference_dir / "dram"
    if not source.is_dir():
        pytest.skip(f"no DRAM reference figures in {reference_dir}")
    (tmp_path / "traces").symlink_to(source / "traces")
    return source, tmp_path


def test_random_designs_of_dramsys4(folder):
    source, target = folder
    name = "archgym_dramsys4_ddr3.csv"
    slice_of(source / name, target / name, lambda row: int(row["design"]) % 20 == 0, 900)
    checks = {(c.subject, c.metric): c for c in validate(target)}
    assert all(check.passed is not False for check in checks.values())
    time = checks["all", "total_time_ns"]
    assert time.n == 45
    assert time.exact == 1.0
    assert checks["all", "average_power_mw"].max_error < 1e-3


def test_ramulator_runs_and_commands(folder):
    source, target = folder
    name = "ramulator21_dramsim3.csv"
    some = ("mixed70_small", "chase", "stream_write")
    slice_of(source / name, target / name, lambda row: row["trace"] in some, 100)
    for name in (
        "golden_cmds_ramulator21_C1_mixed70_small.csv.gz",
        "golden_cmds_ramulator21_C2_mixed70_small.csv.gz",
    ):
        shutil.copy(source / name, target / name)
    name = "golden_latency_ramulator21_C1.csv.gz"
    slice_of(source / name, target / name, lambda row: row["trace"] == "mixed50_sat", 2000)
    checks = validate(target)
    assert len({check.check for check in checks}) == 14
    assert all(check.passed for check in checks)
    # DRAMsim3 counts a rank that refreshes as precharged.
    unequal = {(check.check.partition(",")[0], check.metric) for check in checks if check.exact < 1}
    assert unequal == {("DRAMsim3", "total energy, refresh active"), ("DRAMsim3", "power")}
    energies = [check.max_error for check in checks if check.check.startswith("DRAMsim3")]
    assert max(energies) < 0.012


def test_dramsys5_baseline(folder):
    source, target = folder
    name = "dramsys50.csv"
    slice_of(source / name, target / name, lambda row: row["trace"] == "mixed70_small", 40)
    checks = validate(target)
    assert all(check.passed is not False for check in checks)
    (energy,) = (check for check in checks if check.check.startswith("DRAMPower"))
    assert energy.max_error < 1e-3


def test_what_is_missing_is_named(folder):
    _, target = folder
    with pytest.raises(ValueError, match=r"expected at least one of archgym_dramsys4_ddr3\.csv"):
        validate(target)
    (target / "dramsys50.csv").write_text("config,trace\n")
    with pytest.raises(ValueError, match=r"dramsys50\.csv: column 'cycles_total' is missing"):
        validate(target)
    (target / "dramsys50.csv").write_text("config,trace,cycles_total,avg_power_mW,n_ACT\n")
    with pytest.raises(ValueError, match="no rows below the header"):
        validate(target)
    (target / "dramsys50.csv").write_text(
        "config,trace,cycles_total,avg_power_mW,n_ACT\nD1:,absent,1,1,1\n"
    )
    with pytest.raises(ValueError, match=r"absent\.csv\.gz is missing"):
        validate(target)


def test_compare_measures_relative_errors():
    check = compare("c", "s", "m", [1.0, 2.0, 3.3, 5.0], [1.0, 2.0, 3.0, 4.0], Target(exact=0.5))
    assert check.exact == 0.5
    assert check.median_error == pytest.approx(0.05)
    assert check.max_error == pytest.approx(0.25)
    assert check.spearman == pytest.approx(1.0)
    assert check.passed is True
    assert check.target == "equal >= 50%"
    assert json.loads(json.dumps(check.to_dict()))["metric"] == "m"


def test_compare_without_target_or_with_a_missed_one():
    assert compare("c", "s", "m", [1.0], [1.0]).passed is None
    missed = compare("c", "s", "m", [1.0, 2.0], [2.0, 1.0], Target(max_error=0.1, spearman=0.9))
    assert missed.passed is False
    assert missed.spearman is None
    assert compare("c", "s", "m", [0.0], [0.0], Target(exact=1.0)).passed is True


def test_compare_refuses_other_shapes():
    with pytest.raises(ValueError, match="shapes"):
        compare("c", "s", "m", [1.0], [1.0, 2.0])
