"""The generated programs on a board that qemu plays: to what our metrics read of the same outputs.

The Python program runs on the real rknn-toolkit-lite2, the C program as its Makefile builds it for
a board; a stand-in for the runtime has the outputs for each picture.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from board_programs import API, CLASSES, SIZE, head_program, head_values, program_for, written
from qemu_board import ON_QEMU, TOOLS, QemuBoard, runtime_for_arm
from rockpress.accuracy.metrics.metric import Listing
from rockpress.accuracy.metrics.metric_table import BoundMetric
from rockpress.board.generated.board_program import BoardProgram
from rockpress.core.results.predictions import PredictedClasses
from rockpress.core.types import Array

pytestmark = ON_QEMU
PICTURES = 4
SCALE, ZERO_POINT = 0.05, -3
CHARACTERS = ("a", "b", "é", "中", '"', "\\", "?")
_NUMBER = re.compile(r"\d+\.\d+")


class Reading:
    """A kind of program: what it is made of, values for its outputs, and what one has to read."""

    def __init__(self, task: str, folder: Path) -> None:
        self.task = task
        self.scoring, self.program = _program(task, folder)
        self.shapes = [output.shape for output in self.program.outputs]

    def stored(self, seed: int) -> list[Array]:
        """Return values as the NPU has them, in int8."""
        random = np.random.default_rng(seed)
        boxes = head_values("yolov8-maps", seed)
        values = boxes if self.task == "boxes" else [random.normal(size=self.shapes[0])]
        steps = [np.round(each / SCALE) + ZERO_POINT for each in values]
        return [np.clip(each, -128, 127).astype(np.int8) for each in steps]

    def lines(self, stored: Sequence[Array]) -> list[str]:
        """Return what our metric reads of them, as the programs say it."""
        values = [(each.astype(np.float32) - ZERO_POINT) * np.float32(SCALE) for each in stored]
        metric = self.scoring.metric
        (prediction,) = metric.predict(self.scoring.read(values))
        if self.task == "text":
            return [prediction]
        if self.task == "classes":
            plain = metric.plain(prediction, Listing(CLASSES))
            assert isinstance(plain, PredictedClasses)
            return [f"{each.name} {each.score:.9f}" for each in plain.classes]
        boxes = prediction.above(self.program.reading.score)
        corners = np.clip(boxes.corners, 0, np.tile(SIZE[::-1], 2))
        return [
            f"{CLASSES[label]} {score:.9f} at " + ", ".join(f"{side:.9f}" for side in box)
            for label, score, box in zip(boxes.classes, boxes.scores, corners, strict=True)
        ]


def _program(task: str, folder: Path) -> tuple[BoundMetric, BoardProgram]:
    if task == "boxes":
        return head_program("yolov8-maps")
    if task == "classes":
        return program_for([(1, 5)], "top1", classes=CLASSES)
    charset = folder / "charset.txt"
    charset.write_text("".join(f"{each}\n" for each in CHARACTERS), encoding="utf-8")
    return program_for([(1, 30, 9)], "cer", {"charset": str(charset)}, CHARACTERS)


def run_python(
    board: QemuBoard, folder: Path, model: Path, pictures: Sequence[Path]
) -> subprocess.CompletedProcess[str]:
    return board.run("python3", folder / "main.py", "--model", model, *pictures)


def run_c(
    board: QemuBoard, folder: Path, model: Path, pictures: Sequence[Path]
) -> subprocess.CompletedProcess[str]:
    rknn = folder.parent / "librknn_api"
    (rknn / "aarch64").mkdir(parents=True)
    (rknn / "include").symlink_to(API)
    (rknn / "aarch64" / "librknnrt.so").symlink_to(runtime_for_arm())
    words = [f"CC={TOOLS}/cc", f"RKNN={rknn}", "CFLAGS=-O2 -Wall -Wextra -Werror"]
    subprocess.run(["make", "-s", "-C", folder, *words], check=True)
    return board.run(str(folder / "main"), "--model", model, *pictures)


def said_of(text: str) -> dict[str, list[str]]:
    """The lines of each picture, by its name."""
    said: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("  "):
            said[name] += [line[2:]] if "drawn: " not in line else []
        else:
            name = Path(line).stem
            said[name] = []
    return said


def assert_same(line: str, expected: str) -> None:
    """The same words, and the same numbers as far as they are printed."""
    assert _NUMBER.sub("", line) == _NUMBER.sub("", expected)
    for number, exact in zip(_NUMBER.findall(line), _NUMBER.findall(expected), strict=True):
        assert abs(float(number) - float(exact)) < 0.6 * 10 ** -len(number.partition(".")[2])


@pytest.mark.parametrize("task", ["boxes", "classes", "text"])
@pytest.mark.parametrize(("run", "ending"), [(run_python, "png"), (run_c, "ppm")])
def test_it_reads_what_our_metric_reads(
    run: Callable[..., subprocess.CompletedProcess[str]],
    ending: str,
    task: str,
    real_rknn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where the pictures with boxes go
    board, reading = QemuBoard(tmp_path / "board"), Reading(task, tmp_path)
    expected, answers = {}, ""
    for seed in range(PICTURES):
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.{ending}")
        stored = reading.stored(seed)
        answers = board.answer([pixels], stored)
        expected[str(seed)] = reading.lines(stored)
    board.set(
        input=[f"x int8 NHWC 1x{SIZE[0]}x{SIZE[1]}x3 0.00392 -128"],
        output=[
            f"y{index} int8 NCHW {'x'.join(map(str, shape))} {SCALE} {ZERO_POINT}"
            for index, shape in enumerate(reading.shapes)
        ],
        answers=answers,
    )
    pictures = [tmp_path / f"{name}.{ending}" for name in expected]
    done = run(board, written(reading.program, tmp_path), real_rknn, pictures)
    assert done.returncode == 0, done.stderr
    said = said_of(done.stdout)
    assert said.keys() == expected.keys()
    for name, lines in expected.items():
        assert len(said[name]) == len(lines) > 0
        for line, exact in zip(said[name], lines, strict=True):
            assert_same(line, exact)
