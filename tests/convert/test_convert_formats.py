"""Number formats that the toolkit has for few chips: w8a16 for RK3562, int16 for RV1106."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.lowering.channel_padding import needs_whole_blocks, with_whole_blocks
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import Graph, extract_until
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db

Array = NDArray[Any]

# channels of an image, of blocks of 8, and grouped ones; products, one of which reads the same
NET = """(float[1,3,9,9] x) => (float[1,5] y, float[1,7] z) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    d = Conv <group=24> (a, w2)
    e = Conv (d, w3)
    g = GlobalAveragePool (e)
    f = Flatten (g)
    y = Gemm <transB=1> (f, w4, b4)
    z = MatMul (f, w5) }"""
SHAPES = {
    **{"w1": (24, 3, 3, 3), "b1": (24,), "w2": (24, 1, 1, 1), "w3": (40, 24, 1, 1)},
    **{"w4": (5, 40), "b4": (5,), "w5": (40, 7)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return model_of(NET, SHAPES)


def inputs_of_layers(model: ModelProto) -> list[int]:
    graph = Graph(model)
    return [
        graph.shapes[node.input[0]][1]
        for node in graph.nodes
        if node.op_type in ("Conv", "Gemm", "MatMul")
    ]


def test_the_function_stays_the_same(net: ModelProto) -> None:
    changed = with_whole_blocks(net)
    onnx.checker.check_model(changed, full_check=True)
    (feeds,) = random_feeds({"x": (1, 3, 9, 9)}, 1, seed=1)
    for before, after in zip(Session(net).run(feeds), Session(changed).run(feeds), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert inputs_of_layers(net) == [3, 24, 24, 40, 40]
    assert inputs_of_layers(changed) == [32, 24, 32, 64, 64]
    assert needs_whole_blocks(net)
    assert not needs_whole_blocks(changed)
    # what two layers read is joined once
    assert sum(node.op_type == "Concat" for node in changed.graph.node) == 3


def test_whole_blocks_are_left_as_they_are() -> None:
    model = model_of(
        """(float[2,64] x, float[31,9] w) => (float[2,9] y, float[2,2] v)
        <float[64,31] a, float[2,64] b> {
            h = MatMul (x, a)
            y = MatMul (h, w)
            v = Gemm <transB=1> (x, b) }""",
        prepared=False,
    )
    assert not needs_whole_blocks(model)
    assert [node.op_type for node in with_whole_blocks(model).graph.node] == [
        node.op_type for node in model.graph.node
    ]


@pytest.mark.parametrize(
    ("target", "dtype", "last", "least_db"),
    # of the Gemm behind the pooling the toolkit makes w8a16 by luck: it ends in SIGSEGV or SIGABRT
    # in 4 of 10 builds, more on a busy machine
    [("rk3562", "w8a16", "e", 35), ("rv1106", "w16a16i", "y", 60)],
)
def test_the_compiler_takes_it(
    target: str, dtype: str, last: str, least_db: float, net: ModelProto, tmp_path: Path
) -> None:
    net = prepare_model(extract_until(net, [last]))
    onnx.save(net, tmp_path / "m.onnx")
    samples = random_feeds({"x": (1, 3, 9, 9)}, 6, seed=2)
    made = convert(
        ConversionRequest(
            tmp_path / "m.onnx",
            None,
            target,
            quantization="normal",
            dtype=dtype,
            calibration=samples,
            simulate=samples,
        )
    )
    assert made.outputs is not None
    assert made.dtype == dtype
    expected = [
        np.concatenate(one)
        for one in zip(*(Session(net).run(feeds) for feeds in samples), strict=True)
    ]
    found = [one.reshape(want.shape) for one, want in zip(made.outputs, expected, strict=True)]
    assert sqnr_db(expected, found) > least_db
