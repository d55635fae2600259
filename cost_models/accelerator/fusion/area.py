"""Area of both arrays and the buffer, 45 nm, from `fused_attention_area` of the constants."""

from __future__ import annotations

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.fusion.types import Array, FusionDesigns

AREA_PARTS = ("array", "lanes", "buffer")
REGISTERS = ("component", "sweep")


def area_um2(designs: FusionDesigns, registers: str = "component") -> Array:
    """Area of designs `(d,)`; see `area_parts_um2`."""
    parts = area_parts_um2(designs, registers)
    return parts["array"] + parts["lanes"] + parts["buffer"]


def area_parts_um2(designs: FusionDesigns, registers: str = "component") -> dict[str, Array]:
    """Area of designs `(d,)` by name of `AREA_PARTS`.

    Elements of the array have registers and a multiply-accumulate, lanes a divider besides. Where
    elements do softmax (bindings `stalled`, `interleaved`) they have more registers and a maximum;
    where lanes do, these have a maximum and an exponential unit. The buffer's area is proportional
    to its bytes. Wires and controllers are not counted.

    Args:
        designs: Arrays.
        registers: Of an element and a lane, `component` as in the artifact's tables of components,
            `sweep` as in its sweep of arrays, where they are the same whatever the binding.

    Raises:
        ValueError: If `registers` is neither.
    """
    if registers not in REGISTERS:
        raise ValueError(f"registers: {registers!r} is not allowed, must be component or sweep")
    from array_api_compat import array_namespace

    xp = array_namespace(designs.array)
    each = constants()["fused_attention_area"]
    shared = designs.binding >= 2
    zero = 0.0 * designs.array
    if registers == "sweep":
        element, lane = zero + each["registers_sweep"], zero + each["registers_sweep"]
    else:
        both = zero + each["registers_shared"]
        element = xp.where(shared, both, zero + each["registers_apart_element"])
        lane = xp.where(shared, both, zero + each["registers_apart_lane"])
    mac, top = each["multiply_accumulate"], each["maximum"]
    softmax = zero + top + each["exponential"]
    return {
        "array": designs.array**2 * (element + mac + xp.where(shared, zero + top, zero)),
        "lanes": designs.lanes * (lane + mac + each["divide"] + xp.where(shared, zero, softmax)),
        "buffer": designs.buffer_bytes * each["buffer_byte"],
    }
