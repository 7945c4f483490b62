"""The audit of a model's structure: one small graph that is warned of, and one that is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from audits import audit_codes, model_from_x, only
from rockpress.calibration_data.bundled import MODEL, sample_path
from rockpress.convert.audit.model_audit import audit
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.diagnostics import option
from rockpress.core.errors import RockpressError
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.quantize.quantize import quantize

RK3588 = find_target("rk3588")
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


JOINED = {
    "sigmoid": model_from_x("{ c = Conv(x, w) y = Sigmoid(c) }"),
    "sigmoid read twice": model_from_x("{ c = Conv(x, w) y = Sigmoid(c) z = Relu(y) }", "y z"),
    "swish": model_from_x("{ c = Conv(x, w) s = Sigmoid(c) y = Mul(c, s) }"),
    "swish read twice": model_from_x(
        "{ c = Conv(x, w) s = Sigmoid(c) m = Mul(s, c) y = Conv(m, w) z = Relu(m) }", "y z"
    ),
}
NOT_JOINED = {
    "convolution read twice": model_from_x(
        "{ c = Conv(x, w) y = Sigmoid(c) z = Conv(c, w) }", "y z"
    ),
    "convolution an output": model_from_x("{ z = Conv(x, w) y = Sigmoid(z) }", "y z"),
    "swish inside read": model_from_x(
        "{ c = Conv(x, w) s = Sigmoid(c) y = Mul(c, s) z = Conv(s, w) }", "y z"
    ),
}


@pytest.mark.parametrize("model", JOINED.values(), ids=JOINED)
def test_a_sigmoid_that_is_joined_with_its_convolution_is_no_matter(model: ModelProto) -> None:
    assert audit_codes(model) == []


@pytest.mark.parametrize("model", NOT_JOINED.values(), ids=NOT_JOINED)
def test_a_sigmoid_whose_convolution_is_read_beside_it_is_told(model: ModelProto) -> None:
    assert audit_codes(model) == ["fusion-sigmoid"]
    assert audit_codes(model, "float16") == []


def test_the_warning_of_a_sigmoid_names_the_reader_and_the_convolution() -> None:
    (one,) = audit(NOT_JOINED["convolution read twice"], RK3588, quantization="normal")
    assert "'c'" in one.text and "Conv 'z'" in one.text


@needs_toolkit
@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (JOINED["sigmoid read twice"], {"ConvSigmoid"}),
        (NOT_JOINED["convolution an output"], {"Conv", "Sigmoid"}),
    ],
    ids=["joined", "not joined"],
)
def test_the_compiler_joins_what_the_audit_says(
    model: ModelProto, layers: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "head.onnx"
    onnx.save(model, str(path))
    samples = [{"x": np.random.default_rng(0).standard_normal((1, 8, 20, 20), np.float32)}]
    done = convert(
        ConversionRequest(path, None, "rk3588", quantization="normal", calibration=samples)
    )
    assert layers <= {layer.op for layer in done.layers}
    assert ("ConvSigmoid" in layers) == (audit_codes(model) == [])


DETECTOR = """<int64[1] most = {10}, float[1] limit = {0.5}>
    { a = Conv(x, w) f = Reshape(a, shape) boxes = Slice(f, zero, four, two)
      rest = Slice(f, four, eight, two) scores = Transpose<perm=[0,2,1]>(rest)
      y = NonMaxSuppression(boxes, scores, most, limit, limit) }"""
CONSTANTS = {"shape": [1, 400, 8], "zero": [0], "four": [4], "eight": [8], "two": [2]}


def detector(nodes: str) -> ModelProto:
    model = model_from_x(nodes)
    for name, value in CONSTANTS.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    return onnx.shape_inference.infer_shapes(model)


def test_suppression_is_to_be_cut_off_at_boxes_and_scores() -> None:
    one = only(audit(detector(DETECTOR), RK3588, quantization="normal"))
    assert one.code == "cpu-fallback-nms"
    assert option("outputs", ["boxes", "scores"]) in one.hint


def test_a_suppression_of_another_vendor_is_known_by_its_name() -> None:
    model = detector(DETECTOR)
    node = model.graph.node[-1]
    node.op_type, node.domain = "EfficientNMS_TRT", "vendor"
    assert [one.code for one in audit(model, RK3588, quantization="normal")] == ["cpu-fallback-nms"]


def test_choosing_the_best_boxes_is_to_be_cut_off_too() -> None:
    nodes = """<int64[1] k = {10}> { a = Conv(x, w) s = Reshape(a, shape)
        best = ReduceMax<axes=[2], keepdims=0>(s) y, i = TopK(best, k) }"""
    warnings = audit(detector(nodes), RK3588, quantization="float16")
    assert [one.code for one in warnings] == ["cpu-fallback-nms", "cpu-fallback-operator"]
    assert option("outputs", ["best"]) in warnings[0].hint and "TopK" not in warnings[1].text


def test_a_choice_inside_the_network_is_an_operator_like_others() -> None:
    nodes = "<int64[1] k = {8}> { a, i = TopK<axis=1>(x, k) y = Conv(a, w) }"
    assert audit_codes(model_from_x(nodes)) == ["cpu-fallback-operator"]


@pytest.mark.parametrize(("opset", "codes"), [(19, []), (20, ["toolkit-opset"])])
def test_an_opset_that_the_toolkit_refuses(opset: int, codes: list[str]) -> None:
    model = model_from_x("{ y = Relu(x) }", opset=opset)
    assert audit_codes(model) == codes


def test_the_warning_of_an_opset_names_the_toolkit() -> None:
    model = model_from_x("{ y = Relu(x) }", opset=21)
    one = only(audit(model, RK3588, quantization="float16", toolkit="2.5.0"))
    assert "opset 21; rknn-toolkit2 2.5.0 refuses" in one.text


@needs_toolkit
def test_the_toolkit_refuses_that_opset(tmp_path: Path) -> None:
    path = tmp_path / "late.onnx"
    onnx.save(model_from_x("{ y = Relu(x) }", opset=20), str(path))
    with pytest.raises(RockpressError, match="opset 20"):
        convert(ConversionRequest(path, None, "rk3588"))


@pytest.mark.parametrize(
    ("shape", "mean", "codes"),
    [
        ("1,6,8,8", [1, 2, 3, 4, 5, 6], ["preprocess-channels"]),
        ("1,6,8,8", [7] * 6, []),
        ("1,4,8,8", [1, 2, 3, 4], []),
        ("1,6,8,8", [], []),
    ],
)
def test_means_of_more_than_four_channels(shape: str, mean: list[float], codes: list[str]) -> None:
    model = model_from_x("{ y = Relu(x) }", shape=shape)
    means = audit(model, RK3588, quantization="float16", means={"x": mean})
    stds = audit(model, RK3588, quantization="float16", stds={"x": mean})
    assert [one.code for one in means] == [one.code for one in stds] == codes
    both = audit(model, RK3588, quantization="float16", means={"x": mean}, stds={"x": mean})
    assert [one.code for one in both] == codes
    assert not both or "the first mean (1) and std (1) for all" in both[0].text


def test_a_quantized_model_is_seen_through(tmp_path: Path) -> None:
    model = NOT_JOINED["convolution read twice"]
    samples = [{"x": np.random.default_rng(0).standard_normal((1, 8, 20, 20), np.float32)}]
    quantize(model, tmp_path / "q.onnx", tmp_path / "plan.toml", samples)
    assert audit_codes(load_model(tmp_path / "q.onnx"), "qdq") == ["fusion-sigmoid"]


@pytest.mark.parametrize("quantization", ["float16", "normal"])
def test_a_sound_model_has_no_warning(quantization: str) -> None:
    assert audit_codes(prepare_model(load_model(sample_path(MODEL))), quantization) == []
