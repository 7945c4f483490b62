"""A quantized model as the NPU computes it, where that rounds less than ONNX Runtime does.

The compiler (2.5.0, level 3) makes one operator of a layer and its activation, or of a convolution
and the addition behind it, and does not round what is between; the file has a scale there. It was
measured on small graphs for rk3588, rk3566, rk3576 and rv1106 (benchmarks/operators.py): bit for
bit, but for additions (54 to 63 dB; 29 to 36 with the rounding) and Sigmoid (45 to 57; 37 to 44).
It rounds behind grouped convolutions and ConvTranspose, and depthwise ones but for Elu and PRelu,
before a HardSigmoid, and before a HardSwish behind a matrix product. In ONNX Runtime that rounding
is three tenths of the noise of PP-OCRv4's detector and half of its recogniser's, by which
candidates are not to be chosen.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.joins import RESHAPING
from ..graph_parts.attention import WEIGHTED
from ..graph_parts.joined_functions import HARD_SWISH, joined_functions
from ..graph_parts.placement import FUSED

# LeakyRelu and PRelu have a scale before them only where the chip has no float16
_JOINED = ("Sigmoid", "Tanh", "Elu", "LeakyRelu", "PRelu")
_JOINED_TO_DEPTHWISE = ("Elu", "PRelu")


def with_unrounded_insides(model: ModelProto) -> ModelProto:
    """Return a copy of a QDQ model where what is joined to a layer reads its result as it is.

    Where there is none, the model itself is returned.
    """
    unrounded = _unrounded(Graph(model))
    if not unrounded:
        return model
    changed = ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = unrounded.get(name, name)
    return changed


def _unrounded(graph: Graph) -> dict[str, str]:
    """Return rounded result -> the result as it is computed, of all that are not rounded."""
    kinds = {function.source: function.kind for function in joined_functions(graph)}
    pairs = dict[str, str]()
    for node in graph.nodes:
        name = node.output[0]
        readers = graph.consumers.get(name, [])
        if len(readers) == 1 and readers[0].op_type in _JOINED:
            pairs.update(_behind_layer(graph, name, readers[0].op_type))
        elif name in kinds:
            pairs.update(_behind_layer(graph, name, kinds[name]))
        elif node.op_type == "Add" and _is_stored(graph, name):
            pairs.update(_first_added(graph, node))
    return pairs


def _behind_layer(graph: Graph, name: str, kind: str) -> dict[str, str]:
    """Return the pairs from what an activation reads back to its layer; {} where it is rounded.

    The toolkit may reshape the result of a matrix product in between.
    """
    source, layer = _computed(graph, name)
    pairs = {name: source}
    if layer is not None and layer.op_type in RESHAPING:
        moved = layer.input[0]
        source, layer = _computed(graph, moved)
        if layer is None or layer.op_type not in ("Gemm", "MatMul"):
            return {}
        pairs[moved] = source
    if layer is None or (kind == HARD_SWISH and layer.op_type != "Conv"):
        return {}
    channels = graph.shapes.get(source, (0, 0))[1] if layer.op_type == "Conv" else 0
    is_depthwise = channels > 0 and attributes(layer).get("group") == channels
    is_joined = _is_joining(layer) or (is_depthwise and kind in _JOINED_TO_DEPTHWISE)
    return pairs if is_joined else {}


def _first_added(graph: Graph, node: NodeProto) -> dict[str, str]:
    """Return the pair of the first convolution whose result is added to another stored tensor."""
    pairs = dict[str, str]()
    sources = [_stored(graph, name) for name in node.input]
    if "" in sources or len({graph.shapes.get(source) for source in sources}) != 1:
        return {}
    for name in node.input:
        source, layer = _computed(graph, name)
        is_only_added = len(graph.consumers[name]) == 1
        if is_only_added and layer is not None and layer.op_type == "Conv" and _is_joining(layer):
            pairs[source] = name
    first = next((each.output[0] for each in graph.nodes if each.output[0] in pairs), "")
    return {pairs[first]: first} if first else {}


def _computed(graph: Graph, name: str) -> tuple[str, NodeProto | None]:
    """Return what a rounded tensor was before, and what made that; None where others read it."""
    source = _stored(graph, name)
    is_alone = bool(source) and len(graph.consumers[source]) == 1
    is_shown = bool({name, source} & set(graph.output_names))
    return source, graph.producers.get(source) if is_alone and not is_shown else None


def _stored(graph: Graph, name: str) -> str:
    """Return what a tensor was before a pair of scales, "" where there is none before it."""
    dequantize = graph.producers.get(name)
    if dequantize is None or dequantize.op_type != "DequantizeLinear":
        return ""
    quantize = graph.producers.get(dequantize.input[0])
    is_pair = quantize is not None and len(graph.consumers[dequantize.input[0]]) == 1
    return quantize.input[0] if quantize is not None and is_pair else ""


def _is_stored(graph: Graph, name: str) -> bool:
    """Return whether a tensor, or the activation that is fused with it, is quantized."""
    readers = graph.consumers.get(name, [])
    if len(readers) == 1 and readers[0].op_type in FUSED:
        readers = graph.consumers.get(readers[0].output[0], [])
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _is_joining(layer: NodeProto) -> bool:
    """Return whether the NPU joins a layer to what follows: of convolutions those of one group."""
    is_one_group = int(attributes(layer).get("group", 1)) == 1
    return layer.op_type in WEIGHTED and layer.op_type != "ConvTranspose" and is_one_group
