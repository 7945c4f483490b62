"""Detectors are recognised by what they say or by their form, and read alike at either end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

import more_exports
from exports import CELLS, ultralytics, with_metadata
from graphs import Weights, model_of
from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.accuracy.runners import without_batch
from rockpress.core.graphs.graph import extract_until
from rockpress.core.results.family_figure import FamilyFigure, TakenOption
from rockpress.core.session import Session
from rockpress.pipeline.families import find_family
from rockpress.pipeline.family_recognition import match_at, recognise
from rockpress.pipeline.filled_recipe import fill_recipe
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recognition.family import Match
from rockpress.pipeline.recognition.model_view import view_of
from rockpress.pipeline.samples.ready_model import ready_model
from samples import noise_images

LETTERBOXED = {"resize": "letterbox", "std": 255.0}


def values(match: Match | None) -> dict[str, Any]:
    return {name: each.value for name, each in match.settings.items()} if match else {}


def recognised(model: ModelProto, outputs: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    name, match = recognise(view_of(model, outputs))
    return name, values(match)


def says(**entries: str) -> dict[str, str]:
    return {"stride": "32", "imgsz": "[64, 64]", "task": "detect", **entries}


@pytest.mark.parametrize(
    ("model", "head"),
    [
        (ultralytics(), "yolov8"),
        (ultralytics(bins=1), "yolov8"),
        (ultralytics(selects=True), "end2end"),
        (ultralytics(bins=1, selects=True), "end2end"),
        (ultralytics(classes=64), "yolov8"),
        (ultralytics(bins=1, classes=64), "yolov8"),
    ],
)
def test_an_ultralytics_detector_by_what_it_says_and_by_its_form(
    model: ModelProto, head: str
) -> None:
    expected = {**LETTERBOXED, "metric": "map50", "metric_option.head": head}
    assert recognised(model) == ("ultralytics-detect", expected)
    said = recognise(view_of(with_metadata(model, **says())))
    assert (said[0], values(said[1])) == ("ultralytics-detect", expected)
    assert said[1] and said[1].evidence == "metadata"


def turning(model: ModelProto) -> ModelProto:
    """The model with an angle's cosine, as one has that decodes rotated boxes."""
    model.graph.node.add(op_type="Cos", input=["e"], output=["cosine"])
    return model


SHAPED = {
    "segment": (ultralytics(extras=4, masks=True), "mask50", 10),
    "pose": (ultralytics(classes=1, extras=6), "pose50", 9),
    "obb": (turning(ultralytics(extras=1)), "obb50", 9),
}


@pytest.mark.parametrize("task", SHAPED)
def test_the_other_tasks_of_the_package(task: str) -> None:
    model, metric, ends = SHAPED[task]
    expected = {**LETTERBOXED, "metric": metric, "metric_option.head": "yolov8"}
    name, match = recognise(view_of(model))
    assert (name, values(match)) == (f"ultralytics-{task}", expected)
    assert match and match.cut and len(match.cut.outputs) == ends
    at_ends = recognised(model, match.cut.outputs)
    said = ModelProto()
    said.CopyFrom(model)
    with_metadata(said, **says(task=task, kpt_shape="[2, 3]"))
    options = {"metric_option.keypoints": 2, "metric_option.numbers": 3}
    keypoints = options if task == "pose" else {}
    assert recognised(said) == (f"ultralytics-{task}", {**expected, **keypoints})
    assert recognised(said, match.cut.outputs) == recognised(said)
    assert at_ends[0] in (f"ultralytics-{task}", "auto")


def objects(model: ModelProto, options: dict[str, str]) -> list[Any]:
    """The boxes that the metric finds in what a model gives for noise."""
    size = (64, 64)
    metric = find_metric("map50", {"score": "0.3", **options}).bound(size)
    noise = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    outputs = [without_batch(output)[None] for output in Session(model).run({"x": noise})]
    return list(metric.predict(outputs))


