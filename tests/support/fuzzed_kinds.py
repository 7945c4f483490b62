"""The kinds of inputs that are changed at random, and the commands that read them."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

import graphs
from commands import in_a_process
from mutations import (
    Mutate,
    mutated_bytes,
    mutated_json,
    mutated_model,
    mutated_npy,
    mutated_npz,
    mutated_toml,
    mutated_trials,
    mutated_words,
)
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, TEST, sample_path
from rockpress.core.results.layer_rows import LayerRow
from rockpress.core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    LatencyScale,
    ModelRow,
    Ratios,
    RetentionFigure,
)
from rockpress.core.results.report import Report, TargetReport, ToolVersion
from rockpress.report.documents.document import to_json
from samples import noise_images, pixels

ONE, TWO, THREE = (str(sample_path(name)) for name in (MODEL, CALIBRATION, TEST))
CHECK = ["check", ONE, ONE, "--eval-count", "20", "--allow", "preprocess"]
QUANTIZE = ["quantize", "-o", "../out/q.onnx", "--method", "min-max", "--calib-count", "4"]
PRUNE = ["prune", "-o", "../out/p.onnx", "--calib-count", "8", "--prune", "macs=-30%"]
DISTIL = [*PRUNE, "--calib-count", "32", "--recover", "distill", "--recover-time", "2"]
PRUNE += ["--recover", "none"]
PREDICT = ["predict", ONE, "-o", "../out/drawn", "--json"]
CONVERT = ["convert", "-o", "../out/o.rknn", "--memory-limit", "4", "--timeout", "60"]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Fuzzed:
    """A kind of input: the name of its file, what is in it, and how that is changed.

    One of ``commands`` reads it; without, the file itself is a command, as JSON. ``beside`` are
    other files that it needs, ``environment`` are variables. ``tried`` is how many changes of it
    the test suite tries.
    """

    name: str
    content: Callable[[], bytes]
    mutate: Mutate
    commands: Sequence[Sequence[str]] = ()
    beside: Callable[[], Files] = dict
    tried: int = 2
    environment: Callable[[], Mapping[str, str]] = dict

    def line(self, content: bytes, number: int) -> list[str]:
        """Return the words of a command that reads the content."""
        if not self.commands:
            return [str(word) for word in json.loads(content)]
        return list(self.commands[number % len(self.commands)])


@cache
def common_files() -> Files:
    """Return what lies in every trial's folder: a model, samples and images."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        noise_images(folder / "images", 2)
        random = np.random.default_rng(0)
        images = random.integers(0, 255, (6, 28, 28), np.uint8)
        np.savez(folder / "s.npz", images=images, labels=np.arange(6))
        np.save(folder / "s.npy", images)
        onnx.save(graphs.small_cnn(), folder / "cnn.onnx")
        return _files_in(folder)


@cache
def converted_files() -> Files:
    """Return what convert writes for the model of all trials, a plan with it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, content in common_files().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        lines = (
            ["quantize", "cnn.onnx", "-o", "q.onnx", "--method", "min-max", "--calib", "images"],
            ["convert", "cnn.onnx", "-o", "m.rknn", "--plan", "q.plan.toml"],
        )
        for line in lines:
            assert in_a_process(*line, cwd=folder).returncode == 0
        return _files_in(folder)


TUNE = ["tune", "../r.toml", "-o", "../t", "--trials", "2", "--pick", "retention=0.1"]
TUNED = b"""model = "cnn.onnx"
calib = "images"
scheme = "w8a8"
[tune]
prune = ["off"]
method = ["min-max", "mse"]
mixed = ["off"]
"""


@cache
def searched_files() -> Files:
    """Return what a search leaves that has come to its end, and its recipe."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, content in {**common_files(), "r.toml": TUNED}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / "cwd").mkdir()
        ended = in_a_process(*TUNE, cwd=folder / "cwd", timeout=1200)
        assert ended.returncode == 0, ended.stderr
        return _files_in(folder)


def _files_in(folder: Path) -> Files:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def jpeg() -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels(36, 40, 3)).save(written, "JPEG")
    return written.getvalue()


def recipe() -> bytes:
    return f"""model = "{ONE}"
calib = "{TWO}"
eval = "{THREE}"
target = ["rk3588"]
size = [28, 28]
min-retention = 0.9
scheme = "w8a8"
""".encode()


def recipe_of_several() -> bytes:
    return f"""calib = "{TWO}"
calib-count = 4
scheme = "float16"
target = ["rk3588", "rk3566"]

[models.a]
model = "{ONE}"
mean = [72.9]

[models.b]
model = "cnn.onnx"
calib = "images"
input.x = [1, 3, 32, 32]
""".encode()


