"""What a file is that is no ONNX model, told by its content, and how it becomes one.

Nothing is unpickled or run: of archives the names of their members are read, and the first bytes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import option
from ..errors import ModelError
from ..text_files import open_plain

_HEAD = 1 << 16
_OF_PLANS = (b"schema", b"scheme", b"samples", b"held_out")  # keys that all have
_PICKLED = 1 << 20  # of an archive's pickle, which names the classes early
_OLD_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, ValueError)

_FROM_TORCH = (
    "build the network in Python, load it, and call torch.onnx.export(model, example, '{onnx}')"
)
_FROM_KERAS = (
    "python -c \"import keras; keras.saving.load_model('{file}').export('{onnx}', format='onnx')\""
)
_FROM_TENSORFLOW = "python -m tf2onnx.convert {source} {file} --output {onnx}"
_FROM_ORIGINAL = "it cannot be turned back: export the model that it was made from to ONNX"


@dataclass(frozen=True)
class OtherFormat:
    """A format: what a file of it is called, and how to get an ONNX model.

    In ``export`` {file} is the file, {stem} its path without the ending, {folder} where it is,
    {onnx} the file to write, {weights} the name that files of Paddle share, and {plan} the option
    of convert that takes the file.
    """

    name: str
    export: str

    def error(self, path: Path) -> ModelError:
        """Return the error that says what the file is, with the export as its hint."""
        names = {
            "file": path,
            "stem": path.with_suffix(""),
            "folder": path if path.is_dir() else path.parent,
            "onnx": path.with_suffix(".onnx"),
            "weights": next(path.glob("*.pdiparams"), path).stem,
            "plan": option("plan", str(path)),
        }
        return ModelError(f"{path}: {self.name}, not an ONNX model", self.export.format(**names))


_TORCHSCRIPT = OtherFormat(
    "a TorchScript model of PyTorch",
    "torch.onnx.export(torch.jit.load('{file}'), example, '{onnx}', dynamo=False), in Python",
)
_ULTRALYTICS = OtherFormat(
    "a model of Ultralytics for PyTorch", "yolo export model={file} format=onnx"
)
_TORCH = OtherFormat("a pickled model of PyTorch", _FROM_TORCH)
_TORCH_WEIGHTS = OtherFormat("a state dict of PyTorch (weights without a network)", _FROM_TORCH)
_TORCH_EXPORT = OtherFormat(
    "an exported program of PyTorch",
    "torch.onnx.export(torch.export.load('{file}'), f='{onnx}'), in Python",
)
_KERAS = OtherFormat("a Keras model", _FROM_KERAS)
_TFLITE = OtherFormat("a TensorFlow Lite model", _FROM_TENSORFLOW.replace("{source}", "--tflite"))
_SAVED_MODEL = OtherFormat(
    "a SavedModel of TensorFlow",
    "python -m tf2onnx.convert --saved-model {folder} --output {onnx}",
)
_GRAPH_DEF = OtherFormat(
    "a frozen graph of TensorFlow",
    _FROM_TENSORFLOW.replace("{source}", "--graphdef") + " --inputs INPUT:0 --outputs OUTPUT:0",
)
_CAFFE = OtherFormat(
    "a Caffe model",
    "python -m caffe2onnx.convert --prototxt {stem}.prototxt --caffemodel {file} --onnx {onnx}",
)
_CAFFE_NET = OtherFormat(
    "a network of Caffe, without its weights",
    "python -m caffe2onnx.convert --prototxt {file} --caffemodel {stem}.caffemodel --onnx {onnx}",
)
_FROM_DARKNET = (
    "demo_darknet2onnx.py of Tianxiaomo/pytorch-YOLOv4 makes an ONNX model of a .cfg and .weights"
)
_DARKNET = OtherFormat("a network of Darknet, without its weights", _FROM_DARKNET)
_DARKNET_WEIGHTS = OtherFormat("weights of Darknet, without a network", _FROM_DARKNET)
_FROM_PADDLE = (
    "paddle2onnx --model_dir {folder} --model_filename {weights}.pdmodel "
    "--params_filename {weights}.pdiparams --save_file {onnx}"
)
_PADDLE = OtherFormat("a Paddle model", _FROM_PADDLE)
_PADDLE_PIR = OtherFormat("a Paddle model", _FROM_PADDLE.replace(".pdmodel", ".json"))
_SAFETENSORS = OtherFormat(
    "weights in safetensors, without a network",
    "build the network in Python and call torch.onnx.export, or for a model of Hugging Face: "
    "optimum-cli export onnx --model {folder} OUTPUT",
)
_RKNN = OtherFormat(
    "a .rknn, built for a chip already", "give the ONNX model that it was built from"
)
_PICTURE = OtherFormat("an image", "the model comes first; give samples as an option")
_PACKED = OtherFormat("a packed file", "unpack it, and give the ONNX model that is inside")
_RECIPE = OtherFormat("a recipe", "rockpress run takes it; give the model here")
_PLAN = OtherFormat(
    "a plan of rockpress quantize",
    "rockpress convert takes it as {plan} beside the model that it is about; give the model here",
)
_WEB_PAGE = OtherFormat("a web page", "the download failed; fetch the model again")
_LFS = OtherFormat("a pointer of Git LFS", "git lfs pull fetches the model itself")


def _final(name: str) -> OtherFormat:
    return OtherFormat(name, _FROM_ORIGINAL)


_TENSORRT = _final("an engine of TensorRT")
_OPENVINO = _final("a model of OpenVINO")
_NCNN = _final("a model of ncnn")
_CORE_ML = _final("a Core ML model")

# the first bytes -> the format
_MAGIC: tuple[tuple[Callable[[bytes], bool], OtherFormat], ...] = (
    (lambda head: head[4:8] == b"TFL3", _TFLITE),
    (lambda head: head[4:8] == b"ORTM", _final("a model in ONNX Runtime's own format (.ort)")),
    (lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"), _KERAS),
    (lambda head: head.startswith(b"RKNN"), _RKNN),
    (lambda head: head[:4] in (b"ftrt", b"ptrt"), _TENSORRT),
    (lambda head: head.startswith(b"GGUF"), _final("a GGUF model")),
    (lambda head: head[4:8] == b"ET12", _final("a program of ExecuTorch")),
    (lambda head: head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")), _PICTURE),
    (lambda head: head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar", _PACKED),
    (lambda head: head.lstrip().startswith((b"[net]", b"[network]")), _DARKNET),
    (
        lambda head: head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 1 << 27,
        _SAFETENSORS,
    ),
    (lambda head: head.startswith(b"version https://git-lfs"), _LFS),
    (lambda head: all(re.search(rb"^%s = " % key, head, re.M) for key in _OF_PLANS), _PLAN),
    (lambda head: head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")), _WEB_PAGE),
    (lambda head: head.lstrip().startswith(b"<") and b"<net " in head[:4096], _OPENVINO),
    (lambda head: head.startswith(b"7767517"), _NCNN),
    (lambda head: head.startswith(b"{") and b'"pir"' in head[:4096], _PADDLE_PIR),
    # messages that begin with their first field, where an ONNX model has its version
    (lambda head: head[:1] == b"\n" and b"op_role" in head, _PADDLE),
    (lambda head: head[:1] == b"\n" and b"\x12\x0bPlaceholder" in head, _GRAPH_DEF),
    (lambda head: head[:1] == b"\n" and b"Convolution" in head, _CAFFE),
)
# where the content says nothing
_SUFFIXES = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _TORCH),
    **dict.fromkeys((".h5", ".keras", ".hdf5"), _KERAS),
    **dict.fromkeys((".engine", ".plan", ".trt"), _TENSORRT),
    **dict.fromkeys((".mlmodel", ".mlpackage"), _CORE_ML),
    **dict.fromkeys((".pdmodel", ".pdiparams"), _PADDLE),
    **dict.fromkeys((".ncnn", ".param"), _NCNN),
    ".pb": _GRAPH_DEF,
    ".caffemodel": _CAFFE,
    ".prototxt": _CAFFE_NET,
    ".weights": _DARKNET_WEIGHTS,
    ".zip": _PACKED,
    ".safetensors": _SAFETENSORS,
    ".tflite": _TFLITE,
    ".toml": _RECIPE,
    ".mnn": _final("a model of MNN"),
}
# a file in a folder -> what the folder is
_MEMBERS = {
    "saved_model.pb": _SAVED_MODEL,
    "*.pdmodel": _PADDLE,
    "*.pdiparams": _PADDLE_PIR,
    "*.ncnn.param": _NCNN,
    "*.safetensors": _SAFETENSORS,
    "Manifest.json": _CORE_ML,
    "*.xml": _OPENVINO,
}


def other_format(path: Path) -> OtherFormat | None:
    """Return what a file or folder is that is no ONNX model; None where that is not told."""
    if path.is_dir():
        folder = (kind for pattern, kind in _MEMBERS.items() if any(path.glob(pattern)))
        return next(folder, None)
    return format_of_content(path) or _SUFFIXES.get(path.suffix.lower())


def format_of_content(path: Path) -> OtherFormat | None:
    """Return what a file is by a content, or a whole name, that no ONNX model has."""
    if path.name in _MEMBERS:
        return _MEMBERS[path.name]
    with open_plain(path) as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    if head.startswith(_OLD_TORCH):
        return _of_pickle(head)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return OtherFormat("a Python pickle", "export the model from the program that wrote it")
    return next((kind for is_it, kind in _MAGIC if is_it(head)), None)


def _of_archive(path: Path) -> OtherFormat | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/data.pkl") for name in names):
                return _of_torch(archive, names)
    except _BROKEN_ARCHIVE:
        return None
    if "model.weights.h5" in names:
        return _KERAS
    if _has_end(names, "/archive_format") or "models/model.json" in names:
        return _TORCH_EXPORT
    return _PACKED if _has_end(names, ".onnx") else _samples(names)


def _samples(names: list[str]) -> OtherFormat | None:
    if names and all(name.endswith(".npy") for name in names):
        return OtherFormat("arrays of NumPy", "the model comes first; give samples as an option")
    return None


def _of_torch(archive: zipfile.ZipFile, names: list[str]) -> OtherFormat:
    if _has_end(names, "/constants.pkl"):
        return _TORCHSCRIPT
    pickled = next(name for name in names if name.endswith("/data.pkl"))
    with archive.open(pickled) as file:
        return _of_pickle(file.read(_PICKLED))


def _of_pickle(pickled: bytes) -> OtherFormat:
    if b"ultralytics" in pickled or b"models.yolo" in pickled:
        return _ULTRALYTICS
    return _TORCH if b"torch.nn.modules" in pickled else _TORCH_WEIGHTS


def _has_end(names: Iterable[str], end: str) -> bool:
    return any(name.endswith(end) for name in names)
