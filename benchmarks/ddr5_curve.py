"""Read latency under load of 16 channels of DDR5-4800AN, beside published figures of Ramulator 2.

Published: "Cleaning up the Mess" (arXiv 2510.15744), 100 % reads. Prints the table of
`docs/curves.md`. Results move by about 10 % with the seed and the number of streams.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from archgym.cost_models.dram import curve, load_device, policy_row

DEVICE = Path(__file__).parents[1] / "tests/cost_models/dram/ddr5-4800an-reads.yaml"
CHANNELS = 16
PUBLISHED_PEAK_GB_PER_S = 281.1
PUBLISHED_LATENCY_NS = {
    35.7: 46.1,
    79.5: 51.1,
    102.1: 51.9,
    139.1: 53.4,
    177.0: 54.1,
    222.9: 55.3,
    258.0: 58.6,
}


def main() -> None:
    """Prints published and own latency per load, then the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    policy = policy_row("ramulator")
    bench = curve._Bench(
        load_device(str(DEVICE)),
        "ramulator",
        policy,
        "sequential",
        1.0,
        given.streams,
        given.requests,
        given.seed,
    )
    print("GB/s    published ns  ours ns  error")
    for load, published in PUBLISHED_LATENCY_NS.items():
        ours = bench._point(load / CHANNELS).latency_ns
        print(f"{load:5.1f}   {published:12.1f}  {ours:7.1f}  {ours / published - 1:+.0%}")
    peak = CHANNELS * bench._point(math.inf).bandwidth_gb_per_s
    print(f"peak    {PUBLISHED_PEAK_GB_PER_S:12.1f}  {peak:7.1f}", end="  ")
    print(f"{peak / PUBLISHED_PEAK_GB_PER_S - 1:+.1%} (GB/s)")


if __name__ == "__main__":
    main()
