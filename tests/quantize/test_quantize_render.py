"""The quantized model that ONNX Runtime evaluates: what is in it, and how near it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from graphs import Weights, model_of, random_feeds
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import Graph, attributes
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Plan, read_plan


def quantized(model: ModelProto, folder: Path) -> tuple[ModelProto, Plan]:
    plan_path = folder / "plan.toml"
    result = quantize(model, folder / "q.onnx", plan_path, random_feeds(model, 16, scale=3))
    assert read_plan(plan_path) == result.plan
    return load_model(folder / "q.onnx"), result.plan


CONV = {"w1": (8, 3, 3, 3), "b1": (8,)}
THREE_SIX: Weights = {
    **{"three": np.array(3, np.float32), "zero": np.array(0, np.float32)},
    "six": np.array(6, np.float32),
}
IMAGE = "(float[1,3,8,8] x)"
CASES: dict[str, tuple[str, Weights]] = {
    "conv and relu": (
        f"""{IMAGE} => (float y) {{
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            y = Relu (a) }}""",
        {**CONV},
    ),
    "conv and clip, output is a conv": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            r = Clip (a, zero, six)
            y = Conv (r, w2) }}""",
        {**CONV, **THREE_SIX, "w2": (4, 8, 1, 1)},
    ),
    "residual": (
        f"""{IMAGE} => (float y) {{
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            r = Relu (a)
            b = Conv <pads=[1,1,1,1]> (r, w2, b2)
            c = Add (b, r)
            y = Relu (c) }}""",
        {**CONV, "w2": (8, 8, 3, 3), "b2": (8,)},
    ),
    "depthwise": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            d = Conv <group=8, pads=[1,1,1,1]> (a, w2, b2)
            r = Clip (d, zero, six)
            y = Conv (r, w3, b3) }}""",
        {**CONV, **THREE_SIX, "w2": (16, 1, 3, 3), "b2": (16,), "w3": (4, 16, 1, 1), "b3": (4,)},
    ),
    "squeeze and excitation": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            r = Relu (a)
            p = GlobalAveragePool (r)
            q = Conv (p, w2, b2)
            s = Relu (q)
            g = Conv (s, w3, b3)
            h = HardSigmoid <alpha=0.1666667> (g)
            m = Mul (r, h)
            y = Conv (m, w4) }}""",
        {
            **{**CONV, "w2": (4, 8, 1, 1), "b2": (4,), "w3": (8, 4, 1, 1), "b3": (8,)},
            "w4": (4, 8, 1, 1),
        },
    ),
    "HardSwish spelt out": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            e = Add (a, three)
            f = Clip (e, zero, six)
            g = Mul (a, f)
            h = Div (g, six)
            y = Conv (h, w2) }}""",
        {**CONV, **THREE_SIX, "w2": (4, 8, 1, 1)},
    ),
    "concat and resize": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            b = Conv <pads=[0,0,0,0]> (x, w2, b2)
            u = Resize <mode="nearest"> (b, , scales)
            v = MaxPool <kernel_shape=[2,2], strides=[2,2]> (u)
            y = Concat <axis=1> (a, v) }}""",
        {**CONV, "w2": (4, 3, 3, 3), "b2": (4,), "scales": np.array([1, 1, 2, 2], np.float32)},
    ),
    "ConvTranspose, dense and grouped": (
        f"""{IMAGE} => (float y) {{
            a = ConvTranspose <strides=[2,2]> (x, w1, b1)
            d = ConvTranspose <group=8> (a, w2, b2)
            e = ConvTranspose <group=2> (d, w3, b3)
            y = ConvTranspose <group=4> (e, w4, b4) }}""",
        {
            **{"w1": (3, 8, 2, 2), "b1": (8,), "w2": (8, 1, 2, 2), "b2": (8,)},
            **{"w3": (8, 2, 1, 1), "b3": (4,), "w4": (4, 3, 1, 1), "b4": (12,)},
        },
    ),
    "flatten and FC": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            r = Relu (a)
            f = Flatten (r)
            g = Gemm (f, w2, b2)
            s = Relu (g)
            y = Gemm <transB=1> (s, w3, b3) }}""",
        {**CONV, "w2": (288, 12), "b2": (12,), "w3": (5, 12), "b3": (5,)},
    ),
    "Gemm with factors and one bias for all": (
        """(float[4,6] x) => (float y) {
            a = Gemm <alpha=0.5, beta=2.0> (x, w1, b1)
            y = Gemm (a, w2, b2) }""",
        {"w1": (6, 12), "b1": (1,), "w2": (12, 5), "b2": (1, 5)},
    ),
    "MatMul and Add": (
        """(float[1,7,6] x) => (float y) {
            a = MatMul (x, w1)
            b = Add (a, b1)
            r = Relu (b)
            y = MatMul (r, w2) }""",
        {"w1": (6, 12), "b1": (12,), "w2": (12, 5)},
    ),
    "one-dimensional": (
        """(float[1,3,16] x) => (float y) {
            a = Conv <pads=[1,1]> (x, w1, b1)
            r = LeakyRelu (a)
            y = AveragePool <kernel_shape=[2], strides=[2]> (r) }""",
        {"w1": (8, 3, 3), "b1": (8,)},
    ),
    "output is a Reshape": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (a)
            t = Transpose <perm=[0,2,3,1]> (p)
            y = Reshape (t, shape) }}""",
        {**CONV, "shape": np.array([1, -1], np.int64)},
    ),
    "output is a Softmax": (
        f"""{IMAGE} => (float y) {{
            a = Conv (x, w1, b1)
            p = GlobalAveragePool (a)
            f = Flatten (p)
            y = Softmax (f) }}""",
        {**CONV},
    ),
    "outputs that are read inside": (
        f"""{IMAGE} => (float a, float r, float y) {{
            a = Conv (x, w1, b1)
            r = Relu (a)
            y = Conv (r, w2) }}""",
        {**CONV, "w2": (4, 8, 1, 1)},
    ),
    "an input used twice": (
        f"""{IMAGE} => (float y) {{
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            b = Add (a, x)
            y = Relu (b) }}""",
        {"w1": (3, 3, 3, 3), "b1": (3,)},
    ),
    "weights shared by two nodes": (
        f"""{IMAGE} => (float y) {{
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            r = Relu (a)
            y = Conv (r, w1, b1) }}""",
        {"w1": (3, 3, 3, 3), "b1": (3,)},
    ),
    "weights and a bias that float nodes read too": (
        """(float[1,6] x) => (float y, float z) {
            y = Gemm (x, w1, b1)
            e = Erf (b1)
            f = Exp (w1)
            g = Softmax (y)
            h = Mul (g, b1)
            z = Add (h, e) }""",
        {"w1": (6, 5), "b1": (5,)},
    ),
    "a weight that another node multiplies by": (
        """(float[4,4] x) => (float y) {
            a = MatMul (x, w1)
            y = Mul (a, w1) }""",
        {"w1": (4, 4)},
    ),
    "names that are taken": (
        f"""{IMAGE} => (float y) {{
            bn = Conv (x, bn_scale, bn_weight)
            y = Mul (bn, bn_float) }}""",
        {"bn_scale": (8, 3, 3, 3), "bn_weight": (8,), "bn_float": (8, 1, 1)},
    ),
}
TAKEN = {"bn_scale": "bn.scale", "bn_weight": "bn.weight.dequantized", "bn_float": "y.float"}


