"""Dataflows of sub-accelerators as MAESTRO's directives.

The directives are those of MAESTRO's mappings of the same names (NVDLA-, ShiDianNao- and
Eyeriss-like), with which its reference figures were made; NASAIC (Yang et al., DAC 2020) builds on
the same three. Where a directive takes more than there is, MAESTRO leaves steps out; here it takes
what there is.
"""

from __future__ import annotations

import difflib

from archgym.cost_models.accelerator.loopnest.maestro import Dataflow, Directive
from archgym.cost_models.accelerator.multi.layers import Convolution

DATAFLOWS = ("shi", "dla", "rs")
"""ShiDianNao-like (outputs stay), NVDLA-like (weights stay), row stationary."""

# PEs of a cluster: input channels of the NVDLA-like one, output columns of the ShiDianNao-like.
_DLA_CLUSTER, _SHI_CLUSTER = 64, 8


def template(dataflow: str, conv: Convolution, pes: int) -> Dataflow:
    """A convolution on PEs in one of `DATAFLOWS`.

    Raises:
        ValueError: For another name, or fewer PEs than a cluster has.
    """
    if dataflow not in DATAFLOWS:
        near = difflib.get_close_matches(dataflow, DATAFLOWS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"dataflow: unknown name {dataflow!r}{hint} Allowed: shi, dla, rs.")
    made = {"shi": _shidiannao, "dla": _nvdla, "rs": _row_stationary}[dataflow]
    levels, clusters = made(conv)
    return Dataflow("conv", conv.sizes, conv.stride, levels, clusters, pes)


Levels = list[list[Directive]]


def _nvdla(conv: Convolution) -> tuple[Levels, list[int]]:
    """Output channels over clusters, 64 input channels over the PEs of one; weights stay."""
    r, s = conv.r, conv.s
    filters = [Directive("R", r, r), Directive("S", s, s)]
    windows = [Directive("Y", r, 1), Directive("X", s, 1)]
    channels = Directive("C", _DLA_CLUSTER, _DLA_CLUSTER)
    top = [Directive("K", 1, 1, True), channels, *filters, *windows]
    return [top, [Directive("C", 1, 1, True), *windows, *filters]], [_DLA_CLUSTER]


def _shidiannao(conv: Convolution) -> tuple[Levels, list[int]]:
    """Output rows over clusters, 8 output columns over the PEs of one; outputs stay."""
    r, s = conv.r, conv.s
    wide = min(_SHI_CLUSTER + s - 1, conv.x)
    top = [
        Directive("K", 1, 1),
        Directive("C", 1, 1),
        Directive("Y", r, 1, True),
        Directive("X", wide, max(wide - s + 1, 1)),
        Directive("R", r, r),
        Directive("S", s, s),
    ]
    return [top, [Directive("X", s, 1, True)]], [_SHI_CLUSTER]


def _row_stationary(conv: Convolution) -> tuple[Levels, list[int]]:
    """Output rows over clusters, filter rows over the PEs of one, which keep rows of filters."""
    r, s = conv.r, conv.s
    k, c = min(2, conv.k), min(4, conv.c)
    top = [
        Directive("K", k, k),
        Directive("C", c, c),
        Directive("R", r, r),
        Directive("Y", r, 1, True),
        Directive("X", s, 1),
    ]
    inner = [
        Directive("C", 1, 1),
        Directive("K", 1, 1),
        Directive("Y", 1, 1, True),
        Directive("R", 1, 1, True),
        Directive("S", s, s),
    ]
    return [top, inner], [r]
