"""Transformers that see a whole input at once: BERT, ViT, T5."""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks.builder import Builder
from archgym.cost_models.accelerator.vector_operators import Attention, Embedding


def attention(
    b: Builder,
    tensors: tuple[str, ...],
    heads: int,
    head_dim: int,
    batch: int,
    queries: int,
    keys: int,
    *,
    kv_heads: int | None = None,
    cached: int = 0,
    name: str = "attention",
) -> str:
    """Add attention that finds queries, keys and values in these tensors."""
    operator = Attention(
        name=name,
        batch=batch,
        heads=heads,
        kv_heads=kv_heads or heads,
        queries=queries,
        keys=keys,
        head_dim=head_dim,
        cached=cached,
    )
    return b.add(operator, *tensors)


def _encoder_layer(
    b: Builder, x: str, batch: int, tokens: int, hidden: int, wide: int, norm_first: bool
) -> str:
    """Self-attention and a two-layer network, each with its residual; 64 features per head."""
    y = b.norm("norm1", x, "layer", hidden) if norm_first else x
    qkv = b.linear("qkv", y, 3 * hidden)
    y = attention(b, (qkv,), hidden // 64, 64, batch, tokens, tokens)
    x = b.elementwise("add1", "add", x, b.linear("project", y, hidden))
    x = x if norm_first else b.norm("norm1", x, "layer", hidden)
    y = b.norm("norm2", x, "layer", hidden) if norm_first else x
    y = b.elementwise("gelu", "gelu", b.linear("up", y, wide))
    x = b.elementwise("add2", "add", x, b.linear("down", y, hidden))
    return x if norm_first else b.norm("norm2", x, "layer", hidden)


def bert(name: str, batch: int, context: int, *, layers: int, hidden: int) -> Network:
    """BERT of Devlin et al., NAACL 2019, uncased (30522 word pieces), with its pooler."""
    b = Builder(name, "Devlin et al., NAACL 2019; vocabulary of bert-*-uncased")
    if context > 512:
        raise ValueError(f"{name}: context is {context}, must be at most 512, its positions")
    ids = b.input("ids", batch * context)
    sums = []
    for table, entries in (("words", 30522), ("positions", 512), ("segments", 2)):
        embedding = Embedding(
            name=f"embedding.{table}", rows=batch * context, entries=entries, width=hidden
        )
        sums.append(b.add(embedding, ids))
    x = b.elementwise("embedding.add", "add", *sums)
    x = b.norm("embedding.norm", x, "layer", hidden)
    with b.block("layer", layers):
        x = _encoder_layer(b, x, batch, context, hidden, 4 * hidden, norm_first=False)
    first = b.layout("pooler.first", x, batch, hidden)
    pooled = b.elementwise("pooler.tanh", "tanh", b.linear("pooler", first, hidden))
    return b.build(x, pooled)


def vit_b16(batch: int) -> Network:
    """ViT-B/16 at 224 of Dosovitskiy et al., ICLR 2021, with the 1000 classes of torchvision."""
    b = Builder("vit-b16", "Dosovitskiy et al., ICLR 2021; torchvision vit_b_16")
    hidden, tokens = 768, 197
    x = b.conv(
        "patches",
        b.input("image", batch, 3, 224, 224),
        hidden,
        16,
        stride=16,
        padding=0,
        bias=True,
        norm="",
    )
    token = b.add(
        Embedding(name="class_token", rows=1, entries=1, width=hidden), b.input("class", 1)
    )
    x = b.layout("tokens", (token, x), batch, tokens, hidden)
    table = Embedding(name="positions", rows=tokens, entries=tokens, width=hidden)
    positions = b.add(table, b.input("places", tokens))
    spread = b.layout("positions.spread", positions, batch, tokens, hidden)
    x = b.elementwise("embedding.add", "add", x, spread)
    with b.block("layer", 12):
        x = _encoder_layer(b, x, batch, tokens, hidden, 3072, norm_first=True)
    x = b.norm("norm", b.layout("first", x, batch, hidden), "layer", hidden)
    return b.build(b.linear("head", x, 1000))


@dataclass(frozen=True)
class T5:
    """A size of T5 1.0 (Raffel et al., JMLR 2020), encoder and decoder with as many layers."""

    layers: int
    hidden: int
    wide: int
    heads: int

    vocabulary = 32128
    head_dim = 64


def t5(name: str, batch: int, context: int, stage: str, size: T5) -> Network:
    """T5 1.0: `forward` through both stacks, or one step `decode` of the decoder.

    Forward: the encoder and the decoder each see `context` tokens. Decode: one token asks `context`
    tokens of its own stack before it, and the `context` tokens of the encoder, both from caches.
    The biases of relative positions are left out: 32 numbers per head and stack.
    """
    b = Builder(name, "Raffel et al., JMLR 2020; T5 1.0 (ReLU, shared embedding)")
    tokens = context if stage == "forward" else 1
    memory = _encoder(b, batch, context, size) if stage == "forward" else None
    x = b.add(
        Embedding(
            name="decoder.embedding",
            rows=batch * tokens,
            entries=size.vocabulary,
            width=size.hidden,
            shared=memory is not None,
        ),
        b.input("decoder.ids", batch * tokens),
    )
    inner = size.heads * size.head_dim
    keys = context if stage == "forward" else context + 1
    with b.block("decoder.layer", size.layers):
        y = b.norm("norm1", x, "rms", size.hidden)
        qkv = b.linear("self.qkv", y, 3 * inner, bias=False)
        y = attention(
            b, (qkv,), size.heads, 64, batch, tokens, keys, cached=keys - tokens, name="self"
        )
        x = b.elementwise("add1", "add", x, b.linear("self.project", y, size.hidden, bias=False))
        y = b.norm("norm2", x, "rms", size.hidden)
        read = [b.linear("cross.q", y, inner, bias=False)]
        if memory is not None:
            read.append(b.linear("cross.kv", memory, 2 * inner, bias=False))
        cached = 0 if memory is not None else context
        y = attention(
            b, tuple(read), size.heads, 64, batch, tokens, context, cached=cached, name="cross"
        )
        x = b.elementwise("add2", "add", x, b.linear("cross.project", y, size.hidden, bias=False))
        x = _t5_feed_forward(b, x, size, "3")
    x = b.norm("decoder.norm", x, "rms", size.hidden)
    return b.build(b.linear("head", x, size.vocabulary, bias=False, shared=True))


def _t5_feed_forward(b: Builder, x: str, size: T5, number: str) -> str:
    y = b.norm(f"norm{number}", x, "rms", size.hidden)
    y = b.elementwise("relu", "relu", b.linear("up", y, size.wide, bias=False))
    return b.elementwise(f"add{number}", "add", x, b.linear("down", y, size.hidden, bias=False))


def _encoder(b: Builder, batch: int, context: int, size: T5) -> str:
    table = Embedding(
        name="encoder.embedding", rows=batch * context, entries=size.vocabulary, width=size.hidden
    )
    x = b.add(table, b.input("encoder.ids", batch * context))
    inner = size.heads * size.head_dim
    with b.block("encoder.layer", size.layers):
        qkv = b.linear("qkv", b.norm("norm1", x, "rms", size.hidden), 3 * inner, bias=False)
        y = attention(b, (qkv,), size.heads, 64, batch, context, context)
        x = b.elementwise("add1", "add", x, b.linear("project", y, size.hidden, bias=False))
        x = _t5_feed_forward(b, x, size, "2")
    return b.norm("encoder.norm", x, "rms", size.hidden)
