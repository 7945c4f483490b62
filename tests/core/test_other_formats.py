"""Models of other formats, given where an ONNX model belongs."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import small_cnn
from rockpress.core.diagnostics import mentioned, python_phrase, speaking
from rockpress.core.errors import ModelError
from rockpress.core.graphs.model import load_model
from rockpress.core.graphs.other_formats import other_format

_DETECTOR = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\nq\x00."
_NETWORK = b"\x80\x02ctorch.nn.modules.container\nSequential\nq\x00."
_WEIGHTS = b"\x80\x02ccollections\nOrderedDict\nq\x00."
_OLD = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_TENSORS = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()


def archive(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_pkl", ".pkl"), content)


# content, what the file is called, and words of its error and its hint
FILES: dict[str, tuple[bytes, str, str]] = {
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "TensorFlow Lite", "tf2onnx.convert --tflite m."),
    "m.h5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "Keras", "format='onnx'"),
    "m.pb": (b"\n\x15\n\x01x\x12\x0bPlaceholder*\0", "frozen graph", "--graphdef m.pb"),
    "saved_model.pb": (b"\x08\x01\x12\x05serve", "SavedModel", "--saved-model . "),
    "m.caffemodel": (b"\n\x03net\xa2\x06\x0fconv\x12\x0bConvolution", "Caffe", "m.prototxt"),
    "m.pdmodel": (
        b"\n\x10\x08\0\x1a\x0c\n\x07op_role",
        "Paddle",
        "me m.pdmodel --params_filename m.pdi",
    ),
    "inference.json": (b'{"base_code":{"magic":"pir"}}', "Paddle", "filename inference.json "),
    "m.safetensors": (struct.pack("<Q", len(_TENSORS)) + _TENSORS, "safetensors", "optimum-cli"),
    "m.engine": (b"\x10\0\0\0{}", "TensorRT", "cannot be turned back"),
    "m.plan": (b"ftrt" + bytes(30), "TensorRT", "cannot be turned back"),
    "m.mlmodel": (b"\x08\x05\x12\x02\n\0", "Core ML", "cannot be turned back"),
    "m.param": (b"7767517\n3 3\n", "ncnn", "cannot be turned back"),
    "m.xml": (b'<?xml version="1.0"?>\n<net name="m" version="11">', "OpenVINO", "turned back"),
    "m.rknn": (b"RKNN\0\0\0\0" + bytes(60), "a .rknn", "ONNX model that it was built from"),
    "m.pte": (b"\x1c\0\0\0ET12" + bytes(20), "ExecuTorch", "turned back"),
    "m.cfg": (b"[net]\nwidth=416\n", "Darknet", "darknet2onnx"),
    "m.weights": (b"\0\0\0\0\x02\0\0\0" + bytes(20), "Darknet", "darknet2onnx"),
    "m.prototxt": (b'name: "x"\nlayer { name: "d" }\n', "Caffe", "--caffemodel m.caffemodel"),
    "m.onnx.gz": (b"\x1f\x8b\x08\0" + bytes(20), "a packed file", "unpack it"),
    "m.tar": (b"m.onnx" + bytes(251) + b"ustar\0" + b"00", "a packed file", "unpack it"),
    "cut.zip": (b"PK\x03\x04m.onnx", "a packed file", "unpack it"),
    "a.png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "an image", "the model comes first"),
    "a.jpg": (b"\xff\xd8\xff\xe0" + bytes(20), "an image", "the model comes first"),
    "m.ort": (b"\x1c\0\0\0ORTM" + bytes(20), "ONNX Runtime", "turned back"),
    "m.pth": (_OLD + _WEIGHTS, "state dict", "torch.onnx.export"),
    "m.pkl": (pickle.dumps({"a": 1}), "pickle", "export"),
    "p.toml": (
        b'# ours\nschema = 1\nscheme = "w4a16"\nsamples = 8\nmethod = "gptq"\nheld_out = 2\n',
        "plan",
        "takes it as --plan p.toml beside the model",
    ),
    "m.toml": (b'model = "m.onnx"\n', "recipe", "rockpress run"),
    "page.onnx": (b"<!DOCTYPE html><html>", "web page", "download"),
    "m.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
}
_TOLD_BY_NAME = (
    *("m.engine", "m.mlmodel", "m.toml", "saved_model.pb"),
    *("m.weights", "m.prototxt", "cut.zip"),
)
ARCHIVES: dict[str, tuple[dict[str, bytes], str, str]] = {
    "script.pt": ({"m__data_pkl": b"", "m__constants_pkl": b""}, "TorchScript", "torch.jit.load"),
    "yolo.pt": ({"yolo__data_pkl": _DETECTOR}, "Ultralytics", "yolo export model=yolo.pt"),
    "whole.pt": ({"archive__data_pkl": _NETWORK}, "pickled model", "torch.onnx.export"),
    "state.pth": ({"archive__data_pkl": _WEIGHTS}, "state dict", "load it"),
    "ep.pt2": ({"ep__archive_format": b"pt2"}, "exported program", "torch.export.load"),
    "m.keras": ({"config.json": b"{}", "model.weights.h5": b""}, "Keras", "load_model('m.keras')"),
    "m.zip": ({"m.onnx": b""}, "a packed file", "unpack it"),
    "arrays.npz": ({"x.npy": b""}, "arrays of NumPy", "samples"),
}


@pytest.mark.parametrize("name", [*FILES, *ARCHIVES])
@pytest.mark.parametrize("renamed", [False, True])
def test_a_file_of_another_format(
    name: str, renamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content tells of most; of a few their names do, or else nothing does."""
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    if name in FILES:
        content, called, hint = FILES[name]
        path.write_bytes(content)
    else:
        members, called, hint = ARCHIVES[name]
        archive(path, **members)
    if renamed:
        path = path.rename("model.bin")
        called = called if other_format(path) else "truncated or not ONNX"
        assert (called == "truncated or not ONNX") == (name in _TOLD_BY_NAME)
    with pytest.raises(ModelError, match=called) as caught:
        load_model(path)
    assert renamed or hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_the_option_that_takes_a_plan_is_said_in_the_reader_s_words(tmp_path: Path) -> None:
    path = tmp_path / "it's a plan.toml"
    path.write_bytes(FILES["p.toml"][0])
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert mentioned(caught.value.diagnostic.hint) == [("plan", str(path))]
    with speaking(python_phrase):
        assert f'takes it as plan="{path}" beside' in caught.value.hint
    assert f"takes it as --plan {path} beside" in caught.value.hint


