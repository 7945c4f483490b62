"""Equalization: channels scaled against each other, the function kept, int8 helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Samples, model_of, random_weights
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.error_report import error_report
from rockpress.quantize.integer.calibrated_model import (
    IntegerFormat,
    equalized_model,
    uncalibrated,
)
from rockpress.quantize.integer.equalize import (
    Sizes,
    as_planned,
    equalization,
    equalized,
    factors_of,
    noise_of,
    pairs_of,
)
from rockpress.quantize.integer.integer_candidates import apply_method
from rockpress.quantize.numeric.scales import activation_scale
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.rendering.qdq import insert_qdq
from rockpress.quantize.schemes.w8a8 import W8A8
from rockpress.quantize.statistics.tensor_statistics import Calibration


def between(model: ModelProto) -> list[str]:
    return [pair.between for pair in pairs_of(Graph(model))]


CONVS = {"w1": (8, 4, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "w3": (6, 4, 1, 1), "w4": (5, 6, 1, 1)}
CHAIN = """(float[1,4,9,9] x) => (float[1,5,h,w] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = %s
    d = Conv <group=8, pads=[1,1,1,1], strides=[2,2]> (r, w2)
    l = LeakyRelu <alpha=0.1> (d)
    g = Conv <group=2> (l, w3)
    y = Conv (g, w4, b4) }"""
ACTIVATIONS = {
    "Relu": "Relu (a)",
    "LeakyRelu": "LeakyRelu <alpha=0.3> (a)",
    "PRelu": "PRelu (a, slope)",
}


def chain(activation: str) -> ModelProto:
    values = random_weights({**CONVS, "b4": (5,)})
    values["slope"] = np.linspace(-0.5, 0.5, 8).reshape(8, 1, 1)
    return model_of(CHAIN % activation, values)


PRODUCTS = """(float[3,6] x) => (float[3,4] y) {
    a = Gemm <transB=1, alpha=0.5> (x, w1, b1)
    r = Relu (a)
    b = Gemm (r, w2, b2)
    y = MatMul (b, w3) }"""


def products() -> ModelProto:
    shapes = {"w1": (8, 6), "b1": (8,), "w2": (8, 5), "b2": (5,), "w3": (5, 4)}
    return model_of(PRODUCTS, random_weights(shapes))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equalized_convolutions_compute_the_same(activation: str) -> None:
    model = chain(ACTIVATIONS[activation])
    assert between(model) == ["r", "l", "g"]
    require_equal(model, (1, 4, 9, 9))


def test_equalized_products_compute_the_same() -> None:
    model = products()
    assert len(between(model)) == 2
    require_equal(model, (3, 6))


def require_equal(model: ModelProto, shape: tuple[int, ...]) -> None:
    """Any positive factors keep the outputs, and change what lies between as they say."""
    random = np.random.default_rng(5)
    graph = Graph(model)
    channels = {pair.between: graph.shapes[pair.between][1] for pair in pairs_of(graph)}
    factors = {name: np.exp2(random.uniform(-5, 5, count)) for name, count in channels.items()}
    changed = equalized(model, factors)
    x = {"x": random.standard_normal(shape).astype(np.float32)}
    before, after = (Session(one).run(x)[0] for one in (model, changed))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    weights = Graph(changed).weights
    layers = [one.first.weight_name for one in pairs_of(graph)]
    assert not any(np.allclose(weights[name], graph.weights[name]) for name in layers)
    assert [n.name for n in changed.graph.initializer] == [n.name for n in model.graph.initializer]


@pytest.mark.parametrize(
    "activation",
    ["Clip (a, zero, six)", "HardSwish (a)", "Sigmoid (a)", "Tanh (a)", "Elu (a)", "PRelu (a, x2)"],
)
def test_other_activations_are_left_alone(activation: str) -> None:
    values = random_weights(
        {"w1": (8, 4, 3, 3), "b1": (8,), "w2": (5, 8, 1, 1), "w9": (8, 4, 3, 3)}
    )
    text = f"""(float[1,4,9,9] x) => (float[1,5,h,w] y) {{
        x2 = Conv (x, w9)
        a = Conv (x, w1, b1)
        r = {activation}
        y = Conv (r, w2) }}"""
    model = model_of(text, {**values, "zero": np.array(0.0), "six": np.array(6.0)})
    assert between(model) == []


def test_layers_that_others_read_or_see_are_left_alone() -> None:
    values = random_weights(
        {"w1": (4, 4, 1, 1), "w2": (4, 4, 1, 1), "w3": (4, 4, 1, 1), "w4": (4, 4, 1, 1)}
    )
    text = """(float[1,4,5,5] x) => (float[1,4,5,5] y, float[1,4,5,5] shown) {
        a = Conv (x, w1)
        b = Conv (a, w2)
        s = Add (a, b)
        shown = Conv (s, w3)
        c = Conv (shown, w4)
        d = Relu (c)
        y = Conv (d, w1) }"""
    assert between(model_of(text, values)) == []  # w1 is another layer's too


PLANTED = """(float[1,4,12,12] x) => (float[1,6] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    d = Conv <group=16, pads=[1,1,1,1]> (r, w2)
    s = Relu (d)
    e = Conv (s, w3)
    m = GlobalAveragePool (e)
    y = Flatten (m) }"""


@pytest.fixture(scope="module")
def planted() -> tuple[ModelProto, Array]:
    """A network, the channels of one tensor up to 100 times as large as others, and how large."""
    shapes = {"w1": (16, 4, 3, 3), "b1": (16,), "w2": (16, 1, 3, 3), "w3": (6, 16, 1, 1)}
    values = random_weights(shapes)
    uneven = np.logspace(-1, 1, 16)
    values["w1"] = values["w1"] * uneven[:, None, None, None]
    values["b1"] = values["b1"] * uneven
    values["w2"] = values["w2"] / uneven[:, None, None, None]
    return model_of(PLANTED, values), uneven


def samples_of(count: int, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    own, common = (count, 1, 4, 12, 12), (count, 1, 4, 1, 1)
    whole = random.uniform(-2, 2, own) + random.uniform(-1, 1, common)
    return [{"x": one.astype(np.float32)} for one in whole]


def test_planted_ranges_are_found(planted: tuple[ModelProto, Array]) -> None:
    model, uneven = planted
    factors = np.array(equalization(model, samples_of(20))["r"])
    relative = factors / uneven
    # but for what was drawn, which is no more than a few times
    assert relative.max() / relative.min() < 10 < uneven.max() / uneven.min()
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-6)


def test_equalization_helps_where_ranges_are_uneven(
    planted: tuple[ModelProto, Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = planted
    compared = ("gptq", "gptq-min-max", "mse", "min-max")
    equalized = ("gptq-equalized", "gptq-min-max-equalized")
    monkeypatch.setattr(W8A8, "methods", compared + equalized)  # whatever others there are
    plan = quantize(
        model,
        tmp_path / "q.onnx",
        tmp_path / "p.toml",
        samples_of(40),
        samples_of(8, seed=1),
    ).plan
    best = max(compared, key=lambda name: plan.candidates[name])
    assert plan.method.endswith("-equalized")
    assert plan.candidates[plan.method] > plan.candidates[best] + 4
    assert read_plan(tmp_path / "p.toml") == plan
    others = samples_of(30, seed=2)
    session = Session(load_model(tmp_path / "q.onnx"), optimise=False)
    outputs = [
        [np.stack([one.run(feeds)[0] for feeds in others])] for one in (Session(model), session)
    ]
    assert sqnr_db(*outputs) > plan.candidates[best] + 4


def test_statistics_of_the_equalized_model_are_those_it_would_give(
    planted: tuple[ModelProto, Array],
) -> None:
    model, _ = planted
    samples = samples_of(20)
    factors = equalization(model, samples)
    assert factors
    task = Calibration(model, samples, ("gptq",))
    int8 = IntegerFormat("w8a8", "int8", activation_scale)
    plain = uncalibrated(task, int8).observed_on(samples, len(samples))
    apply_method(plain, "gptq")
    derived = equalized_model(plain, factors)
    scaled = equalized(model, factors)
    fresh = uncalibrated(replace(task, model=scaled), int8).observed_on(samples, len(samples))
    assert list(derived.statistics.histograms) == list(fresh.statistics.histograms)
    for name, seen in fresh.statistics.histograms.items():
        found = derived.statistics.histograms[name]
        assert (found.low, found.high) == pytest.approx((seen.low, seen.high), rel=1e-5)
    for name, moments in fresh.statistics.moments.items():
        other = derived.statistics.moments[name]
        np.testing.assert_allclose(other.mean, moments.mean, rtol=1e-4, atol=1e-6)
        size = np.abs(moments.covariance).max()
        np.testing.assert_allclose(other.covariance, moments.covariance, atol=1e-4 * size)
    # the layers of no pair are not rounded again
    pairs = {n.name for p in pairs_of(Graph(model)) for n in (p.first, p.second)}
    assert set(derived.rounded["gptq"]) == {layer.name for layer in plain.layers} - pairs
    plans = [apply_method(one, "gptq")[0] for one in (derived, fresh)]
    for name, one in plans[0].activations.items():
        assert one.scale == pytest.approx(plans[1].activations[name].scale, rel=0.02)


def test_even_ranges_are_left_alone() -> None:
    model = chain("Relu (a)")
    random = np.random.default_rng(0)
    samples = [{"x": random.standard_normal((1, 4, 9, 9)).astype(np.float32)} for _ in range(4)]
    assert equalization(model, samples, least_db=40) == {}
    plain = model_of(
        "(float[1,4,5,5] x) => (float[1,4,5,5] y) { y = Conv (x, w) }", {"w": np.ones((4, 4, 1, 1))}
    )
    assert equalization(plain, samples) == {}


def test_a_plan_says_which_model_it_is_about(
    planted: tuple[ModelProto, Array], tmp_path: Path
) -> None:
    model, _ = planted
    result = quantize(
        model, tmp_path / "q.onnx", tmp_path / "p.toml", samples_of(12), method="gptq-equalized"
    )
    scaled = as_planned(model, result.plan)
    assert scaled is not model
    session = Session(scaled)
    for feeds in samples_of(3, seed=4):
        np.testing.assert_allclose(session.run(feeds)[0], Session(model).run(feeds)[0], rtol=1e-4)
    assert as_planned(model, replace(result.plan, equalization={})) is model
    rendered = Session(insert_qdq(scaled, result.plan), optimise=False)
    feeds = samples_of(1, seed=5)[0]
    assert sqnr_db(Session(model).run(feeds), rendered.run(feeds)) > 20
    strange = replace(result.plan, equalization={"r": (1.0, 2.0)})
    with pytest.raises(ModelError, match="another model"):
        as_planned(model, strange)
    with pytest.raises(ModelError, match="another model"):
        as_planned(chain("Relu (a)"), result.plan)


def test_errors_are_explained_of_the_equalized_model(
    planted: tuple[ModelProto, Array], tmp_path: Path
) -> None:
    model, _ = planted
    samples = samples_of(12)
    result = quantize(model, tmp_path / "q.onnx", tmp_path / "p", samples, method="gptq-equalized")
    quantized = load_model(result.path)
    errors = error_report(as_planned(model, result.plan), quantized, result.plan, samples[:4])
    assert min(one.accumulated_db for one in errors) > 15


def test_the_command_explains_an_equalized_model(
    planted: tuple[ModelProto, Array], tmp_path: Path
) -> None:
    save_model(planted[0], tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.stack([one["x"][0] for one in samples_of(30)]))
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npy", method="gptq-equalized")
    found = quantize_file(recipe.with_options(explain=True), tmp_path / "q.onnx")
    assert found.result.plan.equalization
    assert min(one.accumulated_db for one in found.errors) > 15


# The expected noise, by trial


def rounded(values: Array, step: Array | float) -> Array:
    return np.asarray(np.rint(values / step) * step)


@pytest.mark.parametrize("shape", [(1, 6, 12, 1), (12, 1, 1, 9), (2, 3, 6, 4)])
def test_the_expected_noise_is_what_rounding_brings(shape: Sequence[int]) -> None:
    random = np.random.default_rng(1)
    groups, _, inputs, taps = shape
    matrix = random.standard_normal(shape)
    size = np.logspace(0, 1, groups * inputs)
    rows = random.uniform(0, 1, (4000, groups, inputs, taps)) * size.reshape(groups, inputs, 1)
    values = rows.transpose(1, 2, 0, 3).reshape(groups * inputs, -1)
    sizes = Sizes(values.min(axis=1), values.max(axis=1), np.square(values).mean(axis=1))
    for exponent in (0.0, 0.5, 1.0):
        factors = factors_of(sizes, matrix, exponent)
        each = factors.reshape(groups, inputs, 1)
        scaled, held = rows / each, matrix * each[:, None]
        # all weights of many equal layers: one alone may be lucky
        held = held * random.uniform(0.9, 1.0, (200, 1, 1, 1, 1))
        limits = np.abs(held).max(axis=(3, 4), keepdims=True) / 126
        lost = np.square(rounded(held, limits) - held).mean(axis=0)
        of_weights = np.einsum("gik,goik->", np.square(scaled).mean(axis=0), lost)
        step = (scaled.max() - min(scaled.min(), 0)) / 255
        error = rounded(scaled, step) - scaled
        products = np.einsum("ngik,goik->ngo", error, matrix * each[:, None])
        measured = np.square(products).mean(axis=0).sum() + of_weights
        assert noise_of(sizes, matrix, factors) == pytest.approx(measured, rel=0.25)
