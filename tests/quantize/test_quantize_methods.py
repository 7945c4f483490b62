"""Rounding weights with what the samples say: moments, GPTQ, corrected biases, and the choice."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from graphs import Samples, model_of
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.progress import Progress
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.quantize.graph_parts.placement import place
from rockpress.quantize.graph_parts.weighted_layers import (
    WIDEST_BLOCK,
    WeightedLayer,
    blocks,
    layers_from,
)
from rockpress.quantize.methods import find_method, refinements
from rockpress.quantize.methods.gptq import gptq
from rockpress.quantize.numeric.scales import (
    WEIGHT_LIMIT,
    dequantize,
    quantize_weight,
    weight_scales,
)
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.rendering.rounding import lost_mean, rounded_layers
from rockpress.quantize.schemes import find_scheme
from rockpress.quantize.statistics.tensor_statistics import InputMoments, collect_statistics

LAYERS = {
    "dense": ("Conv <pads=[1,1,1,1]>", (5, 6, 3, 3)),
    "strided, uneven pads": ("Conv <pads=[0,1,2,0], strides=[2,1]>", (5, 6, 3, 2)),
    "dilated": ("Conv <dilations=[2,2], pads=[2,2,2,2]>", (4, 6, 3, 3)),
    "depthwise": ("Conv <group=6, pads=[2,2,2,2]>", (12, 1, 5, 5)),
    "grouped": ("Conv <group=2>", (4, 3, 1, 1)),
}


def one_layer(operator: str, shape: tuple[int, ...]) -> tuple[ModelProto, WeightedLayer]:
    model = model_of(
        f"(float[1,6,9,8] x) => (float[1,c,h,w] y) {{ y = {operator} (x, w1, b1) }}",
        {"w1": shape, "b1": (shape[0],)},
    )
    graph = Graph(model)
    (layer,) = layers_from(graph, place(graph).weights)
    return model, layer


def correlated(count: int, shape: tuple[int, ...], seed: int = 0) -> Samples:
    """Samples whose channels are much alike and not centred, as those of images are."""
    random = np.random.default_rng(seed)
    common = random.standard_normal((count, 1, *shape[2:]))
    own = random.standard_normal((count, *shape[1:]))
    return [{"x": one[None].astype(np.float32)} for one in common + 0.3 * own + 0.7]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_matrices_times_its_columns(name: str) -> None:
    model, layer = one_layer(*LAYERS[name])
    x = correlated(1, (1, 6, 9, 8))[0]["x"]
    (y,) = Session(model).run({"x": x})
    assert layer.positions == y[0, 0].size
    columns = layer.columns(x, np.arange(layer.positions))
    got = layer.matrix(layer.weight) @ columns
    expected = y[0].reshape(y.shape[1], -1) - np.asarray(layer.bias)[:, None]
    np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-5)
    np.testing.assert_array_equal(layer.weight_like(layer.matrix(layer.weight)), layer.weight)


@pytest.mark.parametrize("operator", ["Gemm <transB=1>", "Gemm", "MatMul"])
def test_a_matrix_product_is_a_layer_too(operator: str) -> None:
    shape = (5, 6) if "transB" in operator else (6, 5)
    text = f"(float[3,6] x) => (float[3,5] y) {{ y = {operator} (x, w1) }}"
    model = model_of(text, {"w1": shape})
    graph = Graph(model)
    (layer,) = layers_from(graph, place(graph).weights)
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    (y,) = Session(model).run({"x": x})
    columns = layer.columns(x, np.arange(layer.positions))
    np.testing.assert_allclose((layer.matrix(layer.weight)[0] @ columns[0]).T, y, atol=1e-5)
    assert (layer.bias is None) == (operator == "MatMul")


def test_moments_are_those_of_all_columns() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 5000, 7)) @ np.diag(np.arange(1, 8)) + 4
    moments = InputMoments(3, 7)
    for part in np.array_split(rows, 11, axis=1):
        moments.add(part.transpose(0, 2, 1))
    np.testing.assert_allclose(moments.mean, rows.mean(axis=1), rtol=1e-5)
    expected = np.stack([np.cov(one.T, bias=True) for one in rows])
    np.testing.assert_allclose(moments.covariance, expected, atol=2e-3)


def test_wide_layers_are_held_in_blocks() -> None:
    width = WIDEST_BLOCK + 4
    rows = np.random.default_rng(0).standard_normal((1, 50, width))
    moments = InputMoments(1, width)
    moments.add(rows.transpose(0, 2, 1))
    half = width // 2
    assert moments.covariance.shape == (2, half, half)
    np.testing.assert_allclose(
        moments.covariance[1], np.cov(rows[0, :, half:].T, bias=True), atol=1e-4
    )
    assert width % blocks(width) == 0


@given(
    width=st.integers(1, 300),
    rows=st.integers(1, 40),
    power=st.floats(-6, 4),
    offset=st.floats(-5, 5),
    seed=st.integers(0, 99),
)
def test_inputs_that_do_not_vary_can_be_rounded_for(
    width: int, rows: int, power: float, offset: float, seed: int
) -> None:
    """One sample, or many equal ones: what is left of the covariance is rounding."""
    random = np.random.default_rng(seed)
    column = random.standard_normal((2, width, 1)) * 10**power + offset
    moments = InputMoments(2, width)
    for _ in range(rows):
        moments.add(column)
    covariance = moments.covariance
    assert np.linalg.eigvalsh(covariance).min() >= 0
    matrix, scales = random.standard_normal((2, 3, width)), np.full((2, 3), 0.02)
    assert np.isfinite(gptq(matrix, covariance, scales, 126)).all()


def output_error(matrix: Array, steps: Array, scales: Array, covariance: Array) -> float:
    lost = matrix - steps * scales[:, :, None]
    return float(np.einsum("god,gde,goe->", lost, covariance, lost))


@pytest.mark.parametrize("width", [1, 5, 130, 300])
def test_gptq_loses_less_than_rounding_to_nearest(width: int) -> None:
    random = np.random.default_rng(width)
    x = random.standard_normal((2, 400, width)) + 2 * random.standard_normal((2, 400, 1))
    covariance = np.stack([np.cov(one.T, bias=True).reshape(width, width) for one in x])
    matrix = random.standard_normal((2, 6, width))
    scales = np.abs(matrix).max(axis=2) / 20
    near = np.rint(matrix / scales[:, :, None])
    steps = gptq(matrix, covariance, scales, 20)
    assert np.abs(steps).max() <= 20
    assert (steps == np.rint(steps)).all()
    errors = [output_error(matrix, one, scales, covariance) for one in (near, steps)]
    assert errors[1] < 0.75 * errors[0] if width > 1 else errors[1] == errors[0]


def test_gptq_of_inputs_that_have_nothing_in_common_is_rounding_to_nearest() -> None:
    matrix = np.random.default_rng(0).standard_normal((1, 4, 30)) * 10
    scales = np.ones((1, 4))
    steps = gptq(matrix, np.eye(30)[None] * np.arange(1, 31), scales, 126)
    np.testing.assert_array_equal(steps, np.rint(matrix))


def test_gptq_comes_near_the_best_of_all_roundings() -> None:
    random = np.random.default_rng(4)
    for _ in range(20):
        root = random.standard_normal((6, 6)) + 1.5
        covariance = (root.T @ root)[None]
        matrix = random.uniform(-4, 4, (1, 1, 6))
        scales = np.ones((1, 1))
        floors = np.floor(matrix)
        every = [floors + np.array(up) for up in itertools.product((0, 1), repeat=6)]
        best = min(output_error(matrix, one, scales, covariance) for one in every)
        worst = max(output_error(matrix, one, scales, covariance) for one in every)
        found = output_error(matrix, gptq(matrix, covariance, scales, 126), scales, covariance)
        assert found <= best + 0.1 * (worst - best)


def test_inputs_that_never_vary_do_no_harm() -> None:
    steps = gptq(np.full((1, 2, 3), 0.4), np.zeros((1, 3, 3)), np.ones((1, 2)), 126)
    np.testing.assert_array_equal(steps, 0)


@pytest.mark.parametrize("name", LAYERS)
def test_a_corrected_bias_brings_the_mean_back(name: str) -> None:
    model, layer = one_layer(*LAYERS[name])
    samples = correlated(8, (1, 6, 9, 8))
    # few positions, so that all of them are seen
    seen = collect_statistics(model, ["x"], [layer], samples).moments[layer.name]
    scales = weight_scales(layer.weight, layer.axis) * 30  # rough, so that it matters
    steps = quantize_weight(layer.weight, scales, layer.axis)
    correction = lost_mean(layer, steps, scales, seen)
    rough = ModelProto()
    rough.CopyFrom(model)
    for tensor in rough.graph.initializer:
        if tensor.name == layer.node.input[1]:
            value = dequantize(steps, scales, layer.axis)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    means = [
        np.mean([Session(one).run(feeds)[0] for feeds in samples], axis=(0, 1, 3, 4))
        for one in (model, rough)
    ]
    every = (layer.positions <= 64 and layer.width > 64) or layer.positions <= 16
    np.testing.assert_allclose(means[0] - means[1], correction, atol=1e-4 if every else 0.2)
    assert np.abs(correction).max() > 1e-3


NAMES = list(find_scheme("w8a8").methods)
NET = """(float[1,6,12,12] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    d = Conv <group=16, pads=[1,1,1,1]> (r, w2)
    s = Relu (d)
    p = Conv (s, w3, b3)
    m = GlobalAveragePool (p)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w4, b4) }"""
WEIGHTS = {
    **{"w1": (16, 6, 3, 3), "b1": (16,), "w2": (16, 1, 3, 3), "w3": (24, 16, 1, 1), "b3": (24,)},
    **{"w4": (10, 24), "b4": (10,)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return model_of(NET, WEIGHTS)


class Recorded(Progress):
    """The steps that a stage took."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None]] = []

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self.steps.append((activity, done, total))


