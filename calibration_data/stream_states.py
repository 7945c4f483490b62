"""A stream's samples, with the state that a model hands from each to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..core.types import Array
from .sources.source_types import DerivedSource, TensorSource


@dataclass(frozen=True, eq=False)
class StreamStates(DerivedSource, TensorSource):
    """The arrays of a ``source``, whose samples follow each other, and the states before each.

    ``frame`` is what the one array of the source is called where its file does not say;
    ``states`` has an array (samples, ...) for each input that takes a state.
    """

    source: TensorSource
    frame: str
    states: Mapping[str, Array]

    def tensors(self, index: int) -> dict[str, Array]:
        """Return the sample's arrays and states."""
        named = {name or self.frame: value for name, value in self.source.tensors(index).items()}
        return named | {name: np.array(values[index]) for name, values in self.states.items()}

    def content_digest(self, index: int) -> str:
        """Return the hex SHA-256 of the sample's content and states."""
        digest = hashlib.sha256(self.source.content_digest(index).encode())
        for values in self.states.values():
            digest.update(np.ascontiguousarray(values[index]).tobytes())
        return digest.hexdigest()
