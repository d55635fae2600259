"""Language models that write token by token: GPT-2, Llama, Qwen, Mixtral, Mamba.

`prefill` reads `context` tokens of every sequence and gives the logits of the last one. `decode`
makes one token of every sequence, with `context` tokens before it in the cache. Rotations of
positions are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks.builder import Builder
from archgym.cost_models.accelerator.networks.transformers import attention
from archgym.cost_models.accelerator.operators import Conv2d, Gemm
from archgym.cost_models.accelerator.vector_operators import Elementwise, Embedding, Scan, Softmax


@dataclass(frozen=True)
class Decoder:
    """Dimensions of a decoder-only transformer.

    Attributes:
        source: Where they are published.
        layers: Number of layers.
        hidden: Features of a token.
        wide: Features inside the feed-forward network, of one expert.
        heads: Query heads.
        kv_heads: Heads of keys and values.
        vocabulary: Rows of the embedding.
        positions: Rows of a table of learned positions, 0 for rotations.
        gpt: Layer normalisation, biases and GELU, rather than RMS normalisation and gated SiLU.
        qkv_bias: Whether the projections to queries, keys and values have a bias.
        tied: Whether the output layer uses the embedding.
        experts: Feed-forward networks per layer.
        chosen: Of them, how many a token uses.
    """

    source: str
    layers: int
    hidden: int
    wide: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int = 0
    gpt: bool = False
    qkv_bias: bool = False
    tied: bool = False
    experts: int = 1
    chosen: int = 1

    @property
    def head_dim(self) -> int:
        """Features per head."""
        return self.hidden // self.heads


def gpt2(layers: int, hidden: int) -> Decoder:
    """GPT-2 of Radford et al., 2019, table 2; 64 features per head."""
    return Decoder(
        source="Radford et al., GPT-2 report, 2019, table 2",
        layers=layers,
        hidden=hidden,
        wide=4 * hidden,
        heads=hidden // 64,
        kv_heads=hidden // 64,
        vocabulary=50257,
        positions=1024,
        gpt=True,
        qkv_bias=True,
        tied=True,
    )


def decoder(name: str, batch: int, context: int, stage: str, size: Decoder) -> Network:
    """A decoder-only transformer.

    Args:
        name: Of the network.
        batch: Sequences.
        context: Tokens read (prefill) or cached (decode) per sequence.
        stage: `prefill` or `decode`.
        size: Its dimensions.
    """
    tokens = context if stage == "prefill" else 1
    if size.positions and context + (stage == "decode") > size.positions:
        raise ValueError(
            f"{name}: context is {context}, must be at most "
            f"{size.positions - (stage == 'decode')} in stage {stage}, for its "
            f"{size.positions} positions"
        )
    b = Builder(name, size.source)
    form = "layer" if size.gpt else "rms"
    x = _embedding(b, batch, tokens, size)
    keys = context if stage == "prefill" else context + 1
    with b.block("layer", size.layers):
        y = b.norm("norm1", x, form, size.hidden)
        width = (size.heads + 2 * size.kv_heads) * size.head_dim
        qkv = b.linear("qkv", y, width, bias=size.qkv_bias)
        y = attention(
            b,
            (qkv,),
            size.heads,
            size.head_dim,
            batch,
            tokens,
            keys,
            kv_heads=size.kv_heads,
            cached=keys - tokens,
        )
        x = b.elementwise("add1", "add", x, b.linear("project", y, size.hidden, bias=size.gpt))
        y = b.norm("norm2", x, form, size.hidden)
        y = _experts(b, y, size) if size.experts > 1 else _feed_forward(b, y, size)
        x = b.elementwise("add2", "add", x, y)
    x = b.layout("last", x, batch, size.hidden)
    x = b.norm("norm", x, form, size.hidden)
    return b.build(b.linear("head", x, size.vocabulary, bias=False, shared=size.tied))


def _embedding(b: Builder, batch: int, tokens: int, size: Decoder) -> str:
    rows = batch * tokens
    table = Embedding(name="embedding", rows=rows, entries=size.vocabulary, width=size.hidden)
    x = b.add(table, b.input("ids", rows))
    if not size.positions:
        return x
    places = Embedding(name="positions", rows=rows, entries=size.positions, width=size.hidden)
    return b.elementwise("embedding.add", "add", x, b.add(places, b.input("places", rows)))


def _feed_forward(b: Builder, x: str, size: Decoder) -> str:
    rows = b.shape(x)[0]
    if size.gpt:
        y = b.elementwise("gelu", "gelu", b.linear("up", x, size.wide))
        return b.linear("down", y, size.hidden)
    both = b.linear("gate_up", x, 2 * size.wide, bias=False)
    rows = b.shape(both)[1]
    gate = Elementwise(name="swiglu", shape=(rows, size.wide), function="swiglu", operands=2)
    return b.linear("down", b.add(gate, both), size.hidden, bias=False)


def _experts(b: Builder, x: str, size: Decoder) -> str:
    """Feed-forward networks among which every token has chosen some, as evenly as can be."""
    shape = b.shape(x)
    rows = shape[-2] if len(shape) > 1 else shape[0]
    scores = b.linear("router", x, size.experts, bias=False)
    chances = b.add(Softmax(name="router.softmax", rows=rows, columns=size.experts), scores)
    work = rows * size.chosen
    active = min(size.experts, work)
    busy, more = divmod(work, active)
    idle = size.experts - active
    outputs = []
    # `more` experts have a token more than the others.
    for group, number, m in (("a", more, busy + 1), ("b", active - more, busy)):
        if not number:
            continue
        part = b.layout(f"dispatch.{group}", x, number * m, size.hidden)
        outputs.append(_expert_group(b, part, group, number, m, idle, size))
        idle = 0
    sums = Elementwise(
        name="combine",
        shape=(rows, size.hidden),
        function="add",
        operands=size.chosen,
        broadcast=rows * size.experts,
    )
    return b.add(sums, *outputs, chances)


def _expert_group(
    b: Builder, x: str, group: str, number: int, m: int, idle: int, size: Decoder
) -> str:
    up = Gemm(name=f"gate_up.{group}", batch=number, m=m, n=2 * size.wide, k=size.hidden, idle=idle)
    both = b.add(up, x)
    gate = Elementwise(
        name=f"swiglu.{group}", shape=(number * m, size.wide), function="swiglu", operands=2
    )
    down = Gemm(name=f"down.{group}", batch=number, m=m, n=size.hidden, k=size.wide, idle=idle)
    return b.add(down, b.add(gate, both))


@dataclass(frozen=True)
class Mamba:
    """Dimensions of Mamba (Gu and Dao, 2023): states of 16, filters of 4, twice as wide inside."""

    layers: int
    hidden: int

    vocabulary = 50280
    state = 16
    taps = 4

    @property
    def inner(self) -> int:
        """Channels inside a layer."""
        return 2 * self.hidden

    @property
    def rank(self) -> int:
        """Features from which the time steps are made."""
        return -(-self.hidden // 16)


def mamba(name: str, batch: int, context: int, stage: str, size: Mamba) -> Network:
    """Mamba; its state has one size, so a decode step costs the same after any context."""
    b = Builder(name, "Gu and Dao, Mamba, arXiv 2312.00752; state-spaces/mamba-130m, -370m")
    tokens = context if stage == "prefill" else 1
    rows = batch * tokens
    table = Embedding(name="embedding", rows=rows, entries=size.vocabulary, width=size.hidden)
    x = b.add(table, b.input("ids", rows))
    with b.block("layer", size.layers):
        y = b.norm("norm", x, "rms", size.hidden)
        gate = b.linear("in.gate", y, size.inner, bias=False)
        y = b.linear("in.x", y, size.inner, bias=False)
        filters = Conv2d(
            name="conv",
            n=batch,
            c=size.inner,
            h=tokens,
            w=1,
            k=size.inner,
            r=size.taps,
            s=1,
            padding=(size.taps - 1, 0, 0, 0),
            groups=size.inner,
            bias=True,
        )
        y = b.elementwise(
            "conv.silu", "silu", b.add(filters, b.layout("tokens", y, *_image(b, filters)))
        )
        y = b.layout("rows", y, rows, size.inner)
        y = _selective_scan(b, y, batch, tokens, size)
        y = b.elementwise("gate", "multiply", y, b.elementwise("gate.silu", "silu", gate))
        x = b.elementwise("add", "add", x, b.linear("out", y, size.hidden, bias=False))
    x = b.layout("last", x, batch, size.hidden)
    x = b.norm("norm", x, "rms", size.hidden)
    return b.build(b.linear("head", x, size.vocabulary, bias=False, shared=True))


def _image(b: Builder, filters: Conv2d) -> tuple[int, ...]:
    return filters.input_shapes[0]


def _selective_scan(b: Builder, x: str, batch: int, tokens: int, size: Mamba) -> str:
    rows = batch * tokens
    steps = b.linear("x.step", x, size.rank, bias=False)
    vectors = b.linear("x.bc", x, 2 * size.state, bias=False)
    steps = b.elementwise("softplus", "softplus", b.linear("step", steps, size.inner))
    scan = Scan(name="scan", batch=batch, tokens=tokens, channels=size.inner, state=size.state)
    return b.layout("scanned", b.add(scan, x, steps, vectors), rows, size.inner)
