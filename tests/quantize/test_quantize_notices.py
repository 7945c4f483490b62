"""What quantize says: of weights that become 0, of operators left in float, of its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from graphs import Samples, model_of, random_feeds, random_weights
from rockpress.core.errors import OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.core.types import Array
from rockpress.pipeline.prune_file import prune_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.graph_parts.placement import left_in_float, place
from rockpress.quantize.quantize import quantize


def drawn(**shapes: tuple[int, ...]) -> dict[str, Array]:
    return random_weights(shapes, scale=1 / 4)


def floating(model: ModelProto, *names: str) -> dict[str, int]:
    graph = Graph(model)
    return left_in_float(graph, place(graph, names))


TWO = """(float[1,4,6,6] x) => (float[1,4,6,6] y) {
    a = Conv (x, w1)
    r = Relu (a)
    y = Conv (r, w2) }"""


def samples(count: int = 4) -> Samples:
    return random_feeds({"x": (1, 4, 6, 6)}, count, 1)


@pytest.mark.parametrize("scheme", ["w8a8", "w4a16"])
def test_weights_that_become_zero_are_told(scheme: str, tmp_path: Path) -> None:
    values = drawn(w1=(4, 4, 1, 1), w2=(4, 4, 1, 1))
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    assert quantize(model_of(TWO, values), *paths, samples(), scheme=scheme).notices == ()
    # one channel that is dead, as BatchNormalization leaves them, is nothing to be told
    values["w2"][1] = 1e-30
    assert quantize(model_of(TWO, values), *paths, samples(), scheme=scheme).notices == ()
    values["w2"][:] = 1e-30
    (notice,) = quantize(model_of(TWO, values), *paths, samples(), scheme=scheme).notices
    assert notice.code == "weight-underflow"
    assert "1.0e-30" in notice.text
    assert notice.text.endswith(" y")
    values["w2"][:] = 0  # it is as it was
    assert quantize(model_of(TWO, values), *paths, samples(), scheme=scheme).notices == ()


def test_operators_left_in_float_are_counted() -> None:
    model = model_of(TWO, drawn(w1=(4, 4, 1, 1), w2=(4, 4, 1, 1)))
    assert floating(model) == {}
    assert floating(model, "r") == {"Conv": 2, "Relu": 1}
    assert floating(model, "y") == {"Conv": 1}


def test_a_convolution_whose_weight_is_computed_is_in_float() -> None:
    text = """(float[1,4,6,6] x, float[4,4,1,1] k) => (float[1,4,6,6] y) {
        a = Conv (x, w1)
        b = Conv (a, k)
        y = Conv (b, w1) }"""
    assert floating(model_of(text, drawn(w1=(4, 4, 1, 1)))) == {"Conv": 1}


def test_an_lstm_between_quantized_tensors_is_in_float() -> None:
    text = """(float[5,1,4] x) => (float[5,1,6] z) {
        a = MatMul (x, w1)
        y, h, c = LSTM <hidden_size=6> (a, w2, r2)
        s = Squeeze (y, one)
        z = MatMul (s, w3) }"""
    values = drawn(w1=(4, 4), w2=(1, 24, 4), r2=(1, 24, 6), w3=(6, 6))
    assert floating(model_of(text, {**values, "one": [1]})) == {"LSTM": 1}


def test_hard_swish_in_four_operators_is_one_in_int8() -> None:
    text = """(float[1,4,6,6] x) => (float[1,4,6,6] y) {
        a = Conv (x, w1)
        b = Add (a, three)
        c = Clip (b, zero, six)
        d = Mul (a, c)
        e = Div (d, six)
        y = Conv (e, w2) }"""
    values = drawn(w1=(4, 4, 1, 1), w2=(4, 4, 1, 1))
    constants = {"three": 3.0, "zero": 0.0, "six": 6.0}
    assert floating(model_of(text, {**values, **constants})) == {}


def test_a_join_with_what_is_in_float_is_in_float() -> None:
    text = """(float[1,4,6,6] x) => (float[1,4,6,6] y) {
        a = Conv (x, w1)
        s = Softmax <axis=1> (a)
        j = Sin (s)
        y = Mul (a, j) }"""
    found = floating(model_of(text, drawn(w1=(4, 4, 1, 1))))
    assert found["Sin"] == found["Softmax"] == 1


@pytest.mark.parametrize("command", [quantize_file, prune_file])
def test_a_single_file_for_several_chips_is_refused(command: Any, tmp_path: Path) -> None:
    recipe = make_recipe(
        tmp_path / "m.onnx", calib=tmp_path, prune="macs=-40%", target=("rk3588", "rv1106")
    )
    with pytest.raises(OptionError, match="rk3588, rv1106"):
        command(recipe, tmp_path / "out.onnx")
