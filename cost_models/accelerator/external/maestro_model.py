"""MAESTRO as a function of a data-centric mapping, run as a program.

Its mapping file has a network of one layer with its directives (`data/mapping` of its repository),
hardware is given on the command line (`cost-model/include/option.hpp`), and figures come in a file
of comma-separated values that is named after the mapping file (`DSE_csv_writer.hpp`).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archgym.cost_models.accelerator.external.binary import Program, run
from archgym.cost_models.accelerator.external.process import WorkerError
from archgym.cost_models.accelerator.loopnest.maestro import Directive, Traffic

MAESTRO = Program("MAESTRO", "maestro", "ARCHGYM_MAESTRO")

# Types of layers, and their dimensions in the order in which they are written.
_TYPES = {"conv": ("CONV", "KCRSYX"), "gemm": ("GEMM", "MNK")}
# Buffers that hold whatever a mapping needs: their sizes only bring warnings.
_SIZE = 10**9
_OPTIONS = (
    "--noc_hops=1",
    "--noc_hop_latency=1",
    "--noc_mc_support=true",
    "--num_simd_lanes=1",
    "--print_res=false",
    "--print_res_csv_file=true",
    "--print_log_file=false",
    "--print_design_space=false",
    "--msg_print_lv=0",
)
_COLUMNS = {
    "runtime": "Runtime (Cycles)",
    "energy": "Activity count-based Energy (nJ)",
    "inputs": "input l2 read",
    "weights": "filter l2 read",
    "outputs": "output l2 write",
    "computations": "Num MACs",
}


@dataclass(frozen=True)
class MaestroResult:
    """What MAESTRO says of a mapping.

    Attributes:
        traffic: Runtime, traffic of the L2 buffer and multiply-accumulates; steps that it leaves
            out are not told.
        energy_pj: By its own table of energies.
    """

    traffic: Traffic
    energy_pj: float


class Maestro:
    """MAESTRO, the program.

    Args:
        path: Of the program.
        timeout_s: The most that a mapping may take.

    Raises:
        ValueError: If the program is not this MAESTRO.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        trial = [Directive(d, 1, 1, d == "K") for d in "KCRSYX"]
        try:
            self.evaluate("conv", dict.fromkeys("KCRSYX", 1), 1, [trial], [], 1, 1, 1)
        except WorkerError as error:
            raise ValueError(
                f"MAESTRO: {path} does not answer a trial: {error}; another program may have its "
                f"name, name the right one in {MAESTRO.variable}"
            ) from error

    def evaluate(
        self,
        kind: str,
        sizes: Mapping[str, int],
        stride: int,
        levels: Sequence[Sequence[Directive]],
        clusters: Sequence[int],
        pes: int,
        noc_elements_per_cycle: int,
        offchip_elements_per_cycle: int,
    ) -> MaestroResult:
        """Costs of a mapping; arguments as those of `loopnest.maestro.evaluate`.

        Raises:
            WorkerError: If MAESTRO fails on it or takes too long, why.
        """
        text = mapping_text(kind, sizes, stride, levels, clusters)
        arguments = (
            "--Mapping_file=mapping.m",
            f"--num_pes={pes}",
            f"--noc_bw_cstr={noc_elements_per_cycle}",
            f"--offchip_bw_cstr={offchip_elements_per_cycle}",
            f"--l1_size_cstr={_SIZE}",
            f"--l2_size_cstr={_SIZE}",
            *_OPTIONS,
        )
        files = {"mapping.m": text}
        return read_csv(run(self._path, arguments, files, "mapping.csv", self._timeout_s))


def installed_maestro() -> Maestro:
    """MAESTRO of the environment variable or on PATH.

    Raises:
        ValueError: If it is not there, or a variable is no time.
    """
    return Maestro(MAESTRO.path(), MAESTRO.timeout_s())


def mapping_text(
    kind: str,
    sizes: Mapping[str, int],
    stride: int,
    levels: Sequence[Sequence[Directive]],
    clusters: Sequence[int],
) -> str:
    """A mapping file, of a network of one layer."""
    name, dimensions = _TYPES[kind]
    listed = ", ".join(f"{d}: {sizes[d]}" for d in dimensions)
    lines = [f"Type: {name}"]
    if kind == "conv":
        lines.append(f"Stride {{ X: {stride}, Y: {stride} }}")
    lines += [f"Dimensions {{ {listed} }}", "Dataflow {"]
    for i, level in enumerate(levels):
        if i:
            lines.append(f"\tCluster({clusters[i - 1]}, P);")
        lines += [
            f"\t{'Spatial' if each.spatial else 'Temporal'}Map({each.size},{each.offset}) "
            f"{each.dimension};"
            for each in level
        ]
    body = "\n".join(f"\t\t{line}" for line in (*lines, "}"))
    return f"Network network {{\n\tLayer layer {{\n{body}\n\t}}\n}}\n"


def read_csv(text: str) -> MaestroResult:
    """The figures of a file of one layer.

    Writes of outputs are negative for some mappings, which is how MAESTRO counts them.

    Raises:
        WorkerError: If there is not one layer, or a figure is missing or no number.
    """
    rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    if len(rows) != 2:
        raise WorkerError(f"its file has {max(len(rows) - 1, 0)} layers, expected 1")
    header = [name.strip() for name in rows[0]]
    values = {}
    for name, column in _COLUMNS.items():
        try:
            value = float(rows[1][header.index(column)])
        except (ValueError, IndexError):
            raise WorkerError(f"its file has no number in column {column!r}") from None
        if not math.isfinite(value):
            raise WorkerError(f"its file has {column}: {value:g}")
        values[name] = value
    traffic = Traffic(
        int(values["runtime"]),
        {"inputs": int(values["inputs"]), "weights": int(values["weights"])},
        int(values["outputs"]),
        int(values["computations"]),
    )
    return MaestroResult(traffic, 1e3 * values["energy"])
