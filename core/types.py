"""Short names for types that every room uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

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


class SampleSet(Protocol):
    """Samples that can be counted, and read as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Feeds]: ...


@runtime_checkable
class NamedSamples(SampleSet, Protocol):
    """Samples that have names, whatever was drawn of their source and in which order."""

    def name(self, index: int) -> str:
        """Return how messages name a sample."""
