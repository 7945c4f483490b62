"""Inputs that somebody made to break things: each is one error of ours, and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

import graphs
from commands import Ended, Run, in_a_process
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, TEST, sample_path
from samples import save_feeds

ONE, TWO = sample_path(MODEL), sample_path(CALIBRATION)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No command here leaves a scratch folder or a log, or a file where it runs."""
    for name in ("cwd", "scratch"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    yield
    assert os.listdir(tmp_path / "cwd") == os.listdir(tmp_path / "scratch") == []


def error_of(done: Ended, code: int = 1) -> str:
    lines = [line for line in done.err.splitlines() if not line.startswith("rockpress: ")]
    assert (done.code, done.out) == (code, ""), done.err
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], done.err
    return lines[0]


# Models


def tampered(model: ModelProto, old: bytes, new: bytes) -> bytes:
    content = bytes(model.SerializeToString())
    assert old in content
    return content.replace(old, new)


def unknown_type() -> bytes:
    model = graphs.small_cnn()
    model.graph.initializer[0].data_type = 99
    return bytes(model.SerializeToString())


def values_that_do_not_fit() -> bytes:
    model = graphs.small_cnn()
    model.graph.initializer[0].dims[0] += 1
    return bytes(model.SerializeToString())


def negative_length() -> bytes:
    model = graphs.small_cnn()
    model.graph.initializer[0].dims[0] = -1
    return bytes(model.SerializeToString())


def name_that_is_no_text() -> bytes:
    model = graphs.small_cnn()
    model.graph.node[0].name = "a-name-that-is-text"
    return tampered(model, b"a-name-that-is-text", b"a-name-that-is-\xff\xfe\xfd\xfc")


def constant_that_is_no_text() -> bytes:
    model = graphs.small_cnn()
    model.graph.node.append(helper.make_node("Constant", [], ["s"], value_strings=[b"a", b"\xff"]))
    model.graph.output.append(helper.make_tensor_value_info("s", TensorProto.STRING, [2]))
    return bytes(model.SerializeToString())


def branches_in_branches(levels: int) -> onnx.GraphProto:
    """A graph in which ONNX Runtime doubles the time that it takes with every level."""
    output = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    branch = last = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "b", [], output)
    for _ in range(levels):
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=last)
        branch = helper.make_graph([node], "b", [], output)
    return branch


def nested_too_deeply() -> bytes:
    graph = branches_in_branches(17)
    types = {"x": TensorProto.FLOAT, "c": TensorProto.BOOL}
    shapes: dict[str, list[int]] = {"x": [1, 3, 8, 8], "c": []}
    for name, kind in types.items():
        graph.input.append(helper.make_tensor_value_info(name, kind, shapes[name]))
    opset = [helper.make_opsetid("", 13)]
    return bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())


def impossible_opset() -> bytes:
    model = graphs.small_cnn()
    model.opset_import[0].version = -(2**63)
    return bytes(model.SerializeToString())


def no_version_of_a_domain() -> bytes:
    model = graphs.small_cnn()
    model.graph.node[0].domain = "ai.onnx.ml"
    return bytes(model.SerializeToString())


def no_outputs() -> bytes:
    model = graphs.small_cnn()
    del model.graph.output[:]
    return bytes(model.SerializeToString())


def two_layers(weight: tuple[int, ...], **settings: Any) -> bytes:
    """A model whose first convolution has a weight of that shape, and these attributes."""
    shape = (1, 4, 6, 6)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], **settings),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    weights = {"w": np.zeros(weight, np.float32)}
    model = graphs.model_of_nodes(nodes, {"x": (1, 3, 8, 8)}, {"y": shape}, weights)
    return bytes(model.SerializeToString())


MODELS: dict[str, tuple[Callable[[], bytes], str]] = {
    "type": (unknown_type, "there is no type of values 99"),
    "values": (values_that_do_not_fit, "is not complete"),
    "negative": (negative_length, "a negative length"),
    "text": (name_that_is_no_text, "no text in UTF-8"),
    "string": (constant_that_is_no_text, "node 's' holds text that is not in UTF-8"),
    "nested": (nested_too_deeply, "branches and loops lie in each other 17 deep"),
    "opset": (impossible_opset, "opset -9223372036854775808"),
    "domain": (no_version_of_a_domain, "'ai.onnx.ml', of which the model names no version"),
    "outputs": (no_outputs, "the model has no outputs"),
    "channels": (lambda: two_layers((4, 2, 3, 3)), "does not fit: 1x3x8x8 and 4x2x3x3"),
    "pads": (
        lambda: two_layers((4, 3, 3, 3), pads=[-(2**40), 0, 0, 0]),
        "gives the shape 1x4x-1099511627770x6",
    ),
}


