"""Inputs that always get the same value, such as a sampling rate, become constants of the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from ..diagnostics import option
from ..errors import OptionError
from ..graphs.graph import fed_inputs, refill
from ..types import Array


def with_constant_inputs(model: ModelProto, values: Mapping[str, float]) -> ModelProto:
    """Return a copy in which each of these inputs is a constant, the value at all its places.

    An open length of its shape becomes 1. Raises OptionError for a name that is no input, and for a
    value that its type cannot hold.
    """
    inputs = {value.name: value for value in fed_inputs(model.graph)}
    for name in values:
        if name not in inputs:
            raise OptionError(
                f"{option('constant')}: the model has no input {name!r}",
                f"its inputs are: {', '.join(inputs)}",
            )
    changed = ModelProto()
    changed.CopyFrom(model)
    refill(changed.graph.input, (v for v in changed.graph.input if v.name not in values))
    changed.graph.initializer.extend(
        numpy_helper.from_array(_filled(inputs[name], value), name)
        for name, value in values.items()
    )
    return changed


def _filled(declared: ValueInfoProto, value: float) -> Array:
    kind = declared.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    filled = np.full([max(dim.dim_value, 1) for dim in kind.shape.dim], value).astype(dtype)
    if dtype.kind in "biu" and np.any(filled != value):
        raise OptionError(
            f"{option('constant', {declared.name: value})}: the input holds {dtype}",
            "give a number that this type has",
        )
    return filled
