"""From samples to an input's batch: how many fill it, and each in the shape of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SamplesError
from ..core.types import Array, Shape
from .sources.source_types import Source, TensorSource

# input name -> the type that it takes; without one, numbers keep theirs
InputTypes = Mapping[str, np.dtype[Any]]
NO_TYPES: InputTypes = {}


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


def fitted_tensor(
    value: Array, shape: Shape, name: str, sample: str, dtype: np.dtype[Any] | None = None
) -> Array:
    """Return one sample with its batch axis, as an input of ``dtype`` takes it.

    Floats are float32 for any input of floats. Without a ``dtype`` they are so, bytes too, and
    other numbers keep their type. Raises SamplesError.
    """
    is_row = value.shape == shape[1:] and shape[:1] in ((), (1,))
    if value.shape != shape and not is_row:
        raise SamplesError(
            f"{sample}: the sample has the shape {value.shape}, but input {name!r} takes {shape}",
            "save the samples in the model's own layout, one sample at an index",
        )
    batch = value.reshape(shape)
    if dtype is not None and dtype.kind != "f":
        return _whole_numbers(batch, dtype, name, sample)
    if dtype is None and batch.dtype.kind != "f" and batch.dtype != np.uint8:
        return np.array(batch)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        single: NDArray[np.float32] = batch.astype(np.float32)
    if not np.isfinite(single).all():
        raise SamplesError(
            f"{sample}: the sample for input {name!r} holds NaN or infinite values",
            "leave the sample out, or save it again",
        )
    return single


def _whole_numbers(batch: Array, dtype: np.dtype[Any], name: str, sample: str) -> Array:
    with np.errstate(invalid="ignore"):
        typed = np.array(batch, dtype)
    if not np.array_equal(typed, batch):
        raise SamplesError(
            f"{sample}: input {name!r} takes {dtype}, which cannot hold the {batch.dtype} values "
            "of the sample",
            f"save the samples as {dtype}",
        )
    return typed
