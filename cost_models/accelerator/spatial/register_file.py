"""Energy and area of register files, between a flip-flop and a small memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archgym.cost_models.accelerator.constants import constants
from archgym.cost_models.accelerator.sram import sram_costs, sram_range

FloatArray = NDArray[np.float64]
# The flip-flops of one word of eight bytes cost what a flip-flop does; Eyeriss' file has 0.5 KiB.
_WORD_BYTES = 8.0
_EYERISS_BYTES = 512.0
_REGISTER_NODE_NM = 40


def register_file_pj_per_byte(size_bytes: ArrayLike, node_nm: int) -> FloatArray:
    """Energy of an access to a byte, read or written `(n,)`.

    The power law through a flip-flop (Shao et al., Aladdin, ISCA 2014), taken for a word of eight
    bytes, and the register file of 0.5 KiB of Eyeriss (Chen, Emer and Sze, ISCA 2016); smaller
    files cost as much as the word. Scaled to a node by `technology_energy`.

    Args:
        size_bytes: Of a file with ports of its own `(n,)`.
        node_nm: A node of the table `technology_energy`.

    Raises:
        ValueError: For a node that is not known.
    """
    table = constants()["register"]
    eyeriss = table.alternatives[0].values["read"]
    exponent = np.log(eyeriss / table["read"]) / np.log(_EYERISS_BYTES / _WORD_BYTES)
    ratio = np.maximum(np.asarray(size_bytes, np.float64) / _WORD_BYTES, 1.0)
    found: FloatArray = 8 * table["read"] * ratio**exponent
    return found * constants()["technology_energy"][node_nm]


def register_file_um2(size_bytes: ArrayLike, node_nm: int) -> FloatArray:
    """Area of a register file `(n,)`.

    The power law through the flip-flops of a word of eight bytes, scaled by the square of the
    node's name, and the smallest memory of CACTI at the node; beyond it the same law.

    Args:
        size_bytes: Of the file `(n,)`.
        node_nm: One of `sram.sram_nodes()`.

    Raises:
        ValueError: For a node at which no memory is known.
    """
    shrink = (node_nm / _REGISTER_NODE_NM) ** 2
    word = 8 * _WORD_BYTES * constants()["register"]["area"] * shrink
    low = float(sram_range(node_nm, 8)[0])
    memory = 1e6 * float(sram_costs(low, 8, node_nm).area_mm2[0])
    exponent = np.log(memory / word) / np.log(low / _WORD_BYTES)
    ratio = np.asarray(size_bytes, np.float64) / _WORD_BYTES
    found: FloatArray = word * ratio**exponent
    return found
