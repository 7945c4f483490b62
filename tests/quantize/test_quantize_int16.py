"""Mixed precision with int16, on chips that have no float16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import Samples, model_of, random_feeds, random_weights
from rockpress.convert.chips.cycles import layer_cycles, npu_cycles
from rockpress.convert.chips.targets import TARGETS, find_target
from rockpress.convert.convert import convert
from rockpress.convert.lowering.hybrid import with_fused_tensors
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.job import ToolkitPlan
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape, layer_of
from rockpress.core.graphs.model import is_qdq, load_model, save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.tasks.plan_handover import is_hybrid, with_quantized
from rockpress.quantize.mixing.mixed_budget import MixedPrecision, parse_mixed
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan

Array = NDArray[Any]

# one channel in sixteen is 100 times as large as the others, and as much less is made of it
NET = """(float[1,3,16,16] x) => (float[1,10,8,8] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    c = Conv <pads=[1,1,1,1]> (r, w2, b2)
    o = Relu (c)
    d = Conv <pads=[1,1,1,1], strides=[2,2]> (o, w3, b3)
    e = Relu (d)
    y = Conv (e, w4, b4) }"""
SHAPES = {
    **{"w1": (16, 3, 3, 3), "b1": (16,), "w2": (16, 16, 3, 3), "b2": (16,)},
    **{"w3": (32, 16, 3, 3), "b3": (32,), "w4": (10, 32, 1, 1), "b4": (10,)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    gain = np.where(np.arange(16) == 3, 100, 1).astype(np.float32)
    weights = random_weights(SHAPES)
    weights["w2"] *= gain[:, None, None, None]
    weights["b2"] *= gain
    weights["w3"] /= gain[None, :, None, None]
    return model_of(NET, weights)


def samples(count: int, seed: int) -> Samples:
    return random_feeds({"x": (1, 3, 16, 16)}, count, seed)


def on_rv1106(layer: LayerShape, dtype: str) -> float:
    return layer_cycles(layer, find_target("rv1106"), dtype)


# what the compiler of rknn-toolkit2 2.5.0 prints for single layers: cin, cout, kernel, groups, side
MEASURED = {
    ("rv1106", 3, 48, 3, 1, 32): 27648,
    ("rv1106", 48, 48, 3, 48, 32): 18432,
    ("rv1106", 48, 16, 3, 1, 16): 6912,
    ("rv1106", 16, 96, 1, 1, 16): 6144,
    ("rv1106", 96, 96, 3, 1, 16): 82944,
    ("rv1103", 96, 40, 1, 1, 16): 4608,
    ("rk3588", 96, 96, 3, 1, 16): 41472,
    ("rk3562", 96, 40, 1, 1, 16): 3840,
    ("rk3566", 48, 16, 3, 1, 16): 13824,
    ("rv1126b", 96, 40, 1, 1, 16): 2304,
}


@pytest.mark.parametrize("case", MEASURED)
def test_cycles_of_int16_are_the_compilers(case: tuple[str, int, int, int, int, int]) -> None:
    name, cin, cout, kernel, groups, side = case
    kind = "depthwise" if groups > 1 else "conv"
    layer = LayerShape("c", kind, cin, cout, kernel, kernel, groups, side, side, side, side)
    assert npu_cycles(layer, find_target(name), "int16") == MEASURED[case]


def test_the_type_mixed_with_int8_is_that_of_the_chip() -> None:
    found = {target.name: target.mixes_with for target in TARGETS}
    assert {name for name, kind in found.items() if kind == "int16"} == {"rv1103", "rv1106"}
    assert {name for name, kind in found.items() if kind is None} == {
        *("rv1103b", "rv1106b", "rk2118")
    }


@pytest.mark.parametrize("kind", ["int16", "float16"])
def test_readers_of_16_bits_compute_in_16_bits_too(kind: str, net: ModelProto) -> None:
    ranges = {name: (0.0, 1.0) for name in ("x", "r", "e", "y")}
    carried = with_fused_tensors(net, ToolkitPlan(ranges, {"o": kind}))
    assert carried.types == dict.fromkeys(("o", "c", "e", "d"), kind)
    assert carried.ranges["e"] == (0.0, 1.0)  # behind its layer it is int8 again


def test_int16_reaches_the_chip(net: ModelProto, tmp_path: Path) -> None:
    """The uneven tensor is chosen, and the simulator is as near as the intended model says."""
    calib, held, others = samples(16, 0), samples(6, 1), samples(8, 2)
    mixed = MixedPrecision(parse_mixed("cycles=+80%"), on_rv1106, dtype="int16")
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    result = quantize(net, *paths, calib, held, method="gptq-min-max", mixed=mixed)
    plan = read_plan(paths[1])
    assert plan == result.plan
    assert "o" in plan.high_precision
    assert "x" not in plan.high_precision
    assert plan.high_precision_dtype == "int16"
    # the weights are those that the toolkit will round itself
    assert {one.source for one in plan.weights.values()} == {"nearest"}
    assert plan.tradeoffs[-1].sqnr_db > plan.tradeoffs[0].sqnr_db + 6
    save_model(net, tmp_path / "f.onnx")
    floating = ConversionRequest(tmp_path / "f.onnx", None, "rv1106", simulate=others)
    request = with_quantized(floating, result, None)
    assert is_hybrid(plan)
    assert (request.model, request.quantization) == (tmp_path / "f.onnx", "hybrid")
    assert not is_qdq(load_model(request.model))
    made = convert(replace(request, calibration=calib))
    kinds = {layer.dtype for layer in made.layers if layer.npu_cycles}
    assert kinds == {"INT8", "INT16"}
    models = Session(net), Session(load_model(paths[0]), optimise=False)
    wanted, intended = ([np.stack([m.run(one)[0][0] for one in others])] for m in models)
    assert made.outputs is not None
    got = [made.outputs[0].reshape(wanted[0].shape)]
    assert sqnr_db(wanted, got) > sqnr_db(wanted, intended) - 1.5
    # what was expected of its cycles, but for the layers' memory traffic
    graph = Graph(net)
    shapes = [shape for node in graph.nodes if (shape := layer_of(graph, node)) is not None]
    int8 = sum(on_rv1106(shape, "int8") for shape in shapes)
    ratio = next(one for one in plan.tradeoffs if one.floating == plan.high_precision).cycles_ratio
    assert ratio is not None
    assert made.cycles == pytest.approx(int8 * ratio, rel=0.1)
