"""Attention side by side with the figures published with FuseMax."""

import csv

import pytest

from archgym.cost_models.accelerator.fusion.validation_fusemax import STEPS
from archgym.cost_models.accelerator.validation import validate


@pytest.fixture
def figures(reference_dir, tmp_path):
    folder = reference_dir / "fusemax"
    for name, _ in STEPS:
        if not (folder / name).is_file():
            pytest.skip(f"no {folder / name}")
        if not (tmp_path / name).exists():
            (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def test_published_figures_are_reproduced(figures):
    checks = {(check.subject, check.metric): check for check in validate(figures)}
    assert all(check.passed for check in checks.values())
    for name in ("flat", "cascade", "architecture", "fusemax"):
        for metric in ("traffic", "latency", "util_2d", "util_1d"):
            assert checks[name, metric].n == 24 and checks[name, metric].exact == 1.0
    assert checks["unfused", "traffic"].exact == pytest.approx(20 / 24)
    for name in ("flat", "fusemax"):
        assert checks[f"layers, {name}", "traffic"].exact == 1.0
    assert checks["flat / fusemax", "mean speed-up"].exact == 1.0
    assert checks["flat, with layers / fusemax", "mean speed-up"].exact == 1.0
    assert sum(check.n for key, check in checks.items() if key[1] == "comp_1d_lat") == 24


def test_wrong_figures_are_seen(figures):
    path = figures / "attn-binding.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[0]["traffic"] = str(int(rows[0]["traffic"]) + 2)
    rows[7]["latency"] = str(float(rows[7]["latency"]) * (1 + 1e-9))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    failed = {(c.subject, c.metric) for c in validate(figures) if c.passed is False}
    assert {("fusemax", "traffic"), ("fusemax", "latency")} <= failed
    assert all("fusemax" in subject for subject, _ in failed)


def test_unknown_rows_are_refused(tmp_path):
    (tmp_path / "attn-flat.csv").write_text(
        "model,seq_len,traffic,latency,util_2d,util_1d,energy\nGPT,64K,1,1,1,1,1\n"
    )
    with pytest.raises(ValueError, match=r"attn-flat.csv: row GPT, 64K: is not one of BERT"):
        validate(tmp_path)