@pytest.mark.parametrize("bins", [1, 16])
def test_ended_at_its_heads_a_model_finds_the_same(bins: int) -> None:
    model = ultralytics(bins=bins)
    _, match = recognise(view_of(model))
    assert match and match.cut and len(match.cut.outputs) == 6
    whole = objects(model, {"head": values(match)["metric_option.head"]})[0]
    cut = extract_until(model, match.cut.outputs)
    parts = objects(cut, {"head": match.cut.options["metric_option.head"]})[0]
    assert len(whole) > 5
    np.testing.assert_allclose(parts.corners, whole.corners, atol=1e-3)
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-5)


def test_a_model_that_the_user_ends_is_read_as_it_is_then() -> None:
    model = with_metadata(ultralytics(), **says())
    _, match = recognise(view_of(model))
    assert match and match.cut
    name, match = recognise(view_of(model, match.cut.outputs))
    assert name == "ultralytics-detect" and match and match.cut is None
    assert values(match)["metric_option.head"] == "yolov8"


@pytest.mark.parametrize("at_heads", [False, True])
def test_quantized_it_is_of_the_same_family(at_heads: bool, tmp_path: Path) -> None:
    model = with_metadata(ultralytics(), **says())
    _, match = recognise(view_of(model))
    assert match and match.cut
    onnx.save(model, tmp_path / "m.onnx")
    images = noise_images(tmp_path / "images", 4)
    recipe = make_recipe(tmp_path / "m.onnx", calib=images, method="min-max", mixed="off")
    ends = match.cut.outputs if at_heads else ()
    quantize_file(recipe.with_options(outputs=ends), tmp_path / "q.onnx")
    quantized = onnx.load(tmp_path / "q.onnx")
    name, again = recognise(view_of(quantized))
    assert name == "ultralytics-detect" and again and again.evidence == "metadata"
    assert values(again) == values(match)
    assert fill_recipe(make_recipe(tmp_path / "q.onnx"), "run").family == FamilyFigure(
        name,
        tuple(TakenOption(key, each.value, each.source) for key, each in again.settings.items()),
    )


def test_maps_alone_are_a_guess() -> None:
    model = ultralytics()
    _, match = recognise(view_of(model))
    assert match and match.cut
    bare = extract_until(model, match.cut.outputs)
    _, match = recognise(view_of(bare))
    assert match and match.settings["resize"].source == "guess"


def test_the_size_is_taken_where_it_is_free(tmp_path: Path) -> None:
    model = with_metadata(ultralytics(), **says(imgsz="[96, 64]"))
    assert "size" not in recognised(model)[1]
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "free"
    assert recognised(model)[1]["size"] == [96, 64]
    model.metadata_props[1].value = "[" * 500
    assert "size" not in recognised(model)[1]


def test_a_graph_that_scales_its_input_is_fed_pixels(tmp_path: Path) -> None:
    model = with_metadata(ultralytics(), **says())
    first = next(node for node in model.graph.node if "x" in node.input)
    first.input[0] = "scaled"
    scaling = onnx.helper.make_node("Mul", ["x", "factor"], ["scaled"])
    model.graph.node.insert(0, scaling)
    factor = onnx.numpy_helper.from_array(np.array(1 / 255, np.float32), "factor")
    model.graph.initializer.append(factor)
    onnx.save(model, tmp_path / "m.onnx")
    filled = fill_recipe(make_recipe(tmp_path / "m.onnx"), "run").recipe.preprocessing
    assert (filled.resize, filled.std) == ("letterbox", (1.0,))


ROWS = "(float[1,3,64,64] x) => (float[1,20,{0}] y) {{ f = Conv (x, w) v = Flatten (f) "
ROWS += "h = MatMul (v, m) r = Reshape (h, rows) y = Sigmoid (r) }}"


@pytest.mark.parametrize("named", [{"head": "RTDETRDecoder"}, {"description": "rtdetr-l model"}])
@pytest.mark.parametrize("columns", [6, 84])
def test_rtdetr_is_no_yolo(named: dict[str, str], columns: int) -> None:
    weights: Weights = {
        "w": (1, 3, 3, 3),
        "m": (62 * 62, 20 * columns),
        "rows": np.array([1, 20, columns]),
    }
    model = with_metadata(model_of(ROWS.format(columns), weights, prepared=False), **says(**named))
    expected = {"resize": "stretch", "std": 255.0, "metric": "map50"}
    assert recognised(model) == ("rtdetr", {**expected, "metric_option.head": "rtdetr"})
    assert recognised(model, ("f",)) == ("rtdetr", expected)
    assert (
        recognised(with_metadata(ultralytics(), **says(head="Detect")))[0] == "ultralytics-detect"
    )