def case(name: str) -> ModelProto:
    model = model_of(*CASES[name], prepared=False)
    for tensor in model.graph.initializer:
        tensor.name = TAKEN.get(tensor.name, tensor.name)
    for node in model.graph.node:
        renamed = [TAKEN.get(value, value) for value in node.input]
        del node.input[:]
        node.input.extend(renamed)
    return prepare_model(model)


def sqnr(reference: NDArray[np.float32], value: NDArray[np.float32]) -> float:
    noise = np.square(reference - value).mean()
    return float(10 * np.log10(np.square(reference).mean() / max(float(noise), 1e-20)))


@pytest.mark.parametrize("name", CASES)
def test_the_quantized_model_is_near_the_original(name: str, tmp_path: Path) -> None:
    model = case(name)
    small, plan = quantized(model, tmp_path)
    onnx.checker.check_model(small, full_check=True)
    assert [v.name for v in small.graph.input] == [v.name for v in model.graph.input]
    assert [v.name for v in small.graph.output] == [v.name for v in model.graph.output]
    reference, session = Session(model), Session(small, optimise=False)
    runs = [(reference.run(f), session.run(f)) for f in random_feeds(model, 16, scale=3)]
    for expected, got in zip(
        *(zip(*one, strict=True) for one in zip(*runs, strict=True)), strict=True
    ):
        assert sqnr(np.stack(expected), np.stack(got)) > 25
    assert plan.samples == 16


