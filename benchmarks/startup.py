"""Seconds until Python, NumPy, `import archgym` and the command line are ready, as whole processes.

Prints the median of several runs of each command and its ratio to the bare interpreter.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import archgym": [sys.executable, "-c", "import archgym"],
    "import archgym, make_task": [sys.executable, "-c", "from archgym import make_task"],
    "archgym --help": [sys.executable, "-m", "archgym.cli", "--help"],
    "archgym list agents": [sys.executable, "-m", "archgym.cli", "list", "agents"],
}


def seconds(command: list[str], runs: int = 9) -> float:
    """Returns the median wall-clock seconds of a command, after one run that is not counted."""
    taken = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def main() -> None:
    """Prints the table."""
    bare = None
    for name, command in COMMANDS.items():
        median = seconds(command)
        bare = bare or median
        print(f"{name:28} {median:7.3f} s  {median / bare:6.1f} x")


if __name__ == "__main__":
    main()
