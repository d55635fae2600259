"""Types of the arrays that pass between the parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Ids: TypeAlias = NDArray[np.integer[Any]]
Quantizer: TypeAlias = Callable[[Array], NDArray[Any]]
"""Takes float32 values and returns as many, of the same shape; must not change its argument."""
