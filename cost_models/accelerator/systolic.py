"""Systolic arrays: cycles, utilisation and traffic of matrix products, batched over designs.

An array of `rows` x `columns` keeps one operand in place. A product (M, K) x (K, N) is cut into
folds that the array holds at once:

    os (outputs stay)   rows <- M, columns <- N, K steps
    ws (weights stay)   rows <- K, columns <- N, M steps, weights loaded before
    is (inputs stay)    rows <- K, columns <- M, N steps, inputs loaded before

A fold of r rows and c columns takes (steps + r + c - 2) cycles for its skewed streams and r more to
load what stays (Samajdar et al., SCALE-Sim, ISPASS 2020). `ideal` counts the rows and columns that
a fold uses; `scalesim` counts as SCALE-Sim 3.0 does: every fold as a full one, a cycle less at the
end, and in `os` results that are written again while they drain.

Written in the array API standard, as `roofline` is.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from archgym.cost_models.accelerator.work import Array, Products, moved

DATAFLOWS = ("os", "ws", "is")
MODES = ("ideal", "scalesim")


@dataclass(frozen=True)
class SystolicDesigns:
    """Arrays with double-buffered memories, one entry per design `(d,)`.

    Attributes:
        rows: Of the array.
        columns: Of the array.
        dataflow: Number of a name of `DATAFLOWS`.
        input_memory_bytes: For inputs; half is in use while the other half is filled.
        weight_memory_bytes: Likewise for weights.
        output_memory_bytes: Likewise for outputs and partial sums.
        dram_bytes_per_cycle: Bandwidth.
        input_bytes: Per input.
        weight_bytes: Per weight; a second operand that is activations has those of inputs.
        output_bytes: Per output.
        sum_bytes: Per partial sum.
    """

    rows: Array
    columns: Array
    dataflow: Array
    input_memory_bytes: Array
    weight_memory_bytes: Array
    output_memory_bytes: Array
    dram_bytes_per_cycle: Array
    input_bytes: Array
    weight_bytes: Array
    output_bytes: Array
    sum_bytes: Array


@dataclass(frozen=True)
class Systolic:
    """Costs of designs and products `(d, p)`, of one run of the operator.

    Attributes:
        compute_cycles: Without waiting for memory.
        cycles: With it; equal in mode `scalesim`.
        utilisation: Multiply-accumulates per element and compute cycle.
        mapping_efficiency: Used elements of a fold, on average.
        sram_reads: `(d, p, 3)` words of inputs, weights, outputs (partial sums).
        sram_writes: `(d, p)` words of outputs.
        dram_bytes: `(d, p, 3)` of inputs, weights, outputs with partial sums moved.
        count: `(p,)` runs.
    """

    compute_cycles: Array
    cycles: Array
    utilisation: Array
    mapping_efficiency: Array
    sram_reads: Array
    sram_writes: Array
    dram_bytes: Array
    count: Array


def dataflow_number(name: str) -> int:
    """Number of a dataflow.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in DATAFLOWS:
        raise ValueError(f"dataflow: unknown name {name!r}. Allowed: {', '.join(DATAFLOWS)}.")
    return DATAFLOWS.index(name)


def systolic(products: Products, designs: SystolicDesigns, mode: str = "ideal") -> Systolic:
    """Evaluate all products on all designs.

    Args:
        products: Of a network; NumPy arrays are moved to where the designs are.
        designs: Arrays of floats that hold whole numbers.
        mode: `ideal`, or `scalesim` to count as SCALE-Sim 3.0 does.

    Raises:
        ValueError: For an unknown mode.
    """
    if mode not in MODES:
        near = difflib.get_close_matches(mode, MODES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"mode: unknown name {mode!r}{hint} Allowed: {', '.join(MODES)}.")
    from array_api_compat import array_namespace

    xp = array_namespace(designs.rows)
    products = moved(products, designs.rows)
    return _evaluate(xp, products, designs, mode == "scalesim")


def _evaluate(xp: Array, products: Products, designs: SystolicDesigns, compat: bool) -> Systolic:
    rows, columns = designs.rows[:, None], designs.columns[:, None]
    outputs_stay = designs.dataflow[:, None] == 0
    inputs_stay = designs.dataflow[:, None] == 2
    m, n, k, batch = products.m, products.n, products.k, products.batch
    # What the array's rows and columns hold, and the steps of a fold.
    high = xp.where(outputs_stay, m, k)
    wide = xp.where(inputs_stay, m, n)
    steps = xp.where(outputs_stay, k, xp.where(inputs_stay, n, m))
    down, across = xp.ceil(high / rows), xp.ceil(wide / columns)
    folds = down * across
    loads = xp.where(outputs_stay, 0.0, 1.0)
    if compat:
        compute = folds * (steps + rows * (1.0 + loads) + columns - 2.0) - 1.0
    else:
        # Summed over folds, used rows are `high` for every fold across, and used columns `wide`.
        compute = folds * (steps - 2.0) + across * high * (1.0 + loads) + down * wide
    sram_inputs = xp.where(inputs_stay, m * k, m * k * xp.ceil(n / columns))
    streamed = k * n * xp.where(outputs_stay, down, across)
    sram_weights = xp.where(outputs_stay | inputs_stay, streamed, k * n)
    sums = m * n * xp.where(outputs_stay, 1.0, down)
    extra = xp.where(outputs_stay, (rows + columns) * folds, 0.0) if compat else 0.0
    dram = _dram(xp, products, designs, down, across)
    run = batch * compute
    macs = batch * m * n * k
    moved_bytes = xp.stack(dram, axis=-1)
    total = run if compat else run + stall_cycles(products, designs, run, moved_bytes)
    return Systolic(
        run,
        total,
        macs / (run * rows * columns),
        high * wide / (folds * rows * columns),
        xp.stack([batch * sram_inputs, batch * sram_weights, batch * (sums - m * n)], axis=-1),
        batch * (sums + extra),
        moved_bytes,
        products.count,
    )


