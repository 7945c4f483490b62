"""The other way to carry a plan: ranges and types for the toolkit's own quantizer.

The toolkit's hybrid quantization writes its calibration to a file in which the range of every
activation may be changed, and layers may be given another type (float16, int16). It rounds the
weights itself. Scale and zero point follow from the range as they do in a plan.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto

from ..core.graph import Graph
from .toolkit import Ranges

_ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "PRelu"}


def ranges_for(model: ModelProto, plan: Ranges) -> Ranges:
    """The plan with the inner tensors of fused layers: a convolution's before its activation.

    The toolkit lists both sides of a fused activation with one range, and wants them equal.
    ``model`` is the prepared float model that the plan was made for.
    """
    graph = Graph(model)
    return Ranges({**_inner(graph, plan.ranges), **plan.ranges}, dict(plan.types))


def _inner(
    graph: Graph, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    found = {}
    for name, both in ranges.items():
        producer = graph.producers.get(name)
        if producer is None or producer.op_type not in _ACTIVATIONS:
            continue
        source = producer.input[0]
        if source not in ranges and len(graph.consumers.get(source, [])) == 1:
            found[source] = both
    return found
