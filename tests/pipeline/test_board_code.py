"""Programs for a board beside a ``.rknn``: they say of the simulator's outputs what metrics say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from board_programs import imported, made, ran, runtime_folder, write_ppm
from commands import Run
from exports import SIDE, ultralytics, with_metadata
from rockpress.accuracy.metrics.metric_table import bind_metric
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import open_samples
from rockpress.convert.convert import convert
from rockpress.convert.manifest import read_manifest
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import fixed_input_shapes
from rockpress.pipeline.options.convert_options import ToolkitOptions
from rockpress.pipeline.rebuilding import open_rebuildable
from rockpress.pipeline.tasks.converting import NpuFeeds
from samples import pixels, save_images
from stand_in_board import StandInBoard
from trained_exports import recogniser

pytestmark = pytest.mark.toolkit

_PYTHON = {"README.md", "labels.txt", "main.py"}
_C = {
    *("Makefile", "README.md", "decode.c", "decode.h", "main.c", "model.h", "npu.c", "npu.h"),
    *("picture.c", "picture.h"),
}


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def images(folder: Path, height: int, width: int, count: int = 3) -> Path:
    return save_images(folder, [pixels(height, width, 3, seed=seed) for seed in range(count)])


def test_boxes_of_a_run_are_those_of_its_metric(
    rockpress: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "{0: 'cat', 1: 'dog', 2: 'cow'}"
    model = with_metadata(ultralytics(), task="detect", stride="32", imgsz="[64, 64]", names=names)
    onnx.save(model, tmp_path / "yolo.onnx")
    frames = images(tmp_path / "frames", SIDE, SIDE)
    cut = ("--outputs", "b0,c0,b1,c1,b2,c2", "--metric-option", "head=yolov8")
    words = ("--calib", frames, "--eval", frames, *cut, "-o", tmp_path / "build")
    ended = rockpress("run", tmp_path / "yolo.onnx", *words)
    assert ended.code == 0, ended.err
    rknn = tmp_path / "build/rk3588/yolo.rknn"
    assert names_in(rknn.with_name("yolo-board")) == _PYTHON | _C
    use = rknn.with_name("yolo-board") / "README.md"
    assert f"\n- to run it on the board: {use}\n" in ended.out
    assert f"on the board: {use}" in rockpress("inspect", rknn).out

    manifest = read_manifest(rknn.with_name("yolo.rknn.json"))
    assert manifest.reading is not None
    assert (manifest.reading.task, manifest.reading.head) == ("boxes", "yolov8")
    assert (manifest.inputs[0].resize, manifest.inputs[0].pad) == ("letterbox", (114,) * 3)
    # their values are random, and so are their scores
    main = imported(rknn.with_name("yolo-board"))
    vars(main)["SCORE"] = 0.01
    assert main.LABELS == ["cat", "dog", "cow"]
    rebuilt = open_rebuildable(rknn, ToolkitOptions())
    fed = fixed_input_shapes(load_model(rebuilt.source))
    (image,) = manifest.inputs
    samples = open_samples(frames, fed, Preprocessing(resize="letterbox", std=image.std or ()))
    request = rebuilt.request(ToolkitOptions(), samples.npu_preprocess, samples, NpuFeeds(samples))
    outputs = convert(request).outputs
    assert outputs is not None
    board = StandInBoard(tmp_path / "board")
    for name, value in board.environment.items():
        monkeypatch.setenv(name, value)
    runtime = runtime_folder(board, tmp_path)
    header = rknn.with_name("yolo-board") / "model.h"
    header.write_text(header.read_text().replace("#define SCORE 0.3f", "#define SCORE 0.01f"))
    program = made(header.parent, runtime)
    tensors = [
        f"y{index} float32 NCHW {'x'.join(map(str, output.shape))}"
        for index, output in enumerate(manifest.outputs)
    ]
    metric = bind_metric("map50", {"head": "yolov8", "score": "0.01"}, input_size=(SIDE, SIDE))
    for index in range(3):
        arrays = [output[index : index + 1] for output in outputs]
        expected = metric.metric.predict(arrays)[0]
        assert len(expected)
        corners, scores, classes = main.select(*main.decode(arrays))
        np.testing.assert_array_equal(classes, expected.classes)
        np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(corners, expected.corners, atol=1e-3)
        # and the whole C program, from the picture to what it prints
        picture = np.asarray(Image.open(sorted(frames.iterdir())[index]))
        write_ppm(program / "frame.ppm", picture)
        answers = board.answer([picture], arrays)
        board.set(input=["x uint8 NHWC 1x64x64x3"], output=tensors, answers=answers, cores=3)
        run = ran(program, runtime, "frame.ppm")
        assert (run.returncode, run.stderr) == (0, "")
        within = np.clip(expected.corners, 0, SIDE)
        assert run.stdout.splitlines()[1:] == [
            *(
                f"  {main.name(label)} {score:.2f} at {', '.join(f'{value:.1f}' for value in box)}"
                for label, score, box in zip(expected.classes, expected.scores, within, strict=True)
            ),
            "  drawn: frame-boxes.ppm",
        ]


def test_texts_of_a_conversion_are_those_of_the_simulator(rockpress: Run, tmp_path: Path) -> None:
    onnx.save(recogniser(), tmp_path / "rec.onnx")
    lines = images(tmp_path / "lines", 48, 320)
    rknn = tmp_path / "rec.rknn"
    ended = rockpress("convert", tmp_path / "rec.onnx", "-o", rknn, "--code", "python")
    assert ended.code == 0, ended.err
    folder = tmp_path / "rec-board"
    assert ended.out.splitlines()[-1] == f"programs for a board: {folder}"
    assert names_in(folder) == _PYTHON
    main = imported(folder)
    assert main.LABELS == ["", "0", "1", "2", "a", "b", "\u3000", " "]
    rebuilt = open_rebuildable(rknn, ToolkitOptions())
    (image,) = rebuilt.manifest.inputs
    assert (image.color, image.resize, image.pad) == ("bgr", "fit", (128,) * 3)
    preprocessing = Preprocessing(
        color="bgr", resize="fit", mean=image.mean or (), std=image.std or ()
    )
    samples = open_samples(lines, {"x": (1, 3, 48, 320)}, preprocessing)
    request = rebuilt.request(ToolkitOptions(), samples.npu_preprocess, samples, NpuFeeds(samples))
    outputs = convert(request).outputs
    assert outputs is not None
    metric = bind_metric("cer", {"charset": str(tmp_path / "rec.onnx")})
    texts = metric.metric.predict(outputs)
    assert [main.read_text([outputs[0][index : index + 1]]) for index in range(3)] == texts
    assert any(texts)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--code", "rust"), "--code rust: 'rust' is not known"),
        (
            ("--code", "c", "--target", "rv1106"),
            "the runtime of rv1106 is another one than that of",
        ),
        (("--code", "c", "--rknn-batch-size", "2"), "the .rknn takes 2 samples together"),
    ],
)
def test_what_has_no_programs_is_an_error(
    words: tuple[str, ...], text: str, rockpress: Run, tmp_path: Path
) -> None:
    onnx.save(recogniser(), tmp_path / "rec.onnx")
    ended = rockpress("convert", tmp_path / "rec.onnx", "-o", tmp_path / "rec.rknn", *words)
    assert ended.code in (1, 2) and text in ended.err
    assert names_in(tmp_path) == {"rec.onnx"}
