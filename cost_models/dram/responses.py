"""Data on its way back: when each request is answered, and what its latency adds to the figures."""

from __future__ import annotations

from numba import njit

from archgym.cost_models.dram.cells import (
    A_ACTIVE_RETURNS,
    A_LAST_RETURN,
    A_NEXT_IN_ORDER,
    A_READ_RETURNS,
    O_CYCLES,
    O_LATENCY,
    O_LATENCY_ACCEPTED,
    O_READS,
)
from archgym.cost_models.dram.quantile import keep_largest


@njit(cache=True, nogil=True)
def answer(arrival, write, answers, returns, read_returns, heap, latency, out, i, accepted, cycle):  # type: ignore[no-untyped-def]
    """Answer request `i`, accepted at `accepted`, at `cycle`; answers come in order of cycle."""
    returns[answers[A_ACTIVE_RETURNS] & (returns.size - 1)] = cycle
    answers[A_ACTIVE_RETURNS] += 1
    out[O_CYCLES] = max(out[O_CYCLES], cycle)
    waited = cycle - arrival[i]
    if latency.size > 0:
        latency[i] = waited
    if not write[i]:
        read_returns[answers[A_READ_RETURNS] & (read_returns.size - 1)] = cycle
        answers[A_READ_RETURNS] += 1
        out[O_READS] += 1
        out[O_LATENCY] += waited
        out[O_LATENCY_ACCEPTED] += cycle - accepted
        keep_largest(heap, waited)


@njit(cache=True, nogil=True)
def answer_in_order(  # type: ignore[no-untyped-def]
    arrival, write, answers, returns, read_returns, heap, latency, out, window, i, accepted, cycle
):
    """Hold the data of request `i`, ready at `cycle`, until all requests before it are answered.

    `window` is a ring of (ready cycle, acceptance cycle) pairs, cycle -1 where data is not ready.
    Answers leave in request order, at most one per cycle.
    """
    mask = (window.size >> 1) - 1
    window[2 * (i & mask)] = cycle
    window[2 * (i & mask) + 1] = accepted
    head = answers[A_NEXT_IN_ORDER]
    while window[2 * (head & mask)] >= 0:
        ready = max(window[2 * (head & mask)], answers[A_LAST_RETURN] + 1)
        answers[A_LAST_RETURN] = ready
        answer(
            arrival,
            write,
            answers,
            returns,
            read_returns,
            heap,
            latency,
            out,
            head,
            window[2 * (head & mask) + 1],
            ready,
        )
        window[2 * (head & mask)] = -1
        head += 1
    answers[A_NEXT_IN_ORDER] = head