def report() -> bytes:
    models = (ModelRow("baseline", "m.onnx", 1, 1, 1),)
    figures = RetentionFigure("top1", 0.5, 0.4, 0.6, 20, 0.9, 25.0), Ratios(0.5, 0.5, 0.5, 0.5)
    target = TargetReport(None, models, *figures, None)
    tools = ToolVersion("rockpress", "0.1"), ToolVersion("rknn-toolkit2", None)
    return to_json(Report(*tools, {"model": "m.onnx"}, (target,))).encode()


def built() -> bytes:
    """Return a report of two targets with all that is compared."""
    npu = LatencyFigure("npu-estimate", 2.0, 1.7, 2.4, 1000, LatencyScale(1.1, 1))
    accuracy = AccuracyFigure("top1", 0.9, 0.88, 0.92, 400, "rknn-simulator")
    models = (ModelRow("rknn", None, 9, 9, 9, latency=(npu,), accuracy=accuracy),)
    shapes = ((1, 3, 4, 4),), ((1, 8, 4, 4),)
    layers = tuple(
        LayerRow(
            *(1, "Conv", "INT8", "NPU", *shapes, 1, 2, 3, name, 4, 5, 0.0, None, 0.1, "compute")
        )
        for name in "ab"
    )
    retention = RetentionFigure("top1", 0.5, 0.4, 0.6, 400, 0.9, 25.0, difference=-0.1)
    target = TargetReport("rk3588", models, retention, Ratios(), None, layers=layers)
    tools = ToolVersion("rockpress", "0.1"), ToolVersion("rknn-toolkit2", "2.5.0")
    recipe = {"model": "m.onnx", "eval": "e", "scheme": "w8a8"}
    return to_json(Report(*tools, recipe, (target, target))).encode()


def coco() -> bytes:
    box = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    images = [{"id": 1, "file_name": "images/0.png", "height": 36, "width": 40}]
    categories = [{"id": 3, "name": "a"}]
    return json.dumps({"images": images, "annotations": [box], "categories": categories}).encode()


def rknn() -> bytes:
    description = json.dumps({"target_platform": ["rk3588"], "version": "2.5.0", "norm_tensor": []})
    parts = (b"RKNN" + bytes(4), (6).to_bytes(8, "little"), (64).to_bytes(8, "little"), bytes(104))
    return b"".join(parts) + len(description).to_bytes(8, "little") + description.encode()


