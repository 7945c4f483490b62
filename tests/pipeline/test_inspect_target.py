"""``inspect``: what a model costs on a chip without any data, and what a ``.rknn`` says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from commands import Run, in_a_process
from graphs import model_of, random_feeds, random_weights
from rockpress.convert.chips.compiler_log import (
    CONSTANTS,
    FEATURES,
    parse_layers,
    stored_bytes,
)
from rockpress.convert.lowering.scale_probe import one_convolution
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.core.errors import ModelError, OptionError, RockpressError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.pipeline.analysis import analyse_file
from rockpress.pipeline.inspection import inspect_rknn
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit

OF_A_TARGET = {
    *("target", "toolkit", "quantization", "bytes", "cycles", "latency", "memory", "on_cpu"),
    *("application", "throughput", "shares", "layers", "warnings", "seconds"),
}
OF_A_LAYER = {
    *("index", "op", "dtype", "runs_on", "input_shapes", "output_shapes", "ddr_cycles"),
    *("npu_cycles", "total_cycles", "name", "weight_bytes", "feature_bytes", "ms", "bound"),
    *("sparse_ratio", "sparse_axis"),
}


def convolution(shape: list[int | str]) -> onnx.ModelProto:
    outer, inner = ",".join(map(str, shape)), ",".join(map(str, [shape[0], 8, *shape[2:]]))
    text = f"""(float[{outer}] x) => (float[{inner}] y) {{
        [conv] y = Conv <pads = [1,1,1,1]> (x, w) }}"""
    return model_of(text, random_weights({"w": (8, 3, 3, 3)}, scale=1), prepared=False)


# The cost on a chip


def test_weights_of_four_bits_are_taken_as_they_are(rockpress: Run, tmp_path: Path) -> None:
    """What the weights tell to be in float16 stays there; so the size is that of the .rknn."""
    sizes = {"w1": (64, 3, 3, 3), "w2": (64, 64, 3, 3), "w3": (64, 64, 3, 3)}
    text = "(float[1,3,16,16] x) => (y) { p = Conv (x, w1) q = Conv (p, w2) y = Conv (q, w3) }"
    model, feeds = model_of(text, sizes), random_feeds({"x": (1, 3, 16, 16)}, 4)
    paths = tmp_path / "q.onnx", tmp_path / "q.plan.toml"
    quantize(model, *paths, feeds, scheme="w4a16", method="min-max")
    code, out, err = rockpress("inspect", paths[0], "--target", "rk3576", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["quantized"], document["rounded_for"]) == (False, "w4a16")
    (four,) = document["targets"]
    assert four["quantization"] == "normal"
    mixed = load_model(paths[0])
    for tensor in mixed.graph.initializer:
        if tensor.name == "w3":
            tensor.CopyFrom(numpy_helper.from_array(Graph(model).weights["w3"], "w3"))
    onnx.save(mixed, tmp_path / "mixed.onnx")
    code, out, err = rockpress("inspect", tmp_path / "mixed.onnx", "--target", "rk3576", "--json")
    assert code == 0, err
    (both,) = json.loads(out)["targets"]
    assert both["quantization"] == "hybrid"
    # 36,864 weights of which each takes a byte and a half more
    assert both["bytes"] - four["bytes"] == pytest.approx(1.5 * 64 * 64 * 9, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "rk3588"), "rk3588 has no w4a16"),
        (("--target", "rk3576", "--scheme", "float16"), r"quantized already \(w4a16\)"),
    ],
)
def test_weights_of_four_bits_elsewhere(
    options: tuple[str, ...], message: str, rockpress: Run, tmp_path: Path
) -> None:
    model = model_of("(float[1,3,8,8] x) => (y) { y = Conv (x, w) }", {"w": (8, 3, 3, 3)})
    feeds = random_feeds({"x": (1, 3, 8, 8)}, 4)
    paths = tmp_path / "q.onnx", tmp_path / "q.plan.toml"
    quantize(model, *paths, feeds, scheme="w4a16", method="min-max")
    code, _, err = rockpress("inspect", paths[0], *options)
    assert code == 2
    assert re.search(message, err)
    code, out, err = rockpress("inspect", paths[0])
    assert (code, "float, its weights rounded for w4a16" in out) == (0, True), err
    code, _, err = rockpress("inspect", paths[1])
    assert (code, "a plan of rockpress quantize" in err) == (1, True)
    with pytest.raises(ModelError, match="were rounded to 4 bits already"):
        quantize(load_model(paths[0]), *paths, feeds)


def test_the_cost_of_every_layer(small_cnn: Path, rockpress: Run) -> None:
    line = ["inspect", small_cnn, "--target", "rk3588", "--target", "RV1106"]
    code, out, err = rockpress(*line, "--json")
    assert code == 0, err
    assert [one for one in err.splitlines() if one.startswith("rockpress: ")] == [
        "rockpress: quantize",
        "rockpress: compile (rk3588)",
        "rockpress: compile (rv1106)",
    ]
    document = json.loads(out)
    assert document["schema"] == 1
    assert document["inputs"] == {"x": [1, 3, 32, 32]}
    fast, small = document["targets"]
    for one in (fast, small):
        assert set(one) == OF_A_TARGET
        assert all(set(layer) == OF_A_LAYER for layer in one["layers"])
        for column in ("ddr", "npu", "total"):
            total = sum(layer[f"{column}_cycles"] for layer in one["layers"])
            assert one["cycles"][column] == total > 0
        weights = sum(layer["weight_bytes"] for layer in one["layers"])
        assert 0.8 * one["memory"]["weight_bytes"] < weights <= one["memory"]["weight_bytes"]
        reads = max(layer["feature_bytes"] for layer in one["layers"])
        assert 0 < reads <= one["memory"]["internal_bytes"]
    assert (fast["target"], small["target"]) == ("rk3588", "rv1106")
    ms = sum(layer["ms"] for layer in fast["layers"])
    assert fast["latency"]["low"] < ms == pytest.approx(fast["latency"]["ms"])
    application = fast["application"]
    assert application["kind"] == "application-estimate"
    assert application["low"] < application["ms"] < application["high"]
    assert application["ms"] > fast["latency"]["ms"]
    assert [rate["contexts"] for rate in fast["throughput"]] == [1, 2, 3]
    assert fast["throughput"][0]["fps"] == pytest.approx(1000 / application["ms"])
    assert (small["application"], small["throughput"]) == (None, [])
    assert sum(fast["shares"].values()) == pytest.approx(1)
    assert set(fast["shares"]) <= {layer["bound"] for layer in fast["layers"]}
    assert (small["latency"]["ms"], small["shares"]) == (None, {})
    assert {layer["ms"] for layer in small["layers"]} == {None}


def test_a_measured_model_sets_the_scale(small_cnn: Path, rockpress: Run, tmp_path: Path) -> None:
    line = ["inspect", small_cnn, "--target", "rv1106", "--quiet"]
    code, out, err = rockpress(*line, "--measured", f"{small_cnn}=2.5", "--json")
    assert code == 0, err
    latency = json.loads(out)["targets"][0]["latency"]
    assert (latency["kind"], latency["ms"]) == ("given", 2.5)  # it is the very model
    assert latency["low"] is latency["high"] is None
    assert latency["scale"]["models"] == 1
    layers = json.loads(out)["targets"][0]["layers"]
    assert sum(layer["ms"] for layer in layers) == pytest.approx(2.5)
    # and a build that ran, for the next of the same model
    built = tmp_path / "m.rknn"
    assert rockpress("convert", small_cnn, "--target", "rv1126b", "-o", built)[0] == 0
    ran = ["--target", "rv1126b", "--measured", f"{built}=3.25"]
    code, out, err = rockpress("convert", small_cnn, *ran, "-o", tmp_path / "n.rknn")
    assert code == 0, err
    assert "3.25 ms (" in out
    assert ") estimated, NPU alone, scaled by " in out
    assert " from 1 measured model" in out


def test_noise_gives_the_cycles_of_real_samples(
    small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    _, (found,) = analyse_file(make_recipe(small_cnn))
    feed = ["--mean", "127.5", "--std", "60"]
    quantized, out = tmp_path / "q.onnx", tmp_path / "m.rknn"
    assert rockpress("quantize", small_cnn, "--calib", image_folder, *feed, "-o", quantized)[0] == 0
    assert rockpress("convert", quantized, *feed, "-o", out)[0] == 0
    manifest = read_manifest(manifest_path(out))
    rows = [(layer.name, layer.ddr_cycles, layer.npu_cycles) for layer in manifest.layers]
    assert [(one.name, one.ddr_cycles, one.npu_cycles) for one in found.layers] == rows
    # and the quantized model itself, as it is
    _, (again,) = analyse_file(make_recipe(quantized))
    assert again.layers == found.layers
    assert (found.quantization, again.quantization) == ("qdq", "qdq")


def test_a_table_of_the_dearest_layers(small_cnn: Path, rockpress: Run) -> None:
    code, out, err = rockpress("inspect", small_cnn, "--target", "rk3566", "--top", 2, "--quiet")
    assert code == 0
    assert "rockpress: " not in err
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("rk3566, qdq, rknn-toolkit2"))
    assert lines[start + 1].split() == ["DDR", "NPU"]
    assert lines[start + 2].split() == (
        ["layer", "op", "type", "on", "cycles", "cycles", "ms", "bound", "weights", "reads"]
    )
    start += 1  # a heading of two lines
    first, second, total = (line.split() for line in lines[start + 3 : start + 6])
    assert float(first[6]) >= float(second[6]) > 0
    assert first[2] == second[2] == "INT8"
    assert {first[3], second[3]} <= {"NPU", "CPU"}
    assert total[0] == "total"
    assert "estimated, NPU alone; " in lines[start + 6]
    assert lines[start + 7].startswith("in an application in C, with inputs and outputs: ")
    assert "frames a second with 1 context: " in lines[start + 7]
    assert "for feature maps" in lines[start + 8]
    assert "cheaper ones: --top " in lines[start + 9]
    assert lines[start + 10].startswith("time bound by ")


def test_float16_and_a_chip_without_milliseconds(small_cnn: Path, rockpress: Run) -> None:
    line = ["inspect", small_cnn, "--target", "rk2118", "--quantize", "off"]
    code, out, err = rockpress(*line)
    assert code == 0, err
    assert "rk2118, float16, rknn-toolkit2" in out
    assert "no estimate for this chip, only cycles" in out
    assert "bound by" not in out
    assert "FLOAT16" in out
    assert "INT8" not in out
    assert "rockpress: quantize" not in err


def test_fixed_inputs_are_shown_as_they_are_fixed(rockpress: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(convolution(["n", 3, "h", "w"]), path)
    assert "input  x ?x3x?x?" in rockpress("inspect", path)[1]
    for line in (["--input", "x=1x3x16x24"], ["--size", "16x24"]):
        code, out, err = rockpress("inspect", path, *line)
        assert (code, err) == (0, "")
        assert "input  x ?x3x?x? float32, taken as 1x3x16x24" in out
        assert "output y 1x8x16x24" in out
        # without a producer there is nothing after the opset, not even a comma
        assert out.splitlines()[0].endswith("float, opset 17")
    code, out, err = rockpress("inspect", path, "--target", "rk3588")
    assert (code, out) == (1, "")
    assert "'x' has the dynamic shape" in err
    assert "hint: give one, for example --size" in err
    code, out, err = rockpress("inspect", path, "--target", "rk3588", "--size", "16x24")
    assert code == 0, err
    assert "0 of 1 layers on the CPU" in out


@pytest.mark.parametrize(
    ("targets", "quantize", "message", "hint"),
    [
        (("rk2118",), "w8a8", "rk2118 has no w8a8", "--scheme float16"),
        (("rk3588", "rv1106"), "float16", "rv1106 has no float16", "leave out --scheme float16"),
    ],
)
def test_formats_that_a_chip_lacks(
    targets: tuple[str, ...], quantize: Any, message: str, hint: str, small_cnn: Path
) -> None:
    with pytest.raises(OptionError, match=message) as told:
        analyse_file(make_recipe(small_cnn, target=targets, scheme=quantize))
    assert hint in told.value.hint


def test_models_that_cannot_be_analysed_are_refused(
    rockpress: Run, small_cnn: Path, tmp_path: Path
) -> None:
    onnx.save(one_convolution(), tmp_path / "q.onnx")
    with pytest.raises(OptionError, match=r"is quantized already \(QDQ\)"):
        analyse_file(make_recipe(tmp_path / "q.onnx", scheme="float16"))
    with pytest.raises(OptionError, match="rk2118 has no w8a8") as told:
        analyse_file(make_recipe(tmp_path / "q.onnx", target=("rk2118",)))
    assert told.value.hint == "it has: float16; give the float model"
    with pytest.raises(RockpressError, match="unknown target 'rk3599'"):
        analyse_file(make_recipe(small_cnn, target=("rk3599",)))
    code, _, err = rockpress("inspect", tmp_path / "m.rknn", "--target", "rk3588")
    assert code == 2
    assert "--target is for ONNX models" in err
    assert rockpress("inspect", small_cnn, "--target", "rk3588", "--top", "0")[0] == 2


def test_a_model_that_noise_makes_nan(tmp_path: Path) -> None:
    model = convolution([1, 3, 8, 8])
    constant = numpy_helper.from_array(np.full(1, -5, np.float32), "minus")
    model.graph.initializer.append(constant)
    model.graph.node[0].output[0] = "c"
    model.graph.node.insert(0, helper.make_node("Add", ["x", "minus"], ["below"]))
    model.graph.node.insert(1, helper.make_node("Log", ["below"], ["log"]))
    model.graph.node[2].input[0] = "log"
    model.graph.node.append(helper.make_node("Relu", ["c"], ["y"]))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="computes NaN from noise") as told:
        analyse_file(make_recipe(tmp_path / "m.onnx"))
    assert "--scheme float16" in told.value.hint


# The compiler's tables

LOG = """\
I RKNN: [01:02:03.004]      Feature Tensor Information Table
D RKNN: [01:02:03.004] ID  User     Tensor   DataType  DataFormat OrigShape NativeShape | [Start End) Size
D RKNN: [01:02:03.004] 1   ConvRelu x y | z  INT8      NC1HWC2    (1,3,8,8) (1,1,8,8,3) | 0x00000000 0x00000100 0x00000100
D RKNN: [01:02:03.004] 2   Add      a        INT8      NC1HWC2    (1,4,8,8) (1,1,8,8,8) | 0x00000100*0x00000300 0x00000200
D RKNN: [01:02:03.004] 2   Add      b        INT8      NC1HWC2    (1,4,8,8) (1,1,8,8,8) | 0x00000100 0x00000300 0x00000200
D RKNN: [01:02:03.004]      Const Tensor Information Table
D RKNN: [01:02:03.004] ID  User     Tensor   DataType  OrigShape    |     [Start       End)       Size
D RKNN: [01:02:03.004] 1   ConvRelu w        INT8      (4,3,3,3)    | 0x00000000 0x00000480 0x00000480
D RKNN: [01:02:03.004] 1   ConvRelu b        INT32     (4)          | 0x00000480 0x00000580 0x00000100
D RKNN: [01:02:03.004] Total Internal Memory Size: 1KB
D RKNN: [01:02:03.004] 9   Conv     w        INT8      (4,3,3,3)    | 0x00000000 0x00000480 0x00000480
"""  # noqa: E501
ROW = "1 ConvRelu INT8 NPU (1,3,8,8),(4,3,3,3) (1,4,8,8) 90/70/90 5 Conv:c"


def test_memory_of_layers() -> None:
    assert stored_bytes(LOG, CONSTANTS) == {1: 0x580}
    assert stored_bytes(LOG, FEATURES) == {1: 0x100, 2: 0x400}
    (layer,) = parse_layers(f"Network Layer Information Table\n{ROW}\n{LOG}")
    assert (layer.weight_bytes, layer.feature_bytes) == (0x580, 0x100)
    (layer,) = parse_layers(f"Network Layer Information Table\n{ROW}\n")
    assert (layer.weight_bytes, layer.feature_bytes) == (0, 0)
    assert stored_bytes("", CONSTANTS) == {}


# .rknn files


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a .rknn that takes pixels, and its manifest."""
    folder = tmp_path_factory.mktemp("converted")
    onnx.save(convolution([1, 3, 16, 16]), folder / "m.onnx")
    command = ["convert", "m.onnx", "--mean", "127.5", "--color", "bgr", "-o", "m.rknn"]
    in_a_process(*command, cwd=folder, check=True)
    return folder


