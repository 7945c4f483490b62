"""The hybrid route, and the choice between routes by what the simulator computes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from graphs import model_of, random_feeds
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.fidelity import Closeness, Probe
from rockpress.convert.handover import inputs_of, write_samples
from rockpress.convert.lowering.hybrid import with_fused_tensors
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import ToolkitPlan
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.tasks.plan_handover import ranges_of
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit

Array = NDArray[Any]
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


class Quantized:
    """The small CNN, prepared and quantized, with its samples and its plan."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.samples = random_feeds({"x": (1, 3, 32, 32)}, 8)
        self.floating = folder / "prepared.onnx"
        model = prepare_model(onnx.load(source))
        onnx.save(model, self.floating)
        result = quantize(model, folder / "q.onnx", folder / "q.toml", self.samples)
        self.path, self.plan = result.path, ranges_of(result.plan, model)

    def convert(self, **options: Any) -> Conversion:
        model = options.pop("model", self.floating)
        return convert(
            ConversionRequest(
                model, None, "rk3588", calibration=self.samples, simulate=self.samples, **options
            )
        )


@pytest.fixture
def quantized(small_cnn: Path, tmp_path: Path) -> Quantized:
    return Quantized(small_cnn, tmp_path)


def outputs_of(conversion: Conversion) -> Array:
    assert conversion.outputs is not None
    return np.array(conversion.outputs[0])


@needs_toolkit
def test_the_plans_ranges_are_carried_into_the_build(quantized: Quantized) -> None:
    whole = quantized.convert(quantization="hybrid", plan=quantized.plan)
    assert whole.quantization == "hybrid"
    assert whole.closeness.float_db is not None and whole.closeness.float_db > 25
    assert {one.dtype for one in whole.layers if one.total_cycles} == {"INT8"}
    low, high = quantized.plan.ranges["pointwise_relu"]
    narrow = {**quantized.plan.ranges, "pointwise_relu": (low / 4, high / 4)}
    cut = quantized.convert(quantization="hybrid", plan=replace(quantized.plan, ranges=narrow))
    assert cut.closeness.float_db is not None and cut.closeness.float_db < 20
    # "flat" only moves the values of the pooling, so that stands for it
    assert whole.warnings == ()


@needs_toolkit
def test_a_layer_of_another_type(quantized: Quantized) -> None:
    plan = replace(quantized.plan, types={"first_relu": "float16"})
    made = quantized.convert(quantization="hybrid", plan=plan)
    types = {one.name.rpartition(":")[2]: one.dtype for one in made.layers}
    assert types["first"] == "FLOAT16"
    assert {"INT8", "FLOAT16"} <= set(types.values())


@needs_toolkit
def test_tensors_under_other_names_are_told_by_their_values(tmp_path: Path) -> None:
    """The toolkit moves and joins these layers, and none of what they make keeps its name."""
    text = """(float[1,16,32] x) => (float[1,16,32] y) {
        n = LayerNormalization (x, g, h)
        m = MatMul (n, w)    a = Add (m, b)    s = Sigmoid (a)
        o = MatMul (s, v)    y = Add (o, c) }"""
    weights = {"g": (32,), "h": (32,), "w": (32, 32), "b": (32,), "v": (32, 32), "c": (32,)}
    onnx.save(model_of(text, weights), tmp_path / "m.onnx")
    samples = random_feeds({"x": (1, 16, 32)}, 4)
    request = ConversionRequest(tmp_path / "m.onnx", None, "rk3588", calibration=samples)
    plan = ToolkitPlan({"a": (-6.0, 6.0), "nowhere": (0.0, 1.0)}, {"n": "float16"})
    made = convert(replace(request, quantization="hybrid", plan=plan))
    types = {layer.op: layer.dtype for layer in made.layers}
    assert (types["exNorm"], types["ConvSigmoid"]) == ("FLOAT16", "INT8")
    (lost,) = (each for each in made.warnings if each.code == "toolkit-plan")
    assert lost.text.endswith("decided on them itself: nowhere")


@needs_toolkit
def test_what_is_wide_is_read_wide(tmp_path: Path) -> None:
    """A normalisation brings out what int8 has no step for, so it must not read int8 either."""
    text = """(float[1,16,32] x) => (float[1,16,32] y) {
        t = Add (x, z)  [norm] n = LayerNormalization (t, g, h)
        m = MatMul (n, w)   y = Add (m, b) }"""
    weights = {"z": (1, 16, 32), "g": (32,), "h": (32,), "w": (32, 32), "b": (32,)}
    onnx.save(model_of(text, weights), tmp_path / "m.onnx")
    samples = random_feeds({"x": (1, 16, 32)}, 4)
    request = ConversionRequest(tmp_path / "m.onnx", None, "rk3588", calibration=samples)
    plan = ToolkitPlan({"n": (-4.0, 4.0)}, {"t": "float16"})
    made = convert(replace(request, quantization="hybrid", plan=plan))
    types = {layer.op: layer.dtype for layer in made.layers}
    assert (types["Add"], types["exNorm"], types["Conv"]) == ("FLOAT16", "FLOAT16", "INT8")