def text_direction_model() -> bytes:
    """Return the classifier inside rapidocr-onnxruntime, of which nothing is imported."""
    listed = files("rapidocr-onnxruntime") or []
    path = next(file for file in listed if file.name == "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    return Path(str(path.locate())).read_bytes()


def commands_of(model: str) -> list[list[str]]:
    """Return a line of every verb that reads a model and takes no build."""
    return [
        ["inspect", "--json", model],
        [*QUANTIZE, model, "--calib", "../images"],
        [*PRUNE, model],
        ["check", model, model, "--eval", "../images", "--timeout", "5", "--json"],
        ["predict", model, "../images", "--json", "-o", "../out/drawn"],
    ]


def words_of(*line: str) -> Callable[[], bytes]:
    return lambda: json.dumps(line).encode()


KINDS: dict[str, Fuzzed] = {
    "model": Fuzzed(
        "m.onnx",
        lambda: common_files()["cnn.onnx"],
        mutated_model,
        commands_of("../m.onnx"),
        tried=8,
    ),
    "real-model": Fuzzed(
        "m.onnx", text_direction_model, mutated_model, commands_of("../m.onnx"), tried=1
    ),
    "npz": Fuzzed(
        "x.npz",
        lambda: common_files()["s.npz"],
        mutated_npz,
        [[*CHECK, "--eval", "../x.npz"], [*PREDICT, "../x.npz"]],
    ),
    "npy": Fuzzed(
        "x.npy",
        lambda: common_files()["s.npy"],
        mutated_npy,
        [[*QUANTIZE, ONE, "--calib", "../x.npy"], [*PREDICT, "../x.npy"]],
    ),
    "image": Fuzzed(
        "images/0.png",
        lambda: common_files()["images/0.png"],
        mutated_bytes,
        [[*QUANTIZE, ONE, "--calib", "../images"], [*PREDICT, "../images"]],
    ),
    "jpeg": Fuzzed(  # which has no sums, so that more of it is decoded
        "images/2.jpg",
        jpeg,
        mutated_bytes,
        [
            [*QUANTIZE, ONE, "--calib", "../images"],
            ["predict", ONE, "../images/2.jpg", "-o", "../out/drawn"],
        ],
    ),
    "coco": Fuzzed("c.json", coco, mutated_json, [[*CHECK, "--eval", "../c.json"]]),
    "labels": Fuzzed(
        "l.csv",
        lambda: b"path,label\nimages/0.png,1\nimages/1.png,0\n",
        mutated_bytes,
        [[*CHECK, "--eval", "../l.csv"]],
    ),
    "recipe": Fuzzed("r.toml", recipe, mutated_toml, [["run", "../r.toml", "--dry-run"]]),
    "recipe-of-several": Fuzzed(
        "r.toml",
        recipe_of_several,
        mutated_toml,
        [["run", "../r.toml", "--dry-run", "--json", "-o", "../out/r"]],
    ),
    "report": Fuzzed(
        "r.json", report, mutated_json, [[*CHECK, "--eval", THREE, "--baseline", "../r.json"]]
    ),
    "compared": Fuzzed(
        "r.json",
        built,
        mutated_json,
        [
            ["compare", "../r.json", "../b.json", "--report", "../out/c.html"],
            ["compare", "../b.json", "../r.json", "--report", "../out/c.md", "--json"],
        ],
        lambda: {"b.json": built()},
    ),
    "trials": Fuzzed(
        "t/trials.jsonl",
        lambda: searched_files()["t/trials.jsonl"],
        mutated_trials,
        [TUNE, [*TUNE, "--json"]],
        searched_files,
        tried=4,
    ),
    "rknn": Fuzzed(
        "m.rknn",
        rknn,
        mutated_bytes,
        [["inspect", "../m.rknn"], ["check", "../cnn.onnx", "../m.rknn", "--calib", "../images"]],
    ),
    "manifest": Fuzzed(
        "m.rknn.json",
        lambda: converted_files()["m.rknn.json"],
        mutated_json,
        [
            ["inspect", "../m.rknn", "--json"],
            ["check", "../cnn.onnx", "../m.rknn", "--calib", "../images"],
            ["predict", "../m.rknn", "../images"],
            ["compare", "../m.rknn", "../b.json"],
        ],
        lambda: {**converted_files(), "b.json": built()},
    ),
    "plan": Fuzzed(
        "p.plan.toml",
        lambda: converted_files()["q.plan.toml"],
        mutated_toml,
        [
            [*CONVERT, "../cnn.onnx", "--plan", "../p.plan.toml"],
            [
                *[*CONVERT, "../cnn.onnx", "--plan", "../p.plan.toml"],
                *["--route", "hybrid", "--calib", "../images"],
            ],
        ],
    ),
    "convert": Fuzzed(
        "m.onnx",
        lambda: common_files()["cnn.onnx"],
        mutated_model,
        [
            [*CONVERT, "../m.onnx"],
            [*CONVERT, "../m.onnx", "--toolkit-quantizer", "normal", "--calib", "../images"],
        ],
        tried=1,
    ),
    "words-of-check": Fuzzed("words.json", words_of(*CHECK, "--eval", "../s.npz"), mutated_words),
    "words-of-quantize": Fuzzed(
        "words.json", words_of(*QUANTIZE, ONE, "--calib", "../s.npz"), mutated_words
    ),
    "words-of-prune": Fuzzed("words.json", words_of(*PRUNE, ONE, "--calib", TWO), mutated_words),
    "words-of-distil": Fuzzed(
        "words.json",
        words_of(*DISTIL, ONE, "--calib", TWO),
        mutated_words,
    ),
    "words-of-convert": Fuzzed(
        "words.json", words_of(*CONVERT, ONE, "--calib", "../s.npz"), mutated_words
    ),
    "words-of-predict": Fuzzed(
        "words.json",
        words_of("predict", ONE, "../images", "../s.npz", "--against", ONE, "-o", "../out/drawn"),
        mutated_words,
    ),
    "words-of-inspect": Fuzzed("words.json", words_of("inspect", ONE), mutated_words),
    "words-of-run": Fuzzed(
        "words.json",
        words_of("run", ONE, "--calib", "../s.npz", "-o", "../out/r", "--dry-run"),
        mutated_words,
    ),
    "words-of-init": Fuzzed(
        "words.json", words_of("init", "../cnn.onnx", "-o", "../out/r.toml"), mutated_words
    ),
}


def enough_samples(*shape: int) -> bytes:
    """Return an .npz of as many as training asks for."""
    written = io.BytesIO()
    np.savez(written, x=np.random.default_rng(1).integers(0, 255, (32, *shape), np.uint8))
    return written.getvalue()


# what is trained, and with what: without PyTorch there is only the error that says so
DISTIL_KINDS: dict[str, Fuzzed] = {
    "distil-words": KINDS["words-of-distil"],
    "distil-model": Fuzzed(
        "m.onnx",
        lambda: common_files()["cnn.onnx"],
        mutated_model,
        [[*DISTIL, "../m.onnx", "--calib", "../x.npz"]],
        lambda: {"x.npz": enough_samples(32, 32, 3)},
        tried=6,
    ),
    "distil-samples": Fuzzed(
        "x.npz",
        lambda: enough_samples(28, 28),
        mutated_npz,
        [[*DISTIL, ONE, "--calib", "../x.npz"]],
        tried=4,
    ),
}
