"""Layers refitted to the float network's results, on inputs that rounded layers give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Samples, Weights, model_of
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.streaming.score_positions import positions_by_score
from rockpress.core.types import Float64
from rockpress.quantize.graph_parts.placement import weighted_nodes
from rockpress.quantize.graph_parts.weighted_layers import WeightedLayer, layers_from
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.rendering.refitted_rounding import refitted_model
from rockpress.quantize.rendering.rounding import Rounded, with_rounded_weights
from rockpress.quantize.schemes.w4a16 import LIMIT
from rockpress.quantize.statistics.sample_subset import SampleSubset
from rockpress.quantize.statistics.tensor_statistics import InputMoments
from samples import frames_with_objects


def layers_of(model: ModelProto) -> dict[str, WeightedLayer]:
    graph = Graph(model)
    return {layer.name: layer for layer in layers_from(graph, weighted_nodes(graph))}


def feeds(count: int, seed: int, shape: tuple[int, ...] = (1, 6, 8, 8)) -> Samples:
    random = np.random.default_rng(seed)
    common = random.standard_normal((count, 1, 1, *shape[2:]))
    own = random.standard_normal((count, *shape))
    return [{"x": sample.astype(np.float32)} for sample in common + 0.5 * own + 0.3]


def crude(layer: WeightedLayer, matrix: Float64, inputs: InputMoments) -> Float64:
    """Round to 3 steps on either side."""
    scales = np.abs(matrix).max(axis=2, keepdims=True) / 3
    return np.asarray(np.rint(matrix / scales) * scales)


def exact(layer: WeightedLayer, matrix: Float64, inputs: InputMoments) -> Float64:
    return matrix


def decibels(model: ModelProto, other: ModelProto, samples: Samples) -> float:
    sessions = Session(model), Session(other)
    references, results = ([session.run(each)[0] for each in samples] for session in sessions)
    return sqnr_db([np.stack(references)], [np.stack(results)])


def refitted(model: ModelProto, names: list[str], rounds: object = crude) -> ModelProto:
    layers = layers_of(model)
    chosen = [layers[name] for name in names]
    return refitted_model(model, chosen, feeds(40, 1), rounds, seed=0)  # type: ignore[arg-type]


LINEAR = "(float[1,6,8,8] x) => (y) { a = Conv (x, w1, b1) y = Conv <group=G> (a, w2, b2) }"


@pytest.mark.parametrize("groups", [1, 2])
def test_a_float_layer_makes_up_for_a_rounded_one(groups: int) -> None:
    """Six rounded channels of six inputs hold all that there was, if their mixture is undone."""
    model = model_of(
        LINEAR.replace("G", str(groups)),
        {"w1": (6, 6, 1, 1), "b1": (6,), "w2": (4, 6 // groups, 1, 1), "b2": (4,)},
    )
    plain = refitted(model, ["a", "y"], crude)
    repaired = refitted(model, ["a"])
    unseen = feeds(10, 2)
    assert decibels(model, repaired, unseen) > decibels(model, plain, unseen) + 3
    if groups == 1:
        assert decibels(model, repaired, unseen) > 25


def test_what_is_not_rounded_stays() -> None:
    model = model_of(
        LINEAR.replace("G", "1"),
        {**{"w1": (6, 6, 1, 1), "b1": (6,)}, "w2": (4, 6, 1, 1), "b2": (4,)},
    )
    for names in ([], ["a"], ["y"]):
        assert decibels(model, refitted(model, names, exact), feeds(5, 2)) > 90


def test_layers_before_the_first_rounded_one_stay_bit_for_bit() -> None:
    model = model_of(
        LINEAR.replace("G", "1"),
        {**{"w1": (6, 6, 1, 1), "b1": (6,)}, "w2": (4, 6, 1, 1), "b2": (4,)},
    )
    weights = layers_of(refitted(model, ["y"]))
    np.testing.assert_array_equal(weights["a"].weight, layers_of(model)["a"].weight)
    assert not np.array_equal(weights["y"].weight, layers_of(model)["y"].weight)


def test_the_sum_of_a_residual_block_is_the_target() -> None:
    """The block's last layer, in float, gives what the rounded skip branch has lost."""
    model = model_of(
        """(float[1,6,8,8] x) => (y) {
        s = Conv (x, w1, b1)
        a = Conv (s, w2, b2)
        y = Add (a, s) }""",
        {"w1": (6, 6, 1, 1), "b1": (6,), "w2": (6, 6, 1, 1), "b2": (6,)},
    )
    assert decibels(model, refitted(model, ["s"]), feeds(10, 2)) > 25


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("m = MatMul (f, w1) y = MatMul (m, w2)", {"w1": (384, 12), "w2": (12, 5)}),
        ("m = Gemm (f, w1) y = Gemm <beta=0.5> (m, w2)", {"w1": (384, 12), "w2": (12, 5)}),
        (
            "m = Gemm <transB=1, alpha=2.0> (f, w1, b1) y = Gemm <transB=1> (m, w2, b2)",
            {"w1": (12, 384), "b1": (12,), "w2": (5, 12), "b2": (5,)},
        ),
    ],
)
def test_products_of_all_forms(text: str, weights: Weights) -> None:
    model = model_of(f"(float[1,6,8,8] x) => (y) {{ f = Flatten (x) {text} }}", weights)
    samples = feeds(40, 1)
    both = refitted(model, ["m", "y"])
    assert decibels(model, both, samples) > 5
    assert decibels(model, refitted(model, ["m", "y"], exact), samples) > 90


