"""An output that joins boxes and scores: in int8 neither is lost, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from detectors import detector, end_to_end, scenes, yolox
from graphs import model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.streaming.tensor_stream import with_outputs
from rockpress.core.types import Array
from rockpress.pipeline.tasks.plan_handover import handover_of, ranges_of
from rockpress.quantize.error_report import error_report
from rockpress.quantize.quantize import QuantizeResult, quantize
from rockpress.quantize.rendering.plan import Plan, read_plan
from rockpress.quantize.rendering.qdq import insert_qdq

LOGITS = ("c0", "c1", "r0/part#2", "r1/part#2", "logits")


def quantized(
    model: ModelProto, folder: Path, wide: str | None, method: str = "min-max"
) -> QuantizeResult:
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(model, *paths, scenes(model, 16), method=method, wide=wide)


def parts_of(model: ModelProto) -> tuple[Array, Array]:
    """Return the boxes and the scores of samples that were not calibrated with."""
    session = Session(model, optimise=False)
    outputs = np.concatenate([session.run(feeds)[0] for feeds in scenes(model, 8, seed=1)])
    return outputs[:, :4], outputs[:, 4:]


def scores_of(model: ModelProto) -> Array:
    """Return the scores of the heads that have a row a cell."""
    session = Session(model, optimise=False)
    return np.concatenate([session.run(feeds)[0] for feeds in scenes(model, 8, seed=1)])[..., 4:]


def types_of(plan: Plan) -> dict[str, str]:
    return {name: activation.dtype for name, activation in plan.activations.items()}


def test_what_is_joined_keeps_its_parts_apart(tmp_path: Path) -> None:
    model = detector()
    boxes, scores = parts_of(model)
    result = quantized(model, tmp_path, "float16")
    apart = parts_of(load_model(result.path))
    assert sqnr_db([boxes], [apart[0]]) > 25 and sqnr_db([scores], [apart[1]]) > 15
    types = types_of(result.plan)
    assert {types[name] for name in ("y", "boxes", "scores", "mean", "distances")} == {"float16"}
    assert {types[name] for name in ("f0", "f1", "b0", "b1", "c0", "c1")} == {"int8"}
    joined = quantized(model, tmp_path, None)
    assert set(types_of(joined.plan).values()) == {"int8"}
    assert sqnr_db([scores], [parts_of(load_model(joined.path))[1]]) < 5
    assert [notice.code for notice in joined.notices] == []


@pytest.mark.parametrize("head", [yolox, end_to_end])
def test_other_heads(tmp_path: Path, head: Callable[[], ModelProto]) -> None:
    model = head()
    scores = scores_of(model)
    assert sqnr_db([scores], [scores_of(load_model(quantized(model, tmp_path, None).path))]) < 6
    result = quantized(model, tmp_path, "float16")
    assert sqnr_db([scores], [scores_of(load_model(result.path))]) > 20
    assert types_of(result.plan)["y"] == "float16"


def test_int16_leaves_to_int8_what_it_has_not(tmp_path: Path) -> None:
    """Sigmoid and Softmax are computed in int8, so what they read keeps the plan's range."""
    plan = quantized(detector(), tmp_path, "int16").plan
    types = types_of(plan)
    assert {types[name] for name in ("y", "boxes", "mean", "cells")} == {"int16"}
    assert {types[name] for name in ("scores", *LOGITS, "distances")} == {"int8"}
    assert handover_of(plan).quantizer == "hybrid"


def test_activations_of_16_bits_need_none_of_it(tmp_path: Path) -> None:
    model = detector()
    model_paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    plan = quantize(
        model, *model_paths, scenes(model, 8), scheme="w8a16", method="min-max", wide="float16"
    ).plan
    assert set(types_of(plan).values()) == {"int16"} and plan.constants == {}


def test_parts_of_like_range_stay_in_int8(tmp_path: Path) -> None:
    text = """(float[1,4,8,8] x) => (float[1,8,8,8] y)
        { a = Conv (x, w) s = Sigmoid (a) b = Conv (x, w) y = Concat <axis = 1> (s, b) }"""
    model = model_of(text, {"w": (4, 4, 1, 1)})
    plan = quantized(model, tmp_path, "float16").plan
    assert set(types_of(plan).values()) == {"int8"}


def test_a_plan_is_rendered_again_as_it_was(tmp_path: Path) -> None:
    model = detector()
    result = quantized(model, tmp_path, "float16")
    plan = read_plan(result.plan_path)
    assert plan == result.plan
    again = insert_qdq(model, plan)
    first = load_model(result.path)
    assert [(n.op_type, list(n.output)) for n in again.graph.node] == [
        (n.op_type, list(n.output)) for n in first.graph.node
    ]
    np.testing.assert_allclose(parts_of(again)[1], parts_of(first)[1], atol=0.05)


def test_the_notice_names_the_layers_to_end_at(tmp_path: Path) -> None:
    (notice,) = quantized(detector(), tmp_path, "float16").notices
    assert notice.code == "output-parts-apart"
    assert "['b0', 'b1', 'c0', 'c1']" in notice.hint


