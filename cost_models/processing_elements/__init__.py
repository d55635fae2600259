"""Processing elements by number format: what they multiply, how fast, at which energy and area.

```python
family = processing_elements.family("bit-parallel")
family.supports("int4-asym", "mxfp8")
family.macs_per_cycle("int4", "int8"), family.energy_pj_per_mac("int4", "int8")
family.area_um2({("int4", "int8"), ("mxfp4", "mxfp8")})      # an element that can do both
family.table(weights, activations)                           # the same as arrays, for batches
```

Figures are at 28 nm before place and route. See docs/cost_models/processing-elements.md.
"""

from __future__ import annotations

import difflib
from typing import Any

from archgym.cost_models.processing_elements.bitmod import BitMod
from archgym.cost_models.processing_elements.family import Family, PairTable
from archgym.cost_models.processing_elements.formats import format_names
from archgym.cost_models.processing_elements.lut_ternary import LutTernary
from archgym.cost_models.processing_elements.partial_products import mean_terms
from archgym.cost_models.processing_elements.synthesised import BitParallel, BitSerial

_FAMILIES: dict[str, type[Family]] = {
    each.name: each for each in (BitParallel, BitSerial, BitMod, LutTernary)
}


def names() -> tuple[str, ...]:
    """Names of the families."""
    return tuple(_FAMILIES)


def family(name: str, **options: Any) -> Family:
    """A family of processing elements.

    Args:
        name: One of `names()`.
        **options: Of the family: `terms` of `bit-serial`, `group_size` and `fetchers` of
            `lut-ternary`.

    Raises:
        ValueError: For an unknown name or option value.
        TypeError: For an option that the family has not.
    """
    if name not in _FAMILIES:
        near = difflib.get_close_matches(str(name), _FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"family: unknown name {name!r}{hint} Allowed: {', '.join(_FAMILIES)}.")
    return _FAMILIES[name](**options)


__all__ = [
    "BitMod",
    "BitParallel",
    "BitSerial",
    "Family",
    "LutTernary",
    "PairTable",
    "family",
    "format_names",
    "mean_terms",
    "names",
]
