"""Depthwise convolutions as grouped ones, which fill more rows of an array where weights stay.

A depthwise convolution with k x k filters uses k^2 rows and one column of an array at a time;
groups of g channels use g k^2 rows and g columns, at g times the multiply-accumulates (Jha et al.,
DRACO: Co-optimizing hardware utilization and performance of DNNs on systolic accelerator, ISVLSI
2020).
"""

from __future__ import annotations

from dataclasses import replace

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.operators import Conv2d, Operator


def grouped(network: Network, channels: int) -> Network:
    """The network with groups of so many channels in place of depthwise convolutions.

    Args:
        network: Whose other operators stay as they are.
        channels: Per group; of a convolution that it does not divide the next smaller divisor.

    Raises:
        ValueError: If it is below 1, or no convolution is depthwise.
    """
    if channels < 1:
        raise ValueError(f"channels: {channels}, must be at least 1")
    if not any(_is_depthwise(each) for each in network):
        raise ValueError(f"network {network.name!r}: has no depthwise convolution")
    return replace(network, operators=tuple(_grouped(each, channels) for each in network))


def _is_depthwise(operator: Operator) -> bool:
    return isinstance(operator, Conv2d) and operator.depthwise and operator.k == operator.c


def _grouped(operator: Operator, channels: int) -> Operator:
    if not (isinstance(operator, Conv2d) and _is_depthwise(operator)):
        return operator
    size = next(g for g in range(min(channels, operator.c), 0, -1) if operator.c % g == 0)
    return replace(operator, groups=operator.c // size)


def mapping_efficiency(taps: float, channels: float, rows: float, columns: float) -> float:
    """Used share of a weight-stationary array, a group of channels at a time, on average of folds.

    Args:
        taps: Of a filter, k^2.
        channels: Of a group, in and out.
        rows: Of the array.
        columns: Likewise.
    """
    high, wide = taps * channels, channels
    folds = -(-high // rows) * -(-wide // columns)
    return high * wide / (folds * rows * columns)