def test_a_classifier_that_says_so() -> None:
    model = with_metadata(ultralytics(), **says(task="classify"))
    expected = {"resize": "crop", "std": 255.0, "metric": "top1"}
    assert recognised(model) == ("ultralytics-classify", expected)


def test_there_are_as_many_cells_as_the_builder_says() -> None:
    noise = np.zeros((1, 3, 64, 64), np.float32)
    assert Session(ultralytics()).run({"x": noise})[0].shape == (1, 7, CELLS)


UNRELATED = {
    "classifier": "(float[1,3,32,32] x) => (float[1,10] y) { f = Conv (x, w) r = Relu (f) "
    "g = GlobalAveragePool (r) v = Flatten (g) y = Gemm (v, m) }",
    "classifier of 6": "(float[1,3,32,32] x) => (float[1,6] y) { f = Conv (x, w) "
    "g = GlobalAveragePool (f) v = Flatten (g) y = Gemm (v, six) }",
    "segmenter": "(float[1,3,32,32] x) => (float[1,8,30,30] y) { f = Conv (x, w) y = Relu (f) }",
    "two scales of masks": "(float[1,3,32,32] x) => (float[1,8,30,30] y, float[1,8,15,15] z) { "
    "y = Conv (x, w) p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (y) z = Conv (p, p1) }",
    "depth": "(float[1,3,32,32] x) => (float[1,1,30,30] y) { f = Conv (x, w) y = Conv (f, d1) }",
    "super-resolution": "(float[1,3,32,32] x) => (float[1,2,60,60] y) { f = Conv (x, w) "
    "y = DepthToSpace <blocksize = 2> (f) }",
    "recogniser": "(float[1,3,32,32] x) => (float[1,30,8] y) { f = Conv (x, w) "
    "g = ReduceMean <axes = [2], keepdims = 0> (f) t = Transpose <perm = [0,2,1]> (g) "
    "y = Softmax <axis = 2> (t) }",
    "embedding": "(float[1,3,32,32] x) => (float[1,16] y) { f = Conv (x, w) "
    "g = GlobalAveragePool (f) v = Flatten (g) e = Gemm (v, e16) n = ReduceL2 <axes = [1]> (e) "
    "y = Div (e, n) }",
    "landmarks": "(float[1,3,32,32] x) => (float[1,10] y) { f = Conv (x, w) "
    "g = GlobalAveragePool (f) v = Flatten (g) y = Gemm (v, m) }",
    "two heads": "(float[1,3,32,32] x) => (float[1,10] y, float[1,6] z) { f = Conv (x, w) "
    "g = GlobalAveragePool (f) v = Flatten (g) y = Gemm (v, m) z = Gemm (v, six) }",
    "gray classifier": "(float[1,1,32,32] x) => (float[1,10] y) { f = Conv (x, wg) "
    "g = GlobalAveragePool (f) v = Flatten (g) y = Gemm (v, m) }",
    "transformer": "(float[1,16,8] x) => (float[1,16,8] y) { q = MatMul (x, a) k = MatMul (x, a) "
    "kt = Transpose <perm = [0,2,1]> (k) s = MatMul (q, kt) o = Softmax <axis = 2> (s) "
    "y = MatMul (o, q) }",
    "speech": "(float[1,80,40] x) => (float[1,8,38] y) { y = Conv (x, w1d) }",
    "voice": "(float[1,32] x) => (float[1,1] y) { h = Gemm (x, v1) y = Sigmoid (h) }",
    "autoencoder": "(float[1,3,32,32] x) => (float[1,3,32,32] y) { f = Conv (x, w) "
    "t = ConvTranspose (f, back) y = Sigmoid (t) }",
    "joined features": "(float[1,3,32,32] x) => (float[1,16,30,30] y) { f = Conv (x, w) "
    "g = Conv (x, w) y = Concat <axis = 1> (f, g) }",
    "rows of six": "(float[1,3,32,32] x) => (float[1,100,6] y) { f = Conv (x, w) "
    "v = Flatten (f) h = MatMul (v, many) y = Reshape (h, sixes) }",
    "pyramid in one": "(float[1,3,32,32] x) => (float[1,8,1125] y) { f = Conv (x, w) "
    "p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (f) c = Conv (p, p1) "
    "a = Reshape (f, flat) b = Reshape (c, flat) y = Concat <axis = 2> (a, b) }",
    "query boxes": "(float[1,3,32,32] x) => (float[1,20,4] y, float[1,20,5] z) { f = Conv (x, w) "
    "v = Flatten (f) h = MatMul (v, queries) r = Reshape (h, rows) y = MatMul (r, to4) "
    "z = MatMul (r, to5) }",
    "heat maps": "(float[1,3,32,32] x) => (float[1,5,30,30] h, float[1,2,30,30] w2, "
    "float[1,2,30,30] o) { f = Conv (x, w) c = Conv (f, h5) h = Sigmoid (c) w2 = Conv (f, h2) "
    "o = Conv (f, h2) }",
}
_SHAPES: dict[str, tuple[int, ...]] = {
    **{"w": (8, 3, 3, 3), "wg": (8, 1, 3, 3), "w1d": (8, 80, 3), "p1": (8, 8, 1, 1)},
    **{"d1": (1, 8, 1, 1), "h5": (5, 8, 1, 1), "h2": (2, 8, 1, 1), "back": (8, 3, 3, 3)},
    **{"m": (8, 10), "six": (8, 6), "e16": (8, 16), "a": (8, 8), "v1": (32, 1)},
    **{"many": (7200, 600), "queries": (7200, 160), "to4": (8, 4), "to5": (8, 5)},
}
_RESHAPES = {"sixes": [1, 100, 6], "flat": [1, 8, -1], "rows": [1, 20, 8]}