@pytest.mark.parametrize("verb", ["inspect", "quantize", "prune", "check"])
@pytest.mark.parametrize("fault", MODELS)
def test_a_model_that_contradicts_itself(
    verb: str, fault: str, rockpress: Run, image_folder: Path, tmp_path: Path
) -> None:
    make, words = MODELS[fault]
    path = tmp_path / "m.onnx"
    path.write_bytes(make())
    samples, output = ["--calib", image_folder], ["-o", tmp_path / "out.onnx"]
    lines: dict[str, list[object]] = {
        "inspect": [path],
        "quantize": [path, *samples, *output],
        "prune": [path, *samples, *output, "--budget", "macs=-40%"],
        "check": [path, path, "--eval", image_folder],
    }
    assert words in error_of(rockpress(verb, *lines[verb]))
    assert not (tmp_path / "out.onnx").exists()


def external(path: Path, count: int, **entries: str) -> None:
    """A model with that many tensors of a megabyte, all in one file."""
    model = graphs.small_cnn()
    for index in range(count):
        tensor = TensorProto(name=f"t{index}", data_type=TensorProto.FLOAT, dims=[1 << 18])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())


def test_external_data_counts_once_for_each_use(rockpress: Run, tmp_path: Path) -> None:
    external(tmp_path / "m.onnx", 3000, location="w.bin")
    (tmp_path / "w.bin").touch()
    os.truncate(tmp_path / "w.bin", 1 << 20)
    assert "3.1 GB with its external data" in error_of(rockpress("inspect", tmp_path / "m.onnx"))


@pytest.mark.parametrize("location", ["a\0b", "é" * 300, "circle"])
def test_external_data_under_a_name_that_no_file_has(
    location: str, rockpress: Run, tmp_path: Path
) -> None:
    (tmp_path / "circle").symlink_to("circle")
    external(tmp_path / "m.onnx", 1, location=location)
    told = error_of(rockpress("inspect", tmp_path / "m.onnx"))
    assert "external data cannot be read" in told
    assert len(told) < 500


def test_a_valid_model_that_imports_no_standard_operators(rockpress: Run, tmp_path: Path) -> None:
    node = helper.make_node("Binarizer", ["x"], ["y"], domain="ai.onnx.ml", threshold=0.5)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "m.onnx")
    assert rockpress("inspect", tmp_path / "m.onnx").code == 0


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_model_that_is_no_file(kind: str, rockpress: Run, tmp_path: Path) -> None:
    not_plain(tmp_path / "m.onnx", kind)
    assert "the model file is no regular file" in error_of(
        rockpress("inspect", tmp_path / "m.onnx")
    )


# Texts


def write_recipe(path: Path, more: str) -> Path:
    path.write_text(f'model = "{ONE}"\ncalib = "{TWO}"\n{more}')
    return path


@pytest.mark.parametrize(
    "more",
    [
        "seed = " + "9" * 5000,
        "a = " + "[" * 100_000,
        'output = "\\u0000"',
        f'size = "{"x" * 9999}"',
        "target = {}",
        "seed = {a = 1, b = 2}",
    ],
    ids=["digits", "nested", "nul", "long", "empty table", "table"],
)
def test_a_recipe_that_is_none(more: str, rockpress: Run, tmp_path: Path) -> None:
    told = error_of(rockpress("run", write_recipe(tmp_path / "r.toml", more), "--dry-run"), 2)
    assert len(told) < 600


@pytest.mark.parametrize("text", ["seed = " + "9" * 5000, "a = " + "[" * 100_000])
def test_a_plan_that_is_none(text: str, rockpress: Run, tmp_path: Path) -> None:
    plan, output = tmp_path / "q.plan.toml", tmp_path / "new" / "o.rknn"
    plan.write_text(text)
    line = ["convert", ONE, "-o", output, "--route", "hybrid", "--calib", TWO, "--plan", plan]
    assert len(error_of(rockpress(*line))) < 600
    assert not output.parent.exists()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"schema": ' + "9" * 5000 + "}"])
def test_a_manifest_that_is_none(text: str, rockpress: Run, tmp_path: Path) -> None:
    (tmp_path / "o.rknn").write_bytes(b"RKNN" + bytes(100))
    (tmp_path / "o.rknn.json").write_text(text)
    line = ["check", ONE, tmp_path / "o.rknn", "--eval", sample_path(TEST)]
    assert "o.rknn.json: " in error_of(rockpress(*line))


def not_plain(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)


