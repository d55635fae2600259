"""How many rows (or columns) of the input a tile holds, and how many two neighbouring tiles share.

A tile of p output rows and r filter rows needs the input rows a * i + b * j, i < p, j < r, with
the stride a and the dilation b. With g = gcd(a, b), rows are counted in units of g. Where either
divided step is 1, the set is an interval or evenly spaced runs, and both numbers are closed forms;
otherwise, or where a bypassed level leaves gaps between spatial parts, the rows are marked one by
one.
"""

from __future__ import annotations

from archgym.cost_models.accelerator.loopnest.problem import IntArray
from archgym.cost_models.jit import apart, inlined

# A row of the table of sets: kind, then runs, length and period; what it holds, in units of g.
KIND, RUNS, LENGTH, PERIOD, SIZE, CELLS = range(6)
RUNNING, MARKED = range(2)


@inlined
def describe(sets: IntArray, row: int, p: int, r: int, a: int, b: int) -> bool:
    """Describe the set of p x r points with coprime steps a and b; whether that was possible."""
    if a == 1 and b == 1:
        sets[row, KIND] = RUNNING
        sets[row, RUNS] = 1
        sets[row, LENGTH] = p + r - 1
        sets[row, SIZE] = p + r - 1
        return True
    runs, length, period = p, r, a
    if b != 1 and r > 1:
        if a != 1 and p > 1:
            return False
        runs, length, period = r, p, b
    if runs > 1 and length >= period:
        length += (runs - 1) * period
        runs = 1
    sets[row, KIND] = RUNNING
    sets[row, RUNS] = runs
    sets[row, LENGTH] = length
    sets[row, PERIOD] = period
    sets[row, SIZE] = runs * length
    return True


@apart
def spread(marks: IntArray, row: int, top: int, count: int, step: int) -> int:
    """Repeat the marked rows up to `top` at `count` places `step` apart; the new `top`."""
    if count == 1:
        return top
    for v in range(top, -1, -1):
        if marks[row, v]:
            for k in range(1, count):
                marks[row, v + k * step] = 1
    return top + (count - 1) * step


@apart
def finish_marks(sets: IntArray, marks: IntArray, row: int, top: int) -> None:
    """Describe a set by its marks up to `top`."""
    size = 0
    for v in range(top + 1):
        size += marks[row, v]
    sets[row, KIND] = MARKED
    sets[row, RUNS] = 0
    sets[row, LENGTH] = top + 1
    sets[row, SIZE] = size


@apart
def marked_overlap(sets: IntArray, marks: IntArray, row: int, shift: int) -> int:
    """`overlap` of a marked set."""
    shared = 0
    for v in range(shift, sets[row, LENGTH]):
        shared += marks[row, v] & marks[row, v - shift]
    return shared


@inlined
def overlap(sets: IntArray, marks: IntArray, row: int, shift: int) -> int:
    """Members that a set shares with itself moved by `shift` units of g."""
    shift = abs(shift)
    if sets[row, KIND] == MARKED:
        return marked_overlap(sets, marks, row, shift)
    runs = sets[row, RUNS]
    length = sets[row, LENGTH]
    if runs == 1:
        return int(max(0, length - shift))
    period = sets[row, PERIOD]
    whole = shift // period
    rest = shift - whole * period
    shared = max(0, length - rest) * max(0, runs - whole)
    return int(shared + max(0, length + rest - period) * max(0, runs - whole - 1))
