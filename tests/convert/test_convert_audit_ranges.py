"""The audit of values: outputs that join different ranges, and what float16 cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, ValueInfoProto, numpy_helper

from audits import model_from_x
from graphs import random_feeds, random_weights
from rockpress.convert.audit.float16_audit import observe, tensors_to_observe
from rockpress.convert.audit.model_audit import audit
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.diagnostics import Diagnostic, option
from rockpress.core.errors import RockpressError
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.types import Array
from rockpress.quantize.quantize import quantize

RK3588 = find_target("rk3588")
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
SAMPLES = random_feeds({"x": (1, 8, 10, 10)}, 4)


def graph(nodes: str, outputs: str = "y", **constants: Array | np.float32) -> ModelProto:
    """Nodes from x; Conv reads the weights w and v (4x8x1x1). Output types are inferred."""
    drawn = {
        name: random_weights({name: (4, 8, 1, 1)}, seed, scale=1)[name]
        for seed, name in enumerate("wv")
    }
    return model_from_x(nodes, outputs, shape="1,8,10,10", weights={**drawn, **constants})


def boxes_and_scores(size: float, join: str = "y = Concat<axis=1>(box, score)") -> ModelProto:
    return graph(
        "{ a = Conv(x, w) score = Sigmoid(a) b = Conv(x, v) r = Sigmoid(b) box = Mul(r, k) "
        f"{join} }}",
        k=np.float32(size),
    )


def warned(
    model: ModelProto, samples: Iterable[dict[str, Array]] = SAMPLES, quantization: str = "normal"
) -> list[Diagnostic]:
    ranges = observe(model, samples)
    return list(audit(model, RK3588, quantization=quantization, ranges=ranges))


def codes(model: ModelProto, quantization: str = "normal") -> list[str]:
    return [one.code for one in warned(model, quantization=quantization)]


def test_boxes_joined_with_scores_are_told_with_their_names() -> None:
    (one,) = warned(boxes_and_scores(640))
    assert one.code == "output-range-join"
    assert "'score' (0 to 1) with 'box' (" in one.text and "all its values become one" in one.text
    assert option("outputs", ["box", "score"]) in one.hint


@pytest.mark.parametrize(("size", "told"), [(640, 1), (80, 1), (33, 1), (16, 0), (1, 0)])
def test_the_warning_is_for_fewer_than_eight_steps(size: float, told: int) -> None:
    model = boxes_and_scores(size)
    ranges = {"box": (0.0, size)}
    assert len(audit(model, RK3588, quantization="normal", ranges=ranges)) == told


def test_float16_has_no_common_scale() -> None:
    assert codes(boxes_and_scores(640), "float16") == []


def test_separate_outputs_have_no_common_scale() -> None:
    model = boxes_and_scores(640, "y = Relu(box)")
    model.graph.output.append(ValueInfoProto(name="score"))
    assert codes(onnx.shape_inference.infer_shapes(model)) == []


def test_a_join_is_seen_through_reshapes_and_other_joins() -> None:
    nodes = """inner = Concat<axis=1>(box, score) flat = Reshape(inner, shape)
        other = Reshape(score, shape2) both = Concat<axis=1>(flat, other)
        y = Transpose<perm=[0,2,1]>(both)"""
    model = boxes_and_scores(640, nodes)
    for name, value in (("shape", [1, 8, 100]), ("shape2", [1, 4, 100])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    (one,) = warned(onnx.shape_inference.infer_shapes(model, data_prop=True))
    assert option("outputs", ["box", "score", "other"]) in one.hint


def test_an_ordinary_head_is_no_matter() -> None:
    """Logits beside offsets: neither range is known to be small beside the other."""
    model = graph("{ a = Conv(x, w) b = Conv(x, v) y = Concat<axis=1>(a, b) }")
    assert codes(model) == []
    assert audit(model, RK3588, quantization="normal") == ()


def test_a_join_inside_the_network_is_no_matter() -> None:
    assert codes(boxes_and_scores(640, "j = Concat<axis=1>(box, score) y = Conv(j, w)")) == []


def test_ranges_without_samples_come_from_scales_in_pixels_only() -> None:
    (one,) = audit(boxes_and_scores(640), RK3588, quantization="normal")
    assert "'box' (scaled by 640)" in one.text
    assert audit(boxes_and_scores(4), RK3588, quantization="normal") == ()


def test_the_scales_of_a_quantized_model_say_its_ranges(tmp_path: Path) -> None:
    quantize(boxes_and_scores(640), tmp_path / "q.onnx", tmp_path / "plan.toml", SAMPLES)
    model = load_model(tmp_path / "q.onnx")
    assert [one.code for one in audit(model, RK3588, quantization="qdq")] == ["output-range-join"]
    quantize(boxes_and_scores(1), tmp_path / "q.onnx", tmp_path / "plan.toml", SAMPLES)
    assert audit(load_model(tmp_path / "q.onnx"), RK3588, quantization="qdq") == ()


def test_a_join_that_a_quantized_model_leaves_in_float_loses_nothing(tmp_path: Path) -> None:
    quantize(boxes_and_scores(640), tmp_path / "q.onnx", tmp_path / "plan.toml", SAMPLES)
    model = load_model(tmp_path / "q.onnx")
    makers = {node.output[0]: node for node in model.graph.node}
    quantizer = makers[makers["y"].input[0]]
    makers[quantizer.input[0]].output[0] = "y"  # the Concat itself gives the output
    for node in (quantizer, makers["y"]):
        model.graph.node.remove(node)
    assert audit(model, RK3588, quantization="qdq") == ()


@needs_toolkit
@pytest.mark.parametrize("quantization", ["normal", "qdq"])
def test_the_scores_really_become_zero(quantization: str, tmp_path: Path) -> None:
    model, path = boxes_and_scores(640), tmp_path / "detector.onnx"
    onnx.save(model, str(path))
    if quantization == "qdq":
        path = tmp_path / "q.onnx"
        quantize(model, path, tmp_path / "plan.toml", SAMPLES)
    done = convert(
        ConversionRequest(
            path, None, "rk3588", quantization=quantization, calibration=SAMPLES, simulate=SAMPLES
        )
    )
    assert done.outputs is not None
    values = done.outputs[0].reshape(len(SAMPLES), 8, 100)
    assert values[:, :4].max() > 300  # the boxes are there
    assert not values[:, 4:].any()
    told = [one.code for one in audit(load_model(path), RK3588, quantization=quantization)]
    assert told == ["output-range-join"]


LARGE = "{ a = Mul(x, k) y = Mul(a, a) }"


def test_values_beyond_float16_in_calibration() -> None:
    (one,) = warned(graph(LARGE, k=np.float32(400)), quantization="float16")
    assert one.code == "float16-overflow" and "'y' reaches" in one.text
    assert codes(graph(LARGE, k=np.float32(1)), "float16") == []


def test_values_near_the_end_of_float16_are_told_as_near() -> None:
    model = graph(LARGE, k=np.float32(1))
    for reached, text in ((40000.0, "over half"), (70000.0, "become infinite")):
        (one,) = audit(model, RK3588, quantization="float16", ranges={"y": (0.0, reached)})
        assert one.code == "float16-overflow" and text in one.text
    assert audit(model, RK3588, quantization="float16", ranges={"y": (0.0, 30000.0)}) == ()


def test_int8_holds_large_values() -> None:
    assert codes(graph(LARGE, k=np.float32(400))) == []


def test_a_weight_beyond_float16_is_told_without_samples() -> None:
    weight = np.full((4, 8, 1, 1), 1e5, np.float32)
    model = graph("{ y = Conv(x, w) }", w=weight)
    (one,) = audit(model, RK3588, quantization="float16")
    assert "'w' reaches 1e+05" in one.text
    assert audit(model, RK3588, quantization="normal") == ()


@pytest.mark.parametrize(
    "nodes",
    [
        "<float low = {0.0}, float high = {1e30}> { y = Clip(x, low, high) }",
        "<float[1,1,1,10] m = {-1e9,0,0,0,0,0,0,0,0,0}> { a = Add(x, m) y = Softmax<axis=3>(a) }",
    ],
    ids=["bound", "mask"],
)
def test_bounds_and_masks_may_be_large(nodes: str) -> None:
    assert codes(graph(nodes), "float16") == []


def test_tensors_that_an_activation_bounds_at_once_are_not_stored() -> None:
    weight = np.full((4, 8, 1, 1), 6e4, np.float32)
    nodes = "<float low = {0.0}, float high = {6.0}> { a = Conv(x, w) y = Clip(a, low, high) }"
    assert tensors_to_observe(graph(nodes, w=weight)) == ["y"]
    assert codes(graph(nodes, w=weight), "float16") == []
    assert codes(graph(nodes[:-1] + " z = Neg(a) }", "y z", w=weight), "float16") == [
        "float16-overflow"
    ]


def test_tensors_left_in_float_are_the_ones_observed(tmp_path: Path) -> None:
    model = graph("{ a = Conv(x, w) b = Relu(a) y = Exp(b) }")
    quantize(model, tmp_path / "q.onnx", tmp_path / "plan.toml", SAMPLES)
    quantized = load_model(tmp_path / "q.onnx")
    assert tensors_to_observe(quantized) == ["y"]
    assert observe(quantized, SAMPLES)["y"][0] == 1.0


def test_observing_stops_after_a_few_samples() -> None:
    given = iter(SAMPLES)
    observe(graph("{ y = Relu(x) }"), given, count=1)
    assert len(list(given)) == 3


def test_an_infinite_range_is_an_overflow() -> None:
    model = prepare_model(graph("{ a = Mul(x, k) y = Exp(a) }", k=np.float32(1e3)))
    assert observe(model, SAMPLES)["y"][1] == np.inf
    assert codes(model, "float16") == ["float16-overflow", "cpu-fallback-operator"]


@needs_toolkit
def test_the_simulator_overflows_where_the_audit_says(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    onnx.save(graph(LARGE, k=np.float32(400)), str(path))
    with pytest.raises(RockpressError, match="NaN or infinity"):
        convert(
            ConversionRequest(path, None, "rk3588", quantization="float16", simulate=SAMPLES[:1])
        )