def test_auto_compares_methods_on_samples_that_none_has_seen(
    net: ModelProto, tmp_path: Path
) -> None:
    samples, held_out = (correlated(n, (1, 6, 12, 12), seed) for n, seed in ((40, 1), (6, 2)))
    recorded = Recorded()
    result = quantize(
        net,
        tmp_path / "q.onnx",
        tmp_path / "p.toml",
        samples,
        held_out,
        progress=recorded,
    )
    plan = result.plan
    compared = [name for name in NAMES if find_method(name).is_compared]
    first = max(compared, key=lambda name: plan.candidates[name])
    tried = [*compared, *(name for name in refinements(first) if not find_method(name).refits)]
    assert set(compared) >= {"gptq", "gptq-min-max", "mse", "min-max"}
    assert list(plan.candidates)[: len(tried)] == tried
    refitted = find_method(list(plan.candidates)[-1])
    assert refitted.refits
    assert plan.candidates[refitted.refines] >= plan.candidates["gptq"]
    assert not any(find_method(name).sequential for name in plan.candidates)
    assert (plan.samples, plan.held_out) == (46, 6)
    assert read_plan(tmp_path / "p.toml") == plan
    # the figure is that of the method without the samples that it was measured on; what is refitted
    # is compared on fewer samples than the file is made of
    paths = tmp_path / "40.onnx", tmp_path / "40.toml"
    alone = quantize(net, *paths, samples, method=first)
    floats = [Session(net).run(feeds)[0] for feeds in held_out]
    session = Session(load_model(alone.path), optimise=False)
    got = [session.run(feeds)[0] for feeds in held_out]
    db = sqnr_db([np.stack(floats)], [np.stack(got)])
    assert db == pytest.approx(plan.candidates[first], abs=1e-6)
    steps = len(compared) * len(held_out)
    assert ("compare", steps, steps) in recorded.steps
    calibrated = [step for step in recorded.steps if step[0] == "calibrate"]
    assert calibrated[-1] == ("calibrate", 6, 6)


