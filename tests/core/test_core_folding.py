"""What prepare folds and tidies beyond ONNX Runtime: same results, simpler graphs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from graphs import Weights, model_of
from rockpress.core.errors import ModelError
from rockpress.core.passes.affine import fold_affine
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

Array = NDArray[Any]

STEPS = {
    "mul": "Mul({x}, {c})",
    "mul-left": "Mul({c}, {x})",
    "div": "Div({x}, {c})",
    "add": "Add({x}, {c})",
    "sub": "Sub({x}, {c})",
}


def parsed(text: str, weights: Weights) -> ModelProto:
    model = model_of(text, weights, prepared=False)
    onnx.checker.check_model(model)
    return model


def operators(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def run(model: ModelProto, value: Array) -> Array:
    return Session(model, optimise=False).run({"x": value})[0]


def affine_net(steps: list[str], per_channel: bool, transposed: bool, bias: bool) -> ModelProto:
    random = np.random.default_rng(len(steps))
    conv = "ConvTranspose" if transposed else "Conv"
    shape = (3, 6, 3, 3) if transposed else (6, 3, 3, 3)
    weights = {"w": random.normal(size=shape).astype(np.float32)}
    lines = [f"t0 = {conv}(x, w{', b' if bias else ''})"]
    if bias:
        weights["b"] = random.normal(size=6).astype(np.float32)
    for number, step in enumerate(steps):
        size = (6, 1, 1) if per_channel else (1,)
        weights[f"c{number}"] = random.uniform(0.5, 2, size).astype(np.float32)
        body = STEPS[step].format(x=f"t{number}", c=f"c{number}")
        lines.append(f"t{number + 1} = {body}")
    lines.append(f"y = Relu(t{len(steps)})")
    return parsed(
        f"(float[1,3,8,8] x) => (float[1,6,?,?] y) {{ {'; '.join(lines)} }}".replace("; ", "\n"),
        weights,
    )


@settings(max_examples=40)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    per_channel=st.booleans(),
    transposed=st.booleans(),
    bias=st.booleans(),
)
def test_affine_steps_behind_a_convolution_are_folded(
    steps: list[str], per_channel: bool, transposed: bool, bias: bool
) -> None:
    model = affine_net(steps, per_channel, transposed, bias)
    value = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = run(model, value)
    fold_affine(model)
    assert sum(operators(model).values()) == 2
    np.testing.assert_allclose(run(model, value), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("t = Conv(x, w) y = Div(c, t)", id="reciprocal"),
        pytest.param("t = Conv(x, w) y = Sub(c, t)", id="subtracted from"),
        pytest.param("t = Conv(x, w) u = Mul(t, c) y = Add(u, t)", id="read twice"),
        pytest.param("t = Conv(x, w) y = Mul(t, t)", id="squared"),
        pytest.param("t = Conv(x, w) y = Mul(t, wide)", id="one value a column"),
        pytest.param("t = Relu(x) y = Mul(t, c)", id="no convolution"),
    ],
)
def test_constants_that_are_not_one_value_a_channel_stay(body: str) -> None:
    weights = {
        "w": np.ones((4, 4, 1, 1), np.float32),
        "c": np.full((1,), 2, np.float32),
        "wide": np.arange(1, 9, dtype=np.float32),
    }
    text = body.replace(" y =", "\ny =").replace(" u =", "\nu =")
    model = parsed(f"(float[1,4,8,8] x) => (float[1,4,8,8] y) {{ {text} }}", weights)
    before = model.SerializeToString()
    fold_affine(model)
    assert model.SerializeToString() == before


def test_an_output_of_the_graph_keeps_its_value() -> None:
    model = parsed(
        "(float[1,4,8,8] x) => (float[1,4,8,8] t, float[1,4,8,8] y) "
        "{ t = Conv(x, w)\ny = Mul(t, c) }",
        {"w": np.ones((4, 4, 1, 1), np.float32), "c": np.full((1,), 2, np.float32)},
    )
    fold_affine(model)
    assert operators(model) == {"Conv": 1, "Mul": 1}


def test_division_by_zero_is_not_folded() -> None:
    model = parsed(
        "(float[1,4,8,8] x) => (float[1,4,8,8] y) { t = Conv(x, w)\ny = Div(t, c) }",
        {"w": np.ones((4, 4, 1, 1), np.float32), "c": np.zeros((1,), np.float32)},
    )
    fold_affine(model)
    assert operators(model) == {"Conv": 1, "Div": 1}


def test_a_float16_model_becomes_float32() -> None:
    model = parsed(
        "(float16[1,3,8,8] x) => (float16[1,4,8,8] y) { t = Conv(x, w)\ny = Relu(t) }",
        {"w": np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float16)},
    )
    wide = prepare_model(model)
    assert {one.data_type for one in wide.graph.initializer} == {TensorProto.FLOAT}
    assert wide.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16  # untouched
    value = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    half = Session(model).run({"x": value.astype(np.float16)})[0]
    np.testing.assert_allclose(run(wide, value), half.astype(np.float32), atol=2e-2)


def test_a_model_with_inputs_of_float64_becomes_float32() -> None:
    text = """(double[1,3,8,8] x, float[1] z) => (float[1,4,6,6] y, double[1,3,8,8] s) {
        f = Cast <to = 1> (x) t = Conv (f, w) y = Add (t, z)
        k = Constant <value = double {0.1}> () s = Mul (x, k) }"""
    model = model_of(text, {"w": (4, 3, 3, 3)}, prepared=False)
    single = prepare_model(model)
    types = {
        value.type.tensor_type.elem_type for value in [*single.graph.input, *single.graph.output]
    }
    assert types == {TensorProto.FLOAT}
    assert "Cast" not in [node.op_type for node in single.graph.node]
    x, z = np.random.default_rng(0).normal(size=(1, 3, 8, 8)), np.ones(1, np.float32)
    before = Session(model).run({"x": x, "z": z})
    after = Session(single).run({"x": x.astype(np.float32), "z": z})
    for expected, value in zip(before, after, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_a_bfloat16_model_becomes_float32() -> None:
    text = "(bfloat16[1,3,8,8] x) => (bfloat16[1,4,8,8] y) { t = Conv(x, w)\ny = Relu(t) }"
    values = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    model = model_of(text, opset=22, prepared=False)
    weight = helper.make_tensor("w", TensorProto.BFLOAT16, values.shape, values.ravel())
    model.graph.initializer.append(weight)
    wide = prepare_model(model)
    assert wide.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    value = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = np.maximum(np.einsum("oi,bihw->bohw", values[:, :, 0, 0], value), 0)
    np.testing.assert_allclose(run(wide, value), expected, atol=2e-2)


def test_a_cast_to_float16_inside_becomes_one_to_float32() -> None:
    model = parsed(
        "(float[1,4] x) => (float[1,4] y) "
        "{ h = Cast<to = 10>(x)\nt = Mul(h, c)\ny = Cast<to = 1>(t) }",
        {"c": np.full((4,), 2, np.float16)},
    )
    wide = prepare_model(model)
    value = np.array([[1, 2, 3, 4]], np.float32)
    np.testing.assert_array_equal(run(wide, value), value * 2)


def test_limits_without_effect_go_and_masks_become_finite() -> None:
    mask = np.array([[0, -np.inf, 0, 0]], np.float32)
    model = parsed(
        "(float[1,4] x) => (float[1,4] y) "
        "{ a = Max(x, low)\nb = Min(high, a)\nc = Add(b, mask)\ny = Softmax(c) }",
        {"low": np.array(-np.inf, np.float32), "high": np.array(np.inf, np.float32), "mask": mask},
    )
    tidied = prepare_model(model)
    assert operators(tidied) == {"Add": 1, "Softmax": 1}
    constants = [numpy_helper.to_array(one) for one in tidied.graph.initializer]
    assert all(np.isfinite(one).all() for one in constants)
    value = np.array([[1, 2, 3, 4]], np.float32)
    np.testing.assert_allclose(run(tidied, value), run(model, value), rtol=1e-6)


def test_recurrent_operators_lose_attributes_that_say_nothing() -> None:
    random = np.random.default_rng(0)
    model = parsed(
        "(float[5,1,4] x) => (float[5,1,1,3] y) { y = GRU<hidden_size = 3>(x, w, r) }",
        {
            "w": random.normal(size=(1, 9, 4)).astype(np.float32),
            "r": random.normal(size=(1, 9, 3)).astype(np.float32),
        },
    )
    prepared = prepare_model(model)
    names = {one.name for node in prepared.graph.node for one in node.attribute}
    assert "hidden_size" in names and "layout" not in names
    value = random.normal(size=(5, 1, 4)).astype(np.float32)
    np.testing.assert_allclose(run(prepared, value), run(model, value), rtol=1e-5)


def test_a_weight_that_is_not_a_number_is_named() -> None:
    weight = np.ones((4, 4, 1, 1), np.float32)
    weight[2, 1] = np.nan
    model = parsed("(float[1,4,8,8] x) => (float[1,4,8,8] y) { y = Conv(x, w) }", {"w": weight})
    with pytest.raises(ModelError, match=r"the weight 'w' holds NaN \(1 of 16 values\)"):
        prepare_model(model)