@pytest.mark.parametrize("name", UNRELATED)
def test_other_models_are_of_no_family(name: str) -> None:
    text = UNRELATED[name]
    read = set(re.findall(r"\w+", text))
    shapes: dict[str, Any] = {each: shape for each, shape in _SHAPES.items() if each in read}
    numbers = {each: np.array(shape) for each, shape in _RESHAPES.items() if each in read}
    model = model_of(text, {**shapes, **numbers}, prepared=False)
    assert recognise(view_of(model))[1] is None


def test_they_are_twenty() -> None:
    assert len(UNRELATED) == 20


YOLOX = {"resize": "corner", "color": "bgr", "mean": 0.0, "std": 1.0}
RETINAFACE = {"resize": "letterbox", "color": "bgr", "mean": [104.0, 117.0, 123.0], "std": 1.0}
SCRFD = {"resize": "corner", "pad": 0.0, "mean": 127.5, "std": 128.0}
PP_YOLOE = {"resize": "stretch", "mean": 0.0, "std": 255.0}
PICODET = {
    "resize": "stretch",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
}
OTHERS: list[tuple[str, ModelProto, dict[str, Any], str, str | None]] = [
    ("yolov5", more_exports.yolov5(), LETTERBOXED, "yolov5", "yolov5"),
    ("yolov5", more_exports.yolov5(classes=1), LETTERBOXED, "yolov5", "yolov5"),
    ("yolov6", more_exports.yolov6(), LETTERBOXED, "yolov5", "yolov6"),
    ("yolov6", more_exports.yolov6(bins=1), LETTERBOXED, "yolov5", "yolov6"),
    ("yolox", more_exports.yolox(), YOLOX, "yolox", "yolox"),
    ("yolox", more_exports.yolox(classes=1), YOLOX, "yolox", "yolox"),
    ("yolox", more_exports.yolox(decoded=True), YOLOX, "yolov5", "yolox"),
    ("yolox", more_exports.yolox(joined=False), YOLOX, "yolox", "yolox"),
    ("pp-yoloe", more_exports.pp_yoloe(), PP_YOLOE, "boxes-scores", "pp-yoloe"),
    ("retinaface", more_exports.retinaface(), RETINAFACE, "retinaface", "retinaface"),
    ("scrfd", more_exports.scrfd(), SCRFD, "scrfd", None),
    ("scrfd", more_exports.scrfd(landmarks=False, batched=False), SCRFD, "scrfd", None),
    ("picodet", more_exports.picodet(), PICODET, "picodet", None),
]


