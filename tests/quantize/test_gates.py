"""SiLU, HardSwish, GELU and Mish: what is inside, such as the gate, has no scale."""

from __future__ import annotations

from pathlib import Path

import pytest

from gated_nets import converted, gated_net
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.quantize.graph_parts.placement import left_in_float, place

ERF = "e = Erf (d) f = Add (e, one)"
GATES = {
    "silu": "g = Sigmoid (c) p = Mul (c, g)",
    "turned": "g = Sigmoid (c) p = Mul (g, c)",
    "hard swish": "g = HardSigmoid <alpha=0.16666667> (c) p = Mul (c, g)",
    "mish": "s = Softplus (c) g = Tanh (s) p = Mul (c, g)",
    "gelu": f"d = Div (c, root) {ERF} g = Mul (c, f) p = Mul (g, half)",
    "gelu halved early": f"d = Div (c, root) {ERF} g = Mul (half, f) p = Mul (g, c)",
    "gelu halved first": f"g = Mul (c, half) d = Div (c, root) {ERF} p = Mul (g, f)",
}
OTHERS = {
    "square": "g = Sigmoid (c) p = Mul (g, g)",
    "another's": "g = Sigmoid (c) n = Neg (c) p = Mul (n, g)",
    "read again": "g = Sigmoid (c) q = Mul (c, g) p = Add (q, g)",
    "another function of erf": f"d = Div (c, two) {ERF} g = Mul (c, f) p = Mul (g, half)",
    "gelu by a product": f"d = Mul (c, inverse) {ERF} g = Mul (c, f) p = Mul (g, half)",
    "gelu turned": f"d = Div (c, root) {ERF} g = Mul (f, c) p = Mul (g, half)",
    "gelu halved, turned": f"g = Mul (c, half) d = Div (c, root) {ERF} p = Mul (f, g)",
    "gelu shifted, turned": "d = Div (c, root) e = Erf (d) f = Add (one, e) g = Mul (c, f) "
    "p = Mul (g, half)",
    "gelu twice": f"d = Div (c, root) {ERF} g = Mul (c, f) p = Mul (g, two)",
    "gelu of two": f"d = Div (c, root) {ERF} n = Neg (c) g = Mul (n, f) p = Mul (g, half)",
    "gelu, erf read again": f"d = Div (c, root) {ERF} g = Mul (c, f) h = Mul (g, half) "
    "p = Add (h, f)",
    "mish of another": "n = Neg (c) s = Softplus (n) g = Tanh (s) p = Mul (c, g)",
    "sum": "s = Softplus (c) g = Tanh (s) p = Add (c, g)",
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
@pytest.mark.parametrize(
    ("gate", "operator"),
    [
        ("silu", "exSwish"),
        ("hard swish", "HardSwish"),
        ("mish", "exMish"),
        ("gelu", "exGelu"),
        ("gelu halved early", "exGelu"),
        ("gelu halved first", "exGelu"),
    ],
)
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
