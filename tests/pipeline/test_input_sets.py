"""Several shapes of the inputs: as options, held against the model, and built into one .rknn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from commands import Run
from graphs import model_of, random_feeds
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.convert.manifest import read_manifest
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.errors import OptionError
from rockpress.core.passes.prepare import prepare_model
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.input_sets import ready_in_all
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.tasks.hybrid_mixing import without_hybrid_mixing

pytestmark = pytest.mark.toolkit
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")

SMALL, LARGE = (1, 3, 16, 24), (1, 3, 16, 48)
SETS = ({"x": LARGE}, {"x": SMALL})
WORDS = ("--input", "x=1x3x16x24", "--input", "x=1x3x16x48")
WEIGHTS = {"w": (16, 3, 3, 3), "v": (16, 16, 3, 3)}
FCN = """(float[1,3,H,W] x) => (float[1,16,H,W] y) {
    h = Conv <pads = [1,1,1,1]> (x, w) r = Relu (h) y = Conv <pads = [1,1,1,1]> (r, v) }"""
# after the convolutions, what is of one size: as exported, and by what follows from the input
FIXED = (
    FCN.replace("y = Conv", "c = Conv")
    .replace("16,H,W] y", "N] y")
    .replace(" }", " s = Constant <value_ints = [1,12288]> () y = Reshape (c, s) }")
)
GROWN = (
    FCN.replace("y = Conv", "c = Conv")
    .replace("float[1,16,H,W] y", "float[1,N] y")
    .replace(
        " }",
        """ s = Shape <start = 3> (x) m = Constant <value_ints = [256]> () n = Mul (s, m)
    b = Constant <value_ints = [1]> () t = Concat <axis = 0> (b, n) y = Reshape (c, t) }""",
    )
)
SOFTMAX = """ s = Shape (c) f = Flatten <axis = 3> (c) p = Softmax <axis = -1> (f)
    y = Reshape (p, s) }"""
RESIZED = FCN.replace("y = Conv", "c = Conv").replace(
    " }",
    """ s = Shape (x) i = Constant <value_ints = [0]> () j = Constant <value_ints = [2]> ()
    hw = Shape <start = 2> (x) n = Shape <start = 0, end = 2> (c)
    t = Concat <axis = 0> (n, hw) p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (c)
    y = Resize <mode = "nearest"> (p, , , t) }""",
)


def saved(folder: Path, text: str = FCN) -> Path:
    onnx.save(model_of(text, WEIGHTS, prepared=False), folder / "m.onnx")
    return folder / "m.onnx"


def samples(folder: Path, shape: tuple[int, ...] = LARGE) -> Path:
    np.savez(folder / "s.npz", x=np.concatenate([x["x"] for x in random_feeds({"x": shape}, 6)]))
    return folder / "s.npz"


@pytest.mark.parametrize(
    ("shapes", "sets"),
    [
        ({"x": [1, 3]}, ()),
        ({"x": [[1, 3]]}, ()),
        ({"x": [[1, 3], [1, 3]]}, ()),
        ({"x": [[1, 3], [1, 5]]}, ({"x": (1, 5)}, {"x": (1, 3)})),
        (
            {"x": [[1, 3], [1, 5]], "y": [[9], [9]], "z": [7]},
            ({"x": (1, 5), "y": (9,)}, {"x": (1, 3), "y": (9,)}),
        ),
    ],
)
def test_shapes_that_belong_together(shapes: dict[str, Any], sets: Any) -> None:
    options = ModelOptions(input=shapes)
    assert options.input_sets == sets
    assert options.largest["x"] == (sets[0]["x"] if sets else (1, 3))
    assert options.largest.get("z", (7,)) == (7,)


def test_inputs_have_as_many_shapes() -> None:
    shapes: dict[str, Any] = {"x": [[1], [2]], "y": [[1], [2], [3]]}
    with pytest.raises(OptionError, match="has 2 of 'x' and 3 of 'y'"):
        ModelOptions(input=shapes)


@pytest.mark.parametrize(("text", "reason"), [(FIXED, "fails: .*eshape"), (RESIZED, "else$")])
def test_a_shape_that_the_model_does_not_take(text: str, reason: str, tmp_path: Path) -> None:
    options = ModelOptions(input={"x": (SMALL, LARGE)})
    ready = ready_model(saved(tmp_path, text), options)
    assert ready.inputs == {"x": LARGE}
    with pytest.raises(OptionError, match=f"--input x=1x3x16x24: .* {reason}") as raised:
        ready_in_all(ready, options)
    assert len(str(raised.value).splitlines()) == 1


def test_sizes_of_a_reshape_follow_its_input(tmp_path: Path) -> None:
    options = ModelOptions(input={"x": (SMALL, LARGE)})
    ready = ready_model(saved(tmp_path, GROWN), options)
    (sizes,) = sizes_of(ready.model)
    assert sizes == [1, 12288]
    assert sizes_of(ready_in_all(ready, options).model) == [[1, -1]]


def test_the_softmax_of_an_older_opset_follows_too(tmp_path: Path) -> None:
    """Where its rank is not known, ONNX raises it between a Flatten and a Reshape."""
    text = FCN.replace("y = Conv", "c = Conv").replace(" }", SOFTMAX)
    options = ModelOptions(input={"x": (SMALL, LARGE)})
    ready = ready_model(saved(tmp_path, text), options)
    assert sizes_of(ready.model)
    assert not sizes_of(ready_in_all(ready, options).model)


def sizes_of(model: onnx.ModelProto) -> list[list[int]]:
    arrays = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    reshapes = [node for node in model.graph.node if node.op_type == "Reshape"]
    return [arrays[node.input[1]].tolist() for node in reshapes]


@pytest.mark.parametrize("verb", ["prune", "quantize", "check", "inspect"])
def test_other_verbs_take_one(verb: str, tmp_path: Path, rockpress: Run) -> None:
    words: dict[str, list[Any]] = {
        "prune": ["-o", tmp_path / "p.onnx", "--prune", "cycles=-9%"],
        "quantize": ["-o", tmp_path / "q.onnx"],
        "check": [saved(tmp_path)],
        "inspect": [],
    }
    data = [] if verb == "inspect" else ["--calib", samples(tmp_path)]
    ended = rockpress(verb, saved(tmp_path), *words[verb], *data, *WORDS)
    assert ended.code == 2
    assert f"{verb} takes one shape of an input" in ended.err
    assert "--input x=1x3x16x48" in ended.err


@pytest.mark.parametrize(
    ("target", "asked", "mixed"),
    [("rv1106", "auto", "off"), ("rk3588", "auto", "auto"), ("rk3588", "cycles=+8%", "cycles=+8%")],
)
def test_mixed_precision_that_is_not_hybrid(target: str, asked: str, mixed: str) -> None:
    recipe = make_recipe("m.onnx", mixed=asked, input={"x": [SMALL, LARGE]})
    assert without_hybrid_mixing(recipe, find_target(target)).quantize.mixed == mixed
    alone = make_recipe("m.onnx", mixed=asked, input={"x": LARGE})
    assert without_hybrid_mixing(alone, find_target(target)) == alone


def test_mixed_precision_in_int16_is_for_one_shape(tmp_path: Path, rockpress: Run) -> None:
    words = [*WORDS, "--target", "rv1106", "--mixed", "cycles=+8%", "--dry-run"]
    ended = rockpress("run", saved(tmp_path), "--calib", samples(tmp_path), *words)
    assert ended.code == 2
    assert "--mixed cycles=+8% is for one shape of the inputs on rv1106" in ended.err


@needs_toolkit
def test_convert_inspect_and_check(tmp_path: Path, rockpress: Run) -> None:
    model, rknn = saved(tmp_path), tmp_path / "m.rknn"
    alone = convert(ConversionRequest(_fixed(model, tmp_path), None, "rk3588"))
    assert rockpress("convert", model, "-o", rknn, "--input", "x=1x3x16x24,1x3x16x48").code == 0
    manifest = read_manifest(tmp_path / "m.rknn.json")
    assert manifest.input_sets == SETS
    assert manifest.inputs[0].shape == LARGE
    assert manifest.cycles == alone.cycles and manifest.memory == alone.memory
    assert manifest.layers == alone.layers
    assert rknn.stat().st_size > 1.2 * alone.bytes
    seen = rockpress("inspect", rknn).out
    assert "shapes x 1x3x16x48" in seen and "or     x 1x3x16x24" in seen
    words = ["--eval", samples(tmp_path), "--input", "x=1x3x16x48", "--report"]
    report = tmp_path / "r.json"
    assert rockpress("check", model, rknn, *words, report).code == 0
    (target,) = json.loads(report.read_text())["targets"]
    assert sum(layer["total_cycles"] for layer in target["layers"]) == alone.cycles


@needs_toolkit
def test_run_from_a_recipe(tmp_path: Path, rockpress: Run) -> None:
    recipe = tmp_path / "rockpress.toml"
    recipe.write_text(
        f'model = "{saved(tmp_path).name}"\ncalib = "{samples(tmp_path).name}"\n'
        f"input.x = {[list(SMALL), list(LARGE)]}\n"
    )
    assert rockpress("run", recipe).code == 0
    manifest = read_manifest(tmp_path / "build/rk3588/m.rknn.json")
    assert (manifest.quantization, manifest.input_sets) == ("qdq", SETS)
    assert manifest.layers[0].output_shapes[0] == LARGE


@needs_toolkit
def test_the_toolkits_quantizer_takes_them_but_not_hybrid(tmp_path: Path) -> None:
    model = _fixed(saved(tmp_path), tmp_path)
    feeds = random_feeds({"x": LARGE}, 4)
    request = ConversionRequest(
        model, None, "rk3588", "normal", calibration=feeds, input_sets=SETS, simulate=feeds
    )
    conversion = convert(request)
    assert conversion.outputs is not None and conversion.outputs[0].shape == (4, 16, 16, 48)


def _fixed(model: Path, folder: Path) -> Path:
    onnx.save(prepare_model(onnx.load(model), {"x": LARGE}), folder / "fixed.onnx")
    return folder / "fixed.onnx"
