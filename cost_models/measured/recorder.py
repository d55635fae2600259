"""Statistics of a layer's inputs, gathered while a network runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archgym.cost_models.measured.arrays import Array
from archgym.cost_models.measured.network import Layer, LayerStatistics
from archgym.cost_models.numerics.calibration import Calibration

_SAMPLE = 1024
"""Inputs that are kept as they were."""


class Recorder:
    """Adds up what `LayerStatistics` holds, batch by batch."""

    def __init__(self, layer: Layer) -> None:
        """Start with nothing."""
        self._absmax = np.zeros(layer.channels, np.float32)
        self._largest = np.zeros(layer.columns, np.float32)
        self._magnitude = np.zeros(layer.columns)
        self._moment = np.zeros((layer.columns, layer.columns))
        self._sample: list[Array] = []
        self._missing, self._rows = _SAMPLE, 0

    def see(self, x: Array, operand: Array) -> None:
        """Take in inputs (inputs, channels), and the rows (rows, columns) the matrix multiplies."""
        size = np.abs(operand)
        self._absmax = np.maximum(self._absmax, np.abs(x).max(axis=0))
        self._largest = np.maximum(self._largest, size.max(axis=0))
        self._magnitude += size.sum(axis=0, dtype=np.float64)
        self._moment += operand.T @ operand
        self._rows += len(operand)
        if self._missing:
            self._sample.append(x[: self._missing].copy())
            self._missing -= len(self._sample[-1])

    def statistics(self) -> LayerStatistics:
        """What was gathered."""
        moment: NDArray[np.float64] = self._moment / self._rows
        calibration = Calibration(
            self._rows, moment, self._magnitude / self._rows, self._largest.astype(np.float64)
        )
        return LayerStatistics(calibration, self._absmax, np.concatenate(self._sample))