@pytest.mark.parametrize("kind", ["fifo", "device", "sparse"])
@pytest.mark.parametrize("place", ["recipe", "plan", "baseline", "charset", "manifest", "labels"])
def test_a_text_that_has_no_end(kind: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / {"recipe": "x.toml", "manifest": "m.rknn.json", "labels": "x.csv"}.get(
        place, "x"
    )
    not_plain(path, kind)
    (tmp_path / "m.rknn").write_bytes(b"RKNN" + bytes(100))
    check = ["check", ONE, ONE, "--eval", sample_path(TEST)]
    lines: dict[str, list[object]] = {
        "recipe": ["run", path],
        "plan": ["convert", ONE, "-o", tmp_path / "o.rknn", "--calib", TWO, "--plan", path],
        "baseline": [*check, "--baseline", path],
        "charset": [*check, "--metric", "cer", "--metric-option", f"charset={path}"],
        "manifest": ["check", ONE, tmp_path / "m.rknn", "--eval", sample_path(TEST)],
        "labels": ["check", ONE, ONE, "--eval", path],
    }
    limit = 4 * 2**30
    done = in_a_process(
        *lines[place],
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    told = error_of(Ended(done.returncode, done.stdout, done.stderr), done.returncode)
    assert done.returncode in (1, 2)
    words = ("not a regular file", "MB that are read", "not a kind of samples")
    assert any(part in told for part in words), told


@pytest.mark.parametrize(
    ("key", "value"),
    [("scale", "0.0"), ("scale", "nan"), ("scale", "-1.0"), ("high", "-1e308"), ("axis", "99")],
)
def test_a_plan_with_a_value_that_no_plan_has(
    key: str, value: str, rockpress: Run, image_folder: Path, small_cnn: Path, tmp_path: Path
) -> None:
    plan, output = tmp_path / "q.plan.toml", tmp_path / "new" / "o.rknn"
    quantize = ["quantize", small_cnn, "-o", tmp_path / "q.onnx", "--method", "min-max"]
    assert rockpress(*quantize, "--calib", image_folder, "-q").code == 0
    text, count = re.subn(rf"(?m)^{key} = .*", f"{key} = {value}", plan.read_text(), count=1)
    assert count
    plan.write_text(text)
    convert = ["convert", small_cnn, "-o", output, "--route", "hybrid", "--plan", plan, "-q"]
    assert f"{plan}: " in error_of(rockpress(*convert, "--calib", image_folder))
    assert not output.parent.exists()


# Outputs


SHAPE_TOO = """(float[1,3,9,9] x) => (float[1,2] y, int64[1,2] shape) {
    c = Conv <strides = [2,2]> (x, w)
    s = Shape (c)
    n = Gather <axis = 0> (s, zero)
    one = Unsqueeze (n, axes)
    shape = Concat <axis = 0> (one, rest)
    f = Reshape (c, shape)
    t = Tanh (f)
    y, i = TopK (t, two) }"""


@pytest.mark.toolkit
def test_an_output_that_computes_a_shape_with_the_toolkits_quantizer(
    rockpress: Run, tmp_path: Path
) -> None:
    """The toolkit leaves it out of the .rknn, so that there are less outputs than in the model."""
    weights: graphs.Weights = {"w": (6, 3, 3, 3), "zero": 0, "axes": [0], "rest": [-1], "two": [2]}
    onnx.save(graphs.model_of(SHAPE_TOO, weights, prepared=False), tmp_path / "m.onnx")
    feeds = graphs.random_feeds({"x": (1, 3, 9, 9)}, 4)
    line = ["convert", tmp_path / "m.onnx", "-o", tmp_path / "out" / "o.rknn", "-q"]
    line += ["--toolkit-quantizer", "normal", "--calib", save_feeds(tmp_path / "c.npz", feeds)]
    done = rockpress(*line)
    assert done.code == 0, done.err
    assert "the toolkit left 'shape'" in done.err
    names = ["o.prepared.onnx", "o.rknn", "o.rknn.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


# Samples


def header_of(shape: str, kind: str) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def endless_header(folder: Path) -> list[object]:
    (folder / "a.npy").write_bytes(header_of("(4,)", "<f4',('a','<f4") + bytes(99))
    return ["quantize", ONE, "-o", folder / "q.onnx", "--calib", folder / "a.npy"]


def no_characters(folder: Path) -> list[object]:
    with zipfile.ZipFile(folder / "b.npz", "w") as archive:
        archive.writestr("x.npy", header_of("(4,28,28)", "|u1") + bytes(3136))
        codes = struct.pack("<4I", 0xFFFFFFFF, 0x110000, 0xD800, 65)
        archive.writestr("labels.npy", header_of("(4,)", "<U1") + codes)
    return ["check", ONE, ONE, "--eval", folder / "b.npz"]


def long_name(folder: Path) -> list[object]:
    images = [{"id": 1, "file_name": "x" * 300}]
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (folder / "c.json").write_text(json.dumps(document))
    return ["check", ONE, ONE, "--eval", folder / "c.json", "--metric", "map"]


def four_billion_samples(folder: Path) -> list[object]:
    (folder / "d.npy").write_bytes(header_of("(4000000000,)", "|i1"))
    os.truncate(folder / "d.npy", 4_000_000_200)
    return ["quantize", ONE, "-o", folder / "q.onnx", "--calib", folder / "d.npy"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (endless_header, "the array file is corrupt"),
        (no_characters, "texts that are not Unicode"),
        (long_name, "there is no image"),
        (four_billion_samples, "4,000,000,000 samples; the limit is"),
    ],
)
def test_samples_that_lie(
    make: Callable[[Path], list[object]], words: str, rockpress: Run, tmp_path: Path
) -> None:
    assert words in error_of(rockpress(*make(tmp_path)))
    assert not (tmp_path / "q.onnx").exists()