def test_a_layer_of_many_inputs_is_rounded_as_it_is() -> None:
    model = model_of(
        "(float[1,6,20,20] x) => (y) { a = Conv (x, w1, b1) f = Flatten (a) y = Gemm (f, w2, b2) }",
        {"w1": (6, 6, 1, 1), "b1": (6,), "w2": (2400, 3), "b2": (3,)},
    )
    layers = layers_of(model)
    result = refitted_model(
        model, [layers["a"], layers["y"]], feeds(12, 1, (1, 6, 20, 20)), crude, seed=0
    )
    matrix = layers["y"].matrix(layers["y"].weight).astype(np.float64)
    moments = InputMoments(1, 2400)
    expected = layers["y"].weight_like(crude(layers["y"], matrix, moments)).astype(np.float32)
    np.testing.assert_array_equal(layers_of(result)["y"].weight, expected)


def test_a_weight_of_two_layers_is_not_refitted() -> None:
    """It is as it was rounded for both, and what comes behind makes up for that."""
    model = model_of(
        "(float[1,6,8,8] x) => (z) { a = Conv (x, w, b) y = Conv (a, w, b) z = Conv (y, v, b) }",
        {"w": (6, 6, 1, 1), "v": (6, 6, 1, 1), "b": (6,)},
    )
    layers = layers_of(model)
    steps = np.rint(layers["a"].weight * 4).astype(np.int8)
    rounded = Rounded(steps, np.full(6, 0.25, np.float32), layers["a"].bias)
    shared = {"a": rounded, "y": rounded}
    made = refitted_model(model, [], feeds(40, 1), crude, shared=shared, seed=0)
    result = layers_of(made)
    assert [result[name].weight_name for name in "ayz"] == ["w", "w", "v"]
    np.testing.assert_array_equal(result["a"].weight, steps * np.float32(0.25))
    plain = with_rounded_weights(model, shared)
    assert decibels(model, made, feeds(10, 2)) > decibels(model, plain, feeds(10, 2)) + 6


def test_a_weight_keeps_its_name() -> None:
    """The plan tells by it what is in float16; a shared one cannot serve two layers refitted."""
    model = model_of(
        "(float[1,6,8,8] x) => (z) { a = Conv (x, v, b) r = Conv (a, w, b) y = Conv (r, w, b)"
        " z = Conv (y, u, b) }",
        {"v": (6, 6, 1, 1), "w": (6, 6, 1, 1), "u": (6, 6, 1, 1), "b": (6,)},
    )
    before, after = layers_of(model), layers_of(refitted(model, ["a"]))
    assert {name: layer.weight_name for name, layer in after.items()} == {
        **{"a": "v", "r": "w", "y": "w"},
        "z": "u",
    }
    np.testing.assert_array_equal(after["r"].weight, before["r"].weight)
    assert not np.array_equal(after["z"].weight, before["z"].weight)


DEEP = """(float[1,6,8,8] x) => (float[1,10] y) {
    a = Conv (x, w1, b1)
    r = Clip (a, low, high)
    d = Conv <group=24, pads=[1,1,1,1]> (r, w2, b2)
    s = Clip (d, low, high)
    p = Conv (s, w3, b3)
    q = Conv (p, w4, b4)
    t = Clip (q, low, high)
    e = Conv <group=24, pads=[1,1,1,1]> (t, w5, b5)
    u = Clip (e, low, high)
    v = Conv (u, w6, b6)
    z = Add (v, p)
    m = GlobalAveragePool (z)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w7, b7) }"""


