"""SiLU and HardSwish: the gate, a sigmoid of what it is multiplied with, has no scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import Weights, model_of
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.graph_parts.placement import left_in_float, place

SHAPES: Weights = {"w": (8, 4, 3, 3), "b": (8,), "v": (4, 8, 1, 1), "u": (4, 8, 1, 1)}
HEAD = "(float[1,4,9,9] x) => (float[1,4,9,9] y)"
FIRST = "c = Conv <pads=[1,1,1,1]> (x, w, b)"
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
    graph = Graph(model_of(f"{HEAD} {{ {FIRST} {gate} y = Conv (p, v) }}", SHAPES))
    placement = place(graph)
    assert placement.tensors == ("x", "c", "p", "y")
    assert left_in_float(graph, placement) == {}


@pytest.mark.parametrize("gate", OTHERS.values(), ids=OTHERS)
def test_what_is_no_gate_has_one(gate: str) -> None:
    graph = Graph(model_of(f"{HEAD} {{ {FIRST} {gate} y = Conv (p, v) }}", SHAPES))
    assert "g" in place(graph).tensors


def test_a_gate_of_what_others_read_has_one() -> None:
    """Without it the compiler crashes."""
    nodes = f"{FIRST} {GATES['silu']} d = Conv (p, v) e = Conv (c, u) y = Add (d, e)"
    assert "g" in place(Graph(model_of(f"{HEAD} {{ {nodes} }}", SHAPES))).tensors


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
@pytest.mark.parametrize(("gate", "operator"), [("silu", "exSwish"), ("hard swish", "HardSwish")])
def test_the_toolkit_joins_it_and_does_not_round_it(
    gate: str, operator: str, tmp_path: Path
) -> None:
    """At level 2, where the value before it is still rounded."""
    text = f"{HEAD} {{ {FIRST} {GATES[gate]} y = Conv (p, v) }}"
    onnx.save(model_of(text, SHAPES, prepared=False), tmp_path / "m.onnx")
    samples = np.random.default_rng(1).normal(size=(8, 4, 9, 9)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=samples)
    calib = tmp_path / "x.npz"
    recipe = make_recipe(tmp_path / "m.onnx", calib=calib, method="min-max", mixed="off")
    quantize_file(recipe, tmp_path / "q.onnx")
    again = make_recipe(tmp_path / "q.onnx", calib=calib, toolkit_level=2)
    made = convert_file(again, tmp_path / "m.rknn")
    assert [layer.op for layer in made.layers if not layer.is_boundary] == [
        "Conv",
        operator,
        "Conv",
    ]
    assert {layer.dtype for layer in made.layers} == {"INT8"}
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 60
