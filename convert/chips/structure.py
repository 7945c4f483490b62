"""What of a model its cycles depend on: operators, attributes and shapes, but not the weights."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

# operators whose small float constants are settings, not weights
_SETTINGS = {"Clip", "Resize", "Upsample", "Pad"}
_WHOLE = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
_SETTING_SIZE = 64


def structure_digest(model: ModelProto) -> str:
    """Return a hex digest that two models share when only names and weights' values differ.

    Tensors are named by their place, so that the same layer of another network is the same.
    Constants that are settings (shapes, indices, limits) count with their values; in a quantized
    model neither scales nor zero points do.
    """
    names: dict[str, str] = {}
    parts: list[str] = []

    def number(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for value in model.graph.input:
        parts.append(f"in {number(value.name)} {_type(value)}")
    settings = _settings(model)
    for tensor in model.graph.initializer:
        kind = f"{tensor.data_type} {list(tensor.dims)}"
        value = _value_digest(tensor) if tensor.name in settings else ""
        names[tensor.name] = f"c({kind} {value})"
    for node in model.graph.node:
        read = ",".join(number(name) for name in node.input)
        written = ",".join(number(name) for name in node.output)
        parts.append(f"{node.domain}.{node.op_type} {read} -> {written} {_attributes(node)}")
    parts.extend(f"out {number(value.name)}" for value in model.graph.output)
    opsets = sorted(f"{opset.domain}:{opset.version}" for opset in model.opset_import)
    return hashlib.sha256("\n".join([*opsets, *parts]).encode()).hexdigest()


def _settings(model: ModelProto) -> set[str]:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    settings = set()
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        for name in node.input:
            tensor = tensors.get(name)
            if tensor is None or int(np.prod(tensor.dims)) > _SETTING_SIZE:
                continue
            if tensor.data_type in _WHOLE or node.op_type in _SETTINGS:
                settings.add(name)
    return settings


def _value_digest(tensor: TensorProto) -> str:
    return hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()


def _type(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    return f"{kind.elem_type} {[dim.dim_value for dim in kind.shape.dim]}"


def _attributes(node: onnx.NodeProto) -> list[str]:
    return sorted(
        attribute.SerializeToString(deterministic=True).hex() for attribute in node.attribute
    )
