"""Measures what quantizing each layer alone does to a network, for the fidelity `additive`.

Usage: python tools/quantization_tables.py [NETWORK ...] [--output DIR]

Writes `envs/tables/quantization/divergences-NETWORK.npz`: the mean KL divergence from the
unquantized network's predictions, in nats per token over 2,048 tokens of the validation split, for
every format, group and clip of every layer in the space `weights`. A run that was stopped is
resumed. Some ten thousand passes, most of them over a part of the network.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from archgym.cost_models import measured
from archgym.envs._quantization_additive import TABLES, key_of, measure, whole_table


def tabulate(name: str, output: Path) -> None:
    """Measures what is missing and writes the table."""
    network = measured.load(name)
    log = output / f"divergences-{name}.jsonl"
    known: dict[str, float] = {}
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        known = dict(json.loads(line) for line in lines if line.endswith("\n"))
        log.write_text("".join(json.dumps(pair) + "\n" for pair in known.items()), "utf-8")
    every = whole_table(network)
    wanted = {
        layer: [choice for choice in choices if key_of(layer, choice) not in known]
        for layer, choices in every.items()
    }
    with log.open("a", encoding="utf-8") as file:
        for key, kl in measure(network, wanted):
            known[key] = kl
            file.write(json.dumps([key, kl]) + "\n")
            file.flush()
    keys = [key_of(layer, choice) for layer, choices in every.items() for choice in choices]
    values = np.array([known[key] for key in keys], np.float32)
    path = output / f"divergences-{name}.npz"
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as binary:
        np.savez_compressed(binary, names=np.array(keys), kl_nats=values)
    temporary.rename(path)
    log.unlink()
    print(f"{path}: {len(keys):,} choices, {path.stat().st_size:,} bytes")


def main() -> None:
    """Measures the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=["kjv-lm"])
    parser.add_argument("--output", type=Path, default=TABLES)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for name in given.networks:
        tabulate(name, given.output)


if __name__ == "__main__":
    main()