@pytest.mark.parametrize("method", NAMES)
def test_samples_held_out_count_once_the_method_is_chosen(
    method: str, net: ModelProto, tmp_path: Path
) -> None:
    samples = correlated(16, (1, 6, 12, 12))
    samples[-1]["x"] *= 3  # it is in no range unless it counts
    digests = []
    for name, seen, held_out in (("all", samples, []), ("held", samples[:12], samples[12:])):
        paths = tmp_path / f"{name}.onnx", tmp_path / f"{name}.toml"
        plan = quantize(net, *paths, seen, held_out, method=method).plan
        assert (plan.samples, plan.held_out) == (16, len(held_out))
        digests.append({tensor: (one.low, one.high) for tensor, one in plan.activations.items()})
    # by how much channels are scaled is decided before
    assert digests[0] == digests[1] or find_method(method).equalized


@pytest.mark.parametrize("method", NAMES)
def test_a_method_can_be_named(method: str, net: ModelProto, tmp_path: Path) -> None:
    samples = correlated(12, (1, 6, 12, 12))
    plan = quantize(net, tmp_path / "q.onnx", tmp_path / "p", samples, method=method).plan
    assert (plan.method, plan.candidates, plan.held_out) == (method, {}, 0)
    ranges = {one.source for one in plan.activations.values() if not one.source.startswith("as ")}
    assert ranges == {find_method(method).ranges.name}
    sources = {one.source.removesuffix(", refitted") for one in plan.weights.values()}
    assert sources == {find_method(method).rounding.name}
    got = Session(load_model(tmp_path / "q.onnx"), optimise=False).run(samples[0])
    assert sqnr_db(Session(net).run(samples[0]), got) > 15


