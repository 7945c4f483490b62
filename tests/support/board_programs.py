"""Programs for a board made for outputs of given shapes, built and imported; values for outputs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rockpress.accuracy.metrics.metric_table import BoundMetric, bind_metric
from rockpress.board.generated.board_program import BoardProgram
from rockpress.board.generated.program_files import program_files
from rockpress.calibration_data.preprocess import Preprocess
from rockpress.core.results.layer_rows import FeedInput, FeedOutput
from rockpress.core.types import Array, Shape
from rockpress.pipeline.tasks.manifest_files import feed_inputs
from rockpress.pipeline.tasks.output_reading import reading_of
from stand_in_board import StandInBoard

API = Path(__file__).with_name("rknn_api")
SIZE = (64, 96)
_STRIDES = (8, 16, 32)
WARNINGS = "-std=c99 -D_POSIX_C_SOURCE=200809L -O1 -Wall -Wextra -Werror".split()


def program_for(
    shapes: Sequence[Shape],
    metric: str,
    options: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    preprocess: Preprocess | None = None,
    target: str = "rk3588",
    cores: int = 3,
) -> tuple[BoundMetric, BoardProgram]:
    """Return the metric and the program for a model of pictures with these outputs."""
    preprocess = preprocess or Preprocess(size=SIZE, resize="letterbox", std=(255.0,))
    names = [f"output{index}" for index in range(len(shapes))]
    scoring = bind_metric(metric, options, (), names, input_size=preprocess.size)
    program = BoardProgram(
        "net",
        target,
        cores,
        feed_inputs({"x": (1, preprocess.channels, *preprocess.size)}, preprocess),
        tuple(FeedOutput(*each, "float32") for each in zip(names, shapes, strict=True)),
        tuple(classes),
        reading_of(scoring, dict(zip(names, shapes, strict=True))),
    )
    return scoring, program


def tensor_program(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> BoardProgram:
    """Return the program for a model of arrays."""
    _, program = program_for(outputs, "top1")
    fed = (FeedInput(f"x{i}", "float32", "as the model", s) for i, s in enumerate(inputs))
    return BoardProgram("net", "rk3588", 3, tuple(fed), program.outputs, (), program.reading)


def written(program: BoardProgram, folder: Path) -> Path:
    """Write all files of a program into a folder beside where the .rknn would be."""
    own = folder / "net-board"
    own.mkdir(exist_ok=True)
    for name, text in program_files(program).items():
        (own / name).write_text(text, encoding="utf-8")
    return own


def imported(folder: Path) -> ModuleType:
    """Import the Python program of a folder."""
    spec = importlib.util.spec_from_file_location("board_main", folder / "main.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(folder: Path, source: str, *files: str) -> Path:
    """Compile a driver with some of the C sources of a folder; a warning is an error."""
    (folder / "driver.c").write_text(source)
    words = ["cc", *WARNINGS, "-o", "driver", "driver.c", *files, "-lm"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "driver"


def write_ppm(path: Path, pixels: Array) -> None:
    """Write RGB pixels as a binary PPM."""
    header = f"P6 # a comment\n{pixels.shape[1]} {pixels.shape[0]}\n255\n"
    path.write_bytes(header.encode() + pixels.tobytes())


def runtime_folder(board: StandInBoard, folder: Path) -> Path:
    """Make the folder that the Makefile calls RKNN, with the stand-in for the runtime."""
    runtime = folder / "librknn_api"
    (runtime / "aarch64").mkdir(parents=True)
    (runtime / "aarch64/librknnrt.so").symlink_to(board.environment["ROCKPRESS_LIBRKNNRT"])
    (runtime / "include").symlink_to(API)
    (folder / "net.rknn").write_bytes(b"RKNN")
    return runtime


def made(folder: Path, runtime: Path) -> Path:
    """Build the C program of a folder by make; a warning is an error."""
    flags = f"CFLAGS={' '.join(WARNINGS)}"
    run = subprocess.run(["make", f"RKNN={runtime}", flags], cwd=folder, capture_output=True)
    assert run.returncode == 0, run.stderr
    return folder


def ran(folder: Path, runtime: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the C program of a folder on the stand-in for the runtime."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(runtime / "aarch64")}
    words = ("./main", *words)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def maps(channels: int, strides: Sequence[int] = _STRIDES) -> list[Shape]:
    """Return the shapes of a map of each scale."""
    height, width = SIZE
    return [(1, channels, -(-height // stride), -(-width // stride)) for stride in strides]


def rows(channels: int, each: int = 1, strides: Sequence[int] = _STRIDES) -> list[Shape]:
    """Return the shapes of rows of each scale."""
    return [(1, each * shape[2] * shape[3], channels) for shape in maps(1, strides)]


def _together(*parts: list[Shape]) -> list[Shape]:
    return [shape for scale in zip(*parts, strict=True) for shape in scale]


_ALL = sum(shape[1] for shape in rows(1))
_FOUR = (8, 16, 32, 64)
# a name -> the head, and the shapes of its outputs, for five classes
HEADS: Mapping[str, tuple[str, list[Shape]]] = {
    "yolov8-maps": ("yolov8", _together(maps(64), maps(5))),
    "yolov8-joined": ("yolov8", maps(69)),
    "yolov8-sums": ("yolov8", _together(maps(64), maps(5), maps(1))),
    "yolo26-maps": ("yolov8", _together(maps(4), maps(5))),
    "yolov8-rows": ("yolov8", [(1, 9, _ALL)]),
    "yolov5-rows": ("yolov5", [(1, _ALL, 10)]),
    "yolov5-maps": ("yolov5", maps(30)),
    "yolov5-five-axes": ("yolov5", [(1, 3, *shape[2:], 10) for shape in maps(1)]),
    "end2end": ("end2end", [(1, 100, 6)]),
    "rtdetr": ("rtdetr", [(1, 100, 9)]),
    "rtdetr-classes": ("rtdetr", [(1, 100, 6)]),
    "corners-scores": ("boxes-scores", [(1, _ALL, 4), (1, 5, _ALL)]),
    "sides-scores": ("boxes-scores", [(1, 4, _ALL), (1, 5, _ALL)]),
    "yolox-rows": ("yolox", [(1, _ALL, 10)]),
    "yolox-maps": ("yolox", maps(10)),
    "yolox-apart": ("yolox", _together(maps(4), maps(1), maps(5))),
    "yolov6-bins": ("yolov6", _together(maps(5), maps(68))),
    "yolov6": ("yolov6", _together(maps(4), maps(5))),
    "pp-yoloe": ("pp-yoloe", _together(maps(5), maps(68))),
    "picodet": ("picodet", [*rows(5, strides=_FOUR), *rows(32, strides=_FOUR)]),
    "picodet-joined": ("picodet", maps(37, _FOUR)),
    "retinaface-rows": ("retinaface", [(1, 2 * _ALL, count) for count in (4, 2, 10)]),
    "retinaface-maps": ("retinaface", [*maps(8), *maps(4), *maps(20)]),
    "scrfd": ("scrfd", [*rows(1, 2), *rows(4, 2), *rows(10, 2)]),
}
# the same for poses of one class with four points of three numbers each
POSES: Mapping[str, tuple[str, list[Shape]]] = {
    "maps": ("yolov8", _together(maps(64), maps(1), maps(12))),
    "maps-joined": ("yolov8", maps(77)),
    "maps-without-bins": ("yolov8", _together(maps(4), maps(1), maps(12))),
    "rows": ("yolov8", [(1, 17, _ALL)]),
    "end2end": ("end2end", [(1, 100, 18)]),
}
# what a segmenter of pictures of SIZE may give, the same for two classes and more
SEGMENTS: Mapping[str, Shape] = {
    "scores": (1, 5, 64, 96),
    "scores-small": (1, 5, 16, 24),
    "logit": (1, 1, 32, 48),
    "indices": (1, 64, 96),
}
# maps of where text is in pictures of SIZE
LINES: Mapping[str, Shape] = {
    "map": (1, 1, 64, 96),
    "map-small": (1, 1, 32, 48),
    "channels-last": (1, 64, 96, 1),
    "three-axes": (1, 64, 96),
}
CLASSES = ("cat", "dog", 'a "b"', "c\\d??!", "ünï")


def head_program(name: str) -> tuple[BoundMetric, BoardProgram]:
    """Return the metric and the program for one of the heads."""
    head, shapes = HEADS[name]
    return program_for(shapes, "map50", {"head": head}, CLASSES)


def segment_program(name: str) -> tuple[BoundMetric, BoardProgram]:
    """Return the metric and the program for one of the maps."""
    return program_for([SEGMENTS[name]], "miou", classes=CLASSES)


def segment_values(name: str) -> list[Array]:
    """Return values for the output of one of the maps, as the NPU gives them: in float."""
    random = np.random.default_rng(8)
    if name == "indices":
        return [random.integers(0, 5, SEGMENTS[name]).astype(np.float32)]
    return [random.normal(size=SEGMENTS[name]).astype(np.float32)]


def segments_of(scoring: BoundMetric, name: str, values: list[Array]) -> Array:
    """Return the classes (H, W) that the metric reads of an output."""
    read = [values[0].astype(np.int64)] if name == "indices" else values
    segments: Array = np.asarray(scoring.metric.predict(read))[0]
    return segments


def line_program(name: str) -> tuple[BoundMetric, BoardProgram]:
    """Return the metric and the program for one of the maps of text."""
    return program_for([LINES[name]], "text-boxes")


def line_values(name: str, seed: int = 0) -> list[Array]:
    """Return a map with lines of many forms, of which some touch, surround others or are faint."""
    shape = LINES[name]
    height, width = shape[1:3] if shape[-1] == 1 else shape[-2:]
    random: Any = np.random.default_rng(seed)
    values = 0.2 * random.random((height, width))
    for _ in range(12):
        top, left = random.integers(-2, height), random.integers(-2, width)
        down, across = random.integers(1, 9), random.integers(1, 25)
        part = values[max(top, 0) : top + down, max(left, 0) : left + across]
        part[:] = random.choice([0.35, 0.65, 0.8]) + 0.1 * random.random(part.shape)
    ring = values[2:14, 2:20]  # with another line in its hole, and a corner that touches
    ring[:] = 0.85 + 0.1 * random.random(ring.shape)
    ring[3:9, 3:15] = 0.05
    ring[5:8, 5:12] = 0.9
    values[14:18, 20:26] = 0.7
    return [values.astype(np.float32).reshape(shape)]


def pose_program(name: str) -> tuple[BoundMetric, BoardProgram]:
    """Return the metric and the program for one of the heads of poses."""
    head, shapes = POSES[name]
    return program_for(shapes, "pose", {"head": head, "keypoints": "4"}, CLASSES[:1])


def pose_values(name: str) -> list[Array]:
    """Return values for the outputs of one of the heads of poses."""
    random: Any = np.random.default_rng(7)
    values = [random.normal(size=shape).astype(np.float32) for shape in POSES[name][1]]
    if name == "rows":
        values[0][:, :4] = 30 * np.abs(values[0][:, :4])
    if name == "end2end":
        rows = values[0]
        rows[..., :4] = 30 * np.abs(rows[..., [0, 1, 0, 1]]) + np.array([0, 0, 20, 20])
        rows[..., 4], rows[..., 5] = random.random(rows.shape[:-1]), 0
    return values


def head_values(name: str, seed: int = 0) -> list[Array]:
    """Return values for the outputs of one of the heads, of which many make boxes."""
    random: Any = np.random.default_rng(seed)
    values = [random.normal(size=shape).astype(np.float32) for shape in HEADS[name][1]]
    first = values[0]
    if name.startswith("rtdetr"):
        first[..., :4] = random.random(first[..., :4].shape)
    if name in ("end2end", "rtdetr-classes"):
        first[..., 4] = random.random(first[..., 4].shape)
        first[..., 5] = random.integers(0, len(CLASSES), first.shape[:-1])
    if name == "end2end":
        first[..., :4] = 30 * np.abs(first[..., [0, 1, 0, 1]]) + np.array([0, 0, 20, 20])
    if name == "yolov8-rows":
        first[:, :4] = 30 * np.abs(first[:, :4])
    if name == "yolov5-rows":
        first[..., :4] = 30 * np.abs(first[..., :4])
    if name == "corners-scores":
        first[..., :] = 20 * np.abs(first[..., [0, 1, 0, 1]]) + np.array([0, 0, 20, 20])
    if name == "sides-scores":
        first[:] = 20 * np.abs(first)
    return values
