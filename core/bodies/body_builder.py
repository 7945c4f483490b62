"""Writes down what a node computes as a function of older operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..graphs.constants import named_constants
from ..graphs.graph import attributes, free_name, graphs_in, opset_of
from ..graphs.inference import with_shapes
from ..types import Array, Shape

_FIRST_WITH_AXES_AS_INPUT = {"ReduceMean": 18, "Squeeze": 13, "Unsqueeze": 13}


@dataclass(frozen=True)
class TensorFacts:
    """What is known of tensors by name, at any depth: element types, fixed shapes and constants."""

    opset: int
    types: Mapping[str, int]
    shapes: Mapping[str, Shape]
    constants: Mapping[str, TensorProto]


def facts_of(model: ModelProto) -> TensorFacts:
    """Infer what is known of the tensors of a model."""
    inferred = with_shapes(model)
    types: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    for graph in graphs_in(inferred.graph):
        for tensor in graph.initializer:
            types[tensor.name], shapes[tensor.name] = tensor.data_type, tuple(tensor.dims)
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            types[value.name] = kind.elem_type
            if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
                shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
    return TensorFacts(opset_of(model), types, shapes, dict(named_constants(model)))


@dataclass
class BodyBuilder:
    """Collects the nodes that stand for ``node``; its inputs are called x0, x1 ... inside."""

    node: NodeProto
    facts: TensorFacts
    _nodes: list[NodeProto] = field(default_factory=list)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The attributes of the node by name."""
        return attributes(self.node)

    def input(self, position: int) -> str:
        """Return the name of an input inside the body, "" where it is left out."""
        has = position < len(self.node.input) and self.node.input[position]
        return f"x{position}" if has else ""

    def shape(self, position: int) -> Shape | None:
        """Return the shape of an input, None where it is not known."""
        return self.facts.shapes.get(self._outer(position))

    def is_bool(self, position: int) -> bool:
        """Return whether an input is known to hold truth values."""
        return self.facts.types.get(self._outer(position)) == TensorProto.BOOL

    def value(self, position: int) -> Array | None:
        """Return a constant input, None where it is computed or left out."""
        tensor = self.facts.constants.get(self._outer(position))
        return None if tensor is None else numpy_helper.to_array(tensor)

    def constant(self, value: ArrayLike) -> str:
        """Return a constant; one of floats has the type of the node's first input."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            kind = self.facts.types.get(self._outer(0)) or TensorProto.FLOAT
            array = array.astype(helper.tensor_dtype_to_np_dtype(kind))
        return self.add("Constant", value=numpy_helper.from_array(array))

    def add(self, op_type: str, *inputs: str, **settings: Any) -> str:
        """Add a node of the standard operators; return its output."""
        name = f"{self.node.output[0]}/{op_type}"  # a number comes behind it when it is inlined
        name = free_name(name, {tensor for node in self._nodes for tensor in node.output})
        self._nodes.append(helper.make_node(op_type, inputs, [name], **settings))
        return name

    def add_along(self, op_type: str, x: str, axes: Sequence[int]) -> str:
        """Add a node that takes axes, as an attribute or an input, as its operator does."""
        if self.facts.opset < _FIRST_WITH_AXES_AS_INPUT[op_type]:
            return self.add(op_type, x, axes=list(axes))
        return self.add(op_type, x, self.constant(np.array(axes, np.int64)))

    def reshaped(self, x: str, shape: Iterable[int]) -> str:
        """Add a Reshape."""
        return self.add("Reshape", x, self.constant(np.array([*shape], np.int64)))

    def function(self, outputs: Sequence[str]) -> FunctionProto:
        """Return the body; its outputs are those of the node, "" for one that nobody asks for."""
        nodes = [NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        formal = [f"y{place}" for place in range(len(self.node.output))]
        nodes += [
            helper.make_node("Identity", [inner], [outer])
            for inner, outer in zip(outputs, formal, strict=False)
            if inner
        ]
        inputs = [f"x{place}" for place in range(len(self.node.input))]
        opsets = [helper.make_opsetid("", self.facts.opset)]
        return helper.make_function("", self.node.op_type, inputs, formal, nodes, opsets)

    def _outer(self, position: int) -> str:
        return self.node.input[position] if position < len(self.node.input) else ""
