"""What the shipped traces of real programs record: input, command, phase and time scale of each.

Every input is generated here from a fixed seed with `random.Random`, whose streams are the same in
every Python, so that a recording can be repeated on any machine with the same program versions.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """How one shipped trace is recorded.

    Attributes:
        description: One line: the program, and what it does in the part that is kept.
        command: Program and arguments; it runs in the folder that `prepare` filled.
        prepare: Writes the input files into a folder.
        version: Command that prints the program's version in its first line.
        skip: Memory requests to leave out: start-up and reading of input.
        ns_per_instruction: Time scale, set so that the mean demand is 2 to 9 GB/s. Below about 0.2
            the trace stands for several cores that do the same kind of work; above, for a core
            that waits for memory.
    """

    description: str
    command: tuple[str, ...]
    prepare: Callable[[Path], None]
    version: tuple[str, ...]
    skip: int
    ns_per_instruction: float


def _words(rng: random.Random, n_distinct: int, n: int) -> list[str]:
    """Words drawn from a vocabulary with Zipf's frequencies (the k-th as 1 / k)."""
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    vocabulary = [
        "".join(rng.choices(letters, range(26, 0, -1), k=rng.randint(3, 11)))
        for _ in range(n_distinct)
    ]
    weights = list(itertools.accumulate(1.0 / rank for rank in range(1, n_distinct + 1)))
    return rng.choices(vocabulary, cum_weights=weights, k=n)


def _write_text(path: Path, seed: int, n_words: int, n_distinct: int = 30_000) -> None:
    words = _words(random.Random(seed), n_distinct, n_words)
    lines = (" ".join(words[at : at + 12]) for at in range(0, n_words, 12))
    path.write_text("\n".join(lines) + "\n")


def _sort_input(folder: Path) -> None:
    rng = random.Random(1)
    keys = (f"{rng.getrandbits(60):015x} {number}" for number in range(150_000))
    (folder / "keys.txt").write_text("\n".join(keys) + "\n")


def _xz_input(folder: Path) -> None:
    _write_text(folder / "text.txt", seed=2, n_words=900_000)


def _bzip2_input(folder: Path) -> None:
    _write_text(folder / "text.txt", seed=3, n_words=300_000)


def _awk_input(folder: Path) -> None:
    rng = random.Random(4)
    lines = (
        " ".join(f"k{rng.getrandbits(17)}" for _ in range(8)) + f" {number}"
        for number in range(60_000)
    )
    (folder / "events.txt").write_text("\n".join(lines) + "\n")


def _sqlite_input(folder: Path) -> None:
    rng = random.Random(5)
    with sqlite3.connect(folder / "shop.db") as base:
        base.execute("create table customer(id integer primary key, name text, city int)")
        base.execute("create table purchase(id integer primary key, customer int, cents int)")
        base.executemany(
            "insert into customer values(?, ?, ?)",
            ((i, f"customer-{rng.getrandbits(40):x}", rng.randrange(500)) for i in range(60_000)),
        )
        base.executemany(
            "insert into purchase values(?, ?, ?)",
            ((i, rng.randrange(60_000), rng.randrange(100_000)) for i in range(150_000)),
        )
    base.close()


def _gcc_input(folder: Path) -> None:
    rng = random.Random(6)
    functions = []
    for number in range(700):
        terms = "\n".join(
            f"    if ((x ^ {rng.getrandbits(16)}) % {rng.randint(2, 99)} == {rng.randrange(9)}) "
            f"y += t[(x * {rng.getrandbits(12) | 1} + y) & 255] {rng.choice('+-^|')} z;\n"
            f"    else z = z * {rng.randint(3, 77)} + t[y & 255] / {rng.randint(1, 9)};"
            for _ in range(rng.randint(6, 14))
        )
        functions.append(
            f"int f{number}(int x, const int *t) {{\n  int y = x, z = {number};\n"
            f"  for (int i = 0; i < x; i++, x += y) {{\n{terms}\n  }}\n  return y + z;\n}}\n"
        )
    (folder / "program.c").write_text("".join(functions))


_STENCIL = """
import numpy as np
grid = np.linspace(0.0, 1.0, 700 * 700).reshape(700, 700)
while True:
    inner = grid[1:-1, 1:-1]
    inner += 0.2 * (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:] - 4 * inner)
"""


def _numpy_input(folder: Path) -> None:
    (folder / "stencil.py").write_text(_STENCIL.lstrip())


def _compiler() -> str:
    """Path of the C compiler proper, which gcc starts as another process."""
    try:
        found = subprocess.run(
            ["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=True
        )
    except OSError:
        return "cc1"
    return found.stdout.strip()


_QUERY = (
    "select c.city, count(*), sum(p.cents) from purchase p join customer c on c.id = p.customer "
    "group by c.city order by 3 desc;"
)

RECIPES: dict[str, Recipe] = {
    "sort": Recipe(
        "GNU sort: merge sort of 150,000 hexadecimal keys in memory",
        ("sort", "--parallel=1", "-S", "64M", "-o", "sorted.txt", "keys.txt"),
        _sort_input,
        ("sort", "--version"),
        skip=700_000,
        ns_per_instruction=0.3,
    ),
    "xz": Recipe(
        "xz -6: match finding (hash chains, binary trees) over 7 MB of text",
        ("xz", "-6", "-T1", "-k", "-c", "text.txt"),
        _xz_input,
        ("xz", "--version"),
        skip=250_000,
        ns_per_instruction=0.03,
    ),
    "bzip2": Recipe(
        "bzip2 -9: block sorting (Burrows-Wheeler) of text in 900 kB blocks",
        ("bzip2", "-9", "-k", "-c", "text.txt"),
        _bzip2_input,
        ("bzip2", "--version"),
        skip=640_000,
        ns_per_instruction=0.3,
    ),
    "sqlite": Recipe(
        "SQLite: join of 150,000 rows by primary key, grouped and summed",
        ("sqlite3", "-cmd", "pragma cache_size=-65536", "shop.db", _QUERY),
        _sqlite_input,
        ("sqlite3", "--version"),
        skip=60_000,
        ns_per_instruction=0.04,
    ),
    "gcc": Recipe(
        "GCC's cc1 -O2: optimisation passes over 700 generated C functions",
        (_compiler(), "-quiet", "-O2", "program.c", "-o", "program.s"),
        _gcc_input,
        ("gcc", "--version"),
        skip=81_000,
        ns_per_instruction=0.015,
    ),
    "awk": Recipe(
        "mawk: counting 131,072 distinct keys in a hash table",
        (
            "mawk",
            "{for (i = 1; i < NF; i++) n[$i]++} END {for (k in n) print k, n[k]}",
            "events.txt",
        ),
        _awk_input,
        ("mawk", "-W", "version"),
        skip=700_000,
        ns_per_instruction=0.2,
    ),
    "numpy": Recipe(
        "Python with NumPy: five-point stencil on 700 x 700 float64, whole-array expressions",
        (sys.executable, "-I", "stencil.py"),
        _numpy_input,
        (
            sys.executable,
            "-c",
            "import numpy, sys; print(sys.version.split()[0], 'NumPy', numpy.__version__)",
        ),
        skip=3_000_000,
        ns_per_instruction=1.2,
    ),
}
"""The shipped traces of real programs, by name."""
