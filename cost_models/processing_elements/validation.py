"""Processing elements side by side with published figures and with a second synthesis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.processing_elements.anchors import (
    element_nand2,
    pj_per_nand2,
    um2_per_nand2,
)
from archgym.cost_models.processing_elements.layers import (
    LayerFormats,
    array_designs,
    layer_costs,
    layers,
)
from archgym.cost_models.processing_elements.partial_products import mean_terms, plane_products
from archgym.cost_models.processing_elements.published import (
    ACCELERATORS,
    MODELS,
    cycles,
    task_cycles,
)
from archgym.cost_models.processing_elements.synthesis import (
    area_nand2,
    float_adder,
    multiplier,
)
from archgym.cost_models.processing_elements.ternary import (
    GROUP_SIZES,
    STYLES,
    TernaryDesigns,
    lut_entries,
    ternary_costs,
)
from archgym.cost_models.validation import Check, Target, compare, read_rows

# Mean speed-ups that BitMoD's plots show over its six models, recomputed from its recorded cycles
# (sim/plot/speedup_plot.ipynb): reading, whole task, and the mean of both for quantized baselines.
_SPEEDUPS = {"FP16": (2.823, 4.176), "ANT": (1.723, 1.660), "OliVe": (1.560, 1.388)}
# Cycles of a token of Llama-2-7B by bits of the weights (hardware/PE_Area_Power.xlsx).
_TOKEN_CYCLES = {3: 79.5e6, 4: 105e6, 5: 131e6, 6: 157e6, 8: 207e6}
_HEADLINES = {"ANT": 1.691, "OliVe": 1.474}
# Synthesised elements of hardware/PE_Area_Power.xlsx, pJ per cycle.
_ELEMENTS = {("fp16", "fp16"): (1968.7, 0.77), ("int8", "fp16"): (1318.6, 0.613)}
_TERMS = {10: 1.75, 20: 2.10, 30: 2.32, 40: 2.48, 50: 2.60}
_REFERENCE_FILE = "yosys_mac_area_nand2eq.csv"
_SECOND_SYNTHESIS = {
    "INT8xINT8": ("int8", "int8"), "INT6xINT6": ("int6", "int6"), "INT4xINT4": ("int4", "int4"),
    "INT3xINT3": ("int3", "int3"), "INT2xINT2": ("int2", "int2"), "INT4wxINT8a": ("int4", "int8"),
    "INT3wxINT8a": ("int3", "int8"), "INT2wxINT8a": ("int2", "int8"),
    "INT16xINT16": ("int16", "int16"), "FP4(E2M1)xFP4": ("e2m1", "e2m1"),
    "FP6(E2M3)xFP6": ("e2m3", "e2m3"), "FP6(E3M2)xFP6": ("e3m2", "e3m2"),
    "FP8(E4M3)xFP8": ("e4m3", "e4m3"), "FP4wxINT8a": ("e2m1", "int8"),
    "FP4wxFP8(E4M3)a": ("e2m1", "e4m3"),
}  # fmt: skip


def bitmod_ratios() -> Iterator[Check]:
    """Mean speed-ups of BitMoD over six models, by the rules of its simulator."""
    by_name = {each.name: each for each in ACCELERATORS}
    ours = by_name["BitMoD"]
    read, task = cycles(ours, "read"), task_cycles(ours)
    target = Target(max_error=0.1)
    for name, published in _SPEEDUPS.items():
        means = [
            float((cycles(by_name[name], "read") / read).mean()),
            float((task_cycles(by_name[name]) / task).mean()),
        ]
        subject = f"BitMoD over {name}"
        yield compare("BitMoD", subject, "speedup, reading and task", means, published, target)
        if name in _HEADLINES:
            both = [sum(means) / 2]
            yield compare("BitMoD", subject, "headline speedup", both, [_HEADLINES[name]], target)


def bitmod_tokens() -> Iterator[Check]:
    """Cycles of a generated token with weights of 3 to 8 bits and 8 of 128 for the scale."""
    (bitmod,) = (each for each in ACCELERATORS if each.name == "BitMoD")
    model = [each.name for each in MODELS].index("Llama-2-7B")
    ours = [
        float(cycles(replace(bitmod, weight_bits=(bits + 8 / 128,) * 6), "generate")[model])
        for bits in _TOKEN_CYCLES
    ]
    published = list(_TOKEN_CYCLES.values())
    yield compare("BitMoD", "Llama-2-7B, 3 to 8 bits", "cycles per token", ours, published,
                  Target(max_error=0.05))  # fmt: skip


def marlin_knee() -> Iterator[Check]:
    """Batch from which 4-bit weights are no longer the limit on A100 and A10."""
    # Peak FP16 and bandwidth of the data sheets; the knees are ridge / 4 (Frantar et al., MARLIN).
    machines = {"A100": (312e12, 2039e9, 38), "A10": (125e12, 600e9, 52)}
    found = []
    for peak, bandwidth, _ in machines.values():
        tokens = np.arange(1.0, 129.0)
        work = layers([("layer", 1.0, 2.0**14, 2.0**14, each, 1.0, False) for each in tokens])
        design = array_designs(
            rows=1, columns=1, dram_bits_per_cycle=8 * bandwidth, activation_sram_bytes=40e6
        )
        formats = LayerFormats(*(np.array([[each]]) for each in (4.0, 16.0, peak / 2, 0.0)))
        costs = layer_costs(work, design, formats)
        bound = costs.compute_cycles[0] >= costs.dram_cycles[0]
        found.append(float(tokens[np.argmax(bound)]))
    known = [each[2] for each in machines.values()]
    yield compare("MARLIN", "A100, A10", "batch knee", found, known, Target(max_error=0.05))


def flexq_planes() -> Iterator[Check]:
    """One-bit products of a product of integers."""
    ours = [plane_products(6, 6), plane_products(6, 8)]
    yield compare("FlexQ", "W6A6, W6A8", "plane products", ours, [36, 48], Target(exact=1.0))


def partial_products() -> Iterator[Check]:
    """Mean partial products of Gaussian 8-bit weights."""
    rng = np.random.default_rng(0)
    ours = [
        mean_terms(np.clip(np.rint(rng.normal(0, sigma, 200_000)), -127, 127)) for sigma in _TERMS
    ]
    subject = "INT8, sigma 10 to 50"
    published = list(_TERMS.values())
    yield compare("bit-weight MACs", subject, "partial products", ours, published,
                  Target(max_error=0.02))  # fmt: skip


def elements() -> Iterator[Check]:
    """Areas and energies of single elements and units, beside the two anchors."""
    units = {pair: multiplier(*pair) for pair in _ELEMENTS}
    nand2 = [element_nand2(u, 32 if w == "fp16" else 24) for (w, _), u in units.items()]
    area, energy = zip(*_ELEMENTS.values(), strict=True)
    scaled = np.array(nand2)
    yield compare("BitMoD, 28 nm", "FP16xFP16 (anchor), INT8xFP16", "area_um2",
                  scaled * um2_per_nand2(), area, Target(max_error=0.35))  # fmt: skip
    yield compare("BitMoD, 28 nm", "FP16xFP16, INT8xFP16", "energy_pj",
                  scaled * pj_per_nand2(), energy, Target(max_error=0.15))  # fmt: skip
    scale = pj_per_nand2() / constants()["technology_energy"][28]
    gates = [float(area_nand2("add", bits)) for bits in (8, 16, 32)]
    gates += [multiplier("fp16", "fp16").nand2]
    gates += [float_adder(name).nand2 for name in ("fp16", "fp32")]
    known = [constants()["int_add_energy"][bits] for bits in (8, 16, 32)]
    known += [constants()["float_multiply_energy"][11]]
    known += [constants()["float_add_energy"][bits] for bits in (16, 32)]
    ours = np.array(gates) * scale
    yield compare("Horowitz, 45 nm", "adders, FP16 multiplier", "energy_pj", ours, known,
                  Target(max_error=0.65, spearman=0.9))  # fmt: skip


def integer_areas() -> Iterator[Check]:
    """Area of integer multipliers against the square of their bits."""
    bits = np.array([3.0, 4.0, 6.0, 8.0, 16.0])
    areas = np.array([multiplier(f"int{b:.0f}", f"int{b:.0f}").nand2 for b in bits])
    slope = float(np.polyfit(np.log(bits), np.log(areas), 1)[0])
    yield compare("own synthesis", "INT3 to INT16 multipliers", "exponent of bits", [slope], [2.0],
                  Target(max_error=0.25))  # fmt: skip


def lut_density(activation: str, style: str, fetchers: int, group_size: int = 3) -> float:
    """Multiply-accumulates per cycle and um2 of a ternary engine of 24 inputs.

    Args:
        activation: Such as `int8` or `fp16`.
        style: One of `STYLES`.
        fetchers: Outputs of a tile.
        group_size: Of a table.
    """
    group = group_size if style == "lut" else 1
    columns = (STYLES.index(style), group, 24 // group, fetchers, 1, 0)
    designs = TernaryDesigns(*(np.array([each]) for each in columns))
    area = ternary_costs(designs, activation, 2048).total_um2
    return float(designs.inputs[0] * fetchers / area[0])


def best_lut_density(activation: str, fetchers: int) -> float:
    """The densest of the group sizes that divide the inputs."""
    return max(lut_density(activation, "lut", fetchers, group) for group in (3, 4, 6))


def ternary_tables() -> Iterator[Check]:
    """Entries of tables, and where they pay."""
    entries = [13, 40, 121, 364, 1093]
    yield compare("ternary LUT", "group size 3 to 7", "entries",
                  lut_entries(np.array(GROUP_SIZES)), entries, Target(exact=1.0))  # fmt: skip
    types = ("int2", "int4", "int8", "fp16")
    pays = [float(best_lut_density(t, 64) > lut_density(t, "adders", 64)) for t in types]
    yield compare("ternary LUT", ", ".join(types), "denser than adders", pays, [0, 0, 0, 1],
                  Target(exact=1.0))  # fmt: skip
    for activation in ("int8", "fp16"):
        density = [best_lut_density(activation, k) for k in (1, 4, 16, 64)]
        grows = [float(b > a) for a, b in itertools.pairwise(density)]
        yield compare("ternary LUT", f"{activation}, 1 to 64 fetchers", "density grows", grows,
                      [1.0] * len(grows), Target(exact=1.0))  # fmt: skip
    gain = best_lut_density("fp16", 64) / lut_density("fp16", "multipliers", 64)
    yield compare("ternary LUT", "fp16", "density over multipliers", [gain], [2.2])


def second_synthesis(path: Path) -> Iterator[Check]:
    """Own multipliers beside those of another set of Verilog, of the same yosys."""
    rows = read_rows(path, ("operands", "multiplier_nand2eq"))
    for kind, target in (("INT", Target(max_error=0.15)), ("FP", Target(spearman=0.9))):
        part = [row for row in rows if row["operands"].startswith(kind)]
        ours = [multiplier(*_SECOND_SYNTHESIS[row["operands"]]).nand2 for row in part]
        theirs = [float(row["multiplier_nand2eq"]) for row in part]
        yield compare("second synthesis", f"{kind} multipliers", "nand2_equivalents", ours, theirs,
                      target)  # fmt: skip


def hardware_checks() -> list[Check]:
    """Everything that is compared with published figures, which are written here."""
    steps = (
        bitmod_ratios,
        bitmod_tokens,
        elements,
        marlin_knee,
        flexq_planes,
        partial_products,
        integer_areas,
        ternary_tables,
    )
    return [check for step in steps for check in step()]


REFERENCE_NEEDED = False


def validate(reference: Path | None = None) -> list[Check]:
    """The checks of `hardware_checks`, and where the folder has the file, the second synthesis.

    Args:
        reference: Folder of reference figures, or one with a folder `quant` of them, if any.

    Raises:
        ValueError: If a file lacks a column or a row.
    """
    checks = hardware_checks()
    for folder in (reference, reference / "quant") if reference else ():
        if (folder / _REFERENCE_FILE).is_file():
            checks.extend(second_synthesis(folder / _REFERENCE_FILE))
            break
    return checks
