"""The comparison with reference figures."""

import csv

import pytest

from archgym.cost_models.accelerator.validation import STEPS, validate


def test_rows_of_other_tools_are_reproduced(reference_dir, tmp_path):
    folder = reference_dir / "accel"
    names = dict.fromkeys(
        name
        for name, step in STEPS
        if ".loopnest." not in step.__module__ and (folder / name).is_file()
    )
    if not names:
        pytest.skip(f"no accelerator reference figures in {reference_dir}")
    for name in names:
        (tmp_path / name).symlink_to(folder / name)
    checks = validate(tmp_path)
    assert all(check.passed is not False for check in checks)
    counted = {(c.check, c.subject, c.metric): c for c in checks}
    scalesim = [c for c in checks if c.check == "SCALE-Sim 3.0, mode scalesim"]
    assert {c.metric for c in scalesim} >= {"cycles", "overall_util_pct", "ifmap_sram_reads"}
    assert sum(c.n for c in scalesim if c.metric == "cycles") == 175
    assert all(c.exact == 1.0 for c in scalesim)
    for tool, mode, metric, n in (
        ("GenZ 0.0.16", "genz", "latency_ms", 653),
        ("LLM-Viewer 472f71f", "llm-viewer", "inference_time_s", 874),
    ):
        found = [c for key, c in counted.items() if key[0] == f"{tool}, mode {mode}"]
        assert sum(c.n for c in found if c.metric == metric) == n
        # The reference has nine digits.
        assert max(c.max_error for c in found) < 1e-8


def test_a_wrong_figure_is_seen(reference_dir, tmp_path):
    source = reference_dir / "accel" / "scalesim_v3_layers.csv"
    if not source.is_file():
        pytest.skip(f"no {source}")
    with source.open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:5]
    rows[2]["total_compute_cycles"] = str(int(rows[2]["total_compute_cycles"]) + 1)
    with (tmp_path / source.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    failed = [check.metric for check in validate(tmp_path) if check.passed is False]
    assert failed == ["cycles"]


def test_folders_without_figures_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no accelerator reference figures, expected at least one"):
        validate(tmp_path)
    (tmp_path / "llm_genz.csv").write_text("model,layers\nx,1\n")
    with pytest.raises(ValueError, match=r"llm_genz.csv: column 'hidden' is missing"):
        validate(tmp_path)