@pytest.mark.parametrize("name", CASES)
def test_every_weight_is_int8_with_a_scale_for_each_output(name: str, tmp_path: Path) -> None:
    model = case(name)
    small, plan = quantized(model, tmp_path)
    graph = Graph(small)
    layers = [
        n for n in small.graph.node if n.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    ]
    assert layers
    for node in layers:
        dequantized = graph.producers[node.input[1]]
        assert dequantized.op_type == "DequantizeLinear"
        steps, scales, zero = (graph.weights[value] for value in dequantized.input)
        assert steps.dtype == np.int8
        assert np.abs(steps.astype(int)).max() <= 126
        assert scales.shape == zero.shape == (steps.shape[attributes(dequantized)["axis"]],)
        assert not zero.any()
        if node.op_type == "Conv":
            assert attributes(dequantized)["axis"] == 0
            assert scales.size == steps.shape[0]
        feeds = graph.producers[node.input[0]]
        assert feeds.op_type == "DequantizeLinear", "the input of a layer is quantized"
    assert all(entry.zero_point != 0 for entry in plan.activations.values())


def pairs(graph: Graph) -> list[tuple[NodeProto, NodeProto]]:
    return [
        (graph.producers[n.input[0]], n)
        for n in graph.nodes
        if n.op_type == "DequantizeLinear" and n.input[0] in graph.producers
    ]


@pytest.mark.parametrize("name", CASES)
def test_an_activation_is_fused_with_its_layer(name: str, tmp_path: Path) -> None:
    model = case(name)
    small, _ = quantized(model, tmp_path)
    before, graph = Graph(model), Graph(small)
    for quantize_node, dequantize_node in pairs(graph):
        assert list(quantize_node.input[1:]) == list(dequantize_node.input[1:])
        producer = graph.producers.get(quantize_node.input[0])
        made = quantize_node.name.removesuffix(".Q")
        readers = before.consumers.get(made, [])
        if producer is not None and producer.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            lone = len(readers) == 1 and made not in before.output_names
            assert not (lone and readers[0].op_type in ("Relu", "Clip", "LeakyRelu"))


def test_moved_values_share_a_scale(tmp_path: Path) -> None:
    _, plan = quantized(case("output is a Reshape"), tmp_path)
    a = plan.activations["a"]
    for name in ("p", "t", "y"):
        moved = plan.activations[name]
        assert (moved.scale, moved.zero_point, moved.source) == (a.scale, a.zero_point, "as a")


def test_inside_hard_swish_nothing_is_quantized(tmp_path: Path) -> None:
    _, plan = quantized(case("HardSwish spelt out"), tmp_path)
    assert set(plan.activations) == {"x", "a", "h", "y"}


def test_shared_weights_get_the_bias_unit_of_each_input(tmp_path: Path) -> None:
    small, plan = quantized(case("weights shared by two nodes"), tmp_path)
    graph = Graph(small)
    units = []
    for node in small.graph.node:
        if node.op_type == "Conv":
            weight, bias = (graph.producers[name] for name in node.input[1:])
            units.append(graph.weights[bias.input[1]] / graph.weights[weight.input[1]])
    assert units[0] == pytest.approx(plan.activations["x"].scale, rel=1e-5)
    assert units[1] == pytest.approx(plan.activations["r"].scale, rel=1e-5)


def test_an_input_that_is_also_an_output(tmp_path: Path) -> None:
    model = model_of(f"{IMAGE} => (float[1,3,8,8] x, float y) {{ y = Conv (x, w1, b1) }}", {**CONV})
    small, _ = quantized(model, tmp_path)
    (feeds,) = random_feeds(model, 1, scale=3)
    same, y = Session(small, optimise=False).run(feeds)
    assert (same == feeds["x"]).all()
    assert sqnr(Session(model).run(feeds)[1], y) > 25


