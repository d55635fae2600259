"""The comparison with published figures."""

import pytest

from archgym.cost_models.processing_elements.validation import hardware_checks, validate


def test_published_figures_are_found_again():
    checks = hardware_checks()
    assert all(check.passed is not False for check in checks)
    headlines = [check for check in checks if check.metric == "headline speedup"]
    assert [check.max_error < 0.05 for check in headlines] == [True, True]
    assert {check.check for check in checks if check.passed} >= {
        "BitMoD", "MARLIN", "FlexQ", "bit-weight MACs", "own synthesis", "ternary LUT",
    }  # fmt: skip


def test_a_second_synthesis_agrees(reference_dir):
    if not (reference_dir / "quant" / "yosys_mac_area_nand2eq.csv").is_file():
        pytest.skip(f"no synthesis in {reference_dir}")
    checks = [c for c in validate(reference_dir) if c.check == "second synthesis"]
    assert [c.n for c in checks] == [9, 6]
    assert all(c.passed for c in checks)


def test_a_folder_without_figures_leaves_the_published_ones(tmp_path):
    assert len(validate(tmp_path)) == len(hardware_checks())
