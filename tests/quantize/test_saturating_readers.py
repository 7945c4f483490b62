"""Ranges end where what reads a tensor no longer tells its values apart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from graphs import model_of
from rockpress.core.graphs.graph import Graph
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.graph_parts.saturating_readers import EVERYWHERE, counting_range
from rockpress.quantize.numeric.histogram import Histogram
from rockpress.quantize.quantize import quantize

SIGMOID = "s = Sigmoid (c) m = Mul (c, s)"
HARD = "s = HardSigmoid <alpha=0.25, beta=0.5> (c) m = Mul (s, c)"
SPELT = "a = Add (c, three) p = Clip (a, zero, six) t = Mul (c, p) m = Div (t, six)"
CONSTANTS = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (SIGMOID, (-6.0, math.inf)),
        (HARD, (-2.0, math.inf)),
        ("m = HardSwish (c)", (-3.0, math.inf)),
        (SPELT, (-3.0, math.inf)),
        ("m = HardSigmoid <alpha=0.25, beta=0.5> (c)", (-2.0, 2.0)),
        ("m = Sigmoid (c)", EVERYWHERE),
        ("m = Relu (c)", EVERYWHERE),
        ("s = Sigmoid (c) m = Mul (x, s)", EVERYWHERE),
        ("s = Sigmoid (c) r = Relu (c) m = Mul (r, s)", EVERYWHERE),
        ("s = Sigmoid (c) n = Mul (c, s) m = Add (n, c)", EVERYWHERE),
        (SPELT.replace("zero", "three"), EVERYWHERE),
    ],
)
def test_what_counts_follows_from_the_readers(functions: str, expected: tuple[float, ...]) -> None:
    text = f"(float[1,4,6,6] x) => (float[1,4,6,6] m) {{ c = Conv (x, w) {functions} }}"
    model = model_of(text, {"w": (4, 4, 1, 1), **CONSTANTS}, prepared=False)
    assert counting_range(Graph(model), "c") == expected


def test_an_output_counts_everywhere() -> None:
    text = (
        f"(float[1,4,6,6] x) => (float[1,4,6,6] m, float[1,4,6,6] c) {{ c = Conv (x, w) {HARD} }}"
    )
    assert counting_range(Graph(model_of(text, {"w": (4, 4, 1, 1)})), "c") == EVERYWHERE


def test_a_histogram_keeps_its_values_within_a_range() -> None:
    values = np.random.default_rng(0).normal(-4, 6, 10000)
    whole, cut = Histogram(), Histogram()
    whole.add(values)
    cut.add(values.clip(-3, 5))
    part = whole.within(-3, 5)
    assert (part.low, part.high, part.count) == (-3, 5, whole.count)
    middle = part.edges[:-1][part.counts > 0]
    assert middle.min() <= -3 < middle.min() + part.width
    assert middle.max() <= 5 < middle.max() + part.width
    assert whole.within(-1000, 1000) is whole


@pytest.mark.parametrize("method", ["gptq", "min-max"])
def test_the_steps_lie_where_silu_tells_values_apart(method: str, tmp_path: Path) -> None:
    """The results go down to -90, and up to 10: steps of 0.4 would leave little of them."""
    text = f"(float[1,4,16,16] x) => (float[1,4,16,16] m) {{ c = Conv (x, w, b) {SIGMOID} }}"
    weights = {"w": np.eye(4, dtype=np.float32)[:, :, None, None], "b": np.zeros(4, np.float32)}
    model, random = model_of(text, weights), np.random.default_rng(1)
    samples = [
        {"x": random.uniform([[[-90]], [[0]], [[0]], [[0]]], 10, (1, 4, 16, 16)).astype(np.float32)}
        for _ in range(6)
    ]
    plan = quantize(model, tmp_path / "q.onnx", tmp_path / "p.toml", samples, method=method).plan
    assert plan.activations["c"].low >= -6.1
    assert plan.activations["c"].source.endswith(", where it counts")
    expected = np.stack([Session(model).run(feeds)[0][:, 1:] for feeds in samples])
    session = Session(tmp_path / "q.onnx", optimise=False)
    got = np.stack([session.run(feeds)[0][:, 1:] for feeds in samples])
    assert sqnr_db([expected], [got]) > 30
