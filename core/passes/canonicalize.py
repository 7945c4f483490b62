"""Spellings that ONNX allows and compilers for an NPU stumble over, written another way."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from ..bodies.body_builder import facts_of
from ..graphs.graph import (
    attributes,
    drop_unread,
    fed_inputs,
    free_name,
    graphs_in,
    refill,
    replace_nodes,
    set_attribute,
)

_RECURRENT = ("LSTM", "GRU", "RNN")
# operators that a limit of -inf (Max) or +inf (Min) leaves without effect
_NO_LIMIT = {"Max": -np.inf, "Min": np.inf}
_DEFAULT_0 = ("layout", "input_forget")
_LAYER_NORM = {"axis": -1, "epsilon": 1e-5}  # what ONNX has by default
_HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
_LARGEST = 65504.0  # of float16, which the NPU computes in


def canonicalize(model: ModelProto) -> None:
    """Change a folded model in place; its results stay, up to values beyond float16.

    Max with -inf and Min with +inf go; other infinite constants (attention masks) become the
    largest float16, because no scale can be found for a range without end. Attributes of recurrent
    operators that ONNX Runtime writes with their defaults go: older checkers refuse ``layout``. The
    factors alpha and beta of a Gemm go into its constant weight and bias: the toolkit computes a
    quantized Gemm without them. A Split into a number of parts names their sizes: the toolkit knows
    no number that leaves a rest. A LayerNormalization says its axis and epsilon, where it leaves
    them to the default: the toolkit's rule fails without, and all of them run on the CPU.
    """
    _drop_limits_without_effect(model)
    _fold_gemm_factors(model)
    _name_split_sizes(model)
    for tensor in model.graph.initializer:
        _make_finite(tensor)
    for node in model.graph.node:
        if node.op_type in _RECURRENT:
            refill(node.attribute, [a for a in node.attribute if a.name not in _DEFAULT_0 or a.i])
        if node.op_type == "LayerNormalization":
            for name, value in _LAYER_NORM.items():
                set_attribute(node, name, attributes(node).get(name, value))


def _fold_gemm_factors(model: ModelProto) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    for node in model.graph.node:
        if node.op_type != "Gemm":
            continue
        for attribute in list(node.attribute):
            position = {"alpha": 1, "beta": 2}.get(attribute.name)
            if position is None or attribute.f == 1.0 or position >= len(node.input):
                continue
            tensor = constants.get(node.input[position])
            if tensor is None:
                continue
            # a copy of its own: another node may read the constant as it is
            name = free_name(f"{node.output[0]}.{attribute.name}", taken)
            taken.add(name)
            scaled = numpy_helper.to_array(tensor) * np.float32(attribute.f)
            model.graph.initializer.append(numpy_helper.from_array(scaled, name))
            node.input[position] = name
            node.attribute.remove(attribute)
    drop_unread(model)


def _name_split_sizes(model: ModelProto) -> None:
    numbered = [node for node in model.graph.node if "num_outputs" in attributes(node)]
    if not numbered:
        return
    facts = facts_of(model)
    taken = {*facts.types, *facts.constants}
    for node in numbered:
        shape, settings = facts.shapes.get(node.input[0]), attributes(node)
        if shape is None:
            continue
        size, count = shape[settings.get("axis", 0)], settings["num_outputs"]
        part = -(-size // count)  # all but the last are equal
        sizes = np.array([part] * (count - 1) + [size - part * (count - 1)], np.int64)
        name = free_name(f"{node.output[0]}.sizes", taken)
        taken.add(name)
        model.graph.initializer.append(numpy_helper.from_array(sizes, name))
        node.input[1:] = [name]
        refill(node.attribute, [own for own in node.attribute if own.name != "num_outputs"])


def make_float32(model: ModelProto) -> None:
    """Turn a model of float16 or bfloat16 into a float32 one, in place, which every stage works on.

    Weights stay what they are; what is computed is rounded less. A model with inputs of float64
    becomes one of float32 too, and is rounded more.
    """
    kinds = set(_HALVES)
    if any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in fed_inputs(model.graph)):
        kinds.add(TensorProto.DOUBLE)
    for graph in graphs_in(model.graph):
        for value in [*graph.input, *graph.output, *graph.value_info]:
            kind = value.type.tensor_type
            if kind.elem_type in kinds:
                kind.elem_type = TensorProto.FLOAT
        for tensor in graph.initializer:
            _make_float32(tensor, kinds)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    _make_float32(attribute.t, kinds)
                if attribute.name in ("to", "dtype") and attribute.i in kinds:
                    attribute.i = TensorProto.FLOAT


def _make_float32(tensor: TensorProto, kinds: Collection[int]) -> None:
    if tensor.data_type in kinds:
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):  # a mask of the lowest float64 becomes one of -inf
            single = value.astype(np.float32)
        if tensor.data_type == TensorProto.BFLOAT16:  # the upper half of a float32
            single = (value.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(single, tensor.name))


def _drop_limits_without_effect(model: ModelProto) -> None:
    infinite = _infinite(model)
    outputs = {value.name for value in model.graph.output}
    renamed: dict[str, str] = {}
    nodes = []
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
        passed = _passed(node, infinite)
        if passed is not None and node.output[0] not in outputs:
            renamed[node.output[0]] = passed
        else:
            nodes.append(node)
    if renamed:
        replace_nodes(model.graph, nodes)


def _infinite(model: ModelProto) -> dict[str, float]:
    """Scalar constants that are infinite, by name."""
    infinite = {}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and list(tensor.dims) in ([], [1]):
            value = float(numpy_helper.to_array(tensor).ravel()[0])
            if np.isinf(value):
                infinite[tensor.name] = value
    return infinite


def _passed(node: NodeProto, infinite: dict[str, float]) -> str | None:
    """The operand that the node hands on as it is, or None."""
    limit = _NO_LIMIT.get(node.op_type)
    rest = [name for name in node.input if limit is None or infinite.get(name) != limit]
    return rest[0] if len(rest) == 1 and len(node.input) == 2 else None


def _make_finite(tensor: TensorProto) -> None:
    if tensor.data_type != TensorProto.FLOAT:
        return
    value = numpy_helper.to_array(tensor)
    if np.isinf(value).any():
        finite = np.where(np.isinf(value), np.sign(value) * np.float32(_LARGEST), value)
        tensor.CopyFrom(numpy_helper.from_array(finite.astype(np.float32), tensor.name))
