"""Models of older and newer opsets: brought to 13 to 19, with the results that they had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from graphs import Weights, random_feeds, random_weights
from newer_runtime import needs_newer_runtime
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import opset_of
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.opset import misfits
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

NORM = {"s": (8,), "b": (8,)}
HEADS = "float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v"
SIDE_BY_SIDE = "float[1,4,32] q, float[1,6,16] k, float[1,6,16] v"
# text, weights, what is left of it
NEWER: dict[str, tuple[int, str, Weights, str]] = {
    "gelu": (20, "(float[2,8] x) => (float[2,8] y) { y = Gelu (x) }", {}, "Div Erf Add Mul Mul"),
    "gelu by tanh": (
        20,
        '(float[2,8] x) => (float[2,8] y) { y = Gelu <approximate = "tanh"> (x) }',
        {},
        "Mul Mul Mul Add Mul Tanh Add Mul Mul",
    ),
    "gelu in a branch": (
        20,
        """(float[2,8] x) => (float[2,8] y) {
            m = ReduceMax <keepdims = 0> (x) c = Greater (m, m)
            y = If (c) <then_branch = g () => (float[2,8] p) { p = Relu (x) },
                        else_branch = h () => (float[2,8] q) { q = Gelu (x) }> }""",
        {},
        "ReduceMax Greater If",
    ),
    "grid": (
        22,
        "(float[1,4,8,8] x) => (float[1,4,5,5] y) { y = GridSample (x, g) }",
        {"g": np.random.default_rng(0).uniform(-1, 1, (1, 5, 5, 2))},
        "GridSample",
    ),
    "cubic grid": (
        20,
        '(float[1,4,8,8] x) => (float[1,4,5,5] y) { y = GridSample <mode = "cubic"> (x, g) }',
        {"g": np.random.default_rng(0).uniform(-1, 1, (1, 5, 5, 2))},
        "GridSample",
    ),
    "affine grid": (
        20,
        "(float[1,2,3] t) => (float[1,5,4,2] y) { y = AffineGrid (t, s) }",
        {"s": np.array([1, 3, 5, 4])},
        "Transpose MatMul Reshape",
    ),
    "affine grid of a volume": (
        20,
        "(float[1,3,4] t) => (float[1,2,5,4,3] y) { y = AffineGrid <align_corners = 1> (t, s) }",
        {"s": np.array([1, 3, 2, 5, 4])},
        "Transpose MatMul Reshape",
    ),
    "groups": (
        21,
        """(float[1,8,4,4] x) => (float[1,8,4,4] y) {
            y = GroupNormalization <num_groups = 2, epsilon = 0.01> (x, s, b) }""",
        NORM,
        "Reshape InstanceNormalization Reshape Mul Add",
    ),
    "groups with a scale each": (
        18,
        """(float[1,8,4,4] x) => (float[1,8,4,4] y) {
            y = GroupNormalization <num_groups = 2> (x, s, b) }""",
        {"s": (2,), "b": (2,)},
        "Reshape InstanceNormalization Reshape Mul Add",
    ),
    "mean square": (
        23,
        "(float[1,4,8] x) => (float[1,4,8] y) { y = RMSNormalization <epsilon = 0.01> (x, s) }",
        NORM,
        "Pow ReduceMean Add Sqrt Div Mul",
    ),
    "mean square of two axes": (
        23,
        "(float[1,4,8] x) => (float[1,4,8] y) { y = RMSNormalization <axis = 1> (x, s) }",
        {"s": (4, 8)},
        "Pow ReduceMean Add Sqrt Div Mul",
    ),
    "rotation": (
        23,
        "(float[1,2,4,8] x) => (float[1,2,4,8] y) { y = RotaryEmbedding (x, c, s) }",
        {"c": (1, 4, 4), "s": (1, 4, 4)},
        "Mul Slice Slice Neg Concat Mul Add",
    ),
    "rotation of heads side by side, by position": (
        23,
        """(float[1,4,16] x) => (float[1,4,16] y) {
            y = RotaryEmbedding <num_heads = 2> (x, c, s, p) }""",
        {"c": (9, 4), "s": (9, 4), "p": np.array([[5, 6, 7, 8]])},
        "Reshape Mul Slice Slice Neg Concat Mul Add Reshape",
    ),
    "rotation of neighbours, of a part": (
        23,
        """(float[2,2,4,12] x) => (float[2,2,4,12] y) {
            y = RotaryEmbedding <interleaved = 1, num_heads = 2, rotary_embedding_dim = 8>
                (x, c, s) }""",
        {"c": (2, 4, 4), "s": (2, 4, 4)},
        "Slice Slice Mul Reshape Slice Slice Neg Concat Reshape Mul Add Concat",
    ),
    "attention": (
        23,
        f"({HEADS}) => (float[1,2,4,8] y) {{ y = Attention (q, k, v) }}",
        {},
        "Transpose Mul MatMul Softmax MatMul",
    ),
    "masked attention": (
        23,
        f"({HEADS}) => (float[1,2,4,8] y) {{ y = Attention <is_causal = 1> (q, k, v, m) }}",
        {"m": np.tri(4, 6, 3) > 0},
        "Transpose Mul MatMul Add Add Softmax MatMul",
    ),
    "capped attention": (
        23,
        f"""({HEADS}) => (float[1,2,4,8] y) {{
            y = Attention <softcap = 2.0, scale = 0.5> (q, k, v, m) }}""",
        {"m": (4, 6)},
        "Transpose Mul MatMul Add Div Tanh Mul Softmax MatMul",
    ),
    "attention with shared keys": (
        23,
        f"""({SIDE_BY_SIDE}) => (float[1,4,32] y) {{
            y = Attention <q_num_heads = 4, kv_num_heads = 2> (q, k, v) }}""",
        {},
        "Reshape Transpose Reshape Transpose Reshape Mul MatMul Reshape "
        "Softmax Reshape Reshape Transpose MatMul Reshape Transpose Reshape",
    ),
    "attention with earlier keys": (
        23,
        f"""({HEADS}, float[1,2,3,8] pk, float[1,2,3,8] pv) =>
            (float[1,2,4,8] y, float[1,2,9,8] nk, float[1,2,9,8] nv) {{
            y, nk, nv = Attention (q, k, v, , pk, pv) }}""",
        {},
        "Concat Identity Concat Identity Transpose Mul MatMul Softmax MatMul",
    ),
    "parts that leave a rest": (
        18,
        """(float[1,10,4] x) => (float[1,4,4] a, float[1,4,4] b, float[1,2,4] c) {
            a, b, c = Split <axis = 1, num_outputs = 3> (x) }""",
        {},
        "Split",
    ),
    "the mean behind a normalization": (
        17,
        """(float[1,6,16] x) => (float[1,6,16] y, float[1,6,1] m) {
            y, m, d = LayerNormalization (x, s, b) }""",
        {"s": (16,), "b": (16,)},
        "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul Add Identity",
    ),
    "the deviation behind a normalization": (
        21,
        """(float[1,6,16] x) => (float[1,6,16] y, float[1,1,1] d) {
            y, m, d = LayerNormalization <axis = 1> (x, s) }""",
        {"s": (6, 16)},
        "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul Reciprocal",
    ),
    "moments that nobody reads": (
        17,
        "(float[1,6,16] x) => (float[1,6,16] y) { y, m, d = LayerNormalization (x, s) }",
        {"s": (16,)},
        "LayerNormalization",
    ),
    "axis of a Fourier transform": (
        20,
        "(float[1,4,8,1] x) => (float[1,4,5,2] y) { y = DFT <onesided = 1> (x, n, a) }",
        {"n": np.int64(8), "a": np.int64(-2)},
        "DFT",
    ),
    "axis of a Fourier transform by default": (
        20,
        "(float[1,4,8,2] x) => (float[1,4,8,2] y) { y = DFT <inverse = 1> (x) }",
        {},
        "DFT",
    ),
    "types alone": (
        22,
        """(float[1,4,7,7] x) => (float[1,4,4,4] y) {
            a = AveragePool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)
            y = Relu (a) }""",
        {},
        "AveragePool Relu",
    ),
    "a default that is new": (
        21,
        """(float[8] x) => (float[8] y) {
            q = QuantizeLinear <block_size = 0, output_dtype = 0> (x, s, z)
            y = DequantizeLinear <block_size = 0> (q, s, z) }""",
        {"s": np.float32(0.05), "z": np.int8(3)},
        "QuantizeLinear DequantizeLinear",
    ),
}


def loaded(text: str, opset: int, weights: Weights, folder: Path) -> ModelProto:
    ir = 10 if opset < 23 else 11
    model = onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> net {text}')
    for name, value in random_weights(weights).items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return load_model(folder / "m.onnx")


def assert_same(model: ModelProto, prepared: ModelProto) -> None:
    (feeds,) = random_feeds(prepared, 1)
    results = zip(Session(model).run(feeds), Session(prepared).run(feeds), strict=True)
    for expected, result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)


@needs_newer_runtime
@pytest.mark.parametrize("name", NEWER)
def test_newer_operators_become_older_ones(name: str, tmp_path: Path) -> None:
    opset, text, weights, operators = NEWER[name]
    model = loaded(text, opset, weights, tmp_path)
    prepared = prepare_model(model)
    assert opset_of(prepared) == min(opset, 19)
    left = [node.op_type for node in prepared.graph.node]
    assert sorted(left) == sorted(operators.split())
    assert_same(model, prepared)


def test_an_operator_of_the_first_models(tmp_path: Path) -> None:
    text = """(float[1,3,2,2] x) => (float[1,3,2,2] y) {
        s = ImageScaler <scale = 2.0, bias = [1.0, 0.0, -1.0]> (x) y = Neg (s) }"""
    prepared = prepare_model(loaded(text, 8, {}, tmp_path))
    assert [node.op_type for node in prepared.graph.node] == ["Mul", "Add", "Neg"]
    (result,) = Session(prepared).run({"x": np.ones((1, 3, 2, 2), np.float32)})
    assert result[0, :, 0, 0].tolist() == [-3.0, -2.0, -1.0]


@needs_newer_runtime
@pytest.mark.parametrize(("alpha", "operators"), [(1.0, "Sigmoid Mul"), (1.5, "Mul Sigmoid Mul")])
def test_an_operator_newer_than_the_installed_onnx(
    alpha: float, operators: str, tmp_path: Path
) -> None:
    text = f"(float[8] x) => (float[8] y) {{ y = Swish <alpha = {alpha}> (x) }}"
    model = onnx.parser.parse_model(f'<ir_version: 99, opset_import: ["": 99]> net {text}')
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    prepared = prepare_model(load_model(tmp_path / "m.onnx"))
    assert [node.op_type for node in prepared.graph.node] == operators.split()
    x = np.linspace(-3, 3, 8, dtype=np.float32)
    (result,) = Session(prepared).run({"x": x})
    np.testing.assert_allclose(result, x / (1 + np.exp(-alpha * x)), rtol=1e-5)


def test_what_a_node_is_written_out_in_is_called_after_it(tmp_path: Path) -> None:
    opset, text, weights, _ = NEWER["gelu"]
    nodes = prepare_model(loaded(text, opset, weights, tmp_path)).graph.node
    assert [node.output[0].startswith("y/") for node in nodes] == [True] * 4 + [False]
    assert nodes[-1].output[0] == "y"


@pytest.mark.parametrize(
    ("opset", "text"),
    [
        (20, "(bool[8] x) => (bool[1] y) { [here] y = ReduceMax (x) }"),
        (23, "(float[8] x) => (int4[8] y) { [here] y = Cast <to = 22> (x) }"),
    ],
)
def test_a_node_that_no_older_opset_has_is_named(opset: int, text: str, tmp_path: Path) -> None:
    model = loaded(text, opset, {}, tmp_path)
    assert [node.name for node in misfits(model)] == ["here"]


# text, weights and shape of x, opsets
RESIZE = "{ y = Resize <mode = MODE> (x, s) }"
UPSAMPLE = "{ y = Upsample <mode = MODE> (x, s) }"
OLDER: dict[str, tuple[str, Weights, tuple[int, ...]]] = {
    "scales as attribute": (
        "(float[1,2,4,4] x) => (float[1,2,H,W] y) "
        '{ y = Upsample <mode = "linear", scales = [1.0, 1.0, 2.0, 2.0]> (x) }',
        {},
        (7, 8),
    ),
    "clip": ("(float[8] x) => (float[8] y) { y = Clip <min = 0.0, max = 1.0> (x) }", {}, (7, 10)),
    "squeeze": (
        """(float[1,8] x) => (float[1,8] y) {
            a = Squeeze <axes = [0]> (x) b = Relu (a) y = Unsqueeze <axes = [0]> (b) }""",
        {},
        (7, 11),
    ),
    "softmax": ("(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax (x) }", {}, (7, 12)),
    "pad": (
        """(float[1,2,4,4] x) => (float[1,2,6,6] y) {
            y = Pad <mode = "reflect", pads = [0,0,1,1,0,0,1,1]> (x) }""",
        {},
        (7, 10),
    ),
    "layer normalization of ONNX Runtime": (
        "(float[2,8] x) => (float[2,8] y) { y = LayerNormalization <epsilon = 0.01> (x, s, b) }",
        NORM,
        (11, 14),
    ),
}
for mode in ("nearest", "linear"):
    for factor in (2.0, 1.5, 0.5):
        WEIGHTS = {"s": np.array([1, 1, factor, factor], np.float32)}
        HEAD = "(float[1,2,6,6] x) => (float[1,2,H,W] y) "
        OLDER[f"resize {mode} {factor}"] = (
            HEAD + RESIZE.replace("MODE", f'"{mode}"'),
            WEIGHTS,
            (10,),
        )
        if factor > 1:
            OLDER[f"upsample {mode} {factor}"] = (
                HEAD + UPSAMPLE.replace("MODE", f'"{mode}"'),
                WEIGHTS,
                (9,),
            )


@pytest.mark.parametrize("name", OLDER)
def test_older_operators_become_newer_ones(name: str, tmp_path: Path) -> None:
    text, weights, opsets = OLDER[name]
    for opset in opsets:
        model = loaded(text, opset, weights, tmp_path)
        prepared = prepare_model(model)
        assert 13 <= opset_of(prepared) <= 19
        assert all(node.op_type != "Constant" for node in prepared.graph.node)
        assert_same(model, prepared)


@pytest.mark.parametrize(
    ("text", "weights", "expected"),
    [
        ("y = Add <broadcast = 1, axis = 1> (x, b)", {"b": [1.0, 2.0]}, [[-1, 2], [-1, 5]]),
        ("y = PRelu (x, b)", {"b": [0.5, 2.0]}, [[-1, 1], [-6, 3]]),
        ("a = Relu (x) y = Dropout <is_test = 1> (a)", {}, [[0, 1], [0, 3]]),
    ],
)
def test_an_opset_before_those_of_onnx_runtime(
    text: str, weights: Weights, expected: list[list[float]], tmp_path: Path
) -> None:
    head = "(float[1,2,2] x) => (float[1,2,2] y)"
    prepared = prepare_model(loaded(f"{head} {{ {text} }}", 6, weights, tmp_path))
    (result,) = Session(prepared).run({"x": np.array([[[-2, 1], [-3, 3]]], np.float32)})
    np.testing.assert_array_equal(result[0], np.array(expected, np.float32))


def test_an_operator_that_nobody_knows_yet_is_named(tmp_path: Path) -> None:
    text = "(float[8] x) => (float[8] y) { [here] y = Later (x) }"
    with pytest.raises(ModelError, match="node 'here' uses the unsupported operator Later"):
        loaded(text, 99, {}, tmp_path)


def test_the_sizes_of_parts_are_named(tmp_path: Path) -> None:
    opset, text, weights, _ = NEWER["parts that leave a rest"]
    (split,) = prepare_model(loaded(text, opset, weights, tmp_path)).graph.node
    assert [setting.name for setting in split.attribute] == ["axis"]
    assert len(split.input) == 2