@needs_toolkit
def test_a_build_that_computes_something_else_is_not_believed(
    quantized: Quantized, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing good enough, every way is tried, and the one closest to the float model kept."""
    monkeypatch.setattr(Closeness, "is_faithful", False)
    made = quantized.convert(
        model=quantized.path, float_model=quantized.floating, plan=quantized.plan
    )
    monkeypatch.undo()
    expected = Session(quantized.floating)
    wanted = np.concatenate([expected.run(sample)[0] for sample in quantized.samples])
    ways = [
        quantized.convert(quantization=way, plan=quantized.plan) for way in ("hybrid", "normal")
    ]
    best = max(sqnr_db([wanted[:4]], [outputs_of(way)[:4]]) for way in ways)
    assert made.closeness.float_db is not None and made.closeness.float_db >= best - 0.01
    (warning,) = (each for each in made.warnings if each.code == "toolkit-fidelity")
    assert warning.text.endswith("no other way came closer")


@needs_toolkit
def test_the_first_way_is_kept_when_it_is_good(quantized: Quantized) -> None:
    made = quantized.convert(
        model=quantized.path, float_model=quantized.floating, plan=quantized.plan
    )
    assert made.quantization == "qdq"
    assert made.warnings == ()
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 25


@needs_toolkit
def test_a_quantized_model_alone_is_tried_on_noise(quantized: Quantized) -> None:
    made = convert(ConversionRequest(quantized.path, None, "rk3588"))
    assert made.outputs is None
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 15
    assert made.closeness.float_db is None
    assert made.warnings == ()


def test_hybrid_needs_a_plan(small_cnn: Path) -> None:
    with pytest.raises(OptionError, match="hybrid needs the ranges of a plan"):
        convert(
            ConversionRequest(small_cnn, None, "rk3588", quantization="hybrid", calibration=[{}])
        )


def test_both_sides_of_a_fused_activation_get_one_range(small_cnn: Path) -> None:
    model = prepare_model(onnx.load(small_cnn))
    found = with_fused_tensors(
        model, ToolkitPlan({"first_relu": (0.0, 2.0), "add": (-1.0, 1.0)}, {})
    )
    assert found.ranges == {"first": (0.0, 2.0), "first_relu": (0.0, 2.0), "add": (-1.0, 1.0)}


@pytest.mark.parametrize(
    ("closeness", "faithful"),
    [
        (Closeness(None, 5.0, None), True),
        (Closeness(26.0, None, None), True),
        (Closeness(19.0, None, None), False),
        (Closeness(12.0, 9.5, 10.0), True),
        (Closeness(12.0, 8.5, 10.0), False),
        (Closeness(math.inf, math.inf, math.inf), True),
        (Closeness(-math.inf, -math.inf, 10.0), False),
    ],
)
def test_builds_are_believed_by_their_closeness(closeness: Closeness, faithful: bool) -> None:
    assert closeness.is_faithful is faithful


def test_a_probe_normalises_pixels_as_the_rknn_does(small_cnn: Path, tmp_path: Path) -> None:
    model = onnx.load(small_cnn)
    mean, std = (120.0, 110.0, 100.0), (50.0, 60.0, 70.0)
    inputs = inputs_of(model, mean, std)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (2, 1, 32, 32, 3), dtype=np.uint8)
    assert write_samples([{"x": one} for one in pixels], inputs, tmp_path) == 2
    normal = ((pixels[:, 0].astype(np.float32) - mean) / std).astype(np.float32)
    session = Session(model)
    wanted = [session.run({"x": one.transpose(2, 0, 1)[None]})[0][0] for one in normal]
    close = Probe(model, None, inputs, tmp_path, 2).closeness([np.stack(wanted)])
    assert close.float_db is not None and close.float_db > 90
    assert close.intended_db is None


def test_a_model_that_computes_nan_itself(tmp_path: Path) -> None:
    model = model_of("(float[1,4] x) => (float[1,4] y) { y = Log (x) }", prepared=False)
    inputs = inputs_of(model, None, None)
    write_samples([{"x": -np.ones((1, 4), np.float32)}], inputs, tmp_path)
    with pytest.raises(ModelError, match="computes NaN or infinity from these samples"):
        Probe(model, None, inputs, tmp_path, 1).require_finite_model()
