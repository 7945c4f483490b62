"""A quantized model as the NPU computes it, where that rounds less than ONNX Runtime does.

The compiler (2.5.0, level 3) makes one operator of a layer and a HardSwish that is spelt out, and
does not round what is between. In ONNX Runtime that rounding is three tenths of the noise of
PP-OCRv4's detector and half of its recogniser's, by which candidates are not to be chosen.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from ...core.graphs.graph import Graph
from ..graph_parts.attention import WEIGHTED
from ..graph_parts.placement import inside_hard_swish


def with_unrounded_insides(model: ModelProto) -> ModelProto:
    """Return a copy of a QDQ model where a HardSwish reads its layer's result as it is.

    Where there is none, the model itself is returned.
    """
    graph = Graph(model)
    pairs = (_rounding(graph, node) for node in graph.nodes)
    unrounded = {after: before for after, before in pairs if after}
    if not unrounded:
        return model
    changed = ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = unrounded.get(name, name)
    return changed


def _rounding(graph: Graph, node: NodeProto) -> tuple[str, str]:
    """Return a rounded result that a HardSwish alone reads, and the result; "" where none is."""
    pair = graph.producers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
    layer = graph.producers.get(pair.input[0]) if pair is not None else None
    if pair is None or layer is None or layer.op_type not in WEIGHTED:
        return "", ""
    name = node.output[0]
    is_alone = name not in graph.output_names and len(graph.consumers[pair.input[0]]) == 1
    return (name, pair.input[0]) if is_alone and _is_of_hard_swish(graph, name) else ("", "")


def _is_of_hard_swish(graph: Graph, name: str) -> bool:
    readers = graph.consumers.get(name, [])
    return len(readers) == 2 and any(inside_hard_swish(graph, reader) for reader in readers)
