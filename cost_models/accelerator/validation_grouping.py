"""DRACO's direction: groups in place of depthwise convolutions fill an array where weights stay.

Jha et al., DRACO, ISVLSI 2020: on 64 x 64 the utilisation of MobileNetV1 rises, and rises with the
size of groups as long as a group's filters fit the array's rows. Its own figures (utilisation 41.8
% higher, latency 42.6 % lower) are relative to a row-stationary array and stand in the
documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.accelerator.grouping import grouped, mapping_efficiency
from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.systolic import SystolicDesigns, dataflow_number, systolic
from archgym.cost_models.accelerator.work import products_of
from archgym.cost_models.validation import Check, Target, compare

SIDE = 64
CHANNELS = (1, 2, 4, 8, 16, 32)
_NETWORK, _TAPS = "mobilenet-v1", 9
FloatArray = NDArray[np.float64]


def draco(path: Path) -> Iterator[Check]:
    """The mapping of grouped layers against its closed form, and that utilisation rises.

    Args:
        path: Of SCALE-Sim's rows, by which the array is validated; not read.
    """
    found = [array_use(grouped(load_network(_NETWORK), g)) for g in CHANNELS]
    ours = [float(efficiency.min()) for efficiency, _ in found]
    form = [mapping_efficiency(_TAPS, g, SIDE, SIDE) for g in CHANNELS]
    where = f"{_NETWORK}, {SIDE} x {SIDE}, ws"
    equal = Target(max_error=1e-12)
    yield compare("DRACO", where, "mapping efficiency of groups, closed form", ours, form, equal)
    use = [float(each) for _, each in found]
    rising = Target(spearman=1.0)
    yield compare("DRACO", where, "utilisation against channels of a group", use, CHANNELS, rising)


def array_use(network: Network) -> tuple[FloatArray, float]:
    """Mapping efficiency of the convolutions by groups, and utilisation by the whole network."""
    one = np.ones(1)
    plenty = 1e15 * one
    flow = dataflow_number("ws") * one
    designs = SystolicDesigns(
        SIDE * one, SIDE * one, flow, plenty, plenty, plenty, plenty, one, one, one, 4 * one
    )
    products = products_of(network)
    result = systolic(products, designs)
    cycles = (result.compute_cycles[0] * products.count).sum()
    return result.mapping_efficiency[0][products.batch > 1], network.macs / (cycles * SIDE**2)
