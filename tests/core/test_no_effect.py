"""Casts to the same type, and empty parts of a Split: they go, and the results stay."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import Weights, model_of, random_feeds
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

X = "(float[1,8,4,4] x) => (float[n,c,h,v] y"
CAST = f"{X}, float[1,8,4,4] z) {{ y = Relu (x) z = Cast <to = 1> (y) }}"
EMPTY = f"""{X}) {{ a, b, c = Split <axis = 1> (x, sizes)
    j = Concat <axis = 1> (c, b, a) y = Relu (j) }}"""
ALONE = f"""{X}) {{ a, b, c = Split <axis = 1> (x, sizes)
    j = Concat <axis = 1> (b, c) k = Mul (j, j) y = Concat <axis = 1> (k, a) }}"""


@pytest.mark.parametrize(
    ("text", "operators"),
    [
        (CAST, ["Relu", "Identity"]),
        (EMPTY, ["Split", "Concat", "Relu"]),
        (ALONE, ["Split", "Identity", "Mul", "Concat"]),
    ],
)
def test_they_go_and_results_stay(text: str, operators: list[str]) -> None:
    weights: Weights = {"sizes": np.array([3, 0, 5])} if "sizes" in text else {}
    model = model_of(text, weights, prepared=False)
    prepared = prepare_model(model)
    assert [node.op_type for node in prepared.graph.node] == operators
    assert all(len(node.output) < 3 for node in prepared.graph.node)
    (feeds,) = random_feeds({"x": (1, 8, 4, 4)}, 1)
    for expected, result in zip(
        Session(model).run(feeds), Session(prepared).run(feeds), strict=True
    ):
        np.testing.assert_array_equal(result, expected)


def test_other_casts_and_parts_that_are_outputs_stay() -> None:
    text = """(float[1,8] x) => (float[1,3] a, float[1,0] b, int64[1,5] z) {
        a, b, c = Split <axis = 1> (x, sizes) z = Cast <to = 7> (c) }"""
    prepared = prepare_model(model_of(text, {"sizes": np.array([3, 0, 5])}, prepared=False))
    assert [node.op_type for node in prepared.graph.node] == ["Split", "Cast"]
    assert len(prepared.graph.node[0].output) == 3
