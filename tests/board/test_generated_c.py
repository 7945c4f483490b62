"""The C program for a board: compiled, and to the same boxes, classes and texts as our metrics."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from board_programs import (
    API,
    CLASSES,
    HEADS,
    LINES,
    POSES,
    SEGMENTS,
    WARNINGS,
    compiled,
    head_program,
    head_values,
    imported,
    line_program,
    line_values,
    made,
    pose_program,
    pose_values,
    program_for,
    ran,
    runtime_folder,
    segment_program,
    segment_values,
    segments_of,
    tensor_program,
    write_ppm,
    written,
)
from rockpress.accuracy.metrics.metric import Listing
from rockpress.board.generated.board_program import BoardProgram
from rockpress.calibration_data.images.geometry import placement
from rockpress.calibration_data.preprocess import Preprocess
from rockpress.calibration_data.preprocessing import Color, Resize
from rockpress.core.results.predictions import PredictedClasses
from rockpress.core.types import Array
from stand_in_board import StandInBoard

_READ = """
#include "decode.h"
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **paths) {
    const float *outputs[OUTPUTS];
    if (count != 1 + OUTPUTS) return 2;
    for (int i = 0; i < OUTPUTS; i++) {
        size_t size = (size_t)TABLES[i].cells * (size_t)TABLES[i].channels;
        float *values = malloc(size * sizeof(float));
        FILE *file = fopen(paths[1 + i], "rb");
        if (fread(values, sizeof(float), size, file) != size || getc(file) != EOF) return 3;
        fclose(file);
        outputs[i] = values;
    }
"""
_BOXES = """
    Box boxes[MOST];
    int found = find_boxes(outputs, boxes);
    for (int i = 0; i < found; i++)
        printf("%d %.9g %.9g %.9g %.9g %.9g\\n", boxes[i].label, boxes[i].score, boxes[i].left,
               boxes[i].top, boxes[i].right, boxes[i].bottom);
    return 0;
}
"""
_POSES = """
    Box boxes[MOST];
    float points[POINTS][2];
    int found = find_boxes(outputs, boxes);
    for (int i = 0; i < found; i++) {
        find_points(outputs, &boxes[i], points);
        printf("%.9g", boxes[i].score);
        for (int k = 0; k < POINTS; k++) printf(" %.9g %.9g", points[k][0], points[k][1]);
        printf("\\n");
    }
    return 0;
}
"""
_CLASSES = """
    int labels[SHOWN];
    float scores[SHOWN];
    classify(outputs, labels, scores);
    for (int i = 0; i < SHOWN; i++) printf("%.9g %s\\n", scores[i], LABELS[labels[i]]);
    return 0;
}
"""
_SEGMENTS = """
    static unsigned char classes[ROWS * COLUMNS];
    segment(outputs, classes);
    return fwrite(classes, 1, sizeof classes, stdout) != sizeof classes;
}
"""
_TEXT = """
    char text[LONGEST_TEXT];
    read_text(outputs, text);
    fputs(text, stdout);
    return 0;
}
"""
_PREPARE = """
#include "picture.h"
#include <stdio.h>
static unsigned char input[HEIGHT * WIDTH * CHANNELS];
int main(int count, char **words) {
    Picture picture;
    if (count != 2 || read_picture(words[1], 0, 0, &picture) != 0) return 1;
    Place place = prepare(&picture, input);
    fwrite(&place, sizeof place, 1, stdout);
    return fwrite(input, 1, sizeof input, stdout) != sizeof input;
}
"""


def said(folder: Path, driver: str, values: list[Array]) -> str:
    """What a driver that decodes says of outputs."""
    program = compiled(folder, _READ + driver, "decode.c")
    files = []
    for index, output in enumerate(values):
        files.append(folder / f"{index}.float32")
        output.tofile(files[-1])
    run = subprocess.run([program, *files], check=True, capture_output=True)
    return run.stdout.decode()


@pytest.mark.parametrize("name", HEADS)
def test_boxes_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = head_program(name)
    values = head_values(name)
    expected = scoring.metric.predict(scoring.read(values))[0].above(program.reading.score)
    lines = said(written(program, tmp_path), _BOXES, values).splitlines()
    boxes = np.array([line.split() for line in lines], float)
    np.testing.assert_array_equal(boxes[:, 0], expected.classes)
    np.testing.assert_allclose(boxes[:, 1], expected.scores, atol=1e-5)
    np.testing.assert_allclose(boxes[:, 2:], expected.corners, atol=1e-3)


@pytest.mark.parametrize("name", POSES)
def test_poses_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = pose_program(name)
    values = pose_values(name)
    expected = scoring.metric.predict(scoring.read(values))[0].above(program.reading.score)
    lines = said(written(program, tmp_path), _POSES, values).splitlines()
    poses = np.array([line.split() for line in lines], float)
    np.testing.assert_allclose(poses[:, 0], expected.scores, atol=1e-5)
    np.testing.assert_allclose(poses[:, 1:].reshape(-1, 4, 2), expected.keypoints, atol=1e-3)


def test_a_box_without_numbers_is_none(tmp_path: Path) -> None:
    _, program = head_program("corners-scores")
    boxes, scores = head_values("corners-scores")
    boxes[0, :, 1] = np.nan
    boxes[0, 0] = [0, 0, np.inf, 9]
    scores[:] = 0.9
    lines = said(written(program, tmp_path), _BOXES, [boxes, scores]).splitlines()
    assert {line.split()[2] for line in lines} == {"0"} and len(lines) == len(CLASSES)


@pytest.mark.parametrize("logits", [True, False])
def test_classes_are_those_of_the_metric(logits: bool, tmp_path: Path) -> None:
    scoring, program = program_for([(1, 5)], "top1", classes=CLASSES)
    values = np.random.default_rng(1).normal(size=(1, 5)).astype(np.float32)
    if not logits:
        values = np.exp(values) / np.exp(values).sum()
    plain = scoring.metric.plain(scoring.metric.predict([values])[0], Listing(CLASSES))
    assert isinstance(plain, PredictedClasses)
    lines = said(written(program, tmp_path), _CLASSES, [values]).splitlines()
    scores, names = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert list(names) == [each.name for each in plain.classes]
    np.testing.assert_allclose(
        np.array(scores, float), [each.score for each in plain.classes], rtol=1e-5
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", LINES)
def test_lines_are_those_of_the_metric(name: str, seed: int, tmp_path: Path) -> None:
    scoring, program = line_program(name)
    values = line_values(name, seed)
    expected = scoring.metric.predict(values)[0]
    lines = said(written(program, tmp_path), _BOXES, values).splitlines()
    boxes = np.array([line.split() for line in lines], float)
    assert (boxes[:, 0] == 0).all()
    np.testing.assert_allclose(boxes[:, 1], expected.scores, atol=1e-5)
    np.testing.assert_allclose(boxes[:, 2:], expected.corners, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_map_of_one_value_is_all_text_or_none(value: float, tmp_path: Path) -> None:
    _, program = line_program("map")
    values = [np.full(LINES["map"], value, np.float32)]
    lines = said(written(program, tmp_path), _BOXES, values).splitlines()
    assert lines == (["0 1 0 0 96 64"] if value == 1 else [])


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_are_those_of_the_metric(name: str, tmp_path: Path) -> None:
    scoring, program = segment_program(name)
    values = segment_values(name)
    given = said(written(program, tmp_path), _SEGMENTS, values).encode("latin-1")
    expected = segments_of(scoring, name, values)
    np.testing.assert_array_equal(np.frombuffer(given, np.uint8), expected.ravel())


def test_a_map_is_what_the_python_program_writes(
    tmp_path: Path, board: StandInBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a picture of another ratio, through the stand-in for the runtime."""
    _, program = program_for([(1, 5, 16, 24)], "miou", classes=CLASSES)
    folder, runtime = written(program, tmp_path), runtime_folder(board, tmp_path)
    pixels = np.full((90, 170, 3), 200, np.uint8)  # so that both resize to the same
    write_ppm(folder / "b.c.ppm", pixels)
    values = np.random.default_rng(4).normal(size=(1, 5, 16, 24)).astype(np.float32)
    main = imported(folder)
    inputs, place = main.prepare(pixels)
    board.set(
        input=["x uint8 NHWC 1x64x96x3"],
        output=["output0 float32 NCHW 1x5x16x24"],
        answers=board.answer([inputs], [values]),
    )
    run = ran(made(folder, runtime), runtime, "b.c.ppm")
    assert run.returncode == 0 and run.stderr == ""
    whole = (folder / "b.c-classes.pgm").read_bytes()
    assert whole.startswith(b"P5\n170 90\n255\n")
    classes = np.frombuffer(whole[-pixels[..., 0].size :], np.uint8).reshape(90, 170)
    own = main.spread(main.segment([values]), (90, 170), place)
    assert (classes == own).mean() > 0.999  # but for rounding
    drawn = np.frombuffer((folder / "b.c-drawn.ppm").read_bytes()[-pixels.size :], np.uint8)
    np.testing.assert_array_equal(drawn, (100 + main.COLOURS[classes] // 2).ravel())
    monkeypatch.chdir(tmp_path)
    said_by_c = [line.strip() for line in run.stdout.splitlines()[1:6]]
    said_by_python = main.show("b.c.ppm", pixels, place, [values])[:5]
    shares = [[float(line.split()[-2]) for line in lines] for lines in (said_by_c, said_by_python)]
    assert sum(shares[0]) == pytest.approx(100, abs=0.3)
    assert shares[0] == pytest.approx(shares[1], abs=0.15)


@pytest.mark.parametrize("blank", ["first", "last"])
@pytest.mark.parametrize("shape", [(1, 30, 9), (1, 9, 30), (1, 30, 8)])
def test_texts_are_those_of_the_metric(shape: tuple[int, ...], blank: str, tmp_path: Path) -> None:
    characters = ("a", "b", "é", "中", '"', "\\", "?")
    charset = tmp_path / "keys.txt"
    charset.write_text("".join(f"{each}\n" for each in characters), encoding="utf-8")
    options = {"charset": str(charset), "blank": blank}
    scoring, program = program_for([shape], "cer", options, characters)
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    text = said(written(program, tmp_path), _TEXT, [values])
    assert text == scoring.metric.predict([values])[0] != ""


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "corner", "fit", "crop"])
def test_the_input_is_within_one_of_ours(resize: Resize, color: Color, tmp_path: Path) -> None:
    preprocess = Preprocess(size=(64, 96), resize=resize, color=color)
    _, program = program_for([(1, 5)], "top1", classes=CLASSES, preprocess=preprocess)
    driver = compiled(written(program, tmp_path), _PREPARE, "picture.c")
    for seed, size in enumerate([(37, 53), (400, 123), (128, 192), (64, 96), (1, 1)]):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
        write_ppm(tmp_path / "picture.ppm", pixels)
        run = subprocess.run([driver, tmp_path / "picture.ppm"], check=True, capture_output=True)
        given = np.frombuffer(run.stdout[16:], np.uint8).astype(int)
        assert np.abs(given - preprocess.pixels(pixels).ravel()).max() <= 1
        place = placement(resize, size, (64, 96))
        expected = [*place.scale[::-1], *place.corner[::-1]]
        np.testing.assert_allclose(np.frombuffer(run.stdout[:16], np.float32), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P5 2 2 255\n1234",
        b"P6 2 2 255\n123",
        b"P6 2 2 65535\n" + bytes(24),
        b"P6 99999999999999999999 2 255\n",
        b"P6 -1 2 255\n",
        b"P6 # a comment without an end",
        b"P6 30000 30000 255\n",
        b"GIF89a",
    ],
)
def test_a_file_that_is_no_picture_is_an_error(content: bytes, tmp_path: Path) -> None:
    _, program = program_for([(1, 5)], "top1", classes=CLASSES)
    driver = compiled(written(program, tmp_path), _PREPARE, "picture.c")
    (tmp_path / "picture.ppm").write_bytes(content)
    run = subprocess.run([driver, tmp_path / "picture.ppm"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.startswith(f"{tmp_path / 'picture.ppm'}: ")


def every_kind() -> list[BoardProgram]:
    return [
        head_program("yolov8-maps")[1],
        head_program("end2end")[1],
        pose_program("maps")[1],
        pose_program("rows")[1],
        program_for([(1, 5)], "top1", classes=CLASSES)[1],
        program_for([(1, 5)], "top1", target="rk3566", cores=1)[1],
        program_for([(1, 5, 8, 8), (1, 3)], "top1")[1],
        tensor_program([(1, 3, 4, 5), (1, 7)], [(1, 2, 3), (1,)]),
        *(segment_program(name)[1] for name in SEGMENTS),
        line_program("map")[1],
    ]


@pytest.mark.parametrize("index", range(13))
def test_all_sources_compile_without_a_warning(index: int, tmp_path: Path) -> None:
    folder = written(every_kind()[index], tmp_path)
    sources = sorted(file.name for file in folder.glob("*.c"))
    assert f"SOURCES = {' '.join(sources)}\n" in (folder / "Makefile").read_text()
    for source in sources:
        assert max(map(len, (folder / source).read_text().splitlines())) <= 100
        subprocess.run(["cc", *WARNINGS, "-c", f"-I{API}", source], cwd=folder, check=True)


def test_hostile_names_stay_texts(tmp_path: Path) -> None:
    names = ('"; int x', "*/ int x;", "\\", "??/", "a\r\nb\0c")
    _, program = program_for([(1, 5)], "top1", classes=names)
    object.__setattr__(program, "stem", 'x"\\\n*/ $y')
    values = np.arange(5, 0, -1, dtype=np.float32)[np.newaxis]
    lines = said(written(program, tmp_path), _CLASSES, [values]).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [*names[:4], "a  b"]


@pytest.fixture
def runtime(board: StandInBoard, tmp_path: Path) -> Path:
    return runtime_folder(board, tmp_path)


def tensors_of(values: list[Array]) -> tuple[list[str], list[Array], list[Array]]:
    """Return outputs as the runtime tells them, stored in int8, and as floats again."""
    lines, stored, floats = [], [], []
    for index, output in enumerate(values):
        scale, zero_point = np.float32(0.05 + 0.001 * index), index - 3
        whole = np.clip(np.round(output / scale) + zero_point, -128, 127).astype(np.int8)
        shape = "x".join(map(str, output.shape))
        lines.append(f"output{index} int8 NCHW {shape} {scale} {zero_point}")
        stored.append(whole)
        floats.append((whole.astype(np.float32) - zero_point) * scale)
    return lines, stored, floats


@pytest.mark.parametrize("contexts", [1, 3])
def test_a_program_finds_the_boxes_of_the_metric(
    contexts: int, board: StandInBoard, runtime: Path, tmp_path: Path
) -> None:
    scoring, program = head_program("yolov8-maps")
    folder = made(written(program, tmp_path), runtime)
    expected = {}
    for seed in range(5):
        lines, stored, floats = tensors_of(head_values("yolov8-maps", seed))
        pixels = np.full((64, 96, 3), 10 * seed, np.uint8)
        name = f"{seed}.a.ppm"
        write_ppm(folder / name, pixels)
        answers = board.answer([pixels], stored)
        boxes = scoring.metric.predict(floats)[0].above(program.reading.score)
        corners = np.clip(boxes.corners, 0, [96, 64] * 2)
        expected[name] = [
            f"  {CLASSES[label]} {score:.2f} at {', '.join(f'{v:.1f}' for v in box)}"
            for label, score, box in zip(boxes.classes, boxes.scores, corners, strict=True)
        ]
        expected[name] += [f"  drawn: {Path(name).stem}-boxes.ppm"]
    board.set(input=["x uint8 NHWC 1x64x96x3"], output=lines, answers=answers, cores=3)
    run = ran(folder, runtime, "--contexts", str(contexts), *expected)
    assert (run.returncode, run.stderr) == (0, "")
    # the order of the pictures is that in which they are done
    parts = [part.splitlines() for part in re.split(r"\n(?=\d)", run.stdout)]
    assert {name: lines for name, *lines in parts} == expected
    drawn = (folder / "0.a-boxes.ppm").read_bytes()
    assert len(drawn) == len(b"P6\n96 64\n255\n") + 64 * 96 * 3 and b"\xff\0\0" in drawn


def test_raw_pictures_and_floats_of_the_runtime(
    board: StandInBoard, runtime: Path, tmp_path: Path
) -> None:
    scoring, program = program_for([(1, 5)], "top1", classes=CLASSES)
    folder = made(written(program, tmp_path), runtime)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    pixels.tofile(folder / "frame.rgb")
    values = np.array([[0.0, 3, 1, 2, -1]], np.float32)
    answers = board.answer([pixels], [values])
    board.set(input=["x uint8 NHWC 1x64x96x3"], output=["y float32 NCHW 1x5"], answers=answers)
    run = ran(folder, runtime, "--raw", "96x64", "frame.rgb")
    plain = scoring.metric.plain(scoring.metric.predict([values])[0], Listing(CLASSES))
    assert isinstance(plain, PredictedClasses)
    lines = ["frame.rgb", *(f"  {each.name} {each.score:.3f}" for each in plain.classes)]
    assert (run.returncode, run.stdout.splitlines()) == (0, lines)


def test_arrays_go_in_with_their_channels_last(
    board: StandInBoard, runtime: Path, tmp_path: Path
) -> None:
    program = tensor_program([(1, 3, 4, 5), (1, 7)], [(1, 2, 3)])
    folder = made(written(program, tmp_path), runtime)
    first = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
    second, values = np.ones((1, 7), np.float32), np.arange(6, dtype=np.float32)
    first.tofile(folder / "a")
    second.tofile(folder / "b")
    answers = board.answer([first.transpose(0, 2, 3, 1), second], [values])
    inputs = ["x0 float32 NHWC 1x4x5x3", "x1 float32 UNDEFINED 1x7"]
    board.set(input=inputs, output=["y float32 NCHW 1x2x3"], answers=answers)
    run = ran(folder, runtime, "a", "b")
    assert (run.returncode, run.stdout, run.stderr) == (0, "  output 0 of 6 values: 0 to 5\n", "")
    np.testing.assert_array_equal(np.fromfile(folder / "output0.float32", np.float32), values)
    assert ran(folder, runtime, "a").returncode == 2
    assert "b: not a file of 240 bytes" in ran(folder, runtime, "b", "b").stderr


@pytest.mark.parametrize(
    ("settings", "words", "text"),
    [
        ({"fail_rknn_init": -6}, ["0.ppm"], "librknnrt.so is older than the model"),
        ({"fail_rknn_init": -13}, ["0.ppm"], "the model is for another chip"),
        ({"fail_rknn_run": -1}, ["0.ppm"], "the NPU did not run the model (error -1)"),
        ({"cores": 1}, ["0.ppm"], "the core cannot be chosen"),
        ({"most_contexts": 2}, ["0.ppm"], "no further context (error -4)"),
        ({"output": ["y int8 NCHW 1x6 0.1 0"]}, ["0.ppm"], "an output has another size"),
        ({"output": ["y int8 NCHW 1x5 0.1 0"] * 2}, ["0.ppm"], "other inputs or outputs"),
        ({}, ["no.ppm"], "no.ppm: cannot be read"),
        ({}, ["--model", "no.rknn", "0.ppm"], "no.rknn cannot be read"),
        ({}, [], "usage: ./main"),
        ({}, ["--contexts", "99", "0.ppm"], "usage: ./main"),
        ({}, ["--raw", "0x0", "0.ppm"], "usage: ./main"),
    ],
)
def test_what_fails_is_said_and_ends(
    settings: dict[str, object],
    words: list[str],
    text: str,
    board: StandInBoard,
    runtime: Path,
    tmp_path: Path,
) -> None:
    folder = made(written(program_for([(1, 5)], "top1")[1], tmp_path), runtime)
    write_ppm(folder / "0.ppm", np.zeros((64, 96, 3), np.uint8))
    tensors = {"input": ["x uint8 NHWC 1x64x96x3"], "output": ["y int8 NCHW 1x5 0.1 0"]}
    board.set(**{**tensors, **settings})
    run = ran(folder, runtime, *words)
    assert run.returncode != 0 and text in run.stderr and run.stdout == ""


def test_a_program_prints_the_points_of_poses(
    board: StandInBoard, runtime: Path, tmp_path: Path
) -> None:
    scoring, program = pose_program("maps")
    folder = made(written(program, tmp_path), runtime)
    lines, stored, floats = tensors_of(pose_values("maps"))
    pixels = np.zeros((64, 96, 3), np.uint8)
    write_ppm(folder / "0.ppm", pixels)
    answers = board.answer([pixels], stored)
    board.set(input=["x uint8 NHWC 1x64x96x3"], output=lines, answers=answers, cores=3)
    run = ran(folder, runtime, "0.ppm")
    assert (run.returncode, run.stderr) == (0, "")
    poses = scoring.metric.predict(floats)[0].above(program.reading.score)
    expected = [
        "    points " + ", ".join(f"{x:.1f} {y:.1f}" for x, y in points)
        for points in poses.keypoints
    ]
    printed = [line for line in run.stdout.splitlines() if line.startswith("    points")]
    assert len(printed) == len(expected) > 5
    given, right = (
        np.array(line.replace(",", "").split()[1:], float) for line in (printed[0], expected[0])
    )
    np.testing.assert_allclose(given, right, atol=0.11)  # rounded, it may be off by a digit
