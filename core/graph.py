"""A read-only view of a prepared model's graph: weights as arrays, shapes, makers and users."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """Look-ups over ``model``; built once, never written through.

    ``weights`` maps initializer name -> array; ``shapes`` maps tensor name -> fixed shape, for
    inputs, inner tensors, outputs and initializers alike (a tensor of unknown shape is absent).
    """

    model: ModelProto
    weights: dict[str, Array] = field(init=False)
    shapes: dict[str, Shape] = field(init=False)

    def __post_init__(self) -> None:
        weights = {t.name: numpy_helper.to_array(t) for t in self.model.graph.initializer}
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "shapes", self._known_shapes(weights))

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes in topological order, as ONNX requires them to be stored."""
        return list(self.model.graph.node)

    @cached_property
    def producers(self) -> dict[str, NodeProto]:
        """Tensor name -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def consumers(self) -> dict[str, list[NodeProto]]:
        """Tensor name -> the nodes that read it."""
        found: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found[name].append(node)
        return dict(found)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs that a user feeds."""
        return [value.name for value in self.model.graph.input if value.name not in self.weights]

    @property
    def output_names(self) -> list[str]:
        """Names of the graph outputs."""
        return [value.name for value in self.model.graph.output]

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a constant of the graph."""
        return name in self.weights

    def _known_shapes(self, weights: dict[str, Array]) -> dict[str, Shape]:
        graph = self.model.graph
        shapes: dict[str, Shape] = {name: value.shape for name, value in weights.items()}
        for value in [*graph.input, *graph.value_info, *graph.output]:
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(
                dim.HasField("dim_value") for dim in dims
            ):
                shapes[value.name] = tuple(dim.dim_value for dim in dims)
        return shapes


def attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute name -> Python value (bytes decoded, lists as lists)."""
    found = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        found[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return found


def constant_value(graph: Graph, node: NodeProto, position: int) -> Array | None:
    """The constant input at ``position`` of a node, or None if it is absent or computed."""
    if position >= len(node.input) or not node.input[position]:
        return None
    value = graph.weights.get(node.input[position])
    return None if value is None else np.asarray(value)


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Replace an attribute of a node, or add it."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