@pytest.fixture(scope="module")
def deep() -> ModelProto:
    shapes: Weights = {
        **{"w1": (24, 6, 1, 1), "w2": (24, 1, 3, 3), "w3": (12, 24, 1, 1), "w4": (24, 12, 1, 1)},
        **{"w5": (24, 1, 3, 3), "w6": (12, 24, 1, 1), "w7": (10, 12), "b7": (10,)},
        **{"b1": (24,), "b2": (24,), "b3": (12,), "b4": (24,), "b5": (24,), "b6": (12,)},
        **{"low": np.float32(0.0), "high": np.float32(6.0)},
    }
    return model_of(DEEP, shapes)


def test_auto_takes_it_where_it_is_better(deep: ModelProto, tmp_path: Path) -> None:
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    plan = quantize(deep, *paths, feeds(100, 1), feeds(20, 2), scheme="w4a16").plan
    assert plan.method == "gptq-refit"
    assert plan.candidates["gptq-refit"] > plan.candidates["gptq"] + 1
    assert plan.weights["w1"].source == "gptq-refit"
    assert read_plan(paths[1]) == plan
    layers, unseen = layers_of(load_model(paths[0])), feeds(30, 3)
    for name, layer in layers_of(deep).items():
        matrix = layers[name].matrix(layers[name].weight)
        if layer.groups > 1:
            assert not np.array_equal(layers[name].weight, layer.weight)
            continue
        steps = matrix / np.abs(matrix).max(axis=2, keepdims=True) * LIMIT
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    other = tmp_path / "g.onnx"
    quantize(deep, other, paths[1], feeds(120, 1), scheme="w4a16", method="gptq")
    gained = decibels(deep, load_model(paths[0]), unseen) - decibels(
        deep, load_model(other), unseen
    )
    assert gained > 1


@pytest.mark.parametrize("kinds", [2, 3, 4, 5, 8])
def test_a_subset_has_samples_of_every_kind_that_come_in_turn(kinds: int) -> None:
    subset = SampleSubset(64)
    passed = list(subset.passing({"x": np.array([i])} for i in range(kinds * 100)))
    assert len(passed) == kinds * 100
    for stored in (subset, subset.evenly(32)):
        numbers = np.array([int(each["x"][0]) for each in stored])
        assert 28 <= len(numbers) <= 64 and (np.diff(numbers) > 0).all()
        counts = np.bincount(numbers % kinds, minlength=kinds)
        assert counts.min() >= 0.25 * len(numbers) / kinds
        assert np.diff(numbers, append=kinds * 100).max() <= 3 * kinds * 100 / len(numbers)


def test_a_subset_of_few_has_them_all() -> None:
    subset = SampleSubset(8)
    list(subset.passing({"x": np.array([i])} for i in range(5)))
    assert [int(each["x"][0]) for each in subset.evenly(9)] == [0, 1, 2, 3, 4]
    assert [int(each["x"][0]) for each in subset.evenly(2)] == [0, 2]


HEAD = (
    "(float[1,2,16,16] x) => (float[1,1,16,16] b, float[1,1,16,16] c) {"
    " f = Conv (x, w) b = Conv (f, v) h = Conv (f, u) r = Relu (h) c = Conv (r, t, k) }"
)
ONE = np.ones((1, 1, 1, 1))


def test_every_sample_is_drawn_from() -> None:
    empty, found = np.full((2, 40), -60.0), np.full((2, 40), 3.0)
    drawn = positions_by_score([empty, found, empty + 1], np.random.default_rng(0))
    assert [len(each) for each in drawn] == [1, 120, 1]


def test_scores_stay_where_something_is_found() -> None:
    """Rounding loses the second channel, which tells nothing but where something is found."""
    weights = {"w": np.array([1, 0.15]).reshape(1, 2, 1, 1), "v": ONE, "u": 2 * ONE, "t": ONE / 2}
    model = model_of(HEAD, {**weights, "k": np.full(1, -8.0)})
    layers = [layers_of(model)[name] for name in "fbhc"]

    def lost(logits: tuple[str, ...]) -> float:
        """Return by how much logits are too small where the float network finds something."""
        rounded = refitted_model(
            model, layers, frames_with_objects(40, 1), crude, logits=logits, seed=0
        )
        pairs = [
            [Session(each).run(x)[1] for each in (model, rounded)]
            for x in frames_with_objects(40, 2)
        ]
        expected, reached = np.stack(pairs, axis=1)
        return float((expected - reached)[expected > -1].mean())

    assert lost(()) > 0.3 and abs(lost(("c",))) < 0.2 * lost(())