def _operand_bytes(xp: Array, products: Products, designs: SystolicDesigns) -> tuple[Array, Array]:
    """Of both operands; the second is in the inputs' format where it is no parameters."""
    inputs = designs.input_bytes[:, None]
    return inputs, xp.where(products.parameters > 0, designs.weight_bytes[:, None], inputs)


def _dram(
    xp: Array, products: Products, designs: SystolicDesigns, down: Array, across: Array
) -> tuple[Array, Array, Array]:
    """Bytes of inputs, weights and outputs moved, in the better order of folds.

    Within a fold every operand passes once. Between folds an operand is read again unless all of it
    that is used until its next use fits in half of its memory. Partial sums of `ws` and `is` that
    do not fit are written and read again for every fold along K but the last.
    """
    rows, columns = designs.rows[:, None], designs.columns[:, None]
    outputs_stay = designs.dataflow[:, None] == 0
    inputs_stay = designs.dataflow[:, None] == 2
    m, n, k = products.m, products.n, products.k
    b_i, b_w = _operand_bytes(xp, products, designs)
    b_o, b_s = designs.output_bytes[:, None], designs.sum_bytes[:, None]
    room_i, room_w, room_o = (
        size[:, None] / 2.0
        for size in (
            designs.input_memory_bytes,
            designs.weight_memory_bytes,
            designs.output_memory_bytes,
        )
    )
    inputs, weights, outputs = m * k * b_i, k * n * b_w, m * n * b_o

    def times(holds: Array, room: Array, again: Array) -> Array:
        return xp.where(holds <= room, 1.0, again)

    # Outputs stay: a strip of inputs per fold down, a strip of weights per fold across.
    high, wide = xp.minimum(rows, m), xp.minimum(columns, n)
    first_i = times(high * k * b_i, room_i, across)
    first_w = times(weights, room_w, down)
    second_i = times(inputs, room_i, across)
    second_w = times(k * wide * b_w, room_w, down)
    better = inputs * first_i + weights * first_w <= inputs * second_i + weights * second_w
    os_i = xp.where(better, first_i, second_i)
    os_w = xp.where(better, first_w, second_w)
    # An operand stays: it moves once. The other streams past; sums of a fold are steps x columns.
    steps = xp.where(inputs_stay, n, m)
    b_x = xp.where(inputs_stay, b_w, b_i)
    room_x = xp.where(inputs_stay, room_w, room_i)
    deep = xp.minimum(rows, k)
    broad = xp.minimum(columns, xp.where(inputs_stay, m, n))
    spilled = 2.0 * (down - 1.0) * m * n * b_s
    inside_x = times(steps * k * b_x, room_x, across)
    inside_o = xp.where(steps * broad * b_s <= room_o, 0.0, spilled)
    outside_x = times(steps * deep * b_x, room_x, across)
    outside_o = xp.where(m * n * b_s <= room_o, 0.0, spilled)
    stream = steps * k * b_x
    better = stream * inside_x + inside_o <= stream * outside_x + outside_o
    streams = xp.where(better, inside_x, outside_x)
    sums = xp.where(better, inside_o, outside_o)
    times_i = xp.where(outputs_stay, os_i, xp.where(inputs_stay, 1.0, streams))
    times_w = xp.where(outputs_stay, os_w, xp.where(inputs_stay, streams, 1.0))
    batch = products.batch
    moved_outputs = outputs + xp.where(outputs_stay, 0.0, sums)
    return batch * inputs * times_i, batch * weights * times_w, batch * moved_outputs


def stall_cycles(
    products: Products, designs: SystolicDesigns, run: Array, dram_bytes: Array
) -> Array:
    """Cycles `(d, p)` of waiting: for the first fold's data, for bandwidth, for the last results.

    Memories are double-buffered, so that transfers hide behind the array's work but for the first
    strip of both operands and the last fold's outputs.

    Args:
        products: Where the designs are.
        designs: Arrays.
        run: `(d, p)` cycles of computing.
        dram_bytes: `(d, p, 3)` of inputs, weights, outputs moved meanwhile.
    """
    from array_api_compat import array_namespace

    xp = array_namespace(designs.rows)
    rows, columns = designs.rows[:, None], designs.columns[:, None]
    outputs_stay = designs.dataflow[:, None] == 0
    inputs_stay = designs.dataflow[:, None] == 2
    m, n, k = products.m, products.n, products.k
    i_high = xp.where(outputs_stay, xp.minimum(rows, m), xp.where(inputs_stay, columns, m))
    w_wide = xp.where(inputs_stay, n, xp.minimum(columns, n))
    deep = xp.where(outputs_stay, k, xp.minimum(rows, k))
    i_high = xp.minimum(i_high, m)
    b_i, b_w = _operand_bytes(xp, products, designs)
    first = deep * (i_high * b_i + w_wide * b_w)
    last = i_high * w_wide * designs.output_bytes[:, None]
    speed = designs.dram_bytes_per_cycle[:, None]
    passed = dram_bytes[..., 0] + dram_bytes[..., 1] + dram_bytes[..., 2]
    moving = (passed - first - last) / speed
    return (first + last) / speed + xp.maximum(moving - run, 0.0 * moving)
