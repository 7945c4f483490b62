"""Short names for types that every room uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[int, ...]
# name of an input -> its values
Feeds: TypeAlias = Mapping[str, Array]
# lowest and highest value
Range: TypeAlias = tuple[float, float]
