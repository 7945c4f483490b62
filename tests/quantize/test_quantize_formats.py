"""QDQ models in other forms: activations of 16 bits, and zero points of 0 with float biases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from graphs import Samples, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.errors import OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.tasks.plan_handover import with_quantized
from rockpress.quantize.quantize import QuantizeResult, quantize
from rockpress.quantize.rendering.plan import read_plan

Array = NDArray[Any]

NET = """(float[1,3,12,12] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    d = Conv <group=32, pads=[1,1,1,1]> (r, w2)
    s = Relu (d)
    p = Conv (s, w3, b3)
    i = Add (p, r)
    m = GlobalAveragePool (i)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w4, b4) }"""
SHAPES = {
    **{"w1": (32, 3, 3, 3), "b1": (32,), "w2": (32, 1, 3, 3), "w3": (32, 32, 1, 1), "b3": (32,)},
    **{"w4": (10, 32), "b4": (10,)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return model_of(NET, SHAPES)


def samples(count: int, seed: int) -> Samples:
    return random_feeds({"x": (1, 3, 12, 12)}, count, seed)


def made(net: ModelProto, folder: Path, **how: Any) -> QuantizeResult:
    return quantize(net, folder / "q.onnx", folder / "p.toml", samples(20, 0), samples(6, 1), **how)


def closeness(net: ModelProto, path: Path) -> float:
    session, others = Session(load_model(path), optimise=False), samples(10, 2)
    pairs = [(Session(net).run(one)[0], session.run(one)[0]) for one in others]
    return sqnr_db([np.stack([a for a, _ in pairs])], [np.stack([b for _, b in pairs])])


def test_zero_points_of_0_and_float_biases(net: ModelProto, tmp_path: Path) -> None:
    # of a method that gives every layer a bias, which a refit does not
    plan = made(net, tmp_path, symmetric=True, method="gptq").plan
    assert plan.symmetric
    assert read_plan(tmp_path / "p.toml") == plan
    model = load_model(tmp_path / "q.onnx")
    onnx.checker.check_model(model)
    constants = Graph(model).weights
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {node.domain for node in pairs} == {""}
    for node in pairs:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    stored = [constants[node.input[0]] for node in pairs if node.input[0] in constants]
    assert len(stored) == 4  # the weights alone
    assert max(np.abs(one.astype(int)).max() for one in stored) <= 126
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    for node in layers:
        assert constants[node.input[2]].dtype == np.float32
    for one in plan.activations.values():
        assert one.scale == pytest.approx(max(-one.low, one.high) / 127, rel=1e-5)
    # what is never negative has half the levels, but not more is lost
    assert closeness(net, tmp_path / "q.onnx") > 25


def test_activations_of_16_bits_leave_the_error_of_the_weights(
    net: ModelProto, tmp_path: Path
) -> None:
    plan = made(net, tmp_path).plan
    before = closeness(net, tmp_path / "q.onnx")
    plan = made(net, tmp_path, scheme="w8a16").plan
    assert (plan.scheme, plan.high_precision) == ("w8a16", ())
    assert set(plan.candidates) == {"gptq-min-max", "min-max"}
    assert read_plan(tmp_path / "p.toml") == plan
    assert {(one.dtype, one.zero_point) for one in plan.activations.values()} == {("int16", 0)}
    assert closeness(net, tmp_path / "q.onnx") > before + 2
    model = load_model(tmp_path / "q.onnx")
    graph = Graph(model)
    quantized = [node for node in graph.nodes if node.op_type == "QuantizeLinear"]
    assert len(quantized) == len(plan.activations)
    for node in quantized:
        assert node.domain == "com.microsoft"
        assert graph.weights[node.input[2]].dtype == np.int16
    assert all(graph.shapes.get(node.output[0]) is not None for node in graph.nodes)
    kinds = {value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert TensorProto.INT16 in kinds
    biases = [one for name, one in graph.weights.items() if name.endswith("bias.dequantized.steps")]
    assert biases
    assert all(one.dtype == np.int32 for one in biases)


def test_methods_that_narrow_ranges_are_refused_for_16_bits(
    net: ModelProto, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="--method mse narrows the ranges"):
        made(net, tmp_path, scheme="w8a16", method="mse")
    recipe = make_recipe(tmp_path / "m.onnx", scheme="w8a16")
    with pytest.raises(OptionError, match="--symmetric is for w8a8"):
        quantize_file(recipe.with_options(symmetric=True), tmp_path / "q.onnx")


def test_a_method_that_is_not_known_is_refused(net: ModelProto, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--method normal is not known") as caught:
        made(net, tmp_path, method="normal")
    assert "min-max" in caught.value.hint


def test_16_bits_reach_a_chip_that_has_them(net: ModelProto, tmp_path: Path) -> None:
    result = made(net, tmp_path, scheme="w8a16")
    with pytest.raises(OptionError, match="QuantizeLinear of int16") as refused:
        convert(ConversionRequest(tmp_path / "q.onnx", None, "rk3562"))
    assert "--scheme w8a16" in (refused.value.hint or "")
    save_model(net, tmp_path / "f.onnx")
    others = samples(6, 2)
    floating = ConversionRequest(tmp_path / "f.onnx", None, "rk3562", simulate=others)
    request = with_quantized(floating, result, None)
    assert (request.quantization, request.dtype) == ("normal", "w8a16")
    done = convert(replace(request, calibration=samples(20, 0)))
    assert done.dtype == "w8a16"
    assert done.outputs is not None
    wanted = np.stack([Session(net).run(one)[0] for one in others])
    assert sqnr_db([wanted], [done.outputs[0].reshape(wanted.shape)]) > 30
