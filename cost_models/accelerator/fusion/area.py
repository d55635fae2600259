"""Area of both arrays and the buffer."""

from __future__ import annotations

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.fusion.types import Array, FusionDesigns


def area_um2(designs: FusionDesigns) -> Array:
    """Area of designs `(d,)`, 45 nm, from `fused_attention_area` of the constants.

    Elements of the array have registers, a multiply-accumulate and a maximum; lanes have registers,
    a multiply-accumulate and a divider; the buffer's area is proportional to its bytes. Exponential
    units, wires and controllers are not counted.
    """
    each = constants()["fused_attention_area"]
    shared = each["registers"] + each["multiply_accumulate"]
    return (
        designs.array**2 * (shared + each["maximum"])
        + designs.lanes * (shared + each["divide"])
        + designs.buffer_bytes * each["buffer_byte"]
    )
