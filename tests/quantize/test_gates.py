"""SiLU and HardSwish: the gate, a sigmoid of what it is multiplied with, has no scale."""

from __future__ import annotations

from pathlib import Path

import pytest

from gated_nets import converted, gated_net
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.quantize.graph_parts.placement import left_in_float, place

GATES = {
    "silu": "g = Sigmoid (c) p = Mul (c, g)",
    "turned": "g = Sigmoid (c) p = Mul (g, c)",
    "hard swish": "g = HardSigmoid <alpha=0.16666667> (c) p = Mul (c, g)",
}
OTHERS = {
    "square": "g = Sigmoid (c) p = Mul (g, g)",
    "another's": "g = Sigmoid (c) n = Neg (c) p = Mul (n, g)",
    "read again": "g = Sigmoid (c) q = Mul (c, g) p = Add (q, g)",
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_a_gate_has_no_scale(gate: str) -> None:
    graph = Graph(gated_net(f"{gate} y = Conv (p, v)"))
    placement = place(graph)
    assert placement.tensors == ("x", "c", "p", "y")
    assert left_in_float(graph, placement) == {}


@pytest.mark.parametrize("gate", OTHERS.values(), ids=OTHERS)
def test_what_is_no_gate_has_one(gate: str) -> None:
    graph = Graph(gated_net(f"{gate} y = Conv (p, v)"))
    assert "g" in place(graph).tensors


def test_a_gate_of_what_others_read_has_one() -> None:
    """Without it the compiler crashes."""
    nodes = f"{GATES['silu']} d = Conv (p, v) e = Conv (c, u) y = Add (d, e)"
    assert "g" in place(Graph(gated_net(nodes))).tensors


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
@pytest.mark.parametrize(("gate", "operator"), [("silu", "exSwish"), ("hard swish", "HardSwish")])
def test_the_toolkit_joins_it_and_does_not_round_it(
    gate: str, operator: str, tmp_path: Path
) -> None:
    """At level 2, where the value before it is still rounded."""
    made, _, _ = converted(f"{GATES[gate]} y = Conv (p, v)", 2, tmp_path)
    assert [layer.op for layer in made.layers if not layer.is_boundary] == [
        "Conv",
        operator,
        "Conv",
    ]
    assert {layer.dtype for layer in made.layers} == {"INT8"}
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 60
