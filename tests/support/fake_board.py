"""A board in memory, for what is done with its figures: it computes what a function says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rockpress.core.results.board_figures import BoardOutput, BoardTensor, LoadedModel
from rockpress.core.types import Array


def tensor(name: str, *shape: int, format: str = "UNDEFINED") -> BoardTensor:
    """Return an input or output as a board's runtime describes it."""
    return BoardTensor(name, shape, format, "float32", 4 * math.prod(shape))


def loaded(inputs: Sequence[BoardTensor], outputs: Sequence[BoardTensor]) -> LoadedModel:
    return LoadedModel(tuple(inputs), tuple(outputs), init_ms=1.0)


def stored(values: Array, scale: float | None = None, zero_point: int = 0) -> BoardOutput:
    """Return real values as a chip stores them, in int8 where there is a scale."""
    if scale is None:
        return BoardOutput(values.astype(np.float32))
    steps = np.clip(np.round(values / scale) + zero_point, -128, 127).astype(np.int8)
    return BoardOutput(steps, scale, zero_point)


@dataclass
class FakeBoard:
    """A session on which a model is loaded; ``fed`` are the inputs of every run."""

    compute: Callable[[list[Array]], list[BoardOutput]]
    fed: list[list[Array]] = field(default_factory=list)

    def infer(self, inputs: Sequence[Array]) -> list[BoardOutput]:
        self.fed.append(list(inputs))
        return self.compute(list(inputs))
