"""Language models side by side with GenZ and LLM-Viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from archgym.cost_models.accelerator.llm import llm_costs, llm_designs
from archgym.cost_models.accelerator.llm_types import LlmCosts, LlmDesigns
from archgym.cost_models.accelerator.networks.language import Decoder
from archgym.cost_models.validation import Check, Target, compare, read_rows

_TARGET = Target(max_error=0.01)
_SIZES = ("layers", "hidden", "intermediate", "heads", "kv_heads", "vocab")
_COMMON = ("model", *_SIZES, "mem_bw_gbs", "stage", "batch", "context_tokens")
_BITS = {"bf16": 16, "int8": 8, "int4": 4}
_MIB = 2.0**20
# Names of columns with the field of the costs and the unit in it.
_GENZ = {
    "latency_ms": ("latency_s", 1e-3),
    "attn_ms": ("attention_s", 1e-3),
    "weights_MiB": ("weight_memory_bytes", _MIB),
    "kv_cache_MiB": ("cache_memory_bytes", _MIB),
    "macs_MFLOP_col": ("operations", 1e6),
}
_VIEWER = {
    "inference_time_s": ("latency_s", 1.0),
    "memory_consumption": ("memory_bytes", 1.0),
    "memory_consumption_weight": ("weight_memory_bytes", 1.0),
    "memory_consumption_kv_cache": ("cache_memory_bytes", 1.0),
    "memory_access": ("traffic_bytes", 1.0),
    "OPs": ("operations", 1.0),
}
_Row = dict[str, str]


def genz_rows(path: Path) -> Iterator[Check]:
    """Every row of GenZ, by stage."""
    rows = read_rows(path, (*_COMMON, "tflops_bf16", "bits", *_GENZ))
    for stage in ("prefill", "decode"):
        part = [row for row in rows if row["stage"] == stage]
        yield from _compared("GenZ 0.0.16", "genz", stage, part, _genz_design, _GENZ, _TARGET)


def llm_viewer_rows(path: Path) -> Iterator[Check]:
    """Every row of LLM-Viewer: those without a known quirk, and the others."""
    columns = ("tflops_fp16", "tops_int8", "w_bit", "a_bit", "kv_bit", "onchip_buffer_B")
    rows = read_rows(path, (*_COMMON, *columns, "flashattention", "known_quirk", *_VIEWER))
    for stage in ("prefill", "decode"):
        for quirk, subject in ((False, stage), (True, f"{stage}, known quirk")):
            part = [r for r in rows if r["stage"] == stage and bool(r["known_quirk"]) is quirk]
            yield from _compared(
                "LLM-Viewer 472f71f", "llm-viewer", subject, part, _viewer_design, _VIEWER, _TARGET
            )


def _genz_design(row: _Row) -> LlmDesigns:
    return llm_designs(
        peak_tops=float(row["tflops_bf16"]),
        bandwidth_gb_per_s=float(row["mem_bw_gbs"]),
        weight_bits=_BITS[row["bits"]],
    )


def _viewer_design(row: _Row) -> LlmDesigns:
    return llm_designs(
        peak_tops=float(row["tflops_fp16"]),
        peak_int8_tops=float(row["tops_int8"]),
        bandwidth_gb_per_s=float(row["mem_bw_gbs"]),
        weight_bits=float(row["w_bit"]),
        activation_bits=float(row["a_bit"]),
        cache_bits=float(row["kv_bit"]),
        onchip_bytes=float(row["onchip_buffer_B"]),
        flash_attention=row["flashattention"] == "1",
    )


def _costs(row: _Row, design: LlmDesigns, mode: str) -> LlmCosts:
    layers, hidden, wide, heads, kv_heads, vocabulary = (int(row[name]) for name in _SIZES)
    # OPT has a feed-forward network that is not gated.
    size = Decoder(
        "", layers, hidden, wide, heads, kv_heads, vocabulary, gpt=row["model"].startswith("OPT")
    )
    return llm_costs(
        size,
        design,
        batch=int(row["batch"]),
        context=int(row["context_tokens"]),
        stage=row["stage"],
        mode=mode,
    )


def _compared(
    tool: str,
    mode: str,
    subject: str,
    rows: list[_Row],
    design: Callable[[_Row], LlmDesigns],
    columns: dict[str, tuple[str, float]],
    target: Target,
) -> Iterator[Check]:
    """All columns in the tool's mode, then latency in `ideal`."""
    if not rows:
        return
    found = [_costs(row, design(row), mode) for row in rows]
    for column, (name, unit) in columns.items():
        ours = [float(getattr(each, name)[0]) for each in found]
        theirs = [float(row[column]) * unit for row in rows]
        yield compare(f"{tool}, mode {mode}", subject, column, ours, theirs, target)
    column, (name, unit) = next(iter(columns.items()))
    ideal = [float(getattr(_costs(row, design(row), "ideal"), name)[0]) for row in rows]
    theirs = [float(row[column]) * unit for row in rows]
    yield compare(f"{tool}, mode ideal", subject, column, ideal, theirs)
