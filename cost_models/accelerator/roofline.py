"""Rooflines with several memory levels, batched over designs and operators.

An operator takes the longest of its arithmetic and of what it moves through every level. What it
moves is bounded from below: every tensor once, and for a matrix product 2 macs / sqrt(S) - 2 S
elements where the level below holds S (Smith et al., A tight I/O lower bound for matrix
multiplication, 2019). Of a convolution, whose windows read an input again, the first term is less
by the root of the reuse (Chen et al., Communication lower bound in convolution accelerators,
HPCA 2020). With formats of b bytes, S = capacity / b: 2 macs sqrt(b_w b_i b_o / capacity) bytes.
Groups, heads and experts are products of their own, so that 2 S is subtracted for each. Of fused
attention only its ends are counted: the bound of a product does not hold for a chain of two.

Written in the array API standard: NumPy, torch and JAX alike, differentiable where the library is.
"""

from __future__ import annotations

from dataclasses import dataclass

from archgym.cost_models.accelerator.work import Array, Work, moved


@dataclass(frozen=True)
class Machine:
    """Designs, one entry each; every array is `(d,)` or `(d, levels)`, levels from the inside.

    A design's formats are in its peak, its energy per multiply-accumulate and its bytes.

    Attributes:
        peak_macs_per_s: Multiply-accumulates per second, in its formats.
        vector_ops_per_s: Other operations per second.
        mac_energy_pj: Of a multiply-accumulate.
        vector_energy_pj: Of another operation.
        weight_bytes: Per parameter.
        input_bytes: Per activation read.
        output_bytes: Per activation written.
        below_bytes: `(d, levels)` what can be held below the level: registers of the array, then
            the capacity of the level before.
        bandwidth_bytes_per_s: `(d, levels)`.
        energy_pj_per_byte: `(d, levels)`.
        static_power_w: Leakage and standby.
    """

    peak_macs_per_s: Array
    vector_ops_per_s: Array
    mac_energy_pj: Array
    vector_energy_pj: Array
    weight_bytes: Array
    input_bytes: Array
    output_bytes: Array
    below_bytes: Array
    bandwidth_bytes_per_s: Array
    energy_pj_per_byte: Array
    static_power_w: Array


@dataclass(frozen=True)
class Roofline:
    """Costs of designs and operators `(d, o)`, of one run of the operator.

    Attributes:
        time_s: The longest of the parts.
        parts_s: `(d, o, 2 + levels)`: products, other operations, every level.
        traffic_bytes: `(d, o, levels)`.
        energy_j: `(d, o, 3 + levels)`: products, other operations, every level, static.
        count: `(o,)` runs.
    """

    time_s: Array
    parts_s: Array
    traffic_bytes: Array
    energy_j: Array
    count: Array

    @property
    def bound(self) -> Array:
        """`(d, o)` which part is the longest: 0 products, 1 other operations, 2 the first level."""
        return _namespace(self.parts_s).argmax(self.parts_s, axis=-1)

    @property
    def latency_s(self) -> Array:
        """`(d,)` of the network, operators one after the other."""
        return _namespace(self.time_s).sum(self.time_s * self.count, axis=-1)

    @property
    def total_energy_j(self) -> Array:
        """`(d, 3 + levels)` of the network, by part."""
        return _namespace(self.energy_j).sum(self.energy_j * self.count[:, None], axis=1)


def _namespace(array: Array) -> Array:
    from array_api_compat import array_namespace

    return array_namespace(array)


def roofline(work: Work, machine: Machine) -> Roofline:
    """Evaluate all operators on all designs.

    Args:
        work: Of a network; NumPy arrays are moved to where the designs are.
        machine: The designs.
    """
    xp = _namespace(machine.peak_macs_per_s)
    work = moved(work, machine.peak_macs_per_s)
    traffic = level_traffic(work, machine)
    arithmetic = xp.stack(
        [
            work.macs / machine.peak_macs_per_s[:, None],
            work.operations / machine.vector_ops_per_s[:, None],
        ],
        axis=-1,
    )
    parts = xp.concat([arithmetic, traffic / machine.bandwidth_bytes_per_s[:, None, :]], axis=-1)
    time = xp.max(parts, axis=-1)
    spent = [
        work.macs * machine.mac_energy_pj[:, None],
        work.operations * machine.vector_energy_pj[:, None],
    ]
    levels = traffic * machine.energy_pj_per_byte[:, None, :]
    static = (time * machine.static_power_w[:, None])[..., None]
    energy = xp.concat([1e-12 * xp.stack(spent, axis=-1), 1e-12 * levels, static], axis=-1)
    return Roofline(time, parts, traffic, energy, work.count)


def level_traffic(work: Work, machine: Machine) -> Array:
    """Bytes `(d, o, levels)` that operators move through every level, at least."""
    xp = _namespace(machine.peak_macs_per_s)
    once = (
        work.weights * machine.weight_bytes[:, None]
        + work.inputs * machine.input_bytes[:, None]
        + work.outputs * machine.output_bytes[:, None]
    )
    widths = (machine.weight_bytes * machine.input_bytes * machine.output_bytes)[:, None]
    below = machine.below_bytes[:, None, :]
    reused = (work.macs / xp.sqrt(work.window))[:, None]
    again = 2.0 * reused * xp.sqrt(widths[..., None] / below) - 2.0 * below * work.batch[:, None]
    return xp.maximum(once[..., None], again)


def arithmetic_intensity(
    macs: Array, weights: Array, activations: Array, weight_bytes: Array = 1.0,
    activation_bytes: Array = 1.0, weight_share: float = 0.5,
) -> Array:  # fmt: skip
    """Multiply-accumulates per byte (or element), with a share of its own for each type of data.

    macs / (2 (a W + (1 - a) A)): with a = 1/2 the ordinary intensity. Jha and Mittal (Modeling Data
    Reuse in Deep Neural Networks by Taking Data-Types into Cognizance, IEEE TC 2020) fit a of
    about 0.8 for weights on GPUs, as ordinary intensity overrates layers with little weight reuse.

    Args:
        macs: Multiply-accumulates.
        weights: Elements.
        activations: Elements read and written.
        weight_bytes: Per element.
        activation_bytes: Per element.
        weight_share: The share a, from 0 to 1.

    Raises:
        ValueError: If the share is outside of 0 to 1.
    """
    if not 0.0 <= weight_share <= 1.0:
        raise ValueError(f"weight_share is {weight_share}, must be from 0 to 1")
    moved_bytes = weight_share * weights * weight_bytes
    return macs / (2.0 * (moved_bytes + (1.0 - weight_share) * activations * activation_bytes))
