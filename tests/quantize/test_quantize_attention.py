"""Which tensors are left in float: those of attention, and what the placement makes of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.graph_parts.attention import floating_tensors
from rockpress.quantize.graph_parts.placement import place
from rockpress.quantize.quantize import quantize

Array = NDArray[Any]

WIDTH, HEADS, PIXELS = 16, 2, 12
TOKENS = PIXELS * PIXELS // 4

SPELT_OUT = """
    mean = ReduceMean <axes=[-1]> (t)
    centred = Sub (t, mean)
    squares = Pow (centred, two)
    variance = ReduceMean <axes=[-1]> (squares)
    raised = Add (variance, epsilon)
    deviation = Sqrt (raised)
    unit = Div (centred, deviation)
    scaled = Mul (unit, gamma)
    n = Add (scaled, beta)"""
ONE_OPERATOR = "n = LayerNormalization <axis=-1> (t, gamma, beta)"
NORM_OPERATORS = ("ReduceMean", "Sub", "Pow", "Sqrt", "Div", "LayerNormalization")
BY_SPLIT = """
    qkv = MatMul (n, wqkv)
    q0, k0, v0 = Split <axis=-1> (qkv, cut)"""
BY_MATRICES = """
    q0 = MatMul (n, wq)
    k0 = MatMul (n, wk)
    v0 = MatMul (n, wv)"""
# queries from the image, keys and values from a memory that is another input
CROSSED = """
    q0 = MatMul (n, wq)
    k0 = MatMul (memory, wk)
    v0 = MatMul (memory, wv)"""
NORMS = {"spelt out": (SPELT_OUT, 13), "one operator": (ONE_OPERATOR, 17)}
PROJECTIONS = {"split": BY_SPLIT, "matrices": BY_MATRICES, "crossed": CROSSED}
CORE = "k k1 moved p q q1 result rows scores v v1 weighed".split()


BY_ROWS = """
    result = MatMul (p, v)
    moved = Transpose <perm=[0,2,1,3]> (result)"""
# as convolutional networks write it, with channels before pixels
BY_COLUMNS = """
    odds = Transpose <perm=[0,1,3,2]> (p)
    values = Transpose <perm=[0,1,3,2]> (v)
    result = MatMul (values, odds)
    moved = Transpose <perm=[0,3,1,2]> (result)"""


def attention(
    norm: str = "one operator",
    projection: str = "split",
    *,
    mixing: str = BY_ROWS,
    others: int = WIDTH,
) -> ModelProto:
    """Convolutions (of ``others`` channels), attention between their pixels, and a classifier."""
    text, opset = NORMS[norm]
    memory = f", float[1,{TOKENS},{WIDTH}] memory" if projection == "crossed" else ""
    body = f"""(float[1,3,{PIXELS},{PIXELS}] x{memory}) => (float[1,10] y) {{
    c1 = Conv <pads=[1,1,1,1], strides=[2,2]> (x, w1, b1)
    r1 = Relu (c1)
    c2 = Conv <pads=[1,1,1,1]> (r1, w2, b2)
    r2 = Relu (c2)
    flat = Reshape (r2, to_tokens)
    t = Transpose <perm=[0,2,1]> (flat)
    {text} {PROJECTIONS[projection]}
    q1 = Reshape (q0, to_heads)
    k1 = Reshape (k0, to_heads)
    v1 = Reshape (v0, to_heads)
    q = Transpose <perm=[0,2,1,3]> (q1)
    k = Transpose <perm=[0,2,3,1]> (k1)
    v = Transpose <perm=[0,2,1,3]> (v1)
    scores = MatMul (q, k)
    weighed = Mul (scores, factor)
    p = Softmax <axis=-1> (weighed)
    {mixing}
    rows = Reshape (moved, to_rows)
    o = MatMul (rows, wo)
    sum = Add (t, o)
    turned = Transpose <perm=[0,2,1]> (sum)
    image = Reshape (turned, to_image)
    c3 = Conv <pads=[1,1,1,1]> (image, w3, b3)
    r3 = Relu (c3)
    pooled = GlobalAveragePool (r3)
    features = Flatten (pooled)
    y = Gemm <transB=1> (features, w4, b4) }}"""
    return model_of(body, _weights(norm, projection, others), opset=opset)


def _weights(norm: str, projection: str, others: int) -> Weights:
    half, each = PIXELS // 2, WIDTH // HEADS
    weights: dict[str, ArrayLike] = {
        **{"w1": (others, 3, 3, 3), "b1": (others,), "w2": (WIDTH, others, 3, 3)},
        **{"b2": (WIDTH,), "w3": (others, WIDTH, 3, 3), "b3": (others,)},
        **{"w4": (10, others), "b4": (10,)},
        **{"wo": (WIDTH, WIDTH), "gamma": np.ones(WIDTH, np.float32)},
        **{"beta": np.zeros(WIDTH, np.float32), "factor": np.array(each**-0.5, np.float32)},
        "to_tokens": np.array([1, WIDTH, TOKENS]),
        "to_heads": np.array([1, TOKENS, HEADS, each]),
        "to_rows": np.array([1, TOKENS, WIDTH]),
        "to_image": np.array([1, WIDTH, half, half]),
    }
    if norm == "spelt out":
        weights |= {"two": np.array(2, np.float32), "epsilon": np.array(1e-5, np.float32)}
    if projection == "split":
        return weights | {"wqkv": (WIDTH, 3 * WIDTH), "cut": np.array([WIDTH] * 3)}
    return weights | dict.fromkeys(("wq", "wk", "wv"), (WIDTH, WIDTH))


@pytest.mark.parametrize(
    ("norm", "projection"),
    # spelt out and crossed: the keys come first in the graph, so that the backbone lies between
    [(a, b) for a in NORMS for b in PROJECTIONS if (a, b) != ("spelt out", "crossed")],
)
def test_a_cheap_block_is_left_in_float_from_its_norm_on(norm: str, projection: str) -> None:
    graph = Graph(attention(norm, projection))
    floating = floating_tensors(graph)
    normed = {node.output[0] for node in graph.nodes if node.op_type in NORM_OPERATORS}
    assert len(normed) == (6 if norm == "spelt out" else 1)
    first = ["qkv"] if projection == "split" else []
    assert {*CORE, *normed, "n", "q0", "k0", "v0", *first} <= floating
    placed = place(graph)
    assert {"x", "r1", "r2", "r3", "y"} <= set(placed.tensors)
    assert {node.output[0] for node in placed.weights} == {"c1", "c2", "c3", "y"}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_large_attention_block_is_in_float_in_its_core_only(norm: str, projection: str) -> None:
    graph = Graph(attention(norm, projection, others=1))
    # what a Split moves belongs to the core, which begins behind what a matrix product makes
    split = {"q0", "k0", "v0"} if projection == "split" else set()
    assert floating_tensors(graph) == {*CORE} | split
    tensors = place(graph).tensors
    assert {"n", "t", "sum"} <= set(tensors)
    assert ("qkv" if projection == "split" else "q0") in tensors


def test_probabilities_may_be_moved_before_they_are_used() -> None:
    graph = Graph(attention(projection="matrices", mixing=BY_COLUMNS, others=1))
    core = floating_tensors(graph)
    assert {"scores", "weighed", "p", "result", "moved", "rows", "q", "k"} <= core
    mix = graph.producers["result"]
    assert set(mix.input) <= core
    assert not core & {"n", "t", "sum", "q0", "k0", "v0"}


CLASSIFIER = """(float[1,3,8,8] x) => (float[1,5] y) {
    c = Conv (x, w1, b1)
    r = Relu (c)
    m = GlobalAveragePool (r)
    f = Flatten (m)
    z = Gemm <transB=1> (f, w2, b2)
    y = Softmax <axis=-1> (z) }"""


def test_a_softmax_at_the_end_is_no_attention() -> None:
    shapes: Weights = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (5, 8), "b2": (5,)}
    graph = Graph(model_of(CLASSIFIER, shapes))
    assert floating_tensors(graph) == set()
    assert {"x", "r", "m", "z"} <= set(place(graph).tensors)


def test_a_norm_without_attention_is_not_touched() -> None:
    text = """(float[1,9,16] x) => (float[1,9,4] y) {
        a = MatMul (x, w1)
        n = LayerNormalization <axis=-1> (a, gamma, beta)
        y = MatMul (n, w2) }"""
    ones = {"gamma": np.ones(16, np.float32), "beta": np.zeros(16, np.float32)}
    graph = Graph(model_of(text, {"w1": (16, 16), "w2": (16, 4), **ones}))
    assert floating_tensors(graph) == set()
    assert [node.output[0] for node in place(graph).weights] == ["a", "y"]


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_quantized_model_runs_near_the_float_one(projection: str, tmp_path: Path) -> None:
    model = attention(projection=projection)
    few = random_feeds(model, 12)
    quantize(model, tmp_path / "q.onnx", tmp_path / "p.toml", few, method="min-max")
    made = load_model(tmp_path / "q.onnx")
    read = {name for n in made.graph.node if n.op_type == "QuantizeLinear" for name in n.input[:1]}
    assert "r1" in read
    assert not read & floating_tensors(Graph(model))
    session = Session(made, optimise=False)
    pairs = [(Session(model).run(one)[0], session.run(one)[0]) for one in random_feeds(model, 4, 1)]
    assert sqnr_db([np.stack([a for a, _ in pairs])], [np.stack([b for _, b in pairs])]) > 25


@pytest.mark.parametrize(
    ("norm", "others", "levels"), [("spelt out", 1, (3, 2)), ("one operator", WIDTH, (3,))]
)
def test_the_compiler_survives_it(
    norm: str, others: int, levels: tuple[int, ...], tmp_path: Path
) -> None:
    model = attention(norm, "matrices", others=others)
    few = random_feeds(model, 6)
    quantize(model, tmp_path / "q.onnx", tmp_path / "p.toml", few, method="min-max")
    for level in levels:
        made = convert(
            ConversionRequest(tmp_path / "q.onnx", None, "rk3588", level=level, simulate=few[:2])
        )
        assert made.closeness.intended_db is not None
        assert made.closeness.intended_db > 30
        assert any("FLOAT16" in layer.dtype.upper() for layer in made.layers)


# What place does with tensors that are named to it

FUSED = """(float[1,3,8,8] x) => (float[1,4,4,4] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Clip (a, zero, six)
    b = Conv (r, w2, b2)
    s = Relu (b)
    y = Conv (s, w3) }"""
LIMITS: Weights = {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}


@pytest.mark.parametrize(
    ("floating", "layers"),
    [
        ((), ["a", "b", "y"]),
        (("x",), ["b", "y"]),
        (("r",), ["y"]),  # what the first convolution makes is stored behind its Clip
        (("s",), ["a"]),
        (("y",), ["a", "b"]),
        (("x", "s"), []),
    ],
)
def test_a_layer_next_to_a_float_tensor_is_float(
    floating: tuple[str, ...], layers: list[str]
) -> None:
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (4, 8, 3, 3)}
    graph = Graph(model_of(FUSED, {**shapes, **LIMITS}))
    placed = place(graph, floating)
    assert [node.output[0] for node in placed.weights] == layers
    assert placed.tensors == tuple(n for n in ("x", "r", "s", "y") if n not in floating)


HARD_SWISH = """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    e = Add (a, three)
    f = Clip (e, zero, six)
    g = Mul (a, f)
    h = Div (g, six)
    y = Conv (h, w2) }"""


def test_a_layer_before_a_hard_swish_in_four_operators_is_quantized() -> None:
    three = {"three": np.array(3, np.float32)}
    weights = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 8, 1, 1), **LIMITS, **three}
    graph = Graph(model_of(HARD_SWISH, weights))
    assert place(graph).tensors == ("x", "a", "h", "y")
    assert [node.output[0] for node in place(graph).weights] == ["a", "y"]
    assert [node.output[0] for node in place(graph, ["h"]).weights] == ["a"]
