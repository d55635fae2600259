"""Prints what activations in a format cost a language model with and without outlier channels.

Usage: python tools/outlier_table.py [--network kjv-lm] [--tokens 2048]

Perplexities on the first tokens of the validation split with the inputs of all layers quantized and
weights as trained, of the network, its variants with outlier channels, and the last one smoothed; a
Markdown table, that of `docs/measured-networks.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from archgym.cost_models import measured
from archgym.cost_models.measured.catalogue import OUTLIER_SCALES
from archgym.cost_models.measured.orderings import SMOOTHING
from archgym.cost_models.measured.settings import Measurements, Rounding, Setting

FORMATS = (
    *(("INT8 per tensor", "int8", "tensor"), ("INT8 per token", "int8", "token")),
    *(("FP8 E4M3 per tensor", "fp8-e4m3", "tensor"), ("MXINT8", "mxint8", None)),
    *(("MXFP8 E4M3", "mxfp8-e4m3", None), ("MXFP4", "mxfp4", None), ("NVFP4", "nvfp4", None)),
)
"""In words, name, and what shares a scale."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", default="kjv-lm")
    parser.add_argument("--tokens", type=int, default=2048)
    given = parser.parse_args(arguments)
    network = measured.load(given.network)
    found = Measurements(given.tokens // network.tokens_per_sequence)
    names = [network.name, *(f"{network.name}-outlier-{scale}" for scale in OUTLIER_SCALES)]
    cases = [*((name, None) for name in names), (names[-1], SMOOTHING)]
    last = f"{OUTLIER_SCALES[-1]}, smoothed by {SMOOTHING}"
    print(f"{network.name}: {found.perplexity(Setting(network.name)):.4g} unquantized\n")
    print("| " + " | ".join(["activations", "no outliers", *map(str, OUTLIER_SCALES), last]) + " |")
    print("| --- " * (1 + len(cases)) + "|")
    for words, name, group in FORMATS:
        rounding = Rounding(name, group)
        told = [
            found.perplexity(Setting(of, activations=rounding, smoothing=smoothing))
            for of, smoothing in cases
        ]
        print(
            "| " + " | ".join([words, *(f"{each:#.4g}".rstrip(".") for each in told)]) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