def test_the_method_without_samples_to_compare_on_is_gptq(net: ModelProto, tmp_path: Path) -> None:
    samples = correlated(4, (1, 6, 12, 12))
    assert quantize(net, tmp_path / "q.onnx", tmp_path / "p", samples).plan.method == "gptq"


def test_gptq_and_corrected_biases_pay(net: ModelProto, tmp_path: Path) -> None:
    samples, others = (correlated(60, (1, 6, 12, 12), seed) for seed in (1, 2))
    found = {}
    for method in ("min-max", "gptq-min-max"):
        quantize(net, tmp_path / "q.onnx", tmp_path / "p", samples, method=method)
        session = Session(load_model(tmp_path / "q.onnx"), optimise=False)
        pairs = [(Session(net).run(one)[0], session.run(one)[0]) for one in others]
        found[method] = sqnr_db(
            [np.stack([a for a, _ in pairs])], [np.stack([b for _, b in pairs])]
        )
    assert found["gptq-min-max"] > found["min-max"] + 1


def test_a_layer_without_a_bias_gets_one(net: ModelProto, tmp_path: Path) -> None:
    samples = correlated(12, (1, 6, 12, 12))
    quantize(net, tmp_path / "q.onnx", tmp_path / "p", samples, method="mse")
    nodes = load_model(tmp_path / "q.onnx").graph.node
    convs = [node for node in nodes if node.op_type == "Conv"]
    assert [len(node.input) for node in convs] == [3, 3, 3]
    assert "".join(convs[1].input[2:]).endswith("bias.dequantized")


def test_integers_are_found_once_for_equal_scales(net: ModelProto) -> None:
    graph = Graph(net)
    placement = place(graph)
    layers = layers_from(graph, placement.weights)
    seen = collect_statistics(net, placement.tensors, layers, correlated(6, (1, 6, 12, 12)))
    gptq_method = find_method("gptq")
    first = rounded_layers(layers, {}, seen.moments, gptq_method)
    again = rounded_layers(layers, {}, seen.moments, gptq_method, first)
    assert all(again[name].steps is first[name].steps for name in first)
    assert max(np.abs(one.steps).max() for one in first.values()) <= WEIGHT_LIMIT
