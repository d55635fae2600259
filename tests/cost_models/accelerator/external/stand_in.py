"""Speaks the protocol of the worker of SCALE-Sim, without it; started as a script by the tests.

Its first argument says how it starts, and `broken` that it fails on small arrays; the depth k of a
layer says how it answers.
"""

import json
import sys
import time

FIRST = {
    "good": {"version": "3.0.0"},
    "broken": {"version": "3.0.0"},
    "missing": {"missing": "ModuleNotFoundError: No module named 'scalesim'"},
    "old": {"version": "2.0.2"},
}


def answer(asked: dict) -> dict | str:
    m, n, k = asked["m"], asked["n"], asked["k"]
    if k == 13:
        return {"error": "MemoryError: cannot allocate\nfor sure"}
    if k == 17:
        time.sleep(60)
    if k == 19:
        sys.exit(1)
    if k == 23:
        return "Running layer 0"
    if k == 31:
        return {"id": -1}
    counts = {
        "cycles": m * n * k,
        "stall_cycles": 0,
        "ifmap_sram_reads": 2 * m * k,
        "filter_sram_reads": 3 * k * n,
        "ofmap_sram_writes": 5 * m * n,
        "ifmap_dram_reads": m * k,
        "filter_dram_reads": k * n,
        "ofmap_dram_writes": 4 * m * n,
    }
    if k == 29:
        counts["cycles"] = float("nan")
    if k == 37:
        del counts["filter_sram_reads"]
    return {"answer": counts}


def main() -> None:
    how = sys.argv[1]
    print(json.dumps(FIRST[how]), flush=True)
    if "version" not in FIRST[how] or how == "old":
        return
    for line in sys.stdin:
        asked = json.loads(line)
        question = asked["question"]
        fails = how == "broken" and question["rows"] < 256
        said = {"error": "out of order"} if fails else answer(question)
        line = said if isinstance(said, str) else json.dumps({"id": asked["id"], **said})
        print(line, flush=True)


if __name__ == "__main__":
    main()