def test_numbers_that_are_no_floats_are_left_alone(tmp_path: Path) -> None:
    model = model_of(
        """(uint8[1,8,8,3] x) => (float y, int64 best) {
            t = Transpose <perm=[0,3,1,2]> (x)
            c = Cast <to=1> (t)
            a = Conv (c, w1, b1)
            p = GlobalAveragePool (a)
            y = Flatten (p)
            i = ArgMax <axis=1> (y)
            best = Reshape (i, shape) }""",
        {**CONV, "shape": [-1]},
    )
    small, plan = quantized(model, tmp_path)
    assert not {"i", "best"} & set(plan.activations)
    (feeds,) = random_feeds(model, 1, scale=3)
    y, best = Session(small, optimise=False).run(feeds)
    assert sqnr(Session(model).run(feeds)[0], y) > 25
    assert best.dtype == np.int64


def test_dead_channels_with_a_bias(tmp_path: Path) -> None:
    weights: Weights = {**CONV, "w2": (4, 8, 1, 1)}
    model = model_of(f"{IMAGE} => (float y) {{ a = Conv (x, w1, b1)\ny = Conv (a, w2) }}", weights)
    for tensor in model.graph.initializer:
        if tensor.name == "w1":
            value = numpy_helper.to_array(tensor).copy()
            value[2:5] *= [[[[0]]], [[[1e-20]]], [[[1e-9]]]]
            tensor.CopyFrom(numpy_helper.from_array(value, "w1"))
    small, _ = quantized(model, tmp_path)
    (feeds,) = random_feeds(model, 1, scale=3)
    assert sqnr(Session(model).run(feeds)[0], Session(small, optimise=False).run(feeds)[0]) > 25


def test_the_prepared_model_is_left_alone(tmp_path: Path) -> None:
    model = case("residual")
    before = model.SerializeToString()
    quantized(model, tmp_path)
    assert model.SerializeToString() == before


def test_a_model_without_anything_to_quantize_is_refused(tmp_path: Path) -> None:
    model = model_of("(float[4] x) => (float[4] y) { y = Relu (x) }")
    with pytest.raises(ModelError, match="nothing in this model"):
        quantize(model, tmp_path / "q", tmp_path / "p", random_feeds(model, 1))
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_quantized_only_once_it_is_widened(tmp_path: Path) -> None:
    weight = np.ones((5, 3, 1, 1), np.float16)
    text = "(float16[1,3,4,4] x) => (float16[1,5,4,4] y) { y = Conv (x, w) }"
    model = model_of(text, {"w": weight}, prepared=False)
    with pytest.raises(ModelError, match="float32"):
        quantize(model, tmp_path / "q", tmp_path / "p", random_feeds(model, 1))
    wide = prepare_model(model)
    result = quantize(wide, tmp_path / "q", tmp_path / "p", random_feeds(wide, 1))
    assert "w" in result.plan.weights


def test_an_opset_that_cannot_be_raised_is_refused(tmp_path: Path) -> None:
    model = model_of(
        f"{IMAGE} => (float[1,8,6,6] y) {{ y = Conv (x, w1, b1) }}",
        {**CONV},
        opset=11,
        prepared=False,
    )
    with pytest.raises(ModelError, match="opset 11"):
        quantize(model, tmp_path / "q", tmp_path / "p", random_feeds(model, 1))


OLD = """(float[1,3,8,8] x) => (float[1,6] y) {
    a = Conv (x, w1, b1)
    r = Clip (a, zero, six)
    p = Pad <mode="constant"> (r, pads)
    q, s = Split <axis=1, split=[6,2]> (p)
    u = Unsqueeze <axes=[0]> (q)
    v = Squeeze <axes=[0]> (u)
    w = Softmax <axis=1> (v)
    m = ReduceSum <axes=[2,3], keepdims=0> (w)
    y = Dropout (m) }"""


def test_an_older_opset_is_raised_and_gives_the_same(tmp_path: Path) -> None:
    weights = {**CONV, **THREE_SIX, "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
    old = model_of(OLD, weights, opset=11, prepared=False)
    model = prepare_model(old)
    assert model.opset_import[0].version == 13
    onnx.checker.check_model(model, full_check=True)
    for feeds in random_feeds(model, 3, scale=3):
        np.testing.assert_allclose(
            Session(model).run(feeds)[0], Session(old).run(feeds)[0], atol=1e-5
        )
    small, _ = quantized(model, tmp_path)
    assert Session(small, optimise=False).run(feeds)[0].shape == (1, 6)
    assert small.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
