"""Inputs with a batch above 1: how many samples fill them, and the shape of each."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.types import Shape
from .sources.source_types import Source, TensorSource


def row_shape(shape: Shape, batch: int) -> Shape:
    """Return the shape of one row of an input that takes a batch.

    >>> row_shape((4, 3, 8, 8), 4), row_shape((2, 1, 64), 1)
    ((1, 3, 8, 8), (2, 1, 64))
    """
    return shape if batch == 1 or not shape else (1, *shape[1:])


def batch_of(source: Source, inputs: Mapping[str, Shape]) -> int:
    """Return how many samples the inputs take together; 1 where a sample fills them.

    An input of a single number has no batch: a sample's number is that of the whole batch.
    """
    lengths = {shape[0] for shape in inputs.values() if shape} or {1}
    if len(lengths) > 1 or 1 in lengths:
        return 1
    if isinstance(source, TensorSource):
        shapes = {value.shape for value in source.tensors(0).values()}
        rows = {shape[1:] for shape in inputs.values()}  # () for a number too
        if not all(shape in rows or (shape[:1] == (1,) and shape[1:] in rows) for shape in shapes):
            return 1
    return lengths.pop()
