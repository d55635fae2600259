"""Perplexities that others published: of other networks, on another text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from archgym.cost_models.validation import read_rows

_REFERENCE_FILE = "published_llama2_wikitext2.csv"


@dataclass(frozen=True)
class Published:
    """A perplexity that others measured, of another network on another text.

    Attributes:
        model: the network.
        method: how its weights were rounded.
        weight_bits: bits of weights, without scales.
        activation_bits: bits of activations.
        wikitext2_perplexity: on WikiText-2.
        source: where it stands.
    """

    model: str
    method: str
    weight_bits: str
    activation_bits: str
    wikitext2_perplexity: float
    source: str

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields."""
        return asdict(self)


_BITMOD, _GPTQ = "README of abdelfattah-lab/BitMoD-HPCA-25", "README of IST-DASLab/gptq"
_SMOOTH = "README of mit-han-lab/smoothquant"
CITED = (
    Published("Llama-2-7B", "FP16", "16", "16", 5.47, _BITMOD),
    Published("Llama-2-7B", "AWQ+BitMoD, groups of 128", "4", "16", 5.59, _BITMOD),
    Published("Llama-2-7B", "AWQ+BitMoD, groups of 128", "3", "16", 6.07, _BITMOD),
    Published("Llama-2-7B", "SmoothQuant", "8", "8", 5.515, _SMOOTH),
    Published("LLaMA-1-7B", "FP16", "16", "16", 5.68, _GPTQ),
    Published("LLaMA-1-7B", "rounding by channel", "3", "16", 25.54, _GPTQ),
    Published("LLaMA-1-7B", "GPTQ by channel", "3", "16", 8.07, _GPTQ),
    Published("LLaMA-1-7B", "GPTQ, groups of 128", "3", "16", 6.61, _GPTQ),
)


def published(reference: Path | None) -> Iterator[Published]:
    """Published perplexities, those of the folder where it has the file."""
    for folder in (reference, reference / "quant") if reference else ():
        if (folder / _REFERENCE_FILE).is_file():
            columns = ("model", "method", "wbits", "abits", "wikitext2_ppl", "source")
            for row in read_rows(folder / _REFERENCE_FILE, (*columns, "group")):
                told = [row[name] for name in columns]
                group = f", group {row['group']}" if row["group"] else ""
                yield Published(told[0], told[1] + group, told[2], told[3], float(told[4]), told[5])
            return
    yield from CITED
