"""`archgym validate quantization`: a slice of it, run."""

import itertools
import shutil

import pytest

from archgym.cost_models.measured.orderings import formats
from archgym.envs import _quantization_validation as validation
from archgym.envs._quantization_published import CITED, published
from archgym.validate import run_checks


@pytest.fixture
def slice_of_it(monkeypatch):
    """Two formats in place of eight, and the claims about formats alone, on 2,048 tokens."""
    monkeypatch.setattr(validation, "MIXED", ("int4-asym", "int2-asym"))
    monkeypatch.setattr(validation, "QUICK_CONFIGURATIONS", 8)
    monkeypatch.setattr(validation, "QUICK_SEQUENCES", 16)
    monkeypatch.setattr(validation, "orderings", formats)
    monkeypatch.setattr(validation, "hardware_checks", lambda: iter(()))
    monkeypatch.delenv("ARCHGYM_REFERENCE", raising=False)


def test_every_part_has_its_rows(slice_of_it, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = run_checks("quantization", quick=True)
    tables = [(keys, list(group)) for keys, group in itertools.groupby(rows, key=tuple)]
    assert [keys[0] for keys, _ in tables] == ["check", "format", "claim", "check", "model"]
    claims = {row["claim"]: row for row in tables[2][1]}
    assert claims["ternary weights collapse without training"]["passed"]
    ranks = {(row["subject"], row["metric"]): row for row in tables[3][1]}
    assert len(ranks) == 6
    sums = ranks["additive, 2,048 tokens", "kl_nats"]
    assert sums["n"] == 8
    assert sums["spearman"] > 0.9
    # With 16 sequences, the validation split is the same 2,048 tokens.
    assert ranks["2,048 tokens, validation split", "kl_nats"]["spearman"] == pytest.approx(1.0)
    assert not [row for row in rows if row.get("passed") is False]


def test_more_configurations_are_no_others():
    assert validation.mixtures(3) == validation.mixtures(5)[:3]


def test_published_figures_of_a_folder_replace_the_cited_ones(reference_dir, tmp_path):
    assert list(published(None)) == list(published(tmp_path)) == list(CITED)
    shutil.copytree(reference_dir / "quant", tmp_path / "quant")
    rows = list(published(tmp_path))
    assert len(rows) > len(CITED)
    by_name = {(row.model, row.weight_bits, row.method): row for row in rows}
    assert by_name["Llama-2-7B", "16", "FP16"].wikitext2_perplexity == 5.47
    (tmp_path / "quant" / "published_llama2_wikitext2.csv").write_text("model\nx\n")
    with pytest.raises(ValueError, match="column 'method' is missing"):
        list(published(tmp_path))
