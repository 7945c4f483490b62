"""A weight that several layers read is rounded once, for all of them, and stays one tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto

from graphs import Samples, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.quantize.graph_parts.placement import weighted_nodes
from rockpress.quantize.graph_parts.weighted_layers import by_weight, layers_from
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.qdq import insert_qdq
from rockpress.quantize.rendering.rounding import with_layer_weights
from rockpress.quantize.schemes.w4a16 import LIMIT
from rockpress.quantize.statistics.tensor_statistics import collect_statistics, moments_of_all
from rockpress.quantize.training.quantized_student import QuantizedStudent

# one convolution three times, the last with a bias of its own; a product that is used twice
NET = """(float[1,3,8,8] x) => (float[1,16,64] y) {
    s = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r0 = Relu (s)
    a = Conv <pads=[1,1,1,1]> (r0, w, b)
    r1 = Relu (a)
    c = Conv <pads=[1,1,1,1]> (r1, w, b)
    r2 = Relu (c)
    d = Conv <pads=[1,1,1,1]> (r2, w, own)
    r3 = Relu (d)
    f = Reshape (r3, rows)
    m = MatMul (f, v)
    n = Relu (m)
    y = MatMul (n, v) }"""
WEIGHTS = {
    **{"w1": (16, 3, 3, 3), "b1": (16,), "w": (16, 16, 3, 3), "b": (16,), "own": (16,)},
    **{"v": (64, 64)},
}
METHODS = {
    "w4a16": ("gptq", "gptq-refit", "mse", "min-max"),
    "w8a8": ("min-max", "gptq", "gptq-sequential", "gptq-equalized", "gptq-refit"),
    "w8a16": ("gptq-min-max", "min-max"),
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return model_of(NET, {**WEIGHTS, "rows": np.array([1, 16, 64])})


def feeds(count: int) -> Samples:
    return random_feeds({"x": (1, 3, 8, 8)}, count, 1, shift=0.5)


def readers(model: ModelProto) -> dict[str, NodeProto]:
    """Return the layers by the place in the file: a, c, d and the two products."""
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "MatMul")]
    return dict(zip(("s", "a", "c", "d", "m", "y"), layers, strict=True))


@pytest.mark.parametrize(
    ("scheme", "method"), [(scheme, name) for scheme in METHODS for name in METHODS[scheme]]
)
def test_a_shared_weight_stays_one(
    scheme: str, method: str, net: ModelProto, tmp_path: Path
) -> None:
    path = tmp_path / "q.onnx"
    plan = quantize(net, path, tmp_path / "p.toml", feeds(40), scheme=scheme, method=method).plan
    made = load_model(path)
    graph, nodes = Graph(made), readers(made)
    assert list(plan.weights) == ["w1", "w", "v"]
    for users in (("a", "c", "d"), ("m", "y")):
        names = {nodes[name].input[1] for name in users}
        assert len(names) == 1
    large = [value for value in graph.weights.values() if value.size >= 16 * 16 * 9]
    assert sorted(value.size for value in large) == [16 * 16 * 9, 64 * 64]
    if scheme == "w4a16":
        assert {"w1", "w", "v"} <= graph.weights.keys()  # by which the plan speaks of them
        assert nodes["a"].input[2] == nodes["c"].input[2] != nodes["d"].input[2]
        rows = graph.weights["w"].reshape(16, -1)
        steps = rows / np.abs(rows).max(axis=1, keepdims=True) * LIMIT
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)


def test_a_plan_alone_gives_one_tensor_too(net: ModelProto, tmp_path: Path) -> None:
    plan = quantize(net, tmp_path / "q.onnx", tmp_path / "p.toml", feeds(8), method="min-max").plan
    nodes = readers(insert_qdq(net, plan))
    assert nodes["a"].input[1] == nodes["c"].input[1] == nodes["d"].input[1]


def test_the_moments_are_those_of_all_that_read_it(net: ModelProto) -> None:
    graph = Graph(net)
    layers = layers_from(graph, weighted_nodes(graph))
    together = next(group for group in by_weight(layers) if group[0].weight_name == "w")
    assert [layer.name for layer in together] == ["a", "c", "d"]
    moments = collect_statistics(net, (), together, feeds(8)).moments
    pooled = moments_of_all(together, moments)
    assert pooled is not None
    means = [moments[layer.name].mean for layer in together]
    np.testing.assert_allclose(pooled.mean, np.mean(means, axis=0), rtol=1e-5)
    second = [
        moments[layer.name].covariance + moments[layer.name].mean[:, :, None] * mean[:, None]
        for layer, mean in zip(together, means, strict=True)
    ]
    expected = np.mean(second, axis=0) - pooled.mean[:, :, None] * pooled.mean[:, None]
    np.testing.assert_allclose(pooled.covariance, expected, atol=1e-4)


def test_what_reads_it_as_it_was_does_so_still() -> None:
    model = model_of(
        "(float[1,8] x) => (y) { a = MatMul (x, w) b = Add (a, w) y = MatMul (b, w) }",
        {"w": (8, 8)},
    )
    weight, bigger = Graph(model).weights["w"], np.ones((8, 8), np.float32)
    made = Graph(with_layer_weights(model, {"a": (bigger, None), "y": (bigger, None)}))
    first, added, last = made.nodes
    assert added.input[1] == "w"
    np.testing.assert_array_equal(made.weights["w"], weight)
    assert first.input[1] == last.input[1] != "w"
    alone = Graph(with_layer_weights(model, {"a": (bigger, None)}))
    assert [node.input[1] for node in alone.nodes] == [first.input[1], "w", "w"]


@pytest.mark.parametrize(("scheme", "bits"), [("w4a16", 4), ("w8a8", 8)])
def test_it_is_trained_as_one(scheme: str, bits: int, net: ModelProto, tmp_path: Path) -> None:
    """And what was not changed is rendered as it was."""
    path = tmp_path / "q.onnx"
    quantize(net, path, tmp_path / "p.toml", feeds(12), scheme=scheme, method="gptq")
    graph, quantized = Graph(net), load_model(path)
    layers = layers_from(graph, weighted_nodes(graph))
    student = QuantizedStudent(net, quantized, layers, bits)
    assert len(student.grids) == 3
    steps = {name: grid.steps for name, grid in student.grids.items()}
    scales = {name: grid.scales for name, grid in student.grids.items()}
    again = Session(student.rendered(steps, scales, student.plain), keeps_scales=True)
    for feed in feeds(3):
        meant = Session(quantized, keeps_scales=True).run(feed)[0]
        np.testing.assert_allclose(again.run(feed)[0], meant, atol=1e-5)


REPEATED = """(float[1,3,16,16] x) => (float[1,64,16,16] y) {
    s = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r0 = Relu (s)
    a = Conv <pads=[1,1,1,1]> (r0, w, b)
    r1 = Relu (a)
    c = Conv <pads=[1,1,1,1]> (r1, w, b)
    r2 = Relu (c)
    d = Conv <pads=[1,1,1,1]> (r2, w, b)
    y = Relu (d) }"""


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
@pytest.mark.parametrize(
    ("scheme", "quantizer", "most"), [("w4a16", "normal", 75_000), ("w8a8", "auto", 110_000)]
)
def test_the_chip_has_it_once(scheme: str, quantizer: str, most: int, tmp_path: Path) -> None:
    """Two more of the weight of 36,864 numbers would take 37 kB in 4 bits, and 74 in int8."""
    weights = {"w1": (64, 3, 3, 3), "b1": (64,), "w": (64, 64, 3, 3), "b": (64,)}
    samples = random_feeds({"x": (1, 3, 16, 16)}, 12, 1)
    path, output = tmp_path / "q.onnx", tmp_path / "q.rknn"
    model = model_of(REPEATED, weights)
    quantize(model, path, tmp_path / "p.toml", samples, scheme=scheme, method="gptq")
    dtype = scheme if quantizer == "normal" else None
    convert(
        ConversionRequest(
            path,
            output,
            "rk3576",
            quantization=quantizer,
            dtype=dtype,
            calibration=samples[:2],
            simulate=samples[:1],
        )
    )
    assert output.stat().st_size < most
