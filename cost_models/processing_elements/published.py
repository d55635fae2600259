"""BitMoD's comparison: six models on four arrays of equal area, by the rules of its simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.processing_elements.layers import (
    LayerFormats,
    Layers,
    array_designs,
    layer_costs,
    layers,
)

CONTEXT = 256
GENERATED = 20
"""Tokens that the task generates after its pass over the context."""


@dataclass(frozen=True)
class Model:
    """Sizes of a decoder, of its model card.

    Attributes:
        name: Of the model.
        layers: Number of layers.
        hidden: Features of a token.
        wide: Features inside the feed-forward network.
        heads: Query heads.
        kv_heads: Heads of keys and values.
        vocabulary: Outputs of the last layer.
        gated: Whether the feed-forward network has a gate.
    """

    name: str
    layers: int
    hidden: int
    wide: int
    heads: int
    kv_heads: int
    vocabulary: int
    gated: bool = True


MODELS = (
    Model("OPT-1.3B", 24, 2048, 8192, 32, 32, 50272, gated=False),
    Model("Phi-2", 32, 2560, 10240, 32, 32, 51200, gated=False),
    Model("Yi-6B", 32, 4096, 11008, 32, 4, 64000),
    Model("Llama-2-7B", 32, 4096, 11008, 32, 32, 32000),
    Model("Llama-2-13B", 40, 5120, 13824, 40, 40, 32000),
    Model("Llama-3-8B", 32, 4096, 14336, 32, 8, 128256),
)


@dataclass(frozen=True)
class Accelerator:
    """An array of the comparison.

    Attributes:
        name: Of the accelerator.
        generate: Rows and columns of the array when it generates.
        read: Rows and columns when it reads the context.
        weight_bits: By model.
        read_weight_bits: Likewise, when it reads.
        cache_bits: Of keys and values.
        energy_pj: Of an element and cycle.
        inputs: Products of a step.
        serial: Whether a step takes ceil(bits / 2) cycles.
    """

    name: str
    generate: tuple[int, int]
    read: tuple[int, int]
    weight_bits: tuple[float, ...]
    read_weight_bits: tuple[float, ...]
    cache_bits: float
    energy_pj: float
    inputs: int = 1
    serial: bool = False


_ANT = (5, 5, 5.25, 5, 4, 5)
_OLIVE = (4, 4, 4, 4, 4, 4.5)
# bitmod_sim/test_baseline.py, test_ant.py, test_olive.py, test_bitmod.py (lossy weights).
ACCELERATORS = (
    Accelerator("FP16", (64, 12), (32, 24), (16,) * 6, (16,) * 6, 16, 0.77),
    Accelerator("ANT", (64, 16), (32, 32), _ANT, _ANT, 16, 0.56),
    Accelerator("OliVe", (72, 16), (36, 32), _OLIVE, _OLIVE, 16, 0.613),
    Accelerator(
        "BitMoD", (64, 16), (32, 32), (3.0625,) * 6, (4.0625,) * 6, 8, 0.56, inputs=4, serial=True
    ),
)


def model_layers(model: Model, stage: str) -> Layers:
    """Products of a model that reads `CONTEXT` tokens, or that makes a token after as many.

    Logits are made of every token that is read, as in the simulator.
    """
    tokens = CONTEXT if stage == "read" else 1
    size = model.hidden // model.heads
    shared = model.heads // model.kv_heads
    kv = model.kv_heads * size
    m = model
    linear = [("query", m.hidden, m.hidden), ("key", kv, m.hidden), ("value", kv, m.hidden)]
    linear += [("project", m.hidden, m.hidden), ("up", m.wide, m.hidden)]
    linear += [("gate", m.wide, m.hidden)] * m.gated + [("down", m.hidden, m.wide)]
    rows = [(name, 1, out, into, tokens, m.layers, False) for name, out, into in linear]
    queries = tokens * shared
    rows += [
        ("scores", m.kv_heads, CONTEXT, size, queries, m.layers, True),
        ("values", m.kv_heads, size, CONTEXT, queries, m.layers, True),
        ("head", 1, m.vocabulary, m.hidden, tokens, 1, False),
    ]
    return layers([(n, float(b), float(o), float(i), float(t), float(c), k)
                   for n, b, o, i, t, c, k in rows])  # fmt: skip


def cycles(accelerator: Accelerator, stage: str) -> NDArray[np.float64]:
    """Cycles of a pass of each of `MODELS` `(6,)`.

    Args:
        accelerator: One of `ACCELERATORS`.
        stage: `read` or `generate`.
    """
    found = []
    by_model = accelerator.read_weight_bits if stage == "read" else accelerator.weight_bits
    shape = accelerator.read if stage == "read" else accelerator.generate
    design = array_designs(rows=shape[0], columns=shape[1], inputs=accelerator.inputs)
    for model, stored in zip(MODELS, by_model, strict=True):
        work = model_layers(model, stage)
        bits = np.where(work.cached, accelerator.cache_bits, stored)[None]
        steps = np.ceil(np.floor(bits) / 2) if accelerator.serial else np.ones_like(bits)
        formats = LayerFormats(
            bits,
            np.array([[16.0]]),
            accelerator.inputs / steps,
            np.array([[accelerator.energy_pj]]),
        )
        found.append(layer_costs(work, design, formats).cycles.sum())
    return np.array(found)


def task_cycles(accelerator: Accelerator) -> NDArray[np.float64]:
    """Cycles of reading the context and generating `GENERATED` tokens, of each of `MODELS`."""
    return cycles(accelerator, "read") + GENERATED * cycles(accelerator, "generate")
