"""What a tiling of a layer moves on a spatial array, counted with remainders, compiled.

Loops over the seven dimensions are cut three times: a tile of the buffers, of it a tile of the
array, of it what the clusters do side by side. A last tile may be smaller: volumes, steps and
passes are summed over the tiles as they are, nothing is padded.

Dimensions form three chains by what they move: K (weights, outputs), C with the filter taps R and
S (weights, inputs) and X, the output positions Q, P and N (inputs, outputs). At the buffers and at
the DRAM the loops of one chain are innermost, so that one tensor stays: the weights over X, the
inputs over K, the outputs over C. A tensor passes a level as often as loops outside of its
innermost loop of more than one iteration say; windows of inputs slide along the innermost axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.loopnest.problem import C, K, N, P, Q, R, S
from archgym.cost_models.jit import apart, inlined

FloatArray = NDArray[np.float64]

# Which tensor stays at a level.
WEIGHTS_STAY, INPUTS_STAY, OUTPUTS_STAY = range(3)
# A layer: seven bounds, strides, dilations, independent products, whether the second operand is
# parameters, and the share of its inputs that is no padding.
STRIDE_H, STRIDE_W, DILATION_H, DILATION_W, GROUPS, PARAMETERS, SHARE, LAYER_CELLS = range(7, 15)
# Sizes of a mapping by dimension: parts in a cluster, on rows, on columns; iterations within the
# register files; the tile of the buffers.
IN_CLUSTER, ON_ROWS, ON_COLUMNS, IN_FILE, IN_BUFFER, CUTS = range(6)
# What is counted of one product: elements, but for steps and passes.
(
    STEPS,
    WEIGHT_READS,
    INPUT_READS,
    OUTPUT_UPDATES,
    OUTPUT_FETCHES,
    WEIGHT_FILLS,
    INPUT_FILLS,
    FILE_UPDATES,
    FILE_READS,
    DRAM_WEIGHTS,
    DRAM_INPUTS,
    WEIGHT_PASSES,
    INPUT_PASSES,
    OUTPUT_PASSES,
    FIRST_WEIGHTS,
    FIRST_INPUTS,
    LAST_OUTPUTS,
    COUNTS,
) = range(18)


@inlined
def ceil_div(a: float, b: float) -> float:
    """Tiles of b that a takes; whole numbers whose product is below 2**52."""
    return float(np.ceil(a / b))


@inlined
def extent(points: float, taps: float, stride: float, dilation: float) -> float:
    """Different input rows under outputs and taps, at most: all of them, or their span."""
    span = (points - 1.0) * stride + (taps - 1.0) * dilation + 1.0
    return min(points * taps, span)


@inlined
def iterations(bound: float, outer: float, inner: float) -> float:
    """Tiles of `inner` within tiles of `outer` within a bound."""
    whole = np.floor(bound / outer)
    rest = bound - whole * outer
    return float(whole * np.ceil(outer / inner) + np.ceil(rest / inner))


@inlined
def steps_of(bound: float, outer: float, inner: float, parts: float) -> float:
    """Steps in which `parts` run side by side, within tiles of `inner` within tiles of `outer`."""
    each = inner / parts
    whole = np.floor(bound / outer)
    rest = bound - whole * outer
    full = np.floor(outer / inner)
    steps = whole * (full * each + np.ceil((outer - full * inner) / parts))
    full = np.floor(rest / inner)
    return float(steps + full * each + np.ceil((rest - full * inner) / parts))


@inlined
def tile_rows(
    tile: float, inner: float, taps: float, stride: float, dilation: float, slides: bool
) -> float:
    """Input rows that parts of a tile load, one after the other."""
    if slides or inner >= tile:
        return extent(tile, taps, stride, dilation)
    whole = np.floor(tile / inner)
    rest = tile - whole * inner
    rows = whole * extent(inner, taps, stride, dilation)
    if rest > 0.0:
        rows += extent(rest, taps, stride, dilation)
    return float(rows)


@inlined
def tap_rows(
    bound: float,
    outer: float,
    inner: float,
    taps: float,
    stride: float,
    dilation: float,
    slides: bool,
) -> float:
    """`tile_rows` of all tiles of a bound, under some taps."""
    whole = np.floor(bound / outer)
    rest = bound - whole * outer
    rows = whole * tile_rows(outer, inner, taps, stride, dilation, slides)
    if rest > 0.0:
        rows += tile_rows(rest, inner, taps, stride, dilation, slides)
    return float(rows)


@inlined
def axis_rows(
    bound: float,
    outer: float,
    inner: float,
    all_taps: float,
    taps: float,
    stride: float,
    dilation: float,
    slides: bool,
) -> float:
    """`tap_rows` of all groups of taps."""
    whole = np.floor(all_taps / taps)
    rest = all_taps - whole * taps
    rows = whole * tap_rows(bound, outer, inner, taps, stride, dilation, slides)
    if rest > 0.0:
        rows += tap_rows(bound, outer, inner, rest, stride, dilation, slides)
    return float(rows)


@apart
def count_dram(layer: FloatArray, tile: FloatArray, stays: int, counts: FloatArray) -> None:
    """Count what passes between the DRAM and the buffers.

    Loops over tiles of the buffers are, from the innermost outwards, X C K where the weights stay,
    K X C where the inputs do, C K X where the outputs do.

    Args:
        layer: `(LAYER_CELLS,)`.
        tile: Of the buffers, by dimension (7,); filter taps whole.
        stays: Which tensor does.
        counts: To fill from `DRAM_WEIGHTS` to `OUTPUT_PASSES`.
    """
    g_k, g_c = ceil_div(layer[K], tile[K]), ceil_div(layer[C], tile[C])
    g_q, g_p = ceil_div(layer[Q], tile[Q]), ceil_div(layer[P], tile[P])
    g_x = g_q * g_p * ceil_div(layer[N], tile[N])
    w, i, o = 1.0, 1.0, 1.0
    slides = True
    if stays == WEIGHTS_STAY:
        i = g_k if g_x > 1.0 or g_c > 1.0 else 1.0
        o = g_c if g_x > 1.0 else 1.0
    elif stays == INPUTS_STAY:
        w = g_x if g_k > 1.0 else 1.0
        o = g_c if g_k > 1.0 or g_x > 1.0 else 1.0
    else:
        w = g_x if g_c > 1.0 or g_k > 1.0 else 1.0
        i = g_k if g_c > 1.0 else 1.0
        slides = g_c <= 1.0
    by_h, by_w = layer[STRIDE_H], layer[STRIDE_W]
    apart_h, apart_w = layer[DILATION_H], layer[DILATION_W]
    on_q = slides and g_q > 1.0
    on_p = slides and g_q <= 1.0
    columns = extent(layer[Q], layer[S], by_w, apart_w)
    if not on_q:
        columns = tap_rows(layer[Q], tile[Q], tile[Q], layer[S], by_w, apart_w, False)
    rows = extent(layer[P], layer[R], by_h, apart_h)
    if not on_p:
        rows = tap_rows(layer[P], tile[P], tile[P], layer[R], by_h, apart_h, False)
    counts[DRAM_WEIGHTS] = w * layer[K] * layer[C] * layer[R] * layer[S]
    counts[DRAM_INPUTS] = i * layer[N] * layer[C] * rows * columns * layer[SHARE]
    counts[WEIGHT_PASSES] = w
    counts[INPUT_PASSES] = i
    counts[OUTPUT_PASSES] = o


@apart
def count_array(layer: FloatArray, cuts: FloatArray, stays: int, counts: FloatArray) -> None:
    """Count steps, and what passes between the buffers, the register files and the units.

    Loops over tiles of the array are in the orders of `count_dram`.

    Args:
        layer: `(LAYER_CELLS,)`.
        cuts: `(CUTS, 7)`.
        stays: Which tensor does while the array goes through a tile of the buffers.
        counts: From `count_dram`; the rest is filled.
    """
    parts_k = cuts[IN_CLUSTER, K] * cuts[ON_ROWS, K] * cuts[ON_COLUMNS, K]
    parts_c = cuts[IN_CLUSTER, C] * cuts[ON_ROWS, C] * cuts[ON_COLUMNS, C]
    parts_r = cuts[IN_CLUSTER, R] * cuts[ON_ROWS, R] * cuts[ON_COLUMNS, R]
    parts_s = cuts[IN_CLUSTER, S] * cuts[ON_ROWS, S] * cuts[ON_COLUMNS, S]
    parts_q = cuts[ON_ROWS, Q] * cuts[ON_COLUMNS, Q]
    parts_p = cuts[ON_ROWS, P] * cuts[ON_COLUMNS, P]
    parts_n = cuts[ON_ROWS, N] * cuts[ON_COLUMNS, N]
    a_k, a_c = parts_k * cuts[IN_FILE, K], parts_c * cuts[IN_FILE, C]
    a_r, a_s = parts_r * cuts[IN_FILE, R], parts_s * cuts[IN_FILE, S]
    a_q, a_p = parts_q * cuts[IN_FILE, Q], parts_p * cuts[IN_FILE, P]
    a_n = parts_n * cuts[IN_FILE, N]
    k, c, r, s = layer[K], layer[C], layer[R], layer[S]
    q, p, n = layer[Q], layer[P], layer[N]
    t_k, t_c, t_q = cuts[IN_BUFFER, K], cuts[IN_BUFFER, C], cuts[IN_BUFFER, Q]
    t_p, t_n = cuts[IN_BUFFER, P], cuts[IN_BUFFER, N]
    # Iterations within a whole tile of the buffers: is there more than one?
    taps = np.ceil(r / a_r) * np.ceil(s / a_s)
    g_k, g_c = np.ceil(t_k / a_k), np.ceil(t_c / a_c) * taps
    g_q, g_p = np.ceil(t_q / a_q), np.ceil(t_p / a_p)
    g_x = g_q * g_p * np.ceil(t_n / a_n)
    move_w, move_i, move_o = g_k * g_c > 1.0, g_x * g_c > 1.0, g_k * g_x > 1.0
    # What goes round within a tile of the buffers while the tensor does not stay.
    round_w = (stays == INPUTS_STAY and g_k > 1.0) or (stays == OUTPUTS_STAY and move_w)
    round_i = (stays == WEIGHTS_STAY and move_i) or (stays == OUTPUTS_STAY and g_c > 1.0)
    round_o = (stays == WEIGHTS_STAY and g_x > 1.0) or (stays == INPUTS_STAY and move_o)
    pass_w, pass_i, pass_o = counts[WEIGHT_PASSES], counts[INPUT_PASSES], counts[OUTPUT_PASSES]
    if round_w:
        pass_w = iterations(q, t_q, a_q) * iterations(p, t_p, a_p) * iterations(n, t_n, a_n)
    elif move_w:
        pass_w = np.ceil(q / t_q) * np.ceil(p / t_p) * np.ceil(n / t_n)
    if round_i:
        pass_i = iterations(k, t_k, a_k)
    elif move_i:
        pass_i = np.ceil(k / t_k)
    if round_o:
        pass_o = iterations(c, t_c, a_c) * taps
    elif move_o:
        pass_o = np.ceil(c / t_c)
    # Steps, and parts that are at work on average.
    steps_k, steps_c = steps_of(k, t_k, a_k, parts_k), steps_of(c, t_c, a_c, parts_c)
    steps_r, steps_s = steps_of(r, r, a_r, parts_r), steps_of(s, s, a_s, parts_s)
    steps_q, steps_p = steps_of(q, t_q, a_q, parts_q), steps_of(p, t_p, a_p, parts_p)
    steps_n = steps_of(n, t_n, a_n, parts_n)
    sums = max(1.0, c / steps_c / cuts[IN_CLUSTER, C])
    rows_r = max(1.0, r / steps_r / cuts[IN_CLUSTER, R])
    rows_s = max(1.0, s / steps_s / cuts[IN_CLUSTER, S])
    sums *= rows_r * rows_s
    # Windows.
    slides = stays != OUTPUTS_STAY or g_c <= 1.0
    on_q = slides and g_q > 1.0
    on_p = slides and g_q <= 1.0 and g_p > 1.0
    by_h, by_w = layer[STRIDE_H], layer[STRIDE_W]
    apart_h, apart_w = layer[DILATION_H], layer[DILATION_W]
    columns = axis_rows(q, t_q, a_q, s, a_s, by_w, apart_w, on_q)
    rows = axis_rows(p, t_p, a_p, r, a_r, by_h, apart_h, on_p)
    u_q, u_p = min(a_q, t_q), min(a_p, t_p)
    union_q, union_p = extent(u_q, a_s, by_w, apart_w), extent(u_p, a_r, by_h, apart_h)
    own_q = extent(cuts[IN_FILE, Q], a_s / max(1.0, parts_s / cuts[IN_CLUSTER, S]), by_w, apart_w)
    own_p = extent(cuts[IN_FILE, P], a_r / max(1.0, parts_r / cuts[IN_CLUSTER, R]), by_h, apart_h)
    if on_q:
        union_q, own_q = min(union_q, u_q * by_w), min(own_q, u_q * by_w)
    if on_p:
        union_p, own_p = min(union_p, u_p * by_h), min(own_p, u_p * by_h)
    copies = max(1.0, q / steps_q * rows_s * own_q / union_q)
    copies *= max(1.0, p / steps_p * rows_r * own_p / union_p)
    weights, outputs = k * c * r * s, n * k * p * q
    counts[STEPS] = steps_k * steps_c * steps_r * steps_s * steps_q * steps_p * steps_n
    counts[WEIGHT_READS] = weights * pass_w
    counts[INPUT_READS] = n * c * rows * columns * pass_i * layer[SHARE]
    counts[OUTPUT_UPDATES] = outputs * pass_o
    counts[OUTPUT_FETCHES] = outputs * (pass_o - 1.0)
    counts[WEIGHT_FILLS] = counts[WEIGHT_READS] * (q / steps_q) * (p / steps_p) * (n / steps_n)
    counts[INPUT_FILLS] = counts[INPUT_READS] * (k / steps_k) * copies
    counts[FILE_UPDATES] = outputs * steps_c * steps_r * steps_s * sums
    counts[FILE_READS] = counts[FILE_UPDATES] + outputs * (pass_o - 1.0) * sums
    counts[FIRST_WEIGHTS] = min(k, a_k) * min(c, a_c) * min(r, a_r) * min(s, a_s)
    counts[FIRST_INPUTS] = (
        min(c, a_c)
        * min(n, a_n)
        * (
            extent(min(q, a_q), min(s, a_s), by_w, apart_w)
            * extent(min(p, a_p), min(r, a_r), by_h, apart_h)
            * layer[SHARE]
        )
    )
    counts[LAST_OUTPUTS] = min(k, a_k) * min(q, a_q) * min(p, a_p) * min(n, a_n)