@pytest.mark.parametrize(("name", "model", "fed", "head", "at_cut"), OTHERS)
def test_detectors_of_other_exporters(
    name: str, model: ModelProto, fed: dict[str, Any], head: str, at_cut: str | None
) -> None:
    recognised_as, match = recognise(view_of(model))
    assert recognised_as == name and match
    assert values(match) == {**fed, "metric": "map50", "metric_option.head": head}
    assert (match.cut.options["metric_option.head"] if match.cut else None) == at_cut


@pytest.mark.parametrize(("name", "model", "fed", "head", "at_cut"), OTHERS)
def test_they_find_the_same_at_their_heads(
    name: str, model: ModelProto, fed: dict[str, Any], head: str, at_cut: str | None
) -> None:
    _, match = recognise(view_of(model))
    assert match
    whole = objects(model, {"head": head})[0]
    assert len(whole) > 5
    if match.cut is None:
        return
    ends = extract_until(model, match.cut.outputs)
    options = {key.removeprefix("metric_option."): str(v) for key, v in match.cut.options.items()}
    parts = objects(ends, options)[0]
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-4)
    np.testing.assert_allclose(parts.corners, whole.corners, atol=1e-2, rtol=1e-4)
    at_end = match_at(view_of(model, match.cut.outputs), name, match)
    assert values(at_end)["metric_option.head"] == at_cut
    assert {key: values(at_end)[key] for key in fed} == fed


def test_anchors_are_those_that_the_graph_multiplies_by() -> None:
    _, match = recognise(view_of(more_exports.yolov5()))
    assert match and match.cut
    written = ",".join(f"{w},{h}" for w, h in more_exports.ANCHORS)
    assert match.cut.options["metric_option.anchors"] == written
    usual = [(10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119)]
    usual += [(116, 90), (156, 198), (373, 326)]
    _, match = recognise(view_of(more_exports.yolov5(anchors=usual)))
    assert match and match.cut and "metric_option.anchors" not in match.cut.options


def test_yolov5_by_what_it_says_and_with_its_maps_beside() -> None:
    model = with_metadata(more_exports.yolov5(with_maps=True), stride="32", names="{0: 'a'}")
    name, match = recognise(view_of(model))
    assert name == "yolov5" and match and match.evidence == "metadata"
    assert values(match)["metric_output"] == ["y"]


def test_anchored_maps_alone_are_a_guess_and_yolov7_is_by_name() -> None:
    model = extract_until(more_exports.yolov5(decoded=False), ["m0", "m1", "m2"])
    name, match = recognise(view_of(model))
    assert name == "yolov5" and match and match.settings["resize"].source == "guess"
    match = find_family("yolov7").match(view_of(model), is_named=True)
    assert match and values(match)["metric_option.anchors"].startswith("12,16,19,36,40,28,")


def test_a_detector_that_selects_its_boxes_can_be_ended_before(tmp_path: Path) -> None:
    model = more_exports.pp_yoloe(selects=True)
    name, match = recognise(view_of(model))
    assert name == "pp-yoloe" and match and match.cut
    assert values(match) == {**PP_YOLOE, "metric": "map50"}
    onnx.save(model, tmp_path / "m.onnx")
    recipe = make_recipe(tmp_path / "m.onnx", outputs=match.cut.outputs)
    filled = fill_recipe(recipe, "run")
    assert filled.recipe.metric.metric_option == {"head": "pp-yoloe"}
    assert filled.recipe.preprocessing.std == (255.0,)
    ready = ready_model(tmp_path / "m.onnx", filled.recipe.shape)
    assert list(ready.inputs) == ["x"]  # nobody feeds the scale of the image


def test_scrfd_has_a_size_of_its_own_where_it_is_free() -> None:
    model = more_exports.scrfd()
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "free"
    _, match = recognise(view_of(model))
    assert match and match.settings["size"].value == [640, 640]
    assert match.settings["size"].source == "guess"