def copied(folder: Path, to: Path) -> Path:
    for name in ("m.rknn", "m.rknn.json"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to / "m.rknn"


def test_a_rknn_with_its_manifest(converted: Path, rockpress: Run) -> None:
    path = converted / "m.rknn"
    code, out, err = rockpress("inspect", path)
    assert (code, err) == (0, "")
    first, second, *rest = out.splitlines()
    assert first.startswith(f"{path}: for rk3588, float16, rknn-toolkit2 ")
    assert "format 0x6, compiler " in second
    assert (
        "feed   x 1x16x16x3 uint8 NHWC bgr resize stretch mean 127.5,127.5,127.5 and std 1,1,1 "
        "inside" in rest
    )
    assert "manifest" not in out
    code, out, _ = rockpress("inspect", path, "--json")
    document = json.loads(out)
    assert (code, document["schema"], document["manifest"]) == (0, 1, True)
    assert document["disagreements"] == []
    assert document["inputs"][0]["color"] == "bgr"
    assert document["file"]["inputs"][0]["mean"] == [127.5] * 3


def test_what_a_rknn_would_take_at_the_scale_of_one_that_ran(
    converted: Path, rockpress: Run
) -> None:
    path = converted / "m.rknn"
    code, out, err = rockpress("inspect", path, "--json")
    plain = json.loads(out)
    assert plain["latency"]["ms"] < plain["application"]["ms"]
    assert [rate["contexts"] for rate in plain["throughput"]] == [1, 2, 3]
    measured = ["--measured", f"{path}=4.5"]
    scaled = json.loads(rockpress("inspect", path, *measured, "--json")[1])
    assert (scaled["latency"]["kind"], scaled["latency"]["ms"]) == ("given", 4.5)
    assert scaled["latency"]["low"] is scaled["latency"]["high"] is None
    assert scaled["application"]["low"] < scaled["application"]["ms"]
    assert scaled["latency"]["scale"]["factor"] == pytest.approx(4.5 / plain["latency"]["ms"])
    code, out, err = rockpress("inspect", path, *measured)
    assert code == 0
    assert "times the estimate [latency-scale]" in err
    assert "latency 4.50 ms measured, by you\n" in out
    assert "frames a second with 1, 2, 3 contexts: " in out
    assert "time bound by " in out


def test_a_rknn_alone(converted: Path, rockpress: Run, tmp_path: Path) -> None:
    path = copied(converted, tmp_path).rename(tmp_path / "ALONE.RKNN")
    code, out, err = rockpress("inspect", path)
    assert (code, err) == (0, "")
    assert "input  x 1x3x16x16 float32 NCHW mean 127.5,127.5,127.5 and std 1,1,1 inside" in out
    assert "there is no manifest (ALONE.RKNN.json) beside it: colour order" in out
    code, out, _ = rockpress("inspect", path, "--json")
    document = json.loads(out)
    assert (code, document["manifest"], document["target"]) == (0, False, "rk3588")
    assert document["outputs"] == document["file"]["outputs"]
    assert document["outputs"][0]["shape"] == [1, 8, 16, 16]


def test_a_manifest_of_another_file(converted: Path, rockpress: Run, tmp_path: Path) -> None:
    path = copied(converted, tmp_path)
    document = json.loads(manifest_path(path).read_text())
    document["target"] = "rk3566"
    document["inputs"][0]["name"] = "image"
    manifest_path(path).write_text(json.dumps(document))
    assert inspect_rknn(path).disagreements == (
        "target rk3566 in the manifest, rk3588 in the file",
        "inputs image in the manifest, x in the file",
    )
    code, out, _ = rockpress("inspect", path)
    assert code == 0
    assert "the manifest is that of another file: target rk3566 in the manifest" in out


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["x"]},
        {"inputs": [[1]]},
        {"inputs": "text"},
        {"inputs": 7},
        {"outputs": [None]},
        {"outputs": [{"name": "y", "shape": "abc", "dtype": "int8"}]},
        {"outputs": [{"name": "y", "shape": [1], "dtype": "int8", "scale": "big"}]},
        {"inputs": [{"name": 5, "shape": [1], "dtype": "int8", "layout": "NCHW"}]},
        {"layers": [1]},
        {"layers": None},
        {"cycles": "many"},
        {"target": None},
        {"memory": []},
        {"digests": "none"},
    ],
    ids=str,
)
def test_a_manifest_of_wrong_types(
    change: dict[str, Any], converted: Path, rockpress: Run, tmp_path: Path
) -> None:
    path = copied(converted, tmp_path)
    document = json.loads(manifest_path(path).read_text())
    manifest_path(path).write_text(json.dumps({**document, **change}))
    code, out, err = rockpress("inspect", path)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {manifest_path(path)}: not a manifest: ")
    assert "hint: run the conversion again" in err


def test_a_rknn_that_is_cut_short(converted: Path, rockpress: Run, tmp_path: Path) -> None:
    path = copied(converted, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    code, out, err = rockpress("inspect", path)
    assert (code, out) == (1, "")
    assert "cut short" in err
