"""Where the values of a tensor count: beyond that, what reads it makes the same of all of them.

HardSwish is 0 from -3 downwards, SiLU nearly so from -6. In networks of these the results of
convolutions go much further down, to -30 and less, and an int8 scale that reaches there is several
times as coarse where it counts.
"""

from __future__ import annotations

import math
from itertools import permutations

from onnx import NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.types import Range

EVERYWHERE = (-math.inf, math.inf)
# x * sigmoid(x) is -0.015 there, a quarter of a step of a range that goes up to 9
_SILU_LOW = -6.0
_HARD_SWISH_LOW = -3.0


def counting_range(graph: Graph, name: str) -> Range:
    """Return the range of a tensor outside which its readers' results hardly change.

    That of what a SiLU, a HardSwish, also spelt out, or a HardSigmoid alone reads, else everywhere.
    """
    readers = graph.consumers.get(name, [])
    if name in graph.output_names or not readers:
        return EVERYWHERE
    if all(node.op_type == "HardSwish" for node in readers):
        return _HARD_SWISH_LOW, math.inf
    if len(readers) == 1:
        return _linear_part(readers[0])
    if len(readers) == 2:
        lows = [_gate_low(graph, gate, name, other) for gate, other in permutations(readers)]
        return max(lows), math.inf
    return EVERYWHERE


def _gate_low(graph: Graph, gate: NodeProto, name: str, product: NodeProto) -> float:
    """Return where a product of a tensor with its gate becomes 0; -inf if they are none."""
    low = -math.inf
    if gate.op_type == "Sigmoid":
        low = _SILU_LOW
    elif gate.op_type == "HardSigmoid":
        low, _ = _linear_part(gate)
    elif gate.op_type == "Add":
        low = _shifted_low(graph, gate)
        gate = (graph.consumers.get(gate.output[0]) or [gate])[0]
    is_product = product.op_type == "Mul" and set(product.input) == {name, gate.output[0]}
    return low if is_product else -math.inf


def _linear_part(gate: NodeProto) -> Range:
    """Return where a HardSigmoid is neither 0 nor 1; everywhere for others."""
    settings = attributes(gate)
    slope, offset = float(settings.get("alpha", 0.2)), float(settings.get("beta", 0.5))
    if gate.op_type != "HardSigmoid" or slope <= 0:
        return EVERYWHERE
    return -offset / slope, (1 - offset) / slope


def _shifted_low(graph: Graph, add: NodeProto) -> float:
    """Return where clip(x + 3, 0, 6) becomes 0, from which HardSwish is spelt out; else -inf."""
    readers = graph.consumers.get(add.output[0], [])
    shifts = [graph.weights[name] for name in add.input if name in graph.weights]
    if len(readers) != 1 or readers[0].op_type != "Clip" or len(shifts) != 1:
        return -math.inf
    least = graph.weights.get(readers[0].input[1]) if len(readers[0].input) > 1 else None
    if least is None or least.any() or shifts[0].size != 1:
        return -math.inf
    return -float(shifts[0].reshape(()))