@pytest.mark.parametrize(
    ("member", "called"),
    [
        ("saved_model.pb", "SavedModel"),
        ("inference.pdmodel", "Paddle"),
        ("model.ncnn.param", "ncnn"),
        ("model.safetensors", "safetensors"),
        ("m.xml", "OpenVINO"),
    ],
)
def test_a_folder_of_another_format(member: str, called: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        load_model(tmp_path)
    (tmp_path / member).touch()
    with pytest.raises(ModelError, match=called):
        load_model(tmp_path)


def test_the_hint_of_a_folder_names_the_files_in_it(tmp_path: Path) -> None:
    for ending, model in (("pdiparams", "det.json"), ("pdmodel", "det.pdmodel")):
        (tmp_path / f"det.{ending}").touch()
        with pytest.raises(ModelError, match="Paddle") as caught:
            load_model(tmp_path)
        named = f"--model_filename {model} --params_filename det.pdiparams"
        assert named in caught.value.hint


@pytest.mark.parametrize("name", ["m.pb", "m.pt", "m.bin", "m.h5"])
def test_an_onnx_model_is_one_whatever_its_name(name: str, tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / name, format="protobuf")
    assert load_model(tmp_path / name).graph.node
    whole = (tmp_path / name).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="truncated"):
        load_model(tmp_path / "cut.onnx")


def test_a_damaged_archive_is_no_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[:-20])
    with pytest.raises(ModelError, match="truncated or not ONNX"):
        load_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("verb", ["run", "prune", "quantize", "convert", "inspect", "check"])
def test_every_command_says_what_the_file_is(
    verb: str, rockpress: Run, tmp_path: Path, image_folder: Path
) -> None:
    path = tmp_path / "yolo.pt"
    archive(path, **ARCHIVES["yolo.pt"][0])
    more = {
        "check": [path, "--calib", image_folder],
        "inspect": [],
        "run": ["--calib", image_folder, "-o", tmp_path / "out"],
        "prune": ["--calib", image_folder, "-o", tmp_path / "p.onnx", "--budget", "macs=-9%"],
        "convert": ["-o", tmp_path / "out.rknn"],
    }
    line = more.get(verb, ["--calib", image_folder, "-o", tmp_path / "out.onnx"])
    code, out, err = rockpress(verb, path, *line)
    assert (code, out) == (1, "")
    assert err.splitlines()[-2:] == [
        f"error: {path}: a model of Ultralytics for PyTorch, not an ONNX model",
        f"hint: yolo export model={path} format=onnx",
    ]


def test_a_rknn_is_no_model_to_work_on(rockpress: Run, tmp_path: Path, small_cnn: Path) -> None:
    path = tmp_path / "m.rknn"
    path.write_bytes(FILES["m.rknn"][0])
    for line in (["run", path], ["check", path, small_cnn, "--calib", tmp_path]):
        code, _, err = rockpress(*line)
        assert (code, err.splitlines()[-2:]) == (
            1,
            [
                f"error: {path}: a .rknn, built for a chip already, not an ONNX model",
                "hint: give the ONNX model that it was built from",
            ],
        )
