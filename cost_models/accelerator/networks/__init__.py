"""Networks by name, made from published dimensions."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks import convolutional, language, transformers
from archgym.cost_models.accelerator.networks.language import Decoder, Mamba, gpt2
from archgym.cost_models.accelerator.networks.transformers import T5

STAGES = ("prefill", "decode")


@dataclass(frozen=True)
class NetworkEntry:
    """A network that can be made.

    Attributes:
        summary: In one line.
        make: From batch, context and stage.
        context: Tokens if none are given; 0 for a network that has no context.
        stages: The first if none is given; empty for a network without stages.
    """

    summary: str
    make: Callable[[int, int, str], Network]
    context: int = 0
    stages: tuple[str, ...] = ()


def _image(summary: str, make: Callable[[int], Network]) -> NetworkEntry:
    return NetworkEntry(summary, lambda batch, context, stage: make(batch))


def _bert(name: str, layers: int, hidden: int) -> NetworkEntry:
    return NetworkEntry(
        f"BERT, {layers} layers of {hidden} features, with pooler",
        lambda batch, context, stage: transformers.bert(
            name, batch, context, layers=layers, hidden=hidden
        ),
        context=128,
    )


def _t5(name: str, size: T5) -> NetworkEntry:
    return NetworkEntry(
        f"T5 1.0, {size.layers} + {size.layers} layers of {size.hidden} features",
        lambda batch, context, stage: transformers.t5(name, batch, context, stage, size),
        context=512,
        stages=("forward", "decode"),
    )


def _decoder(name: str, summary: str, size: Decoder, context: int = 1024) -> NetworkEntry:
    return NetworkEntry(
        summary,
        lambda batch, context, stage: language.decoder(name, batch, context, stage, size),
        context=context,
        stages=STAGES,
    )


def _mamba(name: str, size: Mamba) -> NetworkEntry:
    return NetworkEntry(
        f"Mamba, {size.layers} layers of {size.hidden} features",
        lambda batch, context, stage: language.mamba(name, batch, context, stage, size),
        context=1024,
        stages=STAGES,
    )


_LLAMA2 = "Touvron et al., Llama 2, 2023; model cards"
_ENTRIES = {
    "alexnet": _image("AlexNet, single tower, 224 x 224", convolutional.alexnet),
    "vgg16": _image("VGG-16, 224 x 224", convolutional.vgg16),
    "resnet18": _image("ResNet-18, 224 x 224", lambda batch: convolutional.resnet(batch, 18)),
    "resnet50": _image("ResNet-50, 224 x 224", lambda batch: convolutional.resnet(batch, 50)),
    "mobilenet-v1": _image("MobileNet 1.0, 224 x 224", convolutional.mobilenet_v1),
    "mobilenet-v2": _image("MobileNetV2 1.0, 224 x 224", convolutional.mobilenet_v2),
    "efficientnet-b0": _image("EfficientNet-B0, 224 x 224", convolutional.efficientnet_b0),
    "unet": _image("U-Net of 2015, 572 x 572", convolutional.unet),
    "vit-b16": _image("ViT-B/16, 224 x 224", transformers.vit_b16),
    "bert-base": _bert("bert-base", 12, 768),
    "bert-large": _bert("bert-large", 24, 1024),
    "t5-small": _t5("t5-small", T5(6, 512, 2048, 8)),
    "t5-base": _t5("t5-base", T5(12, 768, 3072, 12)),
    "t5-large": _t5("t5-large", T5(24, 1024, 4096, 16)),
    "gpt2": _decoder("gpt2", "GPT-2 small", gpt2(12, 768), 512),
    "gpt2-medium": _decoder("gpt2-medium", "GPT-2 medium", gpt2(24, 1024), 512),
    "gpt2-large": _decoder("gpt2-large", "GPT-2 large", gpt2(36, 1280), 512),
    "gpt2-xl": _decoder("gpt2-xl", "GPT-2 XL", gpt2(48, 1600), 512),
    "llama-2-7b": _decoder(
        "llama-2-7b", "Llama 2 7B", Decoder(_LLAMA2, 32, 4096, 11008, 32, 32, 32000)
    ),
    "llama-2-13b": _decoder(
        "llama-2-13b", "Llama 2 13B", Decoder(_LLAMA2, 40, 5120, 13824, 40, 40, 32000)
    ),
    "llama-2-70b": _decoder(
        "llama-2-70b",
        "Llama 2 70B, 8 heads of keys and values",
        Decoder(_LLAMA2, 80, 8192, 28672, 64, 8, 32000),
    ),
    "llama-3-8b": _decoder(
        "llama-3-8b",
        "Llama 3 8B, 8 heads of keys and values",
        Decoder("Grattafiori et al., Llama 3, 2024, table 3", 32, 4096, 14336, 32, 8, 128256),
    ),
    "qwen2.5-0.5b": _decoder(
        "qwen2.5-0.5b",
        "Qwen2.5 0.5B, 2 heads of keys and values",
        Decoder(
            "Qwen2.5 technical report, 2024; model card",
            24,
            896,
            4864,
            14,
            2,
            151936,
            qkv_bias=True,
            tied=True,
        ),
    ),
    "mixtral-8x7b": _decoder(
        "mixtral-8x7b",
        "Mixtral 8x7B, 2 of 8 experts per token",
        Decoder(
            "Jiang et al., Mixtral of Experts, 2024, table 1",
            32,
            4096,
            14336,
            32,
            8,
            32000,
            experts=8,
            chosen=2,
        ),
    ),
    "mamba-130m": _mamba("mamba-130m", Mamba(24, 768)),
    "mamba-370m": _mamba("mamba-370m", Mamba(48, 1024)),
}


def network_names() -> tuple[str, ...]:
    """Names of the networks that ship."""
    return tuple(_ENTRIES)


def network_entry(name: str) -> NetworkEntry:
    """What is known of a network before it is made.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in _ENTRIES:
        near = difflib.get_close_matches(name, _ENTRIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"network: unknown name {name!r}{hint} Allowed: {', '.join(sorted(_ENTRIES))}."
        )
    return _ENTRIES[name]


def load_network(
    name: str, batch: int = 1, context: int | None = None, stage: str | None = None
) -> Network:
    """Make a network.

    Args:
        name: One of `network_names()`.
        batch: Images or sequences.
        context: Tokens per sequence; None for the network's own default.
        stage: Of a language model, `prefill` or `decode` (T5: `forward` or `decode`); None for the
            first.

    Raises:
        ValueError: For an unknown name or stage, a size below 1, or an option that the network
            has not.
    """
    entry = network_entry(name)
    for option, number in (("batch", batch), ("context", context)):
        if number is not None and (isinstance(number, bool) or number < 1):
            raise ValueError(f"{name}: {option} is {number}, must be at least 1")
    if context is not None and not entry.context:
        raise ValueError(f"{name}: context is {context}, but the network has no context")
    if stage is not None and stage not in entry.stages:
        allowed = ", ".join(entry.stages) or "none, the network has no stages"
        raise ValueError(f"{name}: stage is {stage!r}, allowed: {allowed}")
    chosen = stage or (entry.stages[0] if entry.stages else "")
    return entry.make(batch, context or entry.context, chosen)
