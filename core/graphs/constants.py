"""The constants of a model as its file has them: initializers, and Constant nodes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from onnx import ModelProto, TensorProto, helper

from .graph import refill

# types whose values take a whole number of bytes, and are kept as they are
_WHOLE_BYTES = {
    getattr(TensorProto, name)
    for name in "FLOAT FLOAT16 DOUBLE INT8 UINT8 INT16 UINT16 INT32 UINT32 INT64 UINT64".split()
}


def named_constants(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield name and tensor of every initializer and Constant node (Paddle writes those)."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            yield node.output[0], node.attribute[0].t


def unfit_constant(model: ModelProto) -> str | None:
    """Return the name of a constant whose bytes are not those of its shape; None for no such one.

    ONNX's own inference of shapes would read beyond them.
    """
    for name, tensor in named_constants(model):
        if any(length < 0 for length in tensor.dims):
            return name
        if tensor.HasField("raw_data") and tensor.data_type in _WHOLE_BYTES:
            width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            if len(tensor.raw_data) != prod(tensor.dims) * width:
                return name
    return None


def with_external_fed(model: ModelProto) -> ModelProto:
    """Return what ONNX's checker takes without external data: a copy that is fed what is there."""
    external = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if not external:
        return model
    fed = ModelProto()
    fed.CopyFrom(model)
    own = (t for t in fed.graph.initializer if t.data_location != TensorProto.EXTERNAL)
    refill(fed.graph.initializer, own)
    for tensor in external:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        fed.graph.input.append(value)
    return fed
