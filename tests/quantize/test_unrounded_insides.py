"""Candidates are compared as the NPU computes them: it does not round what is joined to a layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from gated_nets import WEIGHTS
from graphs import Weights, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array, Feeds
from rockpress.quantize.quantize import quantize
from rockpress.quantize.trials.held_out_samples import HeldOut
from rockpress.quantize.trials.unrounded_insides import with_unrounded_insides

SHAPES: Weights = {
    **WEIGHTS,
    "e": (8, 8, 1, 1),
    "deep": (8, 1, 3, 3),
    "paired": (8, 2, 3, 3),
    "up": (4, 8, 1, 1),
    "wide": (4, 8),
    "tall": (8, 4),
}
HEAD = "(float[1,4,9,9] x) => (float[1,4,9,9] y)"
CONV = "c = Conv <pads=[1,1,1,1]> (x, w, b)"
LAST = "y = Conv (p, v)"
HARD_SWISH = "a = Add (c, three) k = Clip (a, zero, six) m = Mul (c, k) p = Div (m, six)"
ERF = "d = Div (c, root) f = Erf (d) g = Add (f, one)"
# from the layer's result c to p
ACTIVATIONS = {
    "HardSwish spelt out": HARD_SWISH,
    "HardSwish": "p = HardSwish (c)",
    "SiLU": "g = Sigmoid (c) p = Mul (c, g)",
    "GELU": f"{ERF} m = Mul (c, g) p = Mul (m, half)",
    "GELU halved first": f"h = Mul (c, half) {ERF} p = Mul (h, g)",
    "GELU halved early": f"{ERF} m = Mul (g, half) p = Mul (m, c)",
    "Mish": "p = Mish (c)",
    "Mish spelt out": "s = Softplus (c) t = Tanh (s) p = Mul (c, t)",
    "Sigmoid": "p = Sigmoid (c)",
    "Tanh": "p = Tanh (c)",
    "Elu": "p = Elu (c)",
}
BEFORE = "z = Conv <pads=[1,1,1,1]> (x, w, b) r = Relu (z)"
DEPTHWISE = f"{BEFORE} c = Conv <pads=[1,1,1,1], group=8> (r, deep)"
SUM = "p = Add (c, r)"
SUM_OF_TWO = f"{BEFORE} c = Conv (r, e) d = Conv <pads=[1,1,1,1]> (x, w) p = Add (d, c) {LAST}"
# nodes -> what is not rounded
SINGLE = {
    f"{BEFORE} c = Conv (r, e) {SUM} {LAST}": {"c"},
    f"{BEFORE} c = Conv (r, e) a = Add (c, r) p = Relu (a) {LAST}": {"c"},
    SUM_OF_TWO: {"c"},
    f"{BEFORE} d = Conv <pads=[1,1,1,1]> (x, w) c = Conv (r, e) p = Add (c, d) {LAST}": {"d"},
    f"{BEFORE} c = Conv (r, e) m = GlobalAveragePool (r) p = Add (c, m) {LAST}": set(),
    f"{DEPTHWISE} {SUM} {LAST}": set(),
    f"{DEPTHWISE} {ACTIVATIONS['Elu']} {LAST}": {"c"},
    f"{CONV} {ACTIVATIONS['SiLU']} d = Conv (p, v) f = Conv (c, u) y = Add (d, f)": {"d"},
    f"{CONV} {ACTIVATIONS['Tanh']} d = Conv (p, e) f = Mul (d, c) y = Conv (f, u)": set(),
}
# behind what is not joined
ROUNDED = {
    "depthwise": f"{DEPTHWISE} {ACTIVATIONS['SiLU']} {LAST}",
    "depthwise, HardSwish spelt out": f"{DEPTHWISE} {HARD_SWISH} {LAST}",
    "two groups": f"c = Conv <pads=[1,1,1,1], group=2> (x, paired) {ACTIVATIONS['SiLU']} {LAST}",
    "transposed": f"c = ConvTranspose (x, up) {ACTIVATIONS['SiLU']} {LAST}",
    "HardSigmoid": f"{CONV} p = HardSigmoid (c) {LAST}",
    "Relu": f"{CONV} p = Relu (c) {LAST}",
}
ROWS = "(float[1,9,4] x) => (float[1,9,4] y)"
# what a MatMul with a bias is prepared to be
PRODUCT = (
    "rows = Constant <value_ints = [9, 4]> () back = Constant <value_ints = [1, 9, 8]> () "
    "flat = Reshape (x, rows) a = Gemm (flat, wide, b) c = Reshape (a, back)"
)


def _quantized(model: ModelProto, samples: Sequence[Feeds], folder: Path) -> ModelProto:
    quantize(model, folder / "q.onnx", folder / "p.toml", samples, method="min-max")
    return load_model(folder / "q.onnx")


def _outputs(model: ModelProto, samples: Sequence[Feeds]) -> Array:
    session = Session(model, keeps_scales=True)
    return np.concatenate([session.run(feeds)[0] for feeds in samples])


def _unrounded(text: str, folder: Path) -> set[str]:
    """Return what is read without a scale only in the unrounded form of the quantized model."""
    model = model_of(text, SHAPES, opset=18)
    quantized = _quantized(model, random_feeds(model, 12, 1), folder)
    before, after = Graph(quantized).consumers, Graph(with_unrounded_insides(quantized)).consumers
    return {name for name in before if len(after.get(name, ())) > len(before[name])}


@pytest.mark.parametrize("nodes", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_an_activation_reads_what_the_layer_computes(nodes: str, tmp_path: Path) -> None:
    model = model_of(f"{HEAD} {{ {CONV} {nodes} {LAST} }}", SHAPES, opset=18)
    samples = random_feeds(model, 12, 1)
    quantized = _quantized(model, samples, tmp_path)
    joined = with_unrounded_insides(quantized)
    readers = [node.op_type for node in Graph(joined).consumers["c"]]
    assert "QuantizeLinear" in readers and len(readers) > 1
    held_out = HeldOut(model, samples)
    expected = sqnr_db([_outputs(model, samples)], [_outputs(joined, samples)])
    assert held_out.sqnr_db(quantized) == pytest.approx(expected, abs=0.01)
    assert held_out.trial(quantized).sqnr_db == pytest.approx(expected, abs=0.01)
    assert expected > sqnr_db([_outputs(model, samples)], [_outputs(quantized, samples)])


@pytest.mark.parametrize(("nodes", "names"), SINGLE.items())
def test_a_single_result_is_not_rounded(nodes: str, names: set[str], tmp_path: Path) -> None:
    assert _unrounded(f"{HEAD} {{ {nodes} }}", tmp_path) == names


@pytest.mark.parametrize("nodes", ROUNDED.values(), ids=ROUNDED)
def test_all_else_is_rounded(nodes: str, tmp_path: Path) -> None:
    assert not _unrounded(f"{HEAD} {{ {nodes} }}", tmp_path)


@pytest.mark.parametrize(("kind", "is_unrounded"), [("GELU", True), ("HardSwish", False)])
def test_behind_a_matrix_product(kind: str, is_unrounded: bool, tmp_path: Path) -> None:
    """The result of the product is reshaped in between."""
    text = f"{ROWS} {{ {PRODUCT} {ACTIVATIONS[kind]} y = MatMul (p, tall) }}"
    names = _unrounded(text, tmp_path)
    assert ("c" in names) == is_unrounded
    assert len(names) == 2 * is_unrounded


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_the_toolkit_computes_that(tmp_path: Path) -> None:
    """At level 3, in one model: activations, a sum, and what is rounded, each a branch of x."""
    kinds = ("HardSwish spelt out", "SiLU", "GELU", "Mish", "Sigmoid", "Elu")
    branches = [f"{CONV} {ACTIVATIONS[kind]} {LAST}" for kind in kinds]
    branches += [SUM_OF_TWO, ROUNDED["depthwise, HardSwish spelt out"]]
    branches += [f"{DEPTHWISE} {ACTIVATIONS['Elu']} {LAST}"]
    model = _model_of_branches(branches)
    samples = random_feeds(model, 12, 1)
    quantized = _quantized(model, samples, tmp_path)
    simulate = samples[:4]
    request = ConversionRequest(
        tmp_path / "q.onnx", None, "rk3588", calibration=samples, simulate=simulate, level=3
    )
    simulated = convert(request).outputs
    assert simulated is not None
    expected = Session(with_unrounded_insides(quantized), keeps_scales=True).stacked(simulate)
    for branch, values, output in zip(branches, expected, simulated, strict=True):
        assert sqnr_db([values], [output.reshape(values.shape)]) > 42, branch


def _model_of_branches(branches: Sequence[str]) -> ModelProto:
    """Return one model of all branches, each with weights of its own and an output."""
    own = [name for name, value in SHAPES.items() if isinstance(value, tuple)]
    weights, nodes = dict(SHAPES), list[str]()
    for index, branch in enumerate(branches):
        names = "|".join([*own, *re.findall(r"(\w+) = ", branch)])
        nodes.append(re.sub(rf"\b({names})\b", rf"\g<1>{index}", branch))
        weights |= {f"{name}{index}": SHAPES[name] for name in own}
    outputs = ", ".join(f"float[1,4,9,9] y{index}" for index in range(len(branches)))
    text = f"(float[1,4,9,9] x) => ({outputs}) {{ {' '.join(nodes)} }}"
    return model_of(text, weights, opset=18)