@pytest.mark.parametrize("method", ["min-max", "mse", "percentile", "kl", "gptq"])
def test_scores_are_not_capped_by_what_was_seen(tmp_path: Path, method: str) -> None:
    """No logit of these samples is above 0: a range that ends there has no score above a half."""
    model = detector(scores_at=-15.0)
    plan = quantized(model, tmp_path, "int16", method).plan
    for name in LOGITS:
        entry = plan.activations[name]
        assert entry.high > 2 and entry.low >= -12
        assert entry.source.endswith("logits of Sigmoid") or entry.source.startswith("as ")
    highest = max(plan.activations[name].high for name in LOGITS)
    assert plan.activations["scores"].high == pytest.approx(1 / (1 + np.exp(-highest)))


def test_what_is_read_elsewhere_too_keeps_its_range(tmp_path: Path) -> None:
    text = """(float[1,4,8,8] x) => (float[1,4,8,8] y, float[1,4,8,8] z)
        { a = Conv (x, w) s = Sigmoid (a) y = Mul (a, s) b = Conv (x, v) z = Sigmoid (b) }"""
    weight = np.random.default_rng(0).standard_normal((4, 4, 1, 1)) / 2
    model = model_of(text, {"w": weight, "v": -weight[::-1]})
    plan = quantize(
        model, tmp_path / "q.onnx", tmp_path / "p.toml", random_feeds(model, 4), method="min-max"
    ).plan
    assert plan.activations["a"].source == "min-max"
    seen = [Session(with_outputs(model, ["b"])).run(feeds)[-1] for feeds in random_feeds(model, 4)]
    assert plan.activations["b"].high > np.max(seen)
    assert plan.activations["z"].high == pytest.approx(
        1 / (1 + np.exp(-plan.activations["b"].high))
    )


@pytest.mark.parametrize("method", ["mse", "percentile", "kl"])
def test_the_largest_logits_of_a_softmax_are_not_clipped(tmp_path: Path, method: str) -> None:
    text = """(float[1,4,8,8] x) => (float[1,4,8,8] y)
        { a = Conv (x, w) y = Softmax <axis = 1> (a) }"""
    model = model_of(text.replace("8,8", "64,64"), {"w": np.eye(4).reshape(4, 4, 1, 1)})
    feeds = random_feeds(model, 12)
    feeds[3]["x"][0, 0, 0, 0] = 30.0
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    plan = quantize(model, *paths, feeds, method=method).plan
    assert plan.activations["x"].high < 29
    assert plan.activations["a"].high == 30.0


def test_the_error_report_tells_of_layers_beside_constants(tmp_path: Path) -> None:
    model = detector()
    result = quantized(model, tmp_path, None)
    assert result.plan.constants
    errors = error_report(model, load_model(result.path), result.plan, scenes(model, 2), seconds=0)
    weights = {error.name for error in errors if error.kind == "weight"}
    assert weights == {node.output[0] for node in Graph(model).nodes if node.op_type == "Conv"}


@pytest.mark.toolkit
def test_what_the_toolkit_transposes_has_its_type_too(tmp_path: Path) -> None:
    """It joins before it transposes back, and that in int8 unless it is told under its own name."""
    model = yolox()
    save_model(model, tmp_path / "m.onnx")
    request = ConversionRequest(
        tmp_path / "m.onnx",
        None,
        "rv1106",
        quantization="hybrid",
        plan=ranges_of(quantized(model, tmp_path, "int16").plan, model),
        calibration=scenes(model, 16),
        simulate=scenes(model, 8, seed=1),
    )
    conversion = convert(request)
    assert conversion.outputs is not None
    simulated = conversion.outputs[0].reshape(8, 80, -1)[..., 4:]
    assert sqnr_db([scores_of(model)], [simulated]) > 12


@pytest.mark.toolkit
@pytest.mark.parametrize(("target", "wide"), [("rk3588", "float16"), ("rv1106", "int16")])
def test_the_scores_are_alive_on_the_chip(tmp_path: Path, target: str, wide: str) -> None:
    model = detector()
    save_model(model, tmp_path / "m.onnx")
    result = quantized(model, tmp_path, wide)
    hybrid = wide == "int16"
    conversion = convert(
        ConversionRequest(
            tmp_path / "m.onnx" if hybrid else result.path,
            None,
            target,
            quantization="hybrid" if hybrid else "qdq",
            plan=ranges_of(result.plan, model),
            calibration=scenes(model, 16),
            simulate=scenes(model, 8, seed=1),
        )
    )
    assert "toolkit-crash" not in {warning.code for warning in conversion.warnings}
    assert conversion.outputs is not None
    simulated = conversion.outputs[0].reshape(8, 9, -1)
    boxes, scores = parts_of(model)
    assert sqnr_db([boxes], [simulated[:, :4]]) > 25
    assert sqnr_db([scores], [simulated[:, 4:]]) > 12
    assert simulated[:, 4:].max() > 0.8 * scores.max()
