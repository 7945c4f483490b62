"""The other way to carry a plan: ranges and types for the toolkit's own quantizer.

The toolkit's hybrid quantization writes its calibration to a file in which the range of every
activation may be changed, and layers may be given another type (float16, int16). It rounds the
weights itself. Scale and zero point follow from the range as they do in a plan.

A layer has the type that is given to what it makes; what it reads is converted first. So for a
tensor to be read in 16 bits, what its readers make has to be in 16 bits too. Behind these it is
int8 again, in the range that the plan has for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Range
from ..toolkit.job import ToolkitPlan

_ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "PRelu"}


def with_fused_tensors(model: ModelProto, plan: ToolkitPlan) -> ToolkitPlan:
    """Return the plan with the inner tensors of fused layers, those before an activation.

    The toolkit lists both sides of a fused activation with one range, and wants them equal.
    ``model`` is the prepared float model that the plan was made for.
    """
    graph = Graph(model)
    plan = replace(plan, types={**_read_in_16_bits(graph, plan), **plan.types})
    inner = _inner_of(graph, {*plan.ranges, *plan.types})
    ranges = {inner[name]: both for name, both in plan.ranges.items() if name in inner}
    types = {inner[name]: kind for name, kind in plan.types.items() if name in inner}
    aliases = {**plan.aliases, **_swapped(graph)}
    ranges, types = {**ranges, **plan.ranges}, {**types, **plan.types}
    return replace(plan, ranges=ranges, types=types, aliases=aliases)


def with_measured_tensors(
    model: ModelProto, plan: ToolkitPlan, samples: Iterable[Mapping[str, Array]]
) -> ToolkitPlan:
    """Return the plan with what its tensors hold on the calibration samples.

    The toolkit joins and moves layers, and what they make has names of its own then.
    """
    graph = Graph(model)
    planned = {*plan.ranges, *plan.types}
    names = [name for node in graph.nodes for name in node.output if name in planned]
    measured: dict[str, Range] = {}

    def widen(values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            if not value.size:
                continue  # a part of no channels
            low, high = measured.get(name, (np.inf, -np.inf))
            measured[name] = min(low, float(value.min())), max(high, float(value.max()))

    stream(model, [*graph.input_names, *names], samples, widen)
    return replace(plan, measured=measured)


def _swapped(graph: Graph) -> dict[str, str]:
    """What a function of single values makes -> its name once it is computed before it is moved."""
    nodes = (node for node in graph.nodes if node.op_type in ("Sigmoid", "Softmax"))
    return {node.output[0]: f"{node.input[0]}_sw" for node in nodes}


def _read_in_16_bits(graph: Graph, plan: ToolkitPlan) -> dict[str, str]:
    """What the readers of tensors in 16 bits make, as far as the plan knows it."""
    planned = {*plan.ranges, *plan.types}
    types = {}
    for name, kind in plan.types.items():
        for node in graph.consumers.get(name, []):
            output = node.output[0]
            readers = graph.consumers.get(output, [])
            if output not in planned and len(readers) == 1 and readers[0].op_type in _ACTIVATIONS:
                output = readers[0].output[0]
            if output in planned:
                types[output] = kind
    return types


def _inner_of(graph: Graph, names: set[str]) -> dict[str, str]:
    """Output of an activation -> its input, where that is not in the plan itself."""
    inner = {}
    for name in names:
        producer = graph.producers.get(name)
        if producer is None or producer.op_type not in _ACTIVATIONS:
            continue
        source = producer.input[0]
        if source not in names and len(graph.consumers.get(source, [])) == 1:
            inner[name] = source
    return inner
